import { type GossipSub, gossipsub, type GossipsubOpts, StrictSign } from "@libp2p/gossipsub";
import { identify } from "@libp2p/identify";
import type { Connection, Ed25519PrivateKey, Libp2p, PeerId, Stream, StreamHandlerOptions } from "@libp2p/interface";
import { tcp } from "@libp2p/tcp";
import { multiaddr } from "@multiformats/multiaddr";
import { createLibp2p } from "libp2p";
import { worthTelling } from "./addresses.ts";
import { ConnectionGuard } from "./guarded_muxer.ts";
import { CHANNEL_LIMITS, CONNECTION_LIMITS, METER_LIMITS, PATIENCE, SILENCE } from "./limits.ts";
import { memberNoise } from "./member_noise.ts";
import { shield } from "./shield.ts";
import { type Refusal, REFUSALS, Strikes } from "./strikes.ts";

/** What a gateway's node is made from. */
export interface NodeOptions {
  readonly key: Ed25519PrivateKey;
  /** 32 bytes, the same for all of the network. */
  readonly networkKey: Uint8Array;
  readonly listen: readonly string[];
  /** Where others reach it; empty: where it listens. */
  readonly announce: readonly string[];
  /** Whether to tell the local network, and look there. */
  readonly mdns: boolean;
  readonly monotonic?: () => number;
  /** Told of failures that nobody expected. */
  readonly onError: (what: string, error: unknown) => void;
}

/** Who hears of peers. Nothing of it may throw. */
export interface PeerListener {
  connected(peer: string): void;
  disconnected(peer: string): void;
  /** Somebody was found on the local network. @param addresses with the peer's id at the end */
  found?(peer: string, addresses: readonly string[]): void;
}

/** Answers streams of a protocol. What it throws aborts the stream. */
export type StreamAnswer = (stream: Stream, peer: string) => void | Promise<void>;

/** What a node has counted since it began. */
export interface NodeFigures {
  readonly peers: number;
  readonly refused: Readonly<Record<Refusal, number>>;
  /** Failures that libp2p left uncaught. */
  readonly caught: number;
}

/** Milliseconds between two looks for connections over which nothing comes. */
const LOOKS = 1_000;

/** A gateway's libp2p node: TCP, Noise with the network's key, yamux, gossipsub. */
export class NetworkNode {
  readonly #refused = Object.fromEntries(REFUSALS.map((why) => [why, 0])) as Record<Refusal, number>;
  readonly #peers = new Map<string, PeerId>();
  readonly #listeners = new Set<PeerListener>();
  /** By muxer: a guard knows nothing else. */
  readonly #owners = new WeakMap<object, string>();
  /** There once it has started. */
  #libp2p!: Libp2p<{ gossip: GossipSub }>;
  #caught = 0;
  #endShield = () => {};
  #looks: ReturnType<typeof setInterval> | undefined;
  /** Who is shut out for a while. */
  readonly strikes: Strikes;

  private constructor(private readonly options: NodeOptions) {
    this.strikes = new Strikes(options.monotonic ?? (() => performance.now()));
  }

  /** Starts a node. @throws what the system says of the addresses to listen on */
  static async open(options: NodeOptions): Promise<NetworkNode> {
    const node = new NetworkNode(options);
    node.#endShield = shield((error) => {
      node.#caught++;
      options.onError("libp2p left a failure uncaught", error);
    });
    try {
      await node.#start();
      return node;
    } catch (error) {
      await node.close().catch(() => {});
      throw error;
    }
  }

  /** The peer id in text. */
  get id(): string {
    return this.#libp2p.peerId.toString();
  }

  /** The peer id as messages name their origin. */
  get idBytes(): Uint8Array {
    return this.#libp2p.peerId.toMultihash().bytes;
  }

  /** Of gossipsub. */
  get gossip(): GossipSub {
    return this.#libp2p.services.gossip;
  }

  /** Where others reach it: multiaddresses with its id at the end. */
  get addresses(): readonly string[] {
    return worthTelling(this.#libp2p.getMultiaddrs().map(String));
  }

  /** Who is connected. */
  get peers(): readonly string[] {
    return [...this.#peers.keys()];
  }

  isConnected(peer: string): boolean {
    return this.#peers.has(peer);
  }

  /** Over which addresses a peer is connected, without its id. */
  addressesOf(peer: string): readonly string[] {
    return this.#connections(peer).map(({ remoteAddr }) => String(remoteAddr).replace(/\/p2p\/[^/]+$/, ""));
  }

  /** What it has counted. */
  figures(): NodeFigures {
    return { peers: this.#peers.size, refused: { ...this.#refused }, caught: this.#caught };
  }

  /** Hears of peers, first of those that are there. @returns ends it */
  listen(listener: PeerListener): () => void {
    this.#listeners.add(listener);
    for (const peer of this.peers) this.#tell(() => listener.connected(peer));
    return () => this.#listeners.delete(listener);
  }

  /** Connects. @param addresses with the peer's id at the end @throws when no address answers, or not as that peer of the network */
  async dial(addresses: readonly string[], signal: AbortSignal): Promise<void> {
    await this.#libp2p.dial(addresses.map((address) => multiaddr(address)), { signal });
  }

  /** Ends all connections to a peer at once. */
  cut(peer: string): void {
    for (const connection of this.#connections(peer)) connection.abort(new Error("the connection was cut"));
  }

  /** Counts something that was refused. */
  count(why: Refusal): void {
    this.#refused[why]++;
  }

  /** Counts something that no gateway does, ends all connections to who did it, and shuts them out for a while. */
  punish(peer: string, why: Refusal): void {
    this.count(why);
    this.strikes.strike(peer);
    this.cut(peer);
  }

  /** Answers streams of a protocol. */
  async handle(protocol: string, answer: StreamAnswer, options: StreamHandlerOptions): Promise<void> {
    await this.#libp2p.handle(protocol, async (stream, connection) => {
      await answer(stream, connection.remotePeer.toString());
    }, options);
  }

  /** Answers them no longer. */
  async unhandle(protocols: readonly string[]): Promise<void> {
    await this.#libp2p.unhandle([...protocols]);
  }

  /** Opens a stream to somebody who is connected. @throws when nobody is, or the protocol is refused */
  async stream(peer: string, protocol: string, signal: AbortSignal, maxOutboundStreams: number): Promise<Stream> {
    const connection = this.#connections(peer).find(({ status }) => status === "open");
    if (connection === undefined) throw new Error("no connection");
    return await connection.newStream([protocol], { signal, maxOutboundStreams });
  }

  /** Ends all connections and stops. */
  async close(): Promise<void> {
    clearInterval(this.#looks);
    try {
      await this.#libp2p?.stop();
    } finally {
      this.#endShield();
    }
  }

  async #start(): Promise<void> {
    const { key, networkKey, listen, announce, mdns, monotonic = () => performance.now() } = this.options;
    const isOut = (peer: PeerId) => this.strikes.isOut(peer.toString());
    const guard = new ConnectionGuard({
      limits: METER_LIMITS,
      patience: PATIENCE,
      silence: SILENCE,
      monotonic,
      refused: (muxer, why) => this.#connectionRefused(muxer, why),
    });
    this.#libp2p = await createLibp2p({
      privateKey: key,
      start: false,
      addresses: { listen: [...listen], announce: [...announce] },
      nodeInfo: { name: "orama-gateway", version: "1", userAgent: "orama-gateway" },
      transports: [tcp()],
      connectionEncrypters: [memberNoise(networkKey, () => this.count("stranger"))],
      streamMuxers: [guard.muxer],
      connectionManager: CONNECTION_LIMITS,
      // It holds a peer that is busy for one that is gone, and ends the connection when two of its pings meet.
      connectionMonitor: { enabled: false },
      connectionGater: {
        denyDialPeer: isOut,
        denyDialMultiaddr: () => false,
        denyInboundEncryptedConnection: isOut,
        denyOutboundEncryptedConnection: isOut,
      },
      peerDiscovery: mdns ? [await localDiscovery(networkKey)] : [],
      services: { identify: identify(), gossip: gossipsub(gossipOptions()) },
    });
    this.#libp2p.addEventListener("peer:connect", ({ detail }) => this.#connected(detail));
    this.#libp2p.addEventListener("peer:disconnect", ({ detail }) => this.#disconnected(detail.toString()));
    this.#libp2p.addEventListener("connection:open", ({ detail }) => this.#opened(detail));
    if (mdns) {
      this.#libp2p.addEventListener("peer:discovery", ({ detail: { id, multiaddrs } }) => {
        const addresses = multiaddrs.map((address) => withId(String(address), id.toString()));
        for (const listener of this.#listeners) this.#tell(() => listener.found?.(id.toString(), addresses));
      });
    }
    await this.#libp2p.start();
    this.#looks = setInterval(() => guard.look(), LOOKS);
  }

  #connections(peer: string): Connection[] {
    const id = this.#peers.get(peer);
    return id === undefined ? [] : this.#libp2p.getConnections(id);
  }

  #opened(connection: Connection): void {
    const muxer: unknown = Reflect.get(connection, "muxer");
    if (typeof muxer === "object" && muxer !== null) this.#owners.set(muxer, connection.remotePeer.toString());
  }

  #connectionRefused(muxer: object, why: Refusal): void {
    const peer = this.#owners.get(muxer);
    this.count(why);
    if (peer !== undefined && why !== "stalled") this.strikes.strike(peer);
  }

  #connected(id: PeerId): void {
    const peer = id.toString();
    if (this.#peers.has(peer)) return;
    this.#peers.set(peer, id);
    for (const listener of this.#listeners) this.#tell(() => listener.connected(peer));
  }

  #disconnected(peer: string): void {
    if (!this.#peers.delete(peer)) return;
    for (const listener of this.#listeners) this.#tell(() => listener.disconnected(peer));
  }

  /** Who hears of a peer must not end the telling. */
  #tell(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.options.onError("a peer's coming or going was not minded", error);
    }
  }
}

const withId = (address: string, id: string) => address.includes("/p2p/") ? address : `${address}/p2p/${id}`;

/** Told under a name that says nothing of the key, so that other networks do not answer. */
async function localDiscovery(networkKey: Uint8Array) {
  const { mdns } = await import("@libp2p/mdns");
  const digest = await crypto.subtle.digest("SHA-256", Uint8Array.from([...networkKey, 1]));
  return mdns({ serviceTag: `_orama-${new Uint8Array(digest, 0, 8).toHex()}._udp.local`, interval: 10_000 });
}

/**
 * Messages go to all whom it concerns at once, and on from there. What gets lost is asked for by those who miss it, over links: no
 * gossip of what was had. No scores: members are known, and what they may do is bounded elsewhere.
 */
const gossipOptions = (): Partial<GossipsubOpts> => ({
  globalSignaturePolicy: StrictSign,
  allowPublishToZeroTopicPeers: true,
  floodPublish: true,
  batchPublish: true,
  fallbackToFloodsub: false,
  doPX: false,
  emitSelf: false,
  awaitRpcMessageHandler: true,
  scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0 },
  ...CHANNEL_LIMITS,
  // Before the signature is checked, and entered only once it was: duplicates cost nothing.
  fastMsgIdFn: ({ from, seqno }) => from && seqno ? `${from.toHex()}${seqno.toHex()}` : "",
});
