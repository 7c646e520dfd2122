import { hasCode } from "../../../src/contracts/errors.ts";
import type { ServiceHealth } from "../../../src/contracts/health.ts";
import type {
  ByteRange,
  ContentKind,
  DagScope,
  DirectoryEntry,
  DirectoryFile,
  PinState,
} from "../../../src/contracts/storage.ts";
import type { Added, ContentDriver, ContentInfo, Reach, Waiter } from "../driver.ts";
import type { Damage } from "./block_files.ts";
import { type Clock, SYSTEM_CLOCK } from "../../clock/clock.ts";
import type { Collected } from "./collector.ts";
import { type Disk, SYSTEM_DISK } from "./disk.ts";
import type { LocalEngine } from "./engine.ts";
import type { RootReport } from "./inspecting.ts";

/** What the driver is made of. */
export interface LocalDriverOptions {
  /** Nobody else's, and absolute. Made when it is needed. */
  readonly folder: string;
  /**
   * CIDs of all content that is to stay, beside what is pinned. What is to stay all the while they are told has to come: listed in
   * pages by CID it does, while pages by anything that changes may miss it.
   */
  readonly roots: () => AsyncIterable<string>;
  /** Bytes of a chunk. Default 256 KiB. */
  readonly chunkSize?: number;
  /** Entries that a directory may have to be listed, and files to be added. Default 100,000. */
  readonly maxEntries?: number;
  /** Milliseconds that content stays after it was added or found, claimed or not: at least ten minutes. Default an hour. */
  readonly grace?: number;
  /** Milliseconds between two collections. Default: none happens by itself. */
  readonly collectInterval?: number;
  /** Told of every collection. */
  readonly onCollected?: (collected: Collected) => void;
  /** Told of a collection that failed; another one follows. */
  readonly onError?: (error: unknown) => void;
  /** Told of a block, by its CID, whose bytes are not its own. */
  readonly onDamage?: (cid: string, damage: Damage) => void;
  /**
   * Takes the right to be the one who works on the folder, before anything is done in it; given back with {@link LocalDriver.close}. What
   * it throws is what callers get. Default: nobody asks.
   */
  readonly lock?: (folder: string) => Promise<Disposable>;
  readonly clock?: Clock;
  readonly disk?: Disk;
}

const CHUNK = 256 * 2 ** 10;
const ENTRIES = 100_000;
const HOUR = 60 * 60 * 1_000;
const LEAST_GRACE = 10 * 60 * 1_000;
const UNREADABLE = "some content cannot be read, and nothing is deleted until it can";

/**
 * Content in a folder of this machine, for one gateway. What takes memory and time to load is loaded when content is first asked for.
 */
export class LocalDriver implements ContentDriver {
  readonly name = "local";
  readonly #options: LocalDriverOptions;
  readonly #clock: Clock;
  #engine: Promise<LocalEngine> | undefined;
  #lock: Disposable | undefined;
  #untimed: (() => void) | undefined;
  #collecting: Promise<unknown> | undefined;
  #closed = false;
  #unreadable = false;

  /** @throws RangeError for a grace that does not leave the time to claim what was added */
  constructor(options: LocalDriverOptions) {
    if ((options.grace ?? HOUR) < LEAST_GRACE) throw new RangeError(`grace: at least ${LEAST_GRACE} ms`);
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
    this.#schedule();
  }

  async add(content: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added> {
    return (await this.#opened()).add(content, waiter);
  }

  async addDirectory(
    files: AsyncIterable<DirectoryFile>,
    waiter: Waiter,
  ): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }> {
    return (await this.#opened()).addDirectory(files, waiter);
  }

  async importCar(
    car: AsyncIterable<Uint8Array>,
    waiter: Waiter,
  ): Promise<Added & { readonly kind: ContentKind }> {
    return (await this.#opened()).importCar(car, waiter);
  }

  async look(cid: string, path: readonly string[], _reach: Reach, waiter: Waiter): Promise<ContentInfo> {
    return (await this.#opened()).look(cid, path, waiter);
  }

  /** Also for a block that cannot be read: it is there. */
  async has(cid: string, waiter: Waiter): Promise<boolean> {
    try {
      await this.look(cid, [], "local", waiter);
      return true;
    } catch (error) {
      waiter.signal.throwIfAborted();
      if (hasCode(error, "NOT_FOUND")) return false;
      if (hasCode(error, "UNAVAILABLE")) return true;
      throw error;
    }
  }

  async *read(
    cid: string,
    range: ByteRange | undefined,
    waiter: Waiter,
    lent?: boolean,
  ): AsyncGenerator<Uint8Array, void, void> {
    yield* (await this.#opened()).read(cid, range, waiter, lent);
  }

  async *entries(cid: string, waiter: Waiter): AsyncGenerator<DirectoryEntry, void, void> {
    yield* (await this.#opened()).entries(cid, waiter);
  }

  async block(cid: string, waiter: Waiter): Promise<Uint8Array> {
    return (await this.#opened()).block(cid, waiter);
  }

  async *car(
    cid: string,
    path: readonly string[],
    scope: DagScope,
    waiter: Waiter,
  ): AsyncGenerator<Uint8Array, void, void> {
    yield* (await this.#opened()).car(cid, path, scope, waiter);
  }

  async pin(cid: string): Promise<void> {
    await (await this.#opened()).pin(cid);
  }

  async unpin(cid: string): Promise<void> {
    await (await this.#opened()).unpin(cid);
  }

  async pinState(cid: string): Promise<PinState> {
    return (await this.#opened()).pinState(cid);
  }

  async recover(cid: string): Promise<void> {
    await (await this.#opened()).recover(cid);
  }

  async held(): Promise<number> {
    return (await this.#opened()).held();
  }

  async health(): Promise<ServiceHealth> {
    const begun = this.#clock.monotonic();
    try {
      // A driver that nobody has used yet is well.
      const reason = await (await this.#engine)?.trouble() ?? (this.#unreadable ? UNREADABLE : undefined);
      const health = { driver: "local", latency_ms: this.#clock.monotonic() - begun } as const;
      return reason === undefined ? { status: "ok", ...health } : { status: "degraded", reason, ...health };
    } catch {
      return { status: "down", driver: "local", reason: "the folder of the storage cannot be used" };
    }
  }

  /**
   * Removes blocks that belong to nothing.
   * @throws the signal's reason; what the roots and the disk throw. What was removed until then belonged to nothing either way.
   */
  async collect(signal: AbortSignal): Promise<Collected> {
    const collected = await (await this.#opened()).collect(signal);
    this.#unreadable = collected.unreadable.length > 0;
    return collected;
  }

  /** The report for repairs: reads every block of every root, and says for each what is wrong with it. */
  async *inspect(signal: AbortSignal): AsyncGenerator<RootReport, void, void> {
    yield* (await this.#opened()).inspect(signal);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#untimed?.();
    const engine = await this.#engine?.catch(() => undefined);
    await engine?.close();
    await this.#collecting;
    this.#lock?.[Symbol.dispose]();
  }

  /** One that could not be opened is tried again with the next call. */
  #opened(): Promise<LocalEngine> {
    return this.#engine ??= this.#open().catch((error) => {
      this.#engine = undefined;
      throw error;
    });
  }

  async #open(): Promise<LocalEngine> {
    const { LocalEngine } = await import("./engine.ts");
    const { folder, chunkSize, maxEntries, grace, roots, onDamage, lock, disk } = this.#options;
    this.#lock ??= await lock?.(folder);
    return await LocalEngine.open({
      folder,
      roots,
      chunkSize: chunkSize ?? CHUNK,
      maxEntries: maxEntries ?? ENTRIES,
      grace: grace ?? HOUR,
      onDamage: onDamage ?? (() => {}),
      clock: this.#clock,
      disk: disk ?? SYSTEM_DISK,
    });
  }

  #schedule(): void {
    const { collectInterval, onCollected, onError } = this.#options;
    if (collectInterval === undefined || this.#closed) return;
    this.#untimed = this.#clock.after(collectInterval, () => {
      this.#collecting = this.#collectIfUsed()
        .then((collected) => collected && onCollected?.(collected), (error) => this.#closed || onError?.(error))
        .finally(() => this.#schedule());
    }, true);
  }

  /** Where there is nothing, nothing has to be loaded to collect it. */
  async #collectIfUsed(): Promise<Collected | undefined> {
    const { folder, disk = SYSTEM_DISK } = this.#options;
    for await (const _ of disk.names(folder)) return await this.collect(new AbortController().signal);
  }
}
