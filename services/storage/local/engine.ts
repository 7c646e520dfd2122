import { dirname } from "node:path";
import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type {
  ByteRange,
  ContentKind,
  DagScope,
  DirectoryEntry,
  DirectoryFile,
  PinState,
} from "../../../src/contracts/storage.ts";
import { isNearlyFull } from "../../disk/space.ts";
import { giveBack } from "../memory.ts";
import { keyOf, parseCid, RAW } from "../car/cids.ts";
import { kindOf, listDirectory, nodeOf, readFile, resolve, writeCar } from "../car/read.ts";
import type { BlockSource } from "../car/walk.ts";
import { aheadOf } from "../car/sources.ts";
import type { Added, ContentInfo, Waiter } from "../driver.ts";
import { addDirectory, addFile } from "./adding.ts";
import { BlockFiles, type Damage, nameOf, unavailable } from "./block_files.ts";
import type { Clock } from "../../clock/clock.ts";
import { type Collected, Collector } from "./collector.ts";
import { type Disk, reporting } from "./disk.ts";
import { importCar } from "./importing.ts";
import { Incoming, Room, Syncs } from "./incoming.ts";
import { inspectAll, type RootReport } from "./inspecting.ts";
import { absent, Kept } from "./kept.ts";
import { Pins } from "./pins.ts";
import { Underway } from "./underway.ts";

/** What the engine needs; see `LocalDriverOptions`, where all of it is said. */
export interface EngineOptions {
  readonly folder: string;
  readonly chunkSize: number;
  readonly maxEntries: number;
  readonly grace: number;
  readonly roots: () => AsyncIterable<string>;
  readonly onDamage: (cid: string, damage: Damage) => void;
  readonly clock: Clock;
  readonly disk: Disk;
}

/** Bytes of blocks that wait to be written, for all adds together. */
const ROOM = 16 * 2 ** 20;
/** Entries of a directory that are looked at while the one before is handed on. */
const AHEAD = 8;
/** What `LocalDriver` does, once it is needed: this file and all it imports are loaded then. */
export class LocalEngine {
  readonly #disk: Disk;
  readonly #files: BlockFiles;
  readonly #pins: Pins;
  readonly #underway: Underway;
  readonly #collector: Collector;
  readonly #kept: Kept;
  readonly #room = new Room(ROOM);
  readonly #syncs = new Syncs();
  /** Roots that are being read, each with how many readers it has. */
  readonly #read = new Map<string, number>();
  readonly #closing = new AbortController();
  #adds = 0;

  private constructor(private readonly options: EngineOptions) {
    const { folder, clock } = options;
    this.#disk = reporting(options.disk);
    this.#files = new BlockFiles(this.#disk, `${folder}/blocks`, options.onDamage);
    this.#pins = new Pins(this.#disk, `${folder}/pins`);
    this.#underway = new Underway(clock, options.grace);
    this.#collector = new Collector({ files: this.#files, underway: this.#underway, roots: () => this.#roots() });
    this.#kept = new Kept(this.#pins, this.#files, this.#collector);
  }

  /** @throws GatewayError `UNAVAILABLE`, `NO_CAPACITY` */
  static async open(options: EngineOptions): Promise<LocalEngine> {
    const engine = new LocalEngine(options);
    const { folder } = options, disk = engine.#disk;
    // What adds left that ended with their gateway: nobody else has this folder.
    await disk.removeFolder(`${folder}/incoming`);
    if (await disk.makeFolder(folder)) await disk.syncFolder(dirname(folder));
    for (const name of ["incoming", "pins", "blocks"]) await disk.makeFolder(`${folder}/${name}`);
    for (const path of [folder, `${folder}/pins`]) await disk.syncFolder(path);
    await engine.#files.open();
    return engine;
  }

  /** See `ContentDriver`; so are those that follow. */
  add(content: AsyncIterable<Uint8Array>, { signal }: Waiter): Promise<Added> {
    const { chunkSize } = this.options;
    return this.#adding(async (incoming) => {
      const added = await addFile(content, incoming, { chunkSize, signal });
      await incoming.adopt();
      return [added, added.cid];
    });
  }

  addDirectory(
    files: AsyncIterable<DirectoryFile>,
    { signal }: Waiter,
  ): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }> {
    const { chunkSize, maxEntries: most } = this.options;
    return this.#adding(async (incoming) => {
      const added = await addDirectory(files, incoming, { chunkSize, signal, most });
      await incoming.adopt();
      return [added, added.root.cid];
    });
  }

  importCar(car: AsyncIterable<Uint8Array>, { signal }: Waiter): Promise<Added & { readonly kind: ContentKind }> {
    return this.#adding(async (incoming) => {
      const { added, names } = await importCar(car, incoming, signal);
      await incoming.adopt(names);
      return [added, added.cid];
    });
  }

  async look(cid: string, path: readonly string[], { signal }: Waiter): Promise<ContentInfo> {
    const root = parseCid(cid);
    const { cid: found, node } = await resolve(this.#source(root), root, path, signal);
    const kind = kindOf(node);
    return { cid: keyOf(found), kind, size: kind === "directory" ? 0 : node.size };
  }

  async *read(
    cid: string,
    range: ByteRange | undefined,
    { signal }: Waiter,
    lent?: boolean,
  ): AsyncGenerator<Uint8Array, void, void> {
    const root = parseCid(cid);
    using _reading = this.#reading(root);
    yield* readFile(this.#source(root), root, range, signal, lent ? giveBack : undefined);
  }

  async *entries(cid: string, { signal }: Waiter): AsyncGenerator<DirectoryEntry, void, void> {
    const root = parseCid(cid);
    using _reading = this.#reading(root);
    const links = listDirectory(this.#source(root), root, signal);
    let count = 0;
    for await (const entry of aheadOf(links, AHEAD, (link) => this.#entry(link))) {
      if (++count > this.options.maxEntries) throw tooWide(this.options.maxEntries);
      yield entry;
    }
  }

  async block(cid: string, { signal }: Waiter): Promise<Uint8Array> {
    const parsed = parseCid(cid);
    return await this.#source(parsed).get(parsed, signal);
  }

  async *car(
    cid: string,
    path: readonly string[],
    scope: DagScope,
    { signal }: Waiter,
  ): AsyncGenerator<Uint8Array, void, void> {
    const root = parseCid(cid);
    using _reading = this.#reading(root);
    yield* writeCar(this.#source(root), root, path, scope, signal);
  }

  pin(cid: string): Promise<void> {
    return this.#kept.pin(parseCid(cid));
  }

  unpin(cid: string): Promise<void> {
    return this.#kept.unpin(parseCid(cid));
  }

  pinState(cid: string): Promise<PinState> {
    return this.#kept.state(parseCid(cid));
  }

  recover(cid: string): Promise<void> {
    return this.#kept.recover(parseCid(cid));
  }

  held(): Promise<number> {
    return this.#files.held();
  }

  /** What is not as it should be, as a public sentence. @throws GatewayError `UNAVAILABLE` where the folder cannot be used */
  async trouble(): Promise<string | undefined> {
    if (isNearlyFull(await this.#disk.space(this.options.folder))) return "its disk is full";
    return this.#kept.broken > 0 ? "some content is damaged or incomplete" : undefined;
  }

  /** See `Collector`. */
  collect(signal: AbortSignal): Promise<Collected> {
    this.#kept.collecting();
    return this.#collector.collect(AbortSignal.any([signal, this.#closing.signal]));
  }

  /** Reads all blocks of all roots. What is found is told of their pins from then on. */
  async *inspect(signal: AbortSignal): AsyncGenerator<RootReport, void, void> {
    for await (const report of inspectAll(this.#files, this.#roots(), signal)) {
      await this.#kept.found(report.cid, report.whole);
      yield report;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new GatewayError("UNAVAILABLE", "the gateway is shutting down"));
    await this.#kept.close();
  }

  async #adding<T>(work: (incoming: Incoming) => Promise<readonly [T, string]>): Promise<T> {
    const { clock, folder } = this.options;
    const incoming = new Incoming({
      disk: this.#disk,
      files: this.#files,
      underway: this.#underway,
      clock,
      room: this.#room,
      syncs: this.#syncs,
      folder: `${folder}/incoming/${++this.#adds}`,
    });
    try {
      const [added, root] = await work(incoming);
      // Whoever sends it again mends it.
      this.#kept.added(root);
      return added;
    } catch (error) {
      await incoming.discard();
      throw error;
    }
  }

  async *#roots(): AsyncGenerator<string> {
    yield* this.options.roots();
    yield* this.#pins.all();
    yield* [...this.#read.keys()];
  }

  /** Blocks for whoever reads below a root. */
  #source(root: CID): BlockSource {
    return {
      get: async (cid, signal) => {
        signal.throwIfAborted();
        const block = await this.#files.read(cid);
        signal.throwIfAborted();
        if (typeof block !== "string") return block;
        if (block === "missing" && cid === root) throw absent(root);
        await this.#kept.found(keyOf(root), false);
        throw unavailable(cid, block);
      },
    };
  }

  /** Whoever reads reads on, even when nobody wants the content any more. */
  #reading(root: CID): Disposable {
    const key = keyOf(root);
    this.#read.set(key, (this.#read.get(key) ?? 0) + 1);
    void this.#collector.protect(root);
    return {
      [Symbol.dispose]: () => {
        const left = this.#read.get(key)! - 1;
        if (left === 0) this.#read.delete(key);
        else this.#read.set(key, left);
      },
    };
  }

  async #entry({ cid, name }: { readonly cid: CID; readonly name: string }): Promise<DirectoryEntry> {
    if (cid.code === RAW) {
      return { name, cid: keyOf(cid), kind: "file", size: await this.#files.size(nameOf(cid)) };
    }
    const bytes = await this.#files.read(cid);
    if (typeof bytes === "string") return { name, cid: keyOf(cid), kind: "block", size: undefined };
    const node = nodeOf({ cid, bytes }), kind = kindOf(node);
    return { name, cid: keyOf(cid), kind, size: kind === "directory" ? 0 : node.size };
  }
}

const tooWide = (most: number) =>
  new GatewayError("INVALID_REQUEST", `cid: the directory has more than ${most} entries; name one of them`);
