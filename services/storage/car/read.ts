import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ByteRange, ContentKind, DagScope, EntityBytes } from "../../../src/contracts/storage.ts";
import { DigestSet } from "./digest_set.ts";
import type { Link, Links } from "./links.ts";
import { type DagNode, decodeNode, placeLength } from "./nodes.ts";
import { type Part, Parts } from "./parts.ts";
import { partsOfShard, ShardPlaces } from "./shards.ts";
import { type Block, carHeader, carSection } from "./stream.ts";
import { type BlockSource, type Release, Walk } from "./walk.ts";

/** The most blocks of one walk that visits each once. */
const MAX_BLOCKS = 2 ** 20;
/** The most bytes in one piece of a block that is handed out. */
const PIECE = 64 * 2 ** 10;

/** What is at the end of a path. */
export interface Resolved extends Block {
  readonly node: DagNode;
  /** The blocks that lead there, from the root on, without its own. */
  readonly passed: readonly Block[];
}

/** Reads a block that has to be readable. @throws GatewayError `INVALID_REQUEST` */
export function nodeOf({ cid, bytes }: Block): DagNode {
  try {
    return decodeNode(cid, bytes);
  } catch (cause) {
    throw damaged(`the block ${cid} cannot be read`, cause);
  }
}

/** The kind as readers see it. */
export const kindOf = ({ kind }: DagNode): ContentKind => kind === "shard" ? "directory" : kind;

/**
 * Follows a path of names of entries, each as it is: `..` is a name like others, which no directory has.
 * @throws GatewayError `NOT_FOUND` where it leads nowhere
 */
export async function resolve(
  source: BlockSource,
  root: CID,
  path: readonly string[],
  signal: AbortSignal,
): Promise<Resolved> {
  const passed: Block[] = [];
  let cid = root;
  for (let at = 0;;) {
    const block = { cid, bytes: await source.get(cid, signal) };
    let node = nodeOf(block);
    const name = path[at++];
    if (name === undefined) return { ...block, node, passed };
    passed.push(block);
    let found = -1;
    if (node.kind === "directory") found = node.links.find(name);
    else if (node.kind === "shard") {
      const places = await ShardPlaces.of(name);
      for (let depth = 0;; depth++) {
        const place = places.at(depth, node.fanout);
        found = place === undefined ? -1 : node.links.find(place + name);
        const next = found >= 0 || place === undefined ? -1 : node.links.find(place);
        if (next < 0) break;
        const cid = taken(node.links, next);
        const shard = { cid, bytes: await source.get(cid, signal) };
        passed.push(shard);
        node = nodeOf(shard);
        if (node.kind !== "shard") throw damaged(`the block ${cid} is no part of a directory`);
      }
    }
    if (found < 0) throw new GatewayError("NOT_FOUND", "content not found: there is nothing at this path");
    cid = taken(node.links, found);
  }
}

/**
 * The bytes of a file. The lengths that stand in each block are held against what is there, so what comes is as long as the root
 * said, or ends in an error.
 * @param range within the file
 * @param release given the bytes of blocks once what follows them was asked for; each piece that comes is a part of some
 */
export async function* readFile(
  source: BlockSource,
  root: CID,
  range: ByteRange | undefined,
  signal: AbortSignal,
  release?: Release,
): AsyncGenerator<Uint8Array, void, void> {
  using walk = new Walk<Part>(source, signal, release);
  walk.push([{ cid: root, start: 0, size: undefined }]);
  const from = range?.offset ?? 0, to = range === undefined ? Infinity : from + range.length;
  if (to <= from) return;
  for (let step; (step = await walk.next()) !== undefined;) {
    const { target: { start, size: expected }, block } = step;
    const node = nodeOf(block);
    if (expected === undefined && node.kind === "block") yield* pieces(block.bytes, from, to);
    else if (node.kind !== "file") throw damaged(`the block ${block.cid} is no part of a file`);
    else if (expected !== undefined && node.size !== expected) {
      throw damaged(`the block ${block.cid} is not as long as its parent says`);
    } else {
      yield* pieces(node.data, from - start, to - start);
      const parts = new Parts();
      let at = start + node.data.length;
      for (let i = 0; i < node.links.length && at < to; i++) {
        const begin = at, size = node.below[i]!;
        at += size;
        if (at <= from) continue;
        assertTaken(node.links, i);
        parts.add(node.links, i, begin, size);
      }
      walk.push(parts);
      source.expect?.(block.cid, parts.leaves(start));
    }
  }
}

/** An entry of a directory with what is known of it without looking. */
export async function* listDirectory(source: BlockSource, root: CID, signal: AbortSignal): AsyncGenerator<Link> {
  using walk = new Walk<Pick<Part, "cid">>(source, signal);
  walk.push([{ cid: root }]);
  for (let step; (step = await walk.next()) !== undefined;) {
    const node = nodeOf(step.block);
    if (node.kind === "directory" && step.block.cid === root) return yield* node.links;
    if (node.kind !== "shard") throw damaged(`the block ${step.block.cid} is no directory`);
    const { entries, shards } = partsOfShard(node);
    yield* entries;
    walk.push(shards);
  }
}

/** A CAR of version 1: the blocks from the root along the path and then those of the scope, each once. */
export async function* writeCar(
  source: BlockSource,
  root: CID,
  path: readonly string[],
  scope: DagScope,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const { passed, ...end } = await resolve(source, root, path, signal);
  const bytes = typeof scope === "object" && end.node.kind === "file" ? boundsOf(scope, end.node.size) : undefined;
  yield carHeader(root);
  const seen = new DigestSet();
  for (const block of [...passed, end]) {
    if (seen.add(block.cid.multihash.digest, block.cid.code)) yield carSection(block);
  }
  if (scope === "block") return;
  /** Of a range alone: else each block is visited once. */
  const sent = new DigestSet();
  const fresh = (node: DagNode, cid: CID, start: number) => {
    const { kind, links, below, data } = node, parts = new Parts();
    const place = scope === "all" || kind === "file" ? undefined : kind === "shard" ? placeLength(node.fanout) : -1;
    let at = start + data.length;
    for (let i = 0; i < links.length; i++) {
      if (place !== undefined && (place < 0 || links.name(i).length !== place)) continue;
      const begin = at;
      at += below[i] ?? 0;
      if (bytes !== undefined && (begin >= bytes.to || at <= bytes.from)) continue;
      assertTaken(links, i);
      // With an end of the range in it, it is visited wherever it stands: each time other blocks below it count.
      const isCut = bytes !== undefined && (begin < bytes.from || at > bytes.to);
      const digest = links.digest(i), code = links.code(i);
      if (!isCut && seen.has(digest, code)) continue;
      if (seen.size >= MAX_BLOCKS) throw damaged(`there are more than ${MAX_BLOCKS} blocks below it`);
      if (!isCut) seen.add(digest, code);
      parts.add(links, i, begin, below[i]);
    }
    source.expect?.(cid, parts.leaves(start));
    return parts;
  };
  using walk = new Walk<Part>(source, signal);
  walk.push(fresh(end.node, end.cid, 0));
  for (let step; (step = await walk.next()) !== undefined;) {
    const { target: { start, size }, block } = step;
    const node = nodeOf(block);
    if (bytes !== undefined && node.size !== size) {
      throw damaged(`the block ${block.cid} is not as long as its parent says`);
    }
    if (bytes === undefined || sent.add(block.cid.multihash.digest, block.cid.code)) yield carSection(block);
    walk.push(fresh(node, block.cid, start));
  }
}

/** Where the bytes that are asked for begin and end in a file: `from` on, before `to`, which is 0 where there are none. */
function boundsOf({ from, to = -1 }: EntityBytes, size: number): { readonly from: number; readonly to: number } {
  const first = from < 0 ? size + from : from, last = to < 0 ? size + to : to;
  if (size > 0 && (first >= size || last < 0)) {
    const problem = `is wholly outside of the file, which has ${size} bytes here`;
    throw new GatewayError("INVALID_REQUEST", `entity-bytes: ${problem}`, {
      details: [{ field: "entity-bytes", problem }],
    });
  }
  return { from: first, to: last < first ? 0 : last + 1 };
}

function* pieces(bytes: Uint8Array, from: number, to: number): Generator<Uint8Array> {
  const end = Math.min(bytes.length, to);
  for (let at = Math.max(0, from); at < end; at += PIECE) yield bytes.subarray(at, Math.min(at + PIECE, end));
}

function assertTaken(links: Links, i: number): void {
  const problem = links.problem(i);
  if (problem !== undefined) throw damaged(`a link is not taken: ${problem}`);
}

function taken(links: Links, i: number): CID {
  assertTaken(links, i);
  return links.cid(i);
}

const damaged = (problem: string, cause?: unknown) =>
  new GatewayError("INVALID_REQUEST", `cid: its blocks are not in order: ${problem}`, { cause });
