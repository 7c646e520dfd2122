import type { CID } from "multiformats/cid";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ByteRange, ContentKind, DagScope } from "../../../src/contracts/storage.ts";
import { keyOf, problemOf, RAW } from "./cids.ts";
import { type DagNode, decodeNode, type Link } from "./nodes.ts";
import { partsOfShard, ShardPlaces } from "./shards.ts";
import { type Block, carHeader, carSection } from "./stream.ts";
import { type BlockSource, type Leaf, Walk } from "./walk.ts";

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
    let link: Link | undefined;
    if (node.kind === "directory") link = node.links.find((one) => one.name === name);
    else if (node.kind === "shard") {
      const places = await ShardPlaces.of(name);
      for (let depth = 0; link === undefined; depth++) {
        const place = places.at(depth, node.fanout);
        link = node.links.find((one) => one.name === place + name);
        const next = link === undefined && node.links.find((one) => one.name === place);
        if (!next) break;
        const shard = { cid: taken(next.cid), bytes: await source.get(next.cid, signal) };
        passed.push(shard);
        node = nodeOf(shard);
        if (node.kind !== "shard") throw damaged(`the block ${next.cid} is no part of a directory`);
      }
    }
    if (link === undefined) throw new GatewayError("NOT_FOUND", "content not found: there is nothing at this path");
    cid = taken(link.cid);
  }
}

/**
 * The bytes of a file. The lengths that stand in each block are held against what is there, so what comes is as long as the root
 * said, or ends in an error.
 * @param range within the file
 */
export async function* readFile(
  source: BlockSource,
  root: CID,
  range: ByteRange | undefined,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  using walk = new Walk<{ readonly cid: CID; readonly start: number; readonly size: number | undefined }>(
    source,
    signal,
  );
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
      let at = start + node.data.length;
      const targets = node.links.flatMap(({ cid }, i) => {
        const begin = at, size = node.below[i]!;
        at += size;
        return begin < to && at > from ? [{ cid: taken(cid), start: begin, size }] : [];
      });
      walk.push(targets);
      source.expect?.(
        block.cid,
        targets.filter(isLeaf).map(({ cid, start: begin, size }) => ({ cid, offset: begin - start, size })),
      );
    }
  }
}

/** An entry of a directory with what is known of it without looking. */
export async function* listDirectory(source: BlockSource, root: CID, signal: AbortSignal): AsyncGenerator<Link> {
  using walk = new Walk<{ readonly cid: CID }>(source, signal);
  walk.push([{ cid: root }]);
  for (let step; (step = await walk.next()) !== undefined;) {
    const node = nodeOf(step.block);
    if (node.kind === "directory" && step.block.cid === root) return yield* node.links;
    if (node.kind !== "shard") throw damaged(`the block ${step.block.cid} is no directory`);
    const { entries, shards } = partsOfShard(node);
    yield* entries;
    walk.push(shards.map(({ cid }) => ({ cid: taken(cid) })));
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
  yield carHeader(root);
  const seen = new Set<string>();
  for (const block of [...passed, end]) {
    if (seen.has(keyOf(block.cid))) continue;
    seen.add(keyOf(block.cid));
    yield carSection(block);
  }
  if (scope === "block") return;
  const fresh = (node: DagNode, cid: CID) => {
    const wanted = new Set<CID>();
    const links = scope === "all" || node.kind === "file"
      ? node.links
      : node.kind === "shard"
      ? partsOfShard(node).shards
      : [];
    const targets = links.flatMap(({ cid }) => {
      const key = keyOf(taken(cid));
      if (seen.has(key)) return [];
      if (seen.size >= MAX_BLOCKS) throw damaged(`there are more than ${MAX_BLOCKS} blocks below it`);
      seen.add(key);
      wanted.add(cid);
      return [{ cid }];
    });
    source.expect?.(cid, leavesOf(node).filter((leaf) => wanted.has(leaf.cid)));
    return targets;
  };
  using walk = new Walk<{ readonly cid: CID }>(source, signal);
  walk.push(fresh(end.node, end.cid));
  for (let step; (step = await walk.next()) !== undefined;) {
    yield carSection(step.block);
    walk.push(fresh(nodeOf(step.block), step.block.cid));
  }
}

const isLeaf = ({ cid }: { readonly cid: CID }) => cid.code === RAW;

/** The leaves of a file's block. */
function leavesOf({ kind, data, below, links }: DagNode): readonly Leaf[] {
  let at = data.length;
  return kind !== "file" ? [] : links.map(({ cid }, i) => {
    const leaf = { cid, offset: at, size: below[i]! };
    at += leaf.size;
    return leaf;
  }).filter(isLeaf);
}

function* pieces(bytes: Uint8Array, from: number, to: number): Generator<Uint8Array> {
  const end = Math.min(bytes.length, to);
  for (let at = Math.max(0, from); at < end; at += PIECE) yield bytes.subarray(at, Math.min(at + PIECE, end));
}

function taken(cid: CID): CID {
  const problem = problemOf(cid);
  if (problem !== undefined) throw damaged(`a link is not taken: ${problem}`);
  return cid;
}

const damaged = (problem: string, cause?: unknown) =>
  new GatewayError("INVALID_REQUEST", `cid: its blocks are not in order: ${problem}`, { cause });
