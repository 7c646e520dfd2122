import type { CID } from "multiformats/cid";
import { keyOf, parseCid, RAW } from "../car/cids.ts";
import { CidList, type Links } from "../car/links.ts";
import { decodeNode } from "../car/nodes.ts";
import { type BlockFiles, type Damage, nameOf } from "./block_files.ts";
import { DigestSet } from "../car/digest_set.ts";

/** How the content below one root is. */
export interface RootReport {
  readonly cid: string;
  /** Blocks that are there and whole, each counted once, and their bytes. */
  readonly blocks: number;
  readonly bytes: number;
  /** CIDs of blocks whose bytes are not their own, at most 100. What is below them is not known. */
  readonly damaged: readonly string[];
  /** CIDs of blocks that are not there, at most 100. */
  readonly missing: readonly string[];
  /** Whether nothing is damaged or missing. */
  readonly whole: boolean;
}

const MOST_TOLD = 100;

/**
 * Reads every block of every root, those that several have mostly once.
 * @param roots one that this storage does not take it cannot have either: it is told as missing
 * @throws the signal's reason; what the roots and the disk throw
 */
export async function* inspectAll(
  files: BlockFiles,
  roots: AsyncIterable<string>,
  signal: AbortSignal,
): AsyncGenerator<RootReport, void, void> {
  const well = new DigestSet(), seen = new Set<string>();
  for await (const root of roots) {
    const cid = taken(root), key = cid === undefined ? root : keyOf(cid);
    if (seen.has(key)) continue;
    seen.add(key);
    yield cid === undefined
      ? { cid: key, blocks: 0, bytes: 0, damaged: [], missing: [key], whole: false }
      : await inspect(files, cid, signal, well);
  }
}

function taken(root: string): CID | undefined {
  try {
    return parseCid(root);
  } catch {
    return undefined;
  }
}

/**
 * Reads every block of some content and holds it against its CID.
 * @param well blocks that were found whole already, for other roots; those without links are not read again
 * @throws the signal's reason
 */
export async function inspect(
  files: BlockFiles,
  root: CID,
  signal: AbortSignal,
  well: DigestSet = new DigestSet(),
): Promise<RootReport> {
  const wrong: Record<Damage, string[]> = { damaged: [], missing: [] };
  let blocks = 0, bytes = 0, whole = true;
  for await (const { cid, block } of blocksBelow(files, root, signal, well)) {
    if (typeof block === "number") {
      blocks++;
      bytes += block;
      continue;
    }
    whole = false;
    if (wrong[block].length < MOST_TOLD) wrong[block].push(keyOf(cid));
  }
  return { cid: keyOf(root), blocks, bytes, ...wrong, whole };
}

/** Whether every block is there. Those without links are not read. @throws the signal's reason */
export async function isWhole(files: BlockFiles, root: CID, signal: AbortSignal): Promise<boolean> {
  for await (const { block } of blocksBelow(files, root, signal)) if (typeof block !== "number") return false;
  return true;
}

/** Each block once, with its length or what is wrong with it. @param well none: blocks without links are not read */
async function* blocksBelow(
  files: BlockFiles,
  root: CID,
  signal: AbortSignal,
  well?: DigestSet,
): AsyncGenerator<{ readonly cid: CID; readonly block: number | Damage }, void, void> {
  const seen = new DigestSet();
  const left = new CidList();
  left.push(root);
  for (let cid; (cid = left.pop()) !== undefined;) {
    signal.throwIfAborted();
    const { digest } = cid.multihash;
    const isLeaf = cid.code === RAW;
    if (isLeaf && (well === undefined || well.has(digest))) {
      yield { cid, block: await files.size(nameOf(cid)) ?? "missing" };
      continue;
    }
    const bytes = await files.read(cid);
    if (typeof bytes === "string") {
      yield { cid, block: bytes };
      continue;
    }
    well?.add(digest);
    let links: Links;
    try {
      links = decodeNode(cid, bytes).links;
    } catch {
      yield { cid, block: "damaged" };
      continue;
    }
    yield { cid, block: bytes.length };
    for (let i = 0; i < links.length; i++) {
      if (seen.add(links.digest(i), links.code(i))) links.copyTo(left, i);
    }
  }
}
