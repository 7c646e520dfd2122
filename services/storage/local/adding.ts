import { createHash } from "node:crypto";
import { type BufferImporter, importer, type ImporterOptions, type InProgressImportResult } from "ipfs-unixfs-importer";
import type { FileLayout } from "ipfs-unixfs-importer/layout";
import { CID } from "multiformats/cid";
import { create as createDigest } from "multiformats/hashes/digest";
import type { DirectoryFile } from "../../../src/contracts/storage.ts";
import { keyOf, RAW, SHA2_256 } from "../car/cids.ts";
import { DirectoryPaths } from "../car/paths.ts";
import { until } from "../car/sources.ts";
import type { Added } from "../driver.ts";
import { nameOf } from "./block_files.ts";
import { writeDirectory, WrittenNodes } from "./directories.ts";
import type { Incoming } from "./incoming.ts";
import { Buffers, chunksOf } from "./sources.ts";

/** Links of a node, as Kubo has them. */
const LINKS = 174;

/** How content is cut. */
export interface AddOptions {
  /** Bytes of a chunk. */
  readonly chunkSize: number;
  readonly signal: AbortSignal;
}

/** Makes a file of content. Its blocks go to `incoming`, and are all there once that has settled. */
export async function addFile(
  content: AsyncIterable<Uint8Array>,
  incoming: Incoming,
  { chunkSize, signal }: AddOptions,
): Promise<Added> {
  const meter = new Meter();
  using buffers = new Buffers(chunkSize);
  const candidate = { content: chunksOf(meter.count(until(signal, content)), buffers) };
  const root = await lastOf(importer([candidate], storeOf(incoming), optionsOf(incoming, buffers)));
  return { cid: keyOf(root.cid), size: meter.bytes };
}

/** Makes a directory of files. @param most files that it may have */
export async function addDirectory(
  files: AsyncIterable<DirectoryFile>,
  incoming: Incoming,
  { chunkSize, signal, most }: AddOptions & { readonly most: number },
): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }> {
  const paths = new DirectoryPaths(most);
  using buffers = new Buffers(chunkSize);
  const written = new WrittenNodes(incoming);
  const names: string[] = [], sizes: number[] = [];
  let total = 0;
  for await (const { path, content } of until(signal, files)) {
    paths.add(path);
    const meter = new Meter();
    const candidate = { content: chunksOf(meter.count(until(signal, content)), buffers) };
    const { cid, size } = await lastOf(importer([candidate], storeOf(incoming), optionsOf(incoming, buffers)));
    written.note(cid.code, cid.multihash.digest, Number(size));
    names.push(path);
    sizes.push(meter.bytes);
    total += meter.bytes;
  }
  const root = await writeDirectory(paths.root, written, signal);
  const added = names.map((path, i) => ({ path, cid: keyOf(written.cid(i)), size: sizes[i]! }));
  return { root: { cid: keyOf(root), size: total }, files: added };
}

/** Counts what passes. */
class Meter {
  bytes = 0;

  async *count(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of source) {
      this.bytes += piece.length;
      yield piece;
    }
  }
}

const storeOf = (incoming: Incoming) => ({
  async put(cid: CID, bytes: Uint8Array): Promise<CID> {
    await incoming.put(nameOf(cid), bytes);
    return cid;
  },
});

/** Made anew for each call: the importer writes into its options. */
function optionsOf(incoming: Incoming, buffers: Buffers): ImporterOptions {
  return {
    cidVersion: 1,
    rawLeaves: true,
    // Chunks are cut already, in memory that is used again.
    chunker: (source) => source,
    chunkValidator: (source) => source,
    bufferImporter: leaves(incoming, buffers),
    // Leaves are hashed one after the other, on the one thread there is, and written while the next are.
    blockWriteConcurrency: 1,
    layout: balanced,
  };
}

function leaves(incoming: Incoming, buffers: Buffers): BufferImporter {
  return async function* (file) {
    for await (const chunk of file.content as AsyncIterable<Uint8Array<ArrayBuffer>>) {
      yield async () => {
        const digest = createHash("sha256").update(chunk).digest();
        const cid = CID.createV1(RAW, createDigest(SHA2_256, digest));
        const { length } = chunk;
        await incoming.put(nameOf(cid), chunk, () => buffers.give(chunk));
        // Its bytes may be others by now; nobody reads them, since no file has times or modes.
        return { cid, size: BigInt(length), block: NO_BYTES };
      };
    }
  };
}

const NO_BYTES = new Uint8Array(0);

/**
 * The layout of the importer's `balanced`, which keeps what it knows of each node until the end. This one keeps at most a node's
 * links for each level of the tree.
 */
const balanced: FileLayout = async (source, reduce) => {
  const levels: InProgressImportResult[][] = [];
  const push = async (node: InProgressImportResult, level: number): Promise<void> => {
    const row = levels[level] ??= [];
    if (row.length === LINKS) await push(bare(await reduce(row.splice(0))), level + 1);
    row.push(node);
  };
  for await (const leaf of source) await push(leaf, 0);
  for (let level = 0;; level++) {
    const row = levels[level]!;
    if (level > 0 && level === levels.length - 1 && row.length === 1) return row[0]!;
    await push(bare(await reduce(row.splice(0))), level + 1);
  }
};

/** Without its bytes, which are written already. */
const bare = (node: InProgressImportResult): InProgressImportResult => ({
  cid: node.cid,
  size: node.size,
  ...(node.unixfs && { unixfs: node.unixfs }),
  ...(node.path !== undefined && { path: node.path }),
  ...(node.originalPath !== undefined && { originalPath: node.originalPath }),
});

async function lastOf<T>(items: AsyncIterable<T>): Promise<T> {
  let last: { readonly item: T } | undefined;
  for await (const item of items) last = { item };
  if (last === undefined) throw new Error("the importer made nothing");
  return last.item;
}
