import type { RequestContext } from "./request.ts";

/** A gateway as the network knows it. */
export interface NetworkPeer {
  /** Its libp2p peer id in text. */
  readonly id: string;
  /** Multiaddresses without the id; of a peer those over which it is connected, of this gateway those where it can be reached. */
  readonly addresses: readonly string[];
  /** Unix milliseconds at which it was last heard of; now, while it is connected. */
  readonly lastSeen: number;
}

/** How this gateway stands to the others: as of a second ago at most. */
export interface NetworkState {
  /** This gateway; `undefined` where it belongs to no network. */
  readonly self: NetworkPeer | undefined;
  /** Those that it is connected to. */
  readonly peers: readonly NetworkPeer[];
}

/** The network between the gateways of a cluster, as far as routes see it. */
export interface Network {
  /** Costs next to nothing, however often it is asked. */
  state(): NetworkState;
  /**
   * Connects to a gateway, and minds its connections from then on. Whoever has another network key is no gateway: what answers at an
   * address is not told apart from an address where nothing does.
   * @param address multiaddress that ends with `/p2p/` and the peer's id
   * @throws GatewayError `INVALID_REQUEST` for no such address, `CONFLICT` without a network, `UNAVAILABLE` when no gateway of the
   * network answered there
   */
  connect(address: string, request: RequestContext): Promise<void>;
  /**
   * Ends the connections to a gateway and makes none for ten minutes, or until {@link connect}.
   * @throws GatewayError `INVALID_REQUEST` for no peer id, `NOT_FOUND` for a peer that is not connected
   */
  disconnect(peer: string, request: RequestContext): Promise<void>;
}
