import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { keyOf } from "./cids.ts";
import type { Block } from "./stream.ts";

/** Where blocks come from. */
export interface BlockSource {
  /**
   * A block, held against its CID.
   * @param signal fires when nobody waits for it any more
   * @throws GatewayError `NOT_FOUND`, `UNAVAILABLE`
   */
  get(cid: CID, signal: AbortSignal): Promise<Uint8Array>;
  /** Told which leaves of a file are asked for next, so that they may be had together. */
  expect?(file: CID, leaves: readonly Leaf[]): void;
}

/** A block of a file that is bytes and nothing else. */
export interface Leaf {
  readonly cid: CID;
  /** Where it begins in the file, in bytes, and how many it has, as its parent says. */
  readonly offset: number;
  readonly size: number;
}

/** How many blocks are asked for ahead of time. */
const AHEAD = 32;
/** The most links that wait for their turn: what is wider and deeper than that was made to fill memory. */
const MAX_PENDING = 2 ** 18;
/** The most bytes that wait for their turn, as far as their number is foreseen. */
const AHEAD_BYTES = 8 * 2 ** 20;

interface Pending<Target> {
  readonly target: Target;
  block: Promise<Uint8Array> | undefined;
}

/** Visits blocks in the order of a DAG, each after its parent, while the next ones are already on their way. */
export class Walk<Target extends { readonly cid: CID }> implements Disposable {
  readonly #source: BlockSource;
  readonly #given: AbortSignal;
  readonly #end = new AbortController();
  readonly #signal: AbortSignal;
  /** The last one is next. */
  readonly #pending: Pending<Target>[] = [];
  /** Content often repeats itself, and what was made to fill time does nothing else. */
  readonly #recent = new Map<string, Promise<Uint8Array>>();
  #flying = 0;
  #ahead = AHEAD;

  /** @param signal of whoever waits; its reason is thrown */
  constructor(source: BlockSource, signal: AbortSignal) {
    this.#source = source;
    this.#given = signal;
    this.#signal = AbortSignal.any([signal, this.#end.signal]);
  }

  /** To be visited next, in this order, before what was to be visited. @throws GatewayError `INVALID_REQUEST` */
  push(targets: readonly Target[]): void {
    if (this.#pending.length + targets.length > MAX_PENDING) {
      throw new GatewayError("INVALID_REQUEST", "cid: its blocks are wider and deeper than is taken");
    }
    for (let i = targets.length - 1; i >= 0; i--) this.#pending.push({ target: targets[i]!, block: undefined });
  }

  /** The next one and its block; `undefined` when all were visited. */
  async next(): Promise<{ readonly target: Target; readonly block: Block } | undefined> {
    this.#given.throwIfAborted();
    for (let i = this.#pending.length - 1; i >= 0 && this.#flying < this.#ahead; i--) this.#start(this.#pending[i]!);
    const pending = this.#pending.pop();
    if (pending === undefined) return undefined;
    // With more buried below it than may be on its way, it would never have been asked for.
    this.#start(pending);
    const { target, block } = pending;
    const bytes = await block!;
    this.#flying--;
    this.#ahead = Math.max(2, Math.min(AHEAD, Math.floor(AHEAD_BYTES / Math.max(1, bytes.length))));
    return { target, block: { cid: target.cid, bytes } };
  }

  /** Gives up what is on its way. */
  [Symbol.dispose](): void {
    this.#end.abort();
  }

  #start(pending: Pending<Target>): void {
    if (pending.block !== undefined) return;
    this.#flying++;
    const key = keyOf(pending.target.cid), known = this.#recent.get(key);
    pending.block = known ?? this.#source.get(pending.target.cid, this.#signal);
    if (known !== undefined) return;
    // It is looked at when its turn comes, if that comes at all.
    pending.block.catch(() => {});
    this.#recent.set(key, pending.block);
    for (const old of this.#recent.keys()) {
      if (this.#recent.size <= this.#ahead) break;
      this.#recent.delete(old);
    }
  }
}
