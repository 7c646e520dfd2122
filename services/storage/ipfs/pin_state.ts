import type { PinState, PinStatus } from "../../../src/contracts/storage.ts";
import type { ClusterAllocation, ClusterStatus } from "./cluster.ts";

/** What a peer of an IPFS Cluster says, in our words. */
const STATUS: Readonly<Record<string, PinStatus>> = {
  pinned: "pinned",
  pinning: "pinning",
  pin_queued: "queued",
  // It is to have it, and has not begun: the peers learn of a pin one after the other.
  unpinned: "queued",
  pin_error: "error",
  unpin_error: "error",
  cluster_error: "error",
  unexpectedly_unpinned: "error",
};

/** Nothing of it is kept. */
export const UNPINNED: PinState = { status: "unpinned", peers: [], error: undefined };
/** It will be kept; no peer has said so yet. */
export const QUEUED: PinState = { status: "queued", peers: [], error: undefined };

/** One peer of a pin. */
export type PeerState = PinState["peers"][number];

/** What all peers together make of it. It is pinned when as many have it as must. @param min −1: all */
export function stateOf(peers: readonly PeerState[], min: number): PinState {
  const count = (status: PinStatus) => peers.filter((peer) => peer.status === status).length;
  const wanted = min < 0 ? Math.max(1, peers.length) : min, pinned = count("pinned");
  const sorted = peers.toSorted((a, b) => a.name < b.name ? -1 : 1);
  if (pinned >= wanted) return { status: "pinned", peers: sorted, error: undefined };
  // As long as enough of them are still at it, it may yet be.
  const pinning = count("pinning"), queued = count("queued");
  if (pinned + pinning + queued >= wanted) {
    return { status: pinning > 0 ? "pinning" : "queued", peers: sorted, error: undefined };
  }
  const status = count("error") > 0 ? "error" : "queued";
  const error = status === "error"
    ? `${pinned} of ${wanted} copies are kept, and ${count("error")} could not be made`
    : undefined;
  return { status, peers: sorted, error };
}

/** The state as a peer of an IPFS Cluster sees it. */
export function stateInCluster(
  { allocations, replication_factor_min: min }: ClusterAllocation,
  { peer_map }: ClusterStatus,
): PinState {
  const everywhere = min < 0 || allocations === null || allocations.length === 0;
  const peers = Object.entries(peer_map).flatMap(([id, { peername: name, status, error }]): PeerState[] => {
    // Not one of those that are to have it, but it may still have it.
    if (!everywhere && !allocations.includes(id) && status !== "pinned") return [];
    const own = STATUS[status] ?? "unknown";
    return [{ id, name, status: own, ...(own === "error" && { error: sentenceOf(status, error) }) }];
  });
  return stateOf(peers, min);
}

/** Why a peer does not have it. What it says itself names addresses. */
export function sentenceOf(status: string, error: string): string {
  if (status === "cluster_error") return "the peer cannot be reached";
  if (status === "unexpectedly_unpinned") return "the peer no longer has it";
  if (/context deadline exceeded|timed? ?out/i.test(error)) return "the peer did not find the content in time";
  if (/no space left|disk quota exceeded/i.test(error)) return "the peer's disk is full";
  return "the peer could not keep it";
}
