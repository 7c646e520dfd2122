import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { PinState } from "../../../src/contracts/storage.ts";
import { keyOf } from "../car/cids.ts";
import { type BlockFiles, nameOf } from "./block_files.ts";
import type { Collector } from "./collector.ts";
import { inspect, isWhole } from "./inspecting.ts";
import type { Pins } from "./pins.ts";

/** Roots that are remembered as whole. */
const RECENT = 10_000;

/** What is kept, and how it is with it. */
export class Kept {
  /** Roots that were added of late, so that nothing of them can be missing. */
  readonly #whole = new Set<string>();
  /** Pins that are looked at now, and those of which something is wrong. */
  readonly #checking = new Map<string, Promise<void>>();
  readonly #broken = new Set<string>();
  readonly #closing = new AbortController();

  constructor(
    private readonly pins: Pins,
    private readonly files: BlockFiles,
    private readonly collector: Collector,
  ) {}

  /** How many pins something is known to be wrong with. */
  get broken(): number {
    return this.#broken.size;
  }

  /** Content that was added: all of it is there, whatever was known before. */
  added(root: string): void {
    if (this.#whole.size >= RECENT) this.#whole.clear();
    this.#whole.add(root);
    this.#broken.delete(root);
  }

  /** To be called before a collection: what nobody claimed may go in part. What is added from now on is too young for that. */
  collecting(): void {
    this.#whole.clear();
  }

  /** How content was found to be. */
  async found(root: string, whole: boolean): Promise<void> {
    if (whole) return void this.#broken.delete(root);
    this.#whole.delete(root);
    if (await this.pins.has(root)) this.#broken.add(root);
  }

  /** See `ContentDriver`; so are those that follow. */
  async pin(root: CID): Promise<void> {
    const key = keyOf(root);
    // At once, so that a collection that is under way takes as little of it as may be, and again once every later one knows.
    await this.collector.protect(root);
    await this.#assertThere(root);
    const had = await this.pins.has(key);
    // Also one that is there: a gateway that was killed may have written it, and not had the disk hold it.
    await this.pins.add(key);
    await this.collector.protect(root);
    try {
      await this.#assertThere(root);
    } catch (error) {
      if (!had) await this.pins.remove(key);
      throw error;
    }
    if (!had && !this.#whole.has(key)) this.#check(key, (signal) => isWhole(this.files, root, signal));
  }

  async unpin(root: CID): Promise<void> {
    await this.pins.remove(keyOf(root));
    this.#broken.delete(keyOf(root));
  }

  async state(root: CID): Promise<PinState> {
    const key = keyOf(root);
    if (!await this.pins.has(key)) return { status: "unpinned", peers: [], error: undefined };
    const error = this.#broken.has(key) ? "some of its blocks are damaged or missing; upload it again" : undefined;
    const status = this.#checking.has(key) ? "pinning" : error !== undefined ? "error" : "pinned";
    return { status, peers: [{ id: "local", name: "local", status, ...(error !== undefined && { error }) }], error };
  }

  async recover(root: CID): Promise<void> {
    if (!await this.pins.has(keyOf(root))) throw absent(root);
    this.#check(keyOf(root), async (signal) => (await inspect(this.files, root, signal)).whole);
  }

  async close(): Promise<void> {
    this.#closing.abort(new GatewayError("UNAVAILABLE", "the gateway is shutting down"));
    await Promise.allSettled(this.#checking.values());
  }

  #check(key: string, look: (signal: AbortSignal) => Promise<boolean>): void {
    if (this.#checking.has(key)) return;
    const check = look(this.#closing.signal)
      .then((whole) => this.found(key, whole))
      // It was not found out; whoever reads it will.
      .catch(() => {})
      .finally(() => this.#checking.delete(key));
    this.#checking.set(key, check);
  }

  async #assertThere(root: CID): Promise<void> {
    if (await this.files.size(nameOf(root)) === undefined) throw absent(root);
  }
}

/** Content that is not there at all. */
export const absent = (root: CID): GatewayError => new GatewayError("NOT_FOUND", `content not found: ${root}`);
