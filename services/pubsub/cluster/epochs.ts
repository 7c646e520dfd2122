import type { NodeId } from "../mesh/mesh.ts";

/**
 * One life of one gateway. Numbers rise in the order in which lives begin, over the whole cluster: the control plane gives them.
 */
export interface Epoch {
  readonly number: number;
  readonly node: NodeId;
  /** `open`: it lives, as far as anyone knows. `clean`: it said farewell. `lost`: it ended without a word. */
  readonly state: "open" | "clean" | "lost";
  /** Where it can be reached: multiaddrs. */
  readonly addresses: readonly string[];
  /**
   * The life of the same node before this one, where that had been held for lost before this one began ({@link EpochRegistry.bury}):
   * it may have published afterwards, for nobody knew, so everyone is told of a gap once more. Absent where it was still open,
   * ended cleanly, or says itself that it was silent.
   */
  readonly former?: number | undefined;
}

/** Lives of gateways, as the control plane has them. */
export interface EpochRegistry {
  /**
   * Begins a life of this gateway; earlier ones of the same node are lost unless they ended cleanly.
   * @param silent an earlier life of this very process that published nothing since it was last renewed: it is never {@link Epoch.former}
   * @throws GatewayError `UNAVAILABLE`
   */
  begin(node: NodeId, addresses: readonly string[], signal: AbortSignal, silent?: number): Promise<Epoch>;
  /** Every life that is open, or whose number is above `after`, as of now and of one moment. @throws GatewayError `UNAVAILABLE` */
  list(after: number, signal: AbortSignal): Promise<readonly Epoch[]>;
  /** Says that a life goes on. @returns false: others hold it for ended */
  renew(epoch: number, signal: AbortSignal): Promise<boolean>;
  /** Ends a life of this gateway cleanly. */
  end(epoch: number, signal: AbortSignal): Promise<void>;
  /** Holds lives for lost whose renewals have not risen. @param seen the count of renewals of each, as it was when it was last looked at */
  bury(seen: ReadonlyMap<number, number>, signal: AbortSignal): Promise<void>;
  /** How often each open life was renewed. */
  renewals(signal: AbortSignal): Promise<ReadonlyMap<number, number>>;
}
