import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import type { ContentKind } from "../../../src/contracts/storage.ts";
import { SHA2_256 } from "./cids.ts";
import { type DagNode, decodeNode } from "./nodes.ts";
import { type Block, notInOrder } from "./stream.ts";
import { turn } from "./turns.ts";

/** The most blocks and links that one CAR may have, and the longest way from its root to a block. */
const MAX_BLOCKS = 2 ** 18, MAX_LINKS = 2 ** 20, MAX_DEPTH = 256;
/** Links that are looked at before others have their turn. */
const SLICE = 2 ** 12;

/** What is kept of a block until the end. */
interface Summary extends Pick<DagNode, "kind" | "size"> {
  /** Where its links begin among all, and how many it has. */
  readonly first: number;
  readonly links: number;
  /** Bytes of a file in the block itself. */
  readonly inline: number;
  /** Bytes of the files below it; −1 until they are counted. */
  total: number;
  /** Whether a way leads to it from the root. */
  reached: boolean;
}

/**
 * Checks that blocks, in any order, are one whole: that every block to which another links is there, and that files are as long
 * as they say. Whoever trusts the length of a file, or reads it with the engine of somebody else, relies on that.
 *
 * Takes about 250 bytes of memory for a block and 16 for a link: 80 MB for the largest CAR that there can be.
 */
export class DagCheck {
  /** By codec, then by digest in hexadecimal. */
  readonly #numbers = new Map<number, Map<string, number>>();
  readonly #summaries: (Summary | undefined)[] = [];
  /** Of all links, each with the number of its target; of those of files, how many bytes their parent says that are below. */
  readonly #targets: number[] = [];
  readonly #below: number[] = [];
  #blocks = 0;
  #looks = 0;

  /** How many blocks there were, each counted once. */
  get blocks(): number {
    return this.#blocks;
  }

  /** @returns whether it is new @throws GatewayError `INVALID_REQUEST` */
  async add({ cid, bytes }: Block): Promise<boolean> {
    const number = this.#number(cid.code, cid.multihash.digest);
    if (this.#summaries[number] !== undefined) return false;
    let node: DagNode;
    try {
      node = decodeNode(cid, bytes);
    } catch (cause) {
      throw notInOrder(`the block ${cid} cannot be read`, cause);
    }
    const { kind, below, size, links, data: { length: inline } } = node, first = this.#targets.length;
    this.#blocks++;
    if (first + links.length > MAX_LINKS) throw notInOrder(`it has more than ${MAX_LINKS} links`);
    for (let i = 0; i < links.length; i++) {
      const problem = links.problem(i);
      if (problem !== undefined) throw notInOrder(`a link of ${cid}: ${problem}`);
      this.#targets.push(this.#number(links.code(i), links.digest(i)));
      this.#below.push(below[i] ?? 0);
      if (++this.#looks % SLICE === 0) await turn();
    }
    const total = links.length === 0 ? inline : -1;
    this.#summaries[number] = { kind, size, first, links: links.length, inline, total, reached: false };
    return true;
  }

  /** To be called at the end. @throws GatewayError `INVALID_REQUEST` */
  async finish(root: CID): Promise<{ readonly kind: ContentKind; readonly size: number }> {
    const first = this.#reach(this.#number(root.code, root.multihash.digest));
    // A way down from the root: at each block, which of its links comes next.
    const way: { readonly summary: Summary; next: number }[] = [{ summary: first, next: 0 }];
    for (let at = way[0]; at !== undefined; at = way.at(-1)) {
      const { summary } = at;
      while (summary.total < 0 && at.next < summary.links) {
        if (++this.#looks % SLICE === 0) await turn();
        const target = this.#reach(this.#targets[summary.first + at.next++]!);
        if (target.total >= 0) continue;
        if (way.length >= MAX_DEPTH) throw notInOrder(`it is deeper than ${MAX_DEPTH} blocks`);
        way.push({ summary: target, next: 0 });
        break;
      }
      if (way.at(-1) !== at) continue;
      if (summary.total < 0) summary.total = this.#count(summary);
      way.pop();
    }
    const { kind, size, total } = first;
    return kind === "block" ? { kind, size } : { kind: kind === "shard" ? "directory" : kind, size: total };
  }

  /** The digests, in hexadecimal, of the blocks from the root on; to be asked once that is known. Some may come twice. */
  *reached(): Generator<string, void, void> {
    for (const numbers of this.#numbers.values()) {
      for (const [digest, number] of numbers) if (this.#summaries[number]?.reached) yield digest;
    }
  }

  /** Of a block whose links are all counted. */
  #count({ kind, first, links, inline }: Summary): number {
    if (kind === "block") return 0;
    let total = inline;
    for (let i = first; i < first + links; i++) {
      const target = this.#summaries[this.#targets[i]!]!;
      if (kind === "file" && (target.kind !== "file" || target.size !== this.#below[i])) {
        throw notInOrder("a file is not as long as it says");
      }
      total += target.total;
    }
    if (!Number.isSafeInteger(total)) throw notInOrder("its files are longer than can be counted");
    return total;
  }

  #reach(number: number): Summary {
    const summary = this.#summaries[number];
    if (summary === undefined) throw this.#lacking(number);
    summary.reached = true;
    return summary;
  }

  #lacking(number: number): Error {
    for (const [code, numbers] of this.#numbers) {
      for (const [digest, of] of numbers) {
        if (of !== number) continue;
        return notInOrder(
          `it lacks the block ${CID.createV1(code, createDigest(SHA2_256, Uint8Array.fromHex(digest)))}`,
        );
      }
    }
    return new RangeError(`no block has the number ${number}`);
  }

  /** Of what is linked to and not there, nothing comes: it counts as the blocks do. */
  #number(code: number, digest: Uint8Array): number {
    let numbers = this.#numbers.get(code);
    if (numbers === undefined) this.#numbers.set(code, numbers = new Map());
    const key = digest.toHex(), known = numbers.get(key);
    if (known !== undefined) return known;
    if (this.#summaries.length >= MAX_BLOCKS) throw notInOrder(`it has more than ${MAX_BLOCKS} blocks`);
    numbers.set(key, this.#summaries.length);
    return this.#summaries.push(undefined) - 1;
  }
}
