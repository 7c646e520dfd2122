import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { keyOf, RAW } from "./cids.ts";
import type { Block } from "./stream.ts";
import { turn } from "./turns.ts";

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

/** Takes back bytes that nobody reads any more. */
export type Release = (bytes: Uint8Array) => void;

/** A block of a file that is bytes and nothing else. */
export interface Leaf {
  readonly cid: CID;
  /** Where it begins in the file, in bytes, and how many it has, as its parent says. */
  readonly offset: number;
  readonly size: number;
}

/** What is to be visited, in order; each is made when its turn comes near. */
export interface Targets<Target> {
  readonly length: number;
  at(i: number): Target | undefined;
}

/** Blocks that are visited before others have their turn: those that are here already take no other time than the thread's. */
const SLICE = 64;
/** How many blocks are asked for ahead of time. */
const AHEAD = 32;
/** The most links that wait for their turn: what is wider and deeper than that was made to fill memory. */
const MAX_PENDING = 2 ** 18;
/** The most bytes that wait for their turn, as far as their number is foreseen. */
const AHEAD_BYTES = 8 * 2 ** 20;
/**
 * The same of all walks together, but for two blocks of each: readers that take nothing must not fill memory. A walk gets at most an
 * eighth of what is left.
 */
const ALL_AHEAD_BYTES = 64 * 2 ** 20, SHARE = 8;
/** As many bytes as a block usually has. */
const USUAL = 2 ** 18;

/** A block that was asked for, for one place or for several. */
interface Shared {
  readonly block: Promise<Uint8Array>;
  /** Places that the walk has yet to leave. */
  places: number;
  /** Whether there may be more of them. */
  recent: boolean;
}

interface Asked<Target> {
  readonly target: Target;
  readonly shared: Shared;
  /** Bytes that it is counted as. */
  readonly weight: number;
}

/** Targets of one block, the first `next` of which were visited, and those that were asked for since. */
interface Row<Target> {
  readonly targets: Targets<Target>;
  next: number;
  readonly asked: Asked<Target>[];
}

/** Visits blocks in the order of a DAG, each after its parent, while the next ones are already on their way. */
export class Walk<Target extends { readonly cid: CID }> implements Disposable {
  readonly #source: BlockSource;
  readonly #given: AbortSignal;
  readonly #end = new AbortController();
  readonly #signal: AbortSignal;
  /** The last one is next. None of them is over. */
  readonly #rows: Row<Target>[] = [];
  /** Content often repeats itself, and what was made to fill time does nothing else. */
  readonly #recent = new Map<string, Shared>();
  readonly #release: Release | undefined;
  /** The leaf where the walk is. */
  #here: Shared | undefined;
  #pending = 0;
  #visited = 0;
  #flying = 0;
  /** Bytes of a block, as far as is known. */
  #weight = USUAL;
  /** Bytes of those on their way, and of those of all walks. */
  #held = 0;
  static #heldByAll = 0;

  /**
   * @param signal of whoever waits; its reason is thrown
   * @param release given the bytes of each leaf that the walk has left for good
   */
  constructor(source: BlockSource, signal: AbortSignal, release?: Release) {
    this.#source = source;
    this.#release = release;
    this.#given = signal;
    this.#signal = AbortSignal.any([signal, this.#end.signal]);
  }

  /** To be visited next, in this order, before what was to be visited. @throws GatewayError `INVALID_REQUEST` */
  push(targets: Targets<Target>): void {
    if (targets.length === 0) return;
    this.#pending += targets.length;
    if (this.#pending > MAX_PENDING) {
      throw new GatewayError("INVALID_REQUEST", "cid: its blocks are wider and deeper than is taken");
    }
    this.#rows.push({ targets, next: 0, asked: [] });
  }

  /** The next one and its block; `undefined` when all were visited. */
  async next(): Promise<{ readonly target: Target; readonly block: Block } | undefined> {
    this.#given.throwIfAborted();
    this.#leave();
    for (let i = this.#rows.length - 1; i >= 0 && this.#mayAsk(); i--) this.#ask(this.#rows[i]!);
    const row = this.#rows.at(-1);
    if (row === undefined) return undefined;
    // With more buried below it than may be on its way, it would never have been asked for.
    const { target, shared, weight } = row.asked.shift() ?? this.#start(row.targets.at(row.next)!);
    this.#pending--;
    if (++row.next === row.targets.length) this.#rows.pop();
    const bytes = await shared.block;
    // Of a node more is read than its bytes once it was left: its links stand in them.
    if (target.cid.code === RAW) this.#here = shared;
    if (++this.#visited % SLICE === 0) await turn();
    this.#flying--;
    this.#hold(-weight);
    this.#weight = Math.max(USUAL, bytes.length);
    return { target, block: { cid: target.cid, bytes } };
  }

  /** Gives up what is on its way. */
  [Symbol.dispose](): void {
    this.#end.abort();
    this.#hold(-this.#held);
    for (const shared of this.#recent.values()) if (shared.places === 0) this.#free(shared);
  }

  #ask({ targets, next, asked }: Row<Target>): void {
    while (this.#mayAsk() && next + asked.length < targets.length) {
      asked.push(this.#start(targets.at(next + asked.length)!));
    }
  }

  #mayAsk(): boolean {
    if (this.#flying < 2) return true;
    const left = (ALL_AHEAD_BYTES - Walk.#heldByAll) / SHARE;
    return this.#flying < AHEAD && this.#held + this.#weight <= Math.min(AHEAD_BYTES, left);
  }

  #hold(bytes: number): void {
    this.#held += bytes;
    Walk.#heldByAll += bytes;
  }

  #start(target: Target): Asked<Target> {
    const weight = this.#weight;
    this.#flying++;
    this.#hold(weight);
    const key = keyOf(target.cid), known = this.#recent.get(key);
    if (known !== undefined) {
      known.places++;
      return { target, shared: known, weight };
    }
    const block = this.#source.get(target.cid, this.#signal);
    // It is looked at when its turn comes, if that comes at all.
    block.catch(() => {});
    const shared = { block, places: 1, recent: true };
    this.#recent.set(key, shared);
    for (const [old, forgotten] of this.#recent) {
      if (this.#recent.size <= this.#flying) break;
      this.#recent.delete(old);
      forgotten.recent = false;
      if (forgotten.places === 0) this.#free(forgotten);
    }
    return { target, shared, weight };
  }

  #leave(): void {
    const left = this.#here;
    this.#here = undefined;
    if (left !== undefined && --left.places === 0 && !left.recent) this.#free(left);
  }

  /** What was left is there already, so its bytes go before anything else happens. */
  #free({ block }: Shared): void {
    if (this.#release) block.then(this.#release, () => {});
  }
}
