import type { Clock } from "../../clock/clock.ts";
import type { Mesh, NodeId } from "../mesh/mesh.ts";
import type { TopicKey } from "./cluster.ts";
import type { Membership } from "./membership.ts";
import type { PeerRates } from "./rates.ts";
import { decodeFrame, encodeFrame, type Frame, WIRE_VERSION } from "./wire.ts";

/** What is known of a gateway to which there is a link. */
export class Peer {
  /** Of the frames that it speaks. */
  version: number | undefined;
  /** Under which it says that it lives. */
  epoch: number | undefined;
  /** Topics of which it wants to hear. */
  readonly interest = new Set<TopicKey>();
  /** Those of them for which its place in the channel may not be known to all yet, and until when. */
  readonly young = new Map<TopicKey, number>();
  /** Gateways that it hears over links. */
  sees: ReadonlySet<NodeId> = new Set();
  /** By the monotonic clock. */
  heardAt: number;
  /** Whether it told of an epoch that is not known here yet: it has to be asked again. */
  toldTooEarly = false;
  /** Whether something of it was dropped: it has to begin again. */
  spoiled = false;
  /** What is sent when what was sent before was taken. */
  parts: Iterator<readonly Frame[]> | undefined;
  awaiting = false;
  syncedAt = -Infinity;

  constructor(readonly node: NodeId, now: number) {
    this.heardAt = now;
  }
}

/** What the links of a gateway are made of. */
export interface PeersOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly membership: Membership;
  readonly rates: PeerRates;
  /** A link is there, or the other side wants to hear everything again. @returns what to tell, in parts made when it is their turn */
  readonly everything: (peer: Peer) => Iterator<readonly Frame[]>;
  /** Takes a frame that concerns more than the link. */
  readonly handle: (peer: Peer, frame: Frame) => void;
  readonly linked: (peer: Peer) => void;
  readonly unlinked: (peer: Peer) => void;
  /** A life is spoken of. @returns whether the control plane has not told of it yet; it is asked then */
  readonly isNews: (epoch: number) => boolean;
}

/** Milliseconds before everything is told again. */
const SYNC_PAUSE = 3_000;
/** Milliseconds without a word after which a link is none for those who ask whether a gateway lives. */
const SILENT = 15_000;

/** The gateways to which there is a link. */
export class Peers {
  /** Frames that were not taken. */
  refused = 0;
  readonly #options: PeersOptions;
  readonly #peers = new Map<NodeId, Peer>();

  constructor(options: PeersOptions) {
    this.#options = options;
  }

  get all(): readonly Peer[] {
    return [...this.#peers.values()];
  }

  /** Whether there is no other gateway, as far as anyone knows. */
  get isAlone(): boolean {
    return this.#peers.size === 0 && this.#options.membership.open.size < 2;
  }

  get nodes(): readonly NodeId[] {
    return [...this.#peers.keys()];
  }

  /** Whether a gateway is there under a life that the control plane confirms. */
  lives({ epoch, node }: Peer): boolean {
    return epoch !== undefined && this.#options.membership.open.get(epoch)?.node === node;
  }

  /** The gateway that is asked for its own epoch. */
  ownerOf(epoch: number): Peer | undefined {
    for (const peer of this.#peers.values()) if (peer.epoch === epoch && this.lives(peer)) return peer;
    return undefined;
  }

  /** Whether a gateway is heard over a link, here or by anybody who is. */
  sees(node: NodeId): boolean {
    return this.#heard().some((peer) => peer.node === node || peer.sees.has(node));
  }

  send({ node }: Pick<Peer, "node">, frame: Frame): void {
    this.#options.mesh.send(node, encodeFrame(frame));
  }

  linked(node: NodeId): void {
    const peer = new Peer(node, this.#options.clock.monotonic());
    this.#peers.set(node, peer);
    this.hello(peer);
    this.#options.linked(peer);
    this.sync(peer);
  }

  unlinked(node: NodeId): void {
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    this.#peers.delete(node);
    this.#options.unlinked(peer);
  }

  /** Says under which life this gateway is here. */
  hello(peer: Peer): void {
    this.send(peer, { type: "hello", version: WIRE_VERSION, epoch: this.#options.membership.epoch });
  }

  /** Tells everything, from the beginning. */
  sync(peer: Peer): void {
    peer.syncedAt = this.#options.clock.monotonic();
    peer.parts = this.#options.everything(peer);
    if (!peer.awaiting) this.#next(peer);
  }

  frame(node: NodeId, bytes: Uint8Array): void {
    const peer = this.#peers.get(node);
    if (peer === undefined) return;
    const { mesh, clock, rates } = this.#options;
    const frame = rates.take(node, bytes.byteLength) ? decodeFrame(bytes, mesh.maxBytes) : undefined;
    if (frame === undefined) {
      this.refused++;
      // Another version's will not be understood the second time either.
      peer.spoiled = peer.version === WIRE_VERSION;
      return;
    }
    peer.heardAt = clock.monotonic();
    switch (frame.type) {
      case "hello":
        peer.version = frame.version;
        this.#heardOf(peer, frame.epoch);
        return this.#options.handle(peer, frame);
      case "beat":
        peer.sees = new Set(frame.sees);
        if (frame.epoch !== peer.epoch) this.#heardOf(peer, frame.epoch);
        return this.#options.handle(peer, frame);
      case "mark":
        return this.send(peer, { type: "taken" });
      case "taken":
        peer.awaiting = false;
        return this.#next(peer);
      case "again":
        // Whoever asks for it all the time gets it now and then.
        if (clock.monotonic() - peer.syncedAt >= SYNC_PAUSE) this.sync(peer);
        return;
      default:
        return this.#options.handle(peer, frame);
    }
  }

  /** Once a second. */
  beat(): void {
    const { membership: { epoch }, clock } = this.#options;
    const sees = this.#heard().map(({ node }) => node);
    const now = clock.monotonic();
    for (const peer of this.#peers.values()) {
      this.send(peer, { type: "beat", epoch, sees });
      for (const [key, until] of peer.young) if (until <= now) peer.young.delete(key);
      if (peer.spoiled) {
        peer.spoiled = false;
        this.send(peer, { type: "again" });
      }
      // A frame may have been lost to a bound of the other side, and with it the answer that is waited for.
      if (peer.awaiting && now - peer.syncedAt >= 10 * SYNC_PAUSE) {
        peer.awaiting = false;
        this.sync(peer);
      }
    }
  }

  /** Those whose links are more than something that nobody has cut. */
  #heard(): Peer[] {
    const since = this.#options.clock.monotonic() - SILENT;
    return this.all.filter(({ heardAt }) => heardAt > since);
  }

  #heardOf(peer: Peer, epoch: number | undefined): void {
    peer.epoch = epoch;
    if (epoch !== undefined && this.#options.isNews(epoch)) peer.toldTooEarly = true;
  }

  #next(peer: Peer): void {
    const part = peer.parts?.next();
    if (part === undefined || part.done) return void (peer.parts = undefined);
    for (const frame of part.value) this.send(peer, frame);
    this.send(peer, { type: "mark" });
    peer.awaiting = true;
  }
}
