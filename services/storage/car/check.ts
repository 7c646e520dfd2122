import type { CID } from "multiformats/cid";
import type { ContentKind } from "../../../src/contracts/storage.ts";
import { keyOf, problemOf } from "./cids.ts";
import { type DagNode, decodeNode } from "./nodes.ts";
import { type Block, notInOrder } from "./stream.ts";

/** The most blocks and links that one CAR may have, and the longest way from its root to a block. */
const MAX_BLOCKS = 2 ** 18, MAX_LINKS = 2 ** 20, MAX_DEPTH = 256;

/** What is kept of a block until the end: links by the numbers of their targets. */
interface Summary extends Pick<DagNode, "kind" | "below" | "size"> {
  readonly links: readonly number[];
  /** Bytes of a file in the block itself. */
  readonly inline: number;
  /** Bytes of the files below it; −1 until they are counted. */
  total: number;
}

/**
 * Checks that blocks, in any order, are one whole: that every block to which another links is there, and that files are as long
 * as they say. Whoever trusts the length of a file, or reads it with the engine of somebody else, relies on that.
 *
 * Takes about 200 bytes of memory for a block.
 */
export class DagCheck {
  readonly #numbers = new Map<string, number>();
  readonly #summaries: (Summary | undefined)[] = [];
  #blocks = 0;
  #links = 0;

  /** How many blocks there were, each counted once. */
  get blocks(): number {
    return this.#blocks;
  }

  /** @returns whether it is new @throws GatewayError `INVALID_REQUEST` */
  add({ cid, bytes }: Block): boolean {
    const number = this.#number(cid);
    if (this.#summaries[number] !== undefined) return false;
    let node: DagNode;
    try {
      node = decodeNode(cid, bytes);
    } catch (cause) {
      throw notInOrder(`the block ${cid} cannot be read`, cause);
    }
    this.#links += node.links.length;
    if (++this.#blocks > MAX_BLOCKS) throw notInOrder(`it has more than ${MAX_BLOCKS} blocks`);
    if (this.#links > MAX_LINKS) throw notInOrder(`it has more than ${MAX_LINKS} links`);
    const links = node.links.map(({ cid: target }) => {
      const problem = problemOf(target);
      if (problem !== undefined) throw notInOrder(`a link of ${cid}: ${problem}`);
      return this.#number(target);
    });
    const { kind, below, size, data: { length: inline } } = node;
    this.#summaries[number] = { kind, below, size, links, inline, total: links.length === 0 ? inline : -1 };
    return true;
  }

  /** To be called at the end. @throws GatewayError `INVALID_REQUEST` */
  finish(root: CID): { readonly kind: ContentKind; readonly size: number } {
    const first = this.#number(root);
    // A way down from the root: at each block, which of its links comes next.
    const way: { readonly number: number; next: number }[] = [{ number: first, next: 0 }];
    for (let at = way[0]; at !== undefined; at = way.at(-1)) {
      const summary = this.#summary(at.number);
      const target = summary.total < 0 ? summary.links[at.next++] : undefined;
      if (target === undefined) {
        if (summary.total < 0) summary.total = this.#count(summary);
        way.pop();
      } else if (this.#summary(target).total < 0) {
        if (way.length >= MAX_DEPTH) throw notInOrder(`it is deeper than ${MAX_DEPTH} blocks`);
        way.push({ number: target, next: 0 });
      }
    }
    const { kind, size, total } = this.#summary(first);
    return kind === "block" ? { kind, size } : { kind: kind === "shard" ? "directory" : kind, size: total };
  }

  /** Of a block whose links are all counted. */
  #count(summary: Summary): number {
    const { kind, links, below, inline } = summary;
    let total = inline;
    links.forEach((number, i) => {
      const { kind: of, total: size } = this.#summary(number);
      if (kind === "file" && (of !== "file" || size !== below[i])) throw notInOrder("a file is not as long as it says");
      total += size;
    });
    if (kind === "block") return 0;
    if (!Number.isSafeInteger(total)) throw notInOrder("its files are longer than can be counted");
    return total;
  }

  #summary(number: number): Summary {
    const summary = this.#summaries[number];
    if (summary !== undefined) return summary;
    for (const [key, of] of this.#numbers) if (of === number) throw notInOrder(`it lacks the block ${key}`);
    throw new RangeError(`no block has the number ${number}`);
  }

  #number(cid: CID): number {
    const key = keyOf(cid);
    let number = this.#numbers.get(key);
    if (number === undefined) this.#numbers.set(key, number = this.#numbers.size);
    return number;
  }
}
