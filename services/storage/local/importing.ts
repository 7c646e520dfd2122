import type { ContentKind } from "../../../src/contracts/storage.ts";
import type { CID } from "multiformats/cid";
import { DagCheck } from "../car/check.ts";
import { keyOf, RAW } from "../car/cids.ts";
import { decodeNode } from "../car/nodes.ts";
import { until } from "../car/sources.ts";
import { CarReader } from "../car/stream.ts";
import type { Added } from "../driver.ts";
import { type BlockFiles, type BlockName, nameOf } from "./block_files.ts";
import type { Incoming } from "./incoming.ts";

/** What a CAR held. */
export interface Imported {
  readonly added: Added & { readonly kind: ContentKind };
  /** The blocks below its root. */
  readonly names: Iterable<BlockName>;
}

/**
 * Takes the blocks of a CAR, and checks them. Those below its root are to be adopted; what else was in it stays behind.
 * @throws GatewayError `INVALID_REQUEST` for one that is not in order, or is not whole
 */
export async function importCar(
  car: AsyncIterable<Uint8Array>,
  incoming: Incoming,
  files: BlockFiles,
  signal: AbortSignal,
): Promise<Imported> {
  const source = until(signal, car);
  const reader = new CarReader(source);
  const check = new DagCheck();
  try {
    const root = await reader.root();
    for (let block; (block = await reader.next()) !== undefined;) {
      if (check.add(block)) await incoming.put(nameOf(block.cid), block.bytes);
    }
    const { kind, size } = check.finish(root);
    await incoming.settle();
    return { added: { cid: keyOf(root), kind, size }, names: await namesBelow(root, incoming, files, signal) };
  } finally {
    // Also where it was refused in the middle: whoever sends it is told.
    await source.return();
  }
}

/** The blocks from a root on, all of which are there. */
async function namesBelow(
  root: CID,
  incoming: Incoming,
  files: BlockFiles,
  signal: AbortSignal,
): Promise<ReadonlySet<BlockName>> {
  const names = new Set([nameOf(root)]);
  const seen = new Set([keyOf(root)]);
  const left = root.code === RAW ? [] : [root];
  for (let cid; (cid = left.pop()) !== undefined;) {
    signal.throwIfAborted();
    const bytes = await incoming.read(nameOf(cid)) ?? await files.read(cid);
    if (typeof bytes === "string") throw new Error(`the block ${cid} was there a moment ago`);
    for (const { cid: target } of decodeNode(cid, bytes).links) {
      names.add(nameOf(target));
      if (target.code === RAW || seen.has(keyOf(target))) continue;
      seen.add(keyOf(target));
      left.push(target);
    }
  }
  return names;
}
