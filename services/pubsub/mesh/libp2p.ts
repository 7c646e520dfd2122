import type { Stream } from "@libp2p/interface";
import { MAX_BYTES } from "../../network/limits.ts";
import { Allowance } from "../../network/meter.ts";
import type { NetworkNode } from "../../network/node.ts";
import { Asks } from "./libp2p_asks.ts";
import { Channels } from "./libp2p_channels.ts";
import { Link } from "./libp2p_link.ts";
import type { Mesh, MeshHandler, NodeId } from "./mesh.ts";

/** Frames in both directions, each with its length in front (four bytes), for as long as two gateways are connected. */
export const LINK = "/orama/link/1";

/** What the mesh is built on. */
export interface Libp2pMeshOptions {
  readonly node: NetworkNode;
  /** Bytes that may wait on one link. Default 16 MiB. */
  readonly maxQueue?: number;
  /** Milliseconds on a clock that never jumps. */
  readonly monotonic?: () => number;
  /** Told of failures that nobody expected. */
  readonly onError: (what: string, error: unknown) => void;
}

/** What a mesh has counted since it began. */
export interface MeshFigures {
  readonly links: number;
  /** Links that this gateway cut: too much waited, or nothing moved. */
  readonly cuts: number;
  readonly framesSent: number;
  readonly framesReceived: number;
  readonly published: number;
  /** Messages that were not sent, because too many were under way. */
  readonly unpublished: number;
  readonly received: number;
  /** Channels that wait to be joined, since there are as many as there may be. */
  readonly unjoined: number;
}

/** Milliseconds between two tries to open a link: at first, and at most. */
const FIRST_PAUSE = 100, LONGEST_PAUSE = 5_000;
/** Milliseconds for opening one, and for which it waits until gossipsub reaches the peer too. */
const OPENING = 5_000, TUNING_IN = 3_000, STEP = 20;
/** Milliseconds for which a link may not move, and a connection may be without gossip. */
const STUCK = 10_000;
/** Milliseconds between two looks. */
const LOOKS = 1_000;
/** Links that a peer may begin per second, and at once. */
const LINKS = 5;
/** Milliseconds for what was sent, at the end. */
const FAREWELL = 1_000;

/** Gateways on libp2p: channels are topics of gossipsub, links and questions streams. */
export class Libp2pMesh implements Mesh {
  readonly maxBytes = MAX_BYTES;
  readonly #links = new Map<NodeId, Link>();
  readonly #linked = new Set<NodeId>();
  readonly #opening = new Set<NodeId>();
  readonly #begun = new Map<NodeId, Allowance>();
  readonly #since = new Map<NodeId, number>();
  readonly #channels: Channels;
  readonly #asks: Asks;
  readonly #monotonic: () => number;
  #handler: MeshHandler | undefined;
  #stopListening = () => {};
  #looks: ReturnType<typeof setInterval> | undefined;
  #closed = false;
  #figures = { cuts: 0, framesSent: 0, framesReceived: 0 };

  constructor(private readonly options: Libp2pMeshOptions) {
    const { node, monotonic = () => performance.now(), onError } = options;
    this.#monotonic = monotonic;
    this.#asks = new Asks(node, this.maxBytes);
    this.#channels = new Channels({
      node,
      maxBytes: this.maxBytes,
      monotonic,
      onError,
      received: (channel, origin, bytes) => this.#tell((to) => to.received(channel, origin, bytes)),
    });
  }

  get node(): NodeId {
    return this.options.node.id;
  }

  get links(): ReadonlySet<NodeId> {
    return this.#linked;
  }

  async start(handler: MeshHandler): Promise<void> {
    const { node } = this.options;
    this.#handler = handler;
    this.#channels.start();
    await this.#asks.start((peer, question) => handler.asked(peer, question));
    await node.handle(LINK, (stream, peer) => this.#accept(stream, peer), {
      maxInboundStreams: 4,
      maxOutboundStreams: 4,
    });
    this.#looks = setInterval(() => this.#look(), LOOKS);
    this.#stopListening = node.listen({
      connected: (peer) => {
        this.#since.set(peer, this.#monotonic());
        if (this.#opens(peer)) void this.#open(peer);
      },
      disconnected: (peer) => {
        this.#since.delete(peer);
        this.#links.get(peer)?.cut();
      },
    });
  }

  join(channel: string): void {
    this.#channels.join(channel);
  }

  leave(channel: string): void {
    this.#channels.leave(channel);
  }

  publish(channel: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#channels.publish(channel, bytes);
  }

  send(peer: NodeId, bytes: Uint8Array<ArrayBuffer>): void {
    const link = this.#links.get(peer);
    if (link === undefined) return;
    if (bytes.length === 0 || bytes.length > this.maxBytes) {
      return this.options.onError("a frame was not sent", new RangeError(`${bytes.length} bytes`));
    }
    this.#figures.framesSent++;
    if (!link.send(bytes)) this.#figures.cuts++;
  }

  async ask(peer: NodeId, question: Uint8Array<ArrayBuffer>, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (!this.#links.has(peer)) throw new Error("there is no link");
    return await this.#asks.ask(peer, question, signal);
  }

  /** What it has counted. */
  figures(): MeshFigures {
    return { links: this.#links.size, ...this.#figures, ...this.#channels.figures };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    clearInterval(this.#looks);
    const { promise: over, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, FAREWELL);
    const sent = [this.#channels.sent(), ...Array.from(this.#links.values(), (link) => link.sent())];
    await Promise.race([over, Promise.all(sent)]);
    clearTimeout(timer);
    await Promise.race([over, Promise.all(Array.from(this.#links.values(), (link) => link.close()))]);
    for (const link of [...this.#links.values()]) link.cut();
    await this.options.node.unhandle([LINK]);
  }

  /** One of two opens the link, or there would be two of them: whose name comes first. */
  #opens(peer: NodeId): boolean {
    return this.node < peer;
  }

  async #open(peer: NodeId): Promise<void> {
    if (this.#opening.has(peer)) return;
    this.#opening.add(peer);
    const { node } = this.options;
    let pause = FIRST_PAUSE;
    try {
      while (!this.#closed && node.isConnected(peer) && !this.#links.has(peer)) {
        // Whoever is told of a link may count on gossip, too.
        for (let ms = 0; ms < TUNING_IN && node.isConnected(peer) && !this.#channels.reaches(peer); ms += STEP) {
          await sleep(STEP);
        }
        try {
          const stream = await node.stream(peer, LINK, AbortSignal.timeout(OPENING), 4);
          if (this.#closed || !node.isConnected(peer)) stream.abort(new Error("too late"));
          else this.#establish(stream, peer);
        } catch {
          await sleep(pause * (0.5 + Math.random() / 2));
          pause = Math.min(LONGEST_PAUSE, pause * 2);
        }
      }
    } finally {
      this.#opening.delete(peer);
    }
  }

  #accept(stream: Stream, peer: NodeId): void {
    const { node } = this.options;
    if (this.#opens(peer)) return node.punish(peer, "streams");
    // It comes again soon.
    if (this.#closed || !node.isConnected(peer)) return stream.abort(new Error("not now"));
    const allowance = this.#begun.get(peer) ?? new Allowance(LINKS, this.#monotonic);
    this.#begun.set(peer, allowance);
    if (allowance.take(1) > 0) return node.punish(peer, "streams");
    // It knows that the one before is over, and this side did not yet.
    this.#links.get(peer)?.cut();
    this.#establish(stream, peer);
  }

  #establish(stream: Stream, peer: NodeId): void {
    const { node, maxQueue = 2 ** 24 } = this.options;
    const link = new Link(stream, {
      maxBytes: this.maxBytes,
      maxQueue,
      monotonic: this.#monotonic,
      frame: (bytes) => {
        this.#figures.framesReceived++;
        this.#tell((to) => to.frame(peer, bytes));
      },
      refused: (why) => node.punish(peer, why),
      ended: () => this.#over(peer, link),
    });
    this.#links.set(peer, link);
    this.#linked.add(peer);
    this.#tell((to) => to.linked(peer));
    link.begin();
  }

  #over(peer: NodeId, link: Link): void {
    if (this.#links.get(peer) !== link) return;
    this.#links.delete(peer);
    this.#linked.delete(peer);
    this.#tell((to) => to.unlinked(peer));
    if (this.#opens(peer) && !this.#closed) void this.#open(peer);
  }

  /** Cuts what does not move, so that it is made anew. */
  #look(): void {
    const { node } = this.options;
    for (const link of [...this.#links.values()]) {
      if (link.stuck < STUCK) continue;
      this.#figures.cuts++;
      node.count("stalled");
      link.cut();
    }
    for (const [peer, since] of [...this.#since]) {
      if (this.#channels.reaches(peer)) this.#since.set(peer, this.#monotonic());
      else if (this.#monotonic() - since > STUCK) {
        node.count("stalled");
        node.cut(peer);
      }
    }
    this.#channels.tidy();
    for (const peer of [...this.#begun.keys()]) if (!node.isConnected(peer)) this.#begun.delete(peer);
  }

  #tell(tell: (to: MeshHandler) => void): void {
    try {
      if (this.#handler) tell(this.#handler);
    } catch (error) {
      this.options.onError("what came over the mesh was not minded", error);
    }
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
