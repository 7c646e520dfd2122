import type { ContentKind } from "../../../src/contracts/storage.ts";
import { DagCheck } from "../car/check.ts";
import { keyOf } from "../car/cids.ts";
import { until } from "../car/sources.ts";
import { CarReader } from "../car/stream.ts";
import type { Added } from "../driver.ts";
import { type BlockName, nameOf } from "./block_files.ts";
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
  signal: AbortSignal,
): Promise<Imported> {
  const source = until(signal, car);
  const reader = new CarReader(source);
  const check = new DagCheck();
  try {
    const root = await reader.root();
    for (let block; (block = await reader.next()) !== undefined;) {
      if (await check.add(block)) await incoming.put(nameOf(block.cid), block.bytes);
    }
    const { kind, size } = await check.finish(root);
    await incoming.settle();
    return { added: { cid: keyOf(root), kind, size }, names: check.reached() };
  } finally {
    // Also where it was refused in the middle: whoever sends it is told.
    await source.return();
  }
}
