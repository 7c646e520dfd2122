/** Why something is missing that went from gateway to gateway. */
export type ClusterGap = "gateway_lost" | "expired";

/** What runs between this gateway and the others. */
export interface ClusterFigures {
  /** Messages that came a second time. */
  readonly duplicates: number;
  /** Messages and frames that were not taken: forged, malformed, too many. */
  readonly refused: number;
  /** How often topics were told that something is missing, or may be. */
  readonly gaps: Readonly<Record<ClusterGap, number>>;
  /** Other gateways to which there is a link. */
  readonly peers: number;
  /** Lives that are open, this gateway's included. */
  readonly epochs: number;
}
