import type { CID } from "multiformats/cid";
import type { DirectoryEntry } from "../../../src/contracts/storage.ts";
import { keyOf, RAW } from "../car/cids.ts";
import type { Link } from "../car/links.ts";
import { kindOf, listDirectory, nodeOf } from "../car/read.ts";
import { aheadOf } from "../car/sources.ts";
import type { NodeBlocks } from "./blocks.ts";

/** How many entries are looked at at once, and how many such pages while one is handed on. */
const PAGE = 64, AHEAD = 2;

/** Entries of a directory. Their lengths are those of what is there: what a directory says of them nobody has checked. */
export async function* entriesOf(
  blocks: NodeBlocks,
  root: CID,
  signal: AbortSignal,
): AsyncGenerator<DirectoryEntry, void, void> {
  for await (
    const page of aheadOf(pagesOf(listDirectory(blocks, root, signal)), AHEAD, (links) => look(blocks, links, signal))
  ) yield* page;
}

/** One question for all that are bytes and nothing else: asked one by one, a directory of 6,000 takes seconds. */
async function look(blocks: NodeBlocks, links: readonly Link[], signal: AbortSignal): Promise<DirectoryEntry[]> {
  const plain = [...new Map(links.filter(({ cid }) => cid.code === RAW).map(({ cid }) => [keyOf(cid), cid])).values()];
  const sizes = new Map<string, number>();
  const known = plain.length === 0 ? [] : await blocks.sizes(plain, signal);
  plain.forEach((cid, i) => sizes.set(keyOf(cid), known[i]!));
  return await Promise.all(links.map(async ({ cid, name }): Promise<DirectoryEntry> => {
    const size = sizes.get(keyOf(cid));
    if (size !== undefined) return { name, cid: keyOf(cid), kind: "file", size };
    const node = nodeOf({ cid, bytes: await blocks.get(cid, signal) });
    const kind = kindOf(node);
    return { name, cid: keyOf(cid), kind, size: kind === "directory" ? 0 : node.size };
  }));
}

async function* pagesOf(links: AsyncIterable<Link>): AsyncGenerator<readonly Link[], void, void> {
  let page: Link[] = [];
  for await (const link of links) {
    page.push(link);
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
