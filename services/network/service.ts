import { GatewayError } from "../../src/contracts/errors.ts";
import type { Network, NetworkPeer, NetworkState } from "../../src/contracts/network.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { askedAddress, askedPeer, invalid, isPeerId, readPeerAddress } from "./addresses.ts";
import { Keeper } from "./keeper.ts";
import type { NetworkNode } from "./node.ts";

/** What the network of a gateway is built on. */
export interface NetworkServiceOptions {
  readonly node: NetworkNode;
  /** Gateways to connect to, whatever the control plane says: multiaddresses with their ids at the end. */
  readonly bootstrap: readonly string[];
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Milliseconds on a clock that never jumps. */
  readonly monotonic: () => number;
}

/** Milliseconds for which what is told holds. */
const FRESH = 1_000;
/** Milliseconds for an attempt to connect; one that a client asked for takes so long whenever it fails, whatever the reason. */
const DIALLING = 5_000;
/** Milliseconds for which somebody stays disconnected. */
const APART = 600_000;
/** Gateways that were found on the local network and are dialled at once. */
const MOST_FOUND = 8;

/** Keeps a gateway connected to the others, and tells how it stands to them. */
export class NetworkService implements Network {
  readonly #keeper: Keeper;
  readonly #stopListening: () => void;
  #state: NetworkState | undefined;
  #stateAt = -Infinity;
  #dialling = 0;

  constructor(private readonly options: NetworkServiceOptions) {
    const { node, bootstrap } = options;
    this.#keeper = new Keeper({
      self: node.id,
      dial: (_peer, addresses) => node.dial(addresses, AbortSignal.timeout(2 * DIALLING)),
      isConnected: (peer) => node.isConnected(peer),
      chance: Math.random,
    });
    this.#stopListening = node.listen({
      connected: (peer) => this.#keeper.connected(peer),
      disconnected: (peer) => this.#keeper.disconnected(peer),
      found: (peer, addresses) => this.#found(peer, addresses),
    });
    for (const [peer, addresses] of Map.groupBy(bootstrap.flatMap(addressOf), ({ id }) => id)) {
      this.#keeper.keep(peer, addresses.map(({ address }) => address));
    }
  }

  /** Where this gateway can be reached: multiaddresses with its id at the end. */
  get addresses(): readonly string[] {
    return this.options.node.addresses;
  }

  /** As `Meeting` of the mesh has it. */
  know(gateways: ReadonlyMap<string, readonly string[]>): void {
    const sound = Array.from(gateways, ([peer, addresses]) =>
      [
        peer,
        addresses.filter((address) => readPeerAddress(address)?.id === peer),
      ] as const);
    this.#keeper.know(new Map(sound));
  }

  state(): NetworkState {
    const at = this.options.monotonic();
    if (this.#state === undefined || at - this.#stateAt >= FRESH) {
      this.#state = this.#look();
      this.#stateAt = at;
    }
    return this.#state;
  }

  async connect(asked: string, { signal }: RequestContext): Promise<void> {
    const { node } = this.options;
    const { id, address } = askedAddress(asked);
    if (id === node.id) throw invalid("multiaddr", "must be of another gateway: this is the one that was asked");
    node.strikes.forgive(id);
    const over = AbortSignal.timeout(DIALLING);
    try {
      await node.dial([address], AbortSignal.any([over, signal]));
    } catch (cause) {
      // Whether something listens there that is no gateway is not told, not even by the time that it takes.
      await fired(AbortSignal.any([over, signal]));
      throw new GatewayError("UNAVAILABLE", "no gateway of this network answered at that address", {
        cause,
        retryAfter: 5,
      });
    }
    this.#keeper.keep(id, [address]);
    this.#state = undefined;
  }

  disconnect(asked: string): Promise<void> {
    const { node } = this.options;
    return Promise.try(() => {
      const peer = askedPeer(asked);
      if (!node.isConnected(peer)) throw new GatewayError("NOT_FOUND", "no such peer is connected");
      node.strikes.shut(peer, APART);
      node.cut(peer);
      this.#state = undefined;
    });
  }

  /** Dials nobody any more. The node is closed by whoever opened it. */
  close(): void {
    this.#stopListening();
    this.#keeper.close();
  }

  #look(): NetworkState {
    const { node, now } = this.options;
    const peerOf = (id: string, addresses: readonly string[]): NetworkPeer => ({ id, addresses, lastSeen: now() });
    return {
      self: peerOf(node.id, node.addresses.map((address) => address.replace(/\/p2p\/[^/]+$/, ""))),
      peers: node.peers.map((id) => peerOf(id, node.addressesOf(id))),
    };
  }

  /** Whoever says so on the local network may be anyone: few at a time, each once, and only members get through. */
  #found(peer: string, told: readonly string[]): void {
    const { node } = this.options;
    const addresses = told.filter((address) => readPeerAddress(address)?.id === peer).slice(0, MOST_FOUND);
    if (!isPeerId(peer) || addresses.length === 0 || node.isConnected(peer) || this.#dialling >= MOST_FOUND) return;
    this.#dialling++;
    node.dial(addresses, AbortSignal.timeout(DIALLING)).catch(() => {}).finally(() => this.#dialling--);
  }
}

const addressOf = (text: string) => readPeerAddress(text) ?? [];

const fired = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
