import type { CID } from "multiformats/cid";
import type { PinState } from "../../../src/contracts/storage.ts";
import type { PinOptions, Waiter } from "../driver.ts";

/** Who keeps content: an IPFS Cluster, or the Kubo nodes themselves. As the operations of `ContentDriver` of the same names. */
export interface Pins {
  pin(cid: CID, options: PinOptions, waiter: Waiter): Promise<void>;
  unpin(cid: CID, waiter: Waiter): Promise<void>;
  state(cid: CID, waiter: Waiter): Promise<PinState>;
  /** @throws GatewayError also `NOT_FOUND` for what is not to be kept */
  recover(cid: CID, waiter: Waiter): Promise<void>;
  /** Whether somebody has it or is to have it. */
  knows(cid: CID, waiter: Waiter): Promise<boolean>;
}
