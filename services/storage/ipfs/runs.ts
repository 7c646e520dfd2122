import type { CID } from "multiformats/cid";
import { isBlockOf, keyOf } from "../car/cids.ts";
import type { Leaf } from "../car/walk.ts";
import { giveBack } from "../memory.ts";

/** The most bytes, and leaves, that are had in one piece. */
const MAX_BYTES = 4 * 2 ** 20, MAX_LEAVES = 64;

/** Gets a piece of a file. @param file the CID of a file; its block need not be the root of anything */
export type RangeOf = (file: CID, offset: number, length: number) => Promise<Uint8Array>;

/** Leaves that lie one behind the other in a file. */
interface Run {
  readonly file: CID;
  readonly offset: number;
  length: number;
  readonly leaves: Leaf[];
  /** `undefined` where it could not be had. */
  bytes: Promise<Uint8Array | undefined> | undefined;
}

/**
 * Leaves of a file that are had together, as a piece of the file, and cut apart here: to ask for each of them by itself takes Kubo twice
 * as long. Each is held against its CID; one that is not what it should be has to be asked for by itself.
 */
export class LeafRuns {
  readonly #runs = new Map<string, Run>();
  /** Leaves that have not been left, by the memory that they stand in. */
  readonly #lent = new WeakMap<ArrayBufferLike, number>();

  /** @param leaves in the order of the file; those that touch are had together */
  expect(file: CID, leaves: readonly Leaf[]): void {
    let run: Run | undefined;
    for (const leaf of leaves) {
      const { cid, offset, size } = leaf;
      const touches = run !== undefined && run.offset + run.length === offset;
      if (!touches || run!.length + size > MAX_BYTES || run!.leaves.length >= MAX_LEAVES) {
        run = { file, offset, length: 0, leaves: [], bytes: undefined };
      }
      run!.length += size;
      run!.leaves.push(leaf);
      this.#runs.set(keyOf(cid), run!);
    }
  }

  /** The bytes of a leaf, once; `undefined` where it was not expected, or could not be had. */
  async take(cid: CID, rangeOf: RangeOf): Promise<Uint8Array | undefined> {
    const key = keyOf(cid), run = this.#runs.get(key);
    if (run === undefined) return undefined;
    this.#runs.delete(key);
    // One alone is a block like any other.
    if (run.leaves.length === 1) return undefined;
    run.bytes ??= rangeOf(run.file, run.offset, run.length).catch(() => undefined);
    const leaf = run.leaves.find((one) => keyOf(one.cid) === key)!;
    const begin = leaf.offset - run.offset;
    const bytes = (await run.bytes)?.subarray(begin, begin + leaf.size);
    if (bytes === undefined || !isBlockOf(cid, bytes)) return undefined;
    this.#lent.set(bytes.buffer, this.#lent.get(bytes.buffer) ?? run.leaves.length);
    return bytes;
  }

  /** Takes the bytes of a leaf back; those that were had together go together. */
  release(bytes: Uint8Array): void {
    const left = (this.#lent.get(bytes.buffer) ?? 1) - 1;
    if (left === 0) giveBack(bytes);
    else this.#lent.set(bytes.buffer, left);
  }
}
