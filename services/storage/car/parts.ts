import type { CID } from "multiformats/cid";
import { RAW } from "./cids.ts";
import { CidList, type Links } from "./links.ts";
import type { Leaf, Targets } from "./walk.ts";

/** What is below a block, and which bytes of a file it is. */
export interface Part {
  readonly cid: CID;
  /** Where it begins in the file. */
  readonly start: number;
  /** How many bytes its parent says it has; `undefined` where nothing is said. */
  readonly size: number | undefined;
}

/** The most leaves that are told of at once: more than any importer puts into one block. */
const MOST_LEAVES = 8_192;

/** Parts, in order; about 50 bytes each, until one is asked for. */
export class Parts implements Targets<Part> {
  readonly #cids = new CidList();
  readonly #starts: number[] = [];
  readonly #sizes: (number | undefined)[] = [];

  get length(): number {
    return this.#cids.length;
  }

  /** Adds a link that is taken. */
  add(links: Links, i: number, start: number, size: number | undefined): void {
    links.copyTo(this.#cids, i);
    this.#starts.push(start);
    this.#sizes.push(size);
  }

  at(i: number): Part {
    return { cid: this.#cids.at(i), start: this.#starts[i]!, size: this.#sizes[i] };
  }

  /** Those that are bytes and nothing else; none where they are so many that to tell of them would cost more than it helps. */
  leaves(from: number): readonly Leaf[] {
    const leaves: Leaf[] = [];
    for (let i = 0; i < this.length && this.length <= MOST_LEAVES; i++) {
      const { cid, start, size = 0 } = this.at(i);
      if (cid.code === RAW) leaves.push({ cid, offset: start - from, size });
    }
    return leaves;
  }
}
