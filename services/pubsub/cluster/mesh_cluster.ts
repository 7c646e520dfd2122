import type { Member } from "../../../src/contracts/pubsub.ts";
import type { Clock } from "../../clock/clock.ts";
import type { Meeting, Mesh, MeshHandler, NodeId } from "../mesh/mesh.ts";
import { Asking } from "./asking.ts";
import { ChannelNames } from "./channels.ts";
import type { Cluster, LocalMember, LocalTopics, Missed, Range, TopicKey, View } from "./cluster.ts";
import { Curiosity } from "./curiosity.ts";
import { Endings } from "./endings.ts";
import type { EpochRegistry } from "./epochs.ts";
import type { ClusterFigures, ClusterGap } from "./figures.ts";
import { Inbound } from "./inbound.ts";
import { Incoming } from "./incoming.ts";
import { Interest } from "./interest.ts";
import { type LivesChange, Membership } from "./membership.ts";
import { type Peer, Peers } from "./peers.ts";
import { Presence } from "./presence.ts";
import { PEER_RATE, type PeerRate, PeerRates } from "./rates.ts";
import { Recovery } from "./recovery.ts";
import { Timers } from "./timers.ts";
import type { Frame } from "./wire.ts";

/** What a gateway among others is made of. */
export interface MeshClusterOptions {
  readonly mesh: Mesh;
  /** How the gateways of the registry find each other on the network. Without it somebody else sees to that. */
  readonly meeting?: Meeting | undefined;
  readonly registry: EpochRegistry;
  readonly local: LocalTopics;
  readonly clock: Clock;
  /** From 0 to 1, without 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Names the channels: 32 bytes, the same on every gateway of the cluster. */
  readonly secret: Uint8Array;
  /** What one other gateway may send. Default {@link PEER_RATE}. */
  readonly rate?: PeerRate | undefined;
}

const SECOND = 1_000;
/** Milliseconds after the start in which links to gateways that are there already are waited for. */
const SETTLE = 1_000;

/** One gateway among others, as `DESIGN.md` says it. */
export class MeshCluster implements Cluster {
  readonly #options: MeshClusterOptions;
  readonly #membership: Membership;
  readonly #peers: Peers;
  readonly #inbound: Inbound;
  readonly #interest: Interest;
  readonly #asking: Asking;
  readonly #endings: Endings;
  readonly #recovery: Recovery;
  readonly #presence: Presence;
  readonly #incoming: Incoming;
  readonly #gaps: Record<ClusterGap, number> = { gateway_lost: 0, expired: 0 };
  #view: Cluster["view"] = { open: new Set(), known: 0 };
  #begun = false;
  #closed = false;
  readonly #clock: Timers;

  constructor(options: MeshClusterOptions) {
    this.#options = options;
    const { mesh, meeting, registry, local, random = Math.random, secret, rate = PEER_RATE } = options;
    const clock = this.#clock = new Timers(options.clock);
    const { node, maxBytes } = mesh;
    const isTold = (epoch: number) => this.#view.open.has(epoch) || this.#membership.isOwn(epoch);
    const membership = this.#membership = new Membership({
      registry,
      node,
      clock,
      random,
      addresses: () => meeting?.addresses ?? [],
      seen: (node) => this.#peers.sees(node),
      changed: (change) => this.#changed(change),
    });
    const curiosity = new Curiosity(membership, clock);
    const isNews = (epoch: number) => curiosity.isNews(epoch);
    const rates = new PeerRates(rate, () => clock.monotonic());
    const peers = this.#peers = new Peers({
      mesh,
      clock,
      membership,
      rates,
      isNews,
      everything: (peer) => this.#everything(peer),
      handle: (peer, frame) => this.#handle(peer, frame),
      linked: ({ node }) => this.#presence.linked(node),
      unlinked: ({ node }) => this.#unlinked(node),
    });
    const farewell = (epoch: number, keys: readonly TopicKey[]) => this.#endings.heard(epoch, keys);
    const asking = this.#asking = new Asking({ mesh, clock, local, membership, isTold, farewell });
    const gap = (key: TopicKey, reason: ClusterGap) => this.#gap(key, reason);
    const inbound = this.#inbound = new Inbound({
      local,
      clock,
      isOpen: (epoch) => this.#view.open.has(epoch) && !membership.isOwn(epoch),
      sources: (epoch) => this.#sources(epoch),
      range: (node, key, epoch, after) => asking.range(node, key, epoch, after),
      accepted: (key) => this.#interest.changed(key),
      gap,
    });
    const names = new ChannelNames(secret);
    const interest = this.#interest = new Interest({ mesh, clock, names, local, inbound, peers, isTold, isNews });
    const over = () => this.#look();
    const shared = { clock, local, membership, inbound, peers, asking };
    const endings = this.#endings = new Endings({ ...shared, maxBytes, gap, over });
    this.#recovery = new Recovery({ ...shared, endings });
    this.#incoming = new Incoming({ node, maxBytes, rates, membership, curiosity, interest, inbound, asking });
    this.#presence = new Presence({
      node,
      clock,
      local,
      maxBytes,
      send: (node, frame) => peers.send({ node }, frame),
      links: () => peers.nodes,
    });
  }

  get epoch(): number | undefined {
    return this.#membership.epoch;
  }

  get view(): Cluster["view"] {
    return this.#view;
  }

  get counts(): Cluster["counts"] {
    const { duplicates, refused } = this.figures();
    return { duplicates, refused };
  }

  /** Begins: the mesh, a life in the control plane as soon as that lets it, and the clock's rounds. */
  async start(): Promise<void> {
    const { mesh } = this.#options;
    const handler: MeshHandler = {
      received: (channel, origin, bytes) => this.#closed ? undefined : this.#incoming.received(channel, origin, bytes),
      linked: (node) => this.#closed ? undefined : this.#peers.linked(node),
      unlinked: (node) => this.#peers.unlinked(node),
      frame: (node, bytes) => this.#closed ? undefined : this.#peers.frame(node, bytes),
      asked: (node, question) => new Promise((resolve) => resolve(this.#incoming.asked(node, question))),
    };
    await mesh.start(handler);
    this.#membership.start();
    this.#every();
    this.#clock.after(SETTLE, () => this.#interest.settle());
  }

  join(key: TopicKey): Promise<void> {
    return this.#interest.join(key);
  }

  leave(key: TopicKey): void {
    this.#interest.leave(key);
  }

  watched(key: TopicKey): boolean {
    return this.#peers.all.some(({ interest }) => interest.has(key));
  }

  publish(key: TopicKey, range: Range): void {
    this.#membership.published();
    this.#interest.publish(key, range);
  }

  missed(
    key: TopicKey,
    since: View,
    limits: { bytes: number; messages: number },
    signal: AbortSignal,
  ): Promise<Missed> {
    return this.#recovery.missed(key, since, limits, signal);
  }

  kept(key: TopicKey, signal: AbortSignal): Promise<readonly Range[]> {
    return this.#recovery.kept(key, signal);
  }

  enter(key: TopicKey, member: LocalMember): void {
    this.#presence.enter(key, member);
  }

  exit(key: TopicKey, member: LocalMember): void {
    this.#presence.exit(key, member);
  }

  members(key: TopicKey): readonly Member[] {
    return this.#presence.members(key);
  }

  figures(): ClusterFigures {
    return {
      duplicates: this.#inbound.duplicates,
      refused: this.#incoming.refused + this.#peers.refused + this.#presence.refused + this.#endings.refused,
      gaps: { ...this.#gaps },
      peers: this.#peers.all.length,
      epochs: this.#membership.open.size,
    };
  }

  /**
   * Says farewell, ends this gateway's epoch and leaves the network; within about five seconds, whoever does not answer. To be called
   * while the topics still have what was published, and when nothing is published any more: else the epoch is lost to the others.
   */
  async close(): Promise<void> {
    const { epoch, publishes } = this.#membership;
    if (epoch !== undefined) await this.#endings.say(epoch);
    this.#closed = true;
    await this.#membership.close(publishes);
    await this.#options.mesh.close();
    // Whoever waits for another gateway is told that there is none.
    this.#interest.close();
    this.#inbound.close();
    this.#clock.stop();
  }

  /** What is told every second, and what is tried again. */
  #every(): void {
    const { random = Math.random } = this.#options;
    this.#clock.after(SECOND * (0.95 + random() * 0.1), () => {
      if (this.#closed) return;
      this.#peers.beat();
      this.#interest.digest();
      this.#inbound.retry();
      for (const { node, heardAt } of this.#peers.all) this.#presence.silent(node, heardAt);
      this.#every();
    });
  }

  #settleIfLinked(): void {
    const { open, epoch } = this.#membership;
    if (epoch === undefined) return;
    for (const other of open.keys()) {
      if (!this.#membership.isOwn(other) && this.#peers.ownerOf(other) === undefined) return;
    }
    this.#interest.settle();
  }

  #everything(peer: Peer): Iterator<readonly Frame[]> {
    const interest = this.#interest.everything(), presence = this.#presence.everything(peer.node);
    return (function* () {
      yield* interest;
      yield* presence;
    })();
  }

  #unlinked(node: NodeId): void {
    this.#interest.unlinked(node);
    this.#endings.unlinked(node);
    this.#asking.forget(node);
    this.#presence.unlinked(node);
  }

  #handle(peer: Peer, frame: Frame): void {
    this.#presence.alive(peer.node);
    if (this.#interest.handle(peer, frame) || this.#endings.handle(peer, frame)) return;
    if (frame.type === "members") this.#presence.take(peer.node, frame);
    else if (frame.type === "entries") this.#incoming.entries(peer.node, frame);
    else this.#settleIfLinked();
  }

  #sources(epoch: number): { readonly owner: NodeId | undefined; readonly others: readonly NodeId[] } {
    const owner = this.#peers.ownerOf(epoch)?.node;
    return { owner, others: this.#peers.nodes.filter((node) => node !== owner) };
  }

  #gap(key: TopicKey, reason: ClusterGap): void {
    this.#gaps[reason]++;
    this.#options.local.gap(key, reason);
  }

  #changed({ opened, ended, begun }: LivesChange): void {
    const { meeting } = this.#options;
    let lost = opened.some(({ former }) => former !== undefined);
    for (const { number, state, former } of ended) {
      if (state === "lost" || former !== undefined) lost = true;
      if (state === "lost") this.#inbound.ended(number);
      else this.#endings.conclude(number);
    }
    this.#look();
    for (const { number } of opened) this.#inbound.opened(number);
    // Once for all of them: it may have been delivered there, and nowhere else.
    if (lost) { for (const key of this.#inbound.keys()) this.#gap(key, "gateway_lost"); }
    // Until now nobody here knew which gateways there are: one of them may have come to its end meanwhile.
    if (begun !== undefined && !this.#begun) { for (const key of this.#inbound.answered()) this.#gap(key, "expired"); }
    this.#begun ||= begun !== undefined;
    for (const peer of this.#peers.all) {
      if (begun !== undefined) this.#peers.hello(peer);
      if (!peer.toldTooEarly) continue;
      peer.toldTooEarly = false;
      this.#peers.sync(peer);
    }
    meeting?.know(new Map(Array.from(this.#membership.open.values(), ({ node, addresses }) => [node, addresses])));
    this.#settleIfLinked();
  }

  /** Makes the view anew. */
  #look(): void {
    const { open, known } = this.#membership;
    this.#view = { open: new Set([...open.keys(), ...this.#endings.concluding]), known };
  }
}
