import type { Clock } from "../../clock/clock.ts";
import type { Mesh, NodeId } from "../mesh/mesh.ts";
import type { ChannelNames } from "./channels.ts";
import type { LocalTopics, Range, TopicKey } from "./cluster.ts";
import { parts, weight } from "./fields.ts";
import type { Inbound } from "./inbound.ts";
import type { Peer, Peers } from "./peers.ts";
import { encodeMessage, type Frame, type TopicHeads } from "./wire.ts";

/** What is joined here, and by others, is made of. */
export interface InterestOptions {
  readonly mesh: Mesh;
  readonly clock: Clock;
  readonly names: ChannelNames;
  readonly local: LocalTopics;
  readonly inbound: Inbound;
  readonly peers: Peers;
  /** Whether positions may name an epoch, or it is this gateway's. */
  readonly isTold: (epoch: number) => boolean;
  /** An epoch is spoken of. @returns whether the control plane has not told of it yet; it is asked then */
  readonly isNews: (epoch: number) => boolean;
}

/** Milliseconds for which a subscription waits for others, and for which one who joined is sent everything over its link too. */
const WAIT = 1_000, YOUNG = 3_000;
/** Topics of which one gateway may want to hear. */
const MAX_INTEREST = 500_000;
/** Bytes of a message or frame of which all else than entries may take. */
const MARGIN = 1_024;

interface Join {
  readonly id: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly pending: Set<NodeId>;
  stop: () => void;
  done: boolean;
}

/** Which topics are wanted by whom. */
export class Interest {
  readonly #options: InterestOptions;
  readonly #joins = new Map<TopicKey, Join>();
  readonly #waiting = new Map<number, readonly [TopicKey, Join]>();
  readonly #unsettled = new Map<TopicKey, Join>();
  readonly #byChannel = new Map<string, TopicKey>();
  readonly #changed = new Set<TopicKey>();
  #ids = 0;
  #settled = false;

  constructor(options: InterestOptions) {
    this.#options = options;
  }

  /** Which topic a channel that was joined is of. */
  topicOf(channel: string): TopicKey | undefined {
    return this.#byChannel.get(channel);
  }

  join(key: TopicKey): Promise<void> {
    const before = this.#joins.get(key);
    if (before !== undefined) return before.promise;
    const { mesh, names, inbound } = this.#options;
    const channel = names.of(key);
    this.#byChannel.set(channel, key);
    mesh.join(channel);
    inbound.follow(key);
    const { promise, resolve } = Promise.withResolvers<void>();
    const join: Join = { id: ++this.#ids, promise, resolve, pending: new Set(), stop: () => {}, done: false };
    this.#joins.set(key, join);
    if (this.#settled) this.#ask(key, join);
    else this.#unsettled.set(key, join);
    return promise;
  }

  leave(key: TopicKey): void {
    const join = this.#joins.get(key);
    if (join === undefined) return;
    const { mesh, names, inbound, peers } = this.#options;
    this.#joins.delete(key);
    this.#finish(key, join);
    inbound.leave(key);
    const channel = names.of(key);
    this.#byChannel.delete(channel);
    mesh.leave(channel);
    for (const peer of peers.all) peers.send(peer, { type: "leave", keys: [key] });
  }

  /** Gateways that were there at the start are linked, or none came for long enough: who waits to ask may do so. */
  settle(): void {
    this.#settled = true;
    const waiting = [...this.#unsettled];
    this.#unsettled.clear();
    for (const [key, join] of waiting) if (!join.done) this.#ask(key, join);
  }

  /** Nobody is waited for any more. */
  close(): void {
    this.settle();
    for (const [key, join] of this.#joins) this.#finish(key, join);
  }

  /** Sends what was published here. */
  publish(key: TopicKey, range: Range): void {
    const { mesh, names, peers, clock } = this.#options;
    this.#changed.add(key);
    // Who comes later is told the head over its link, and asks for the rest.
    if (peers.isAlone) return;
    const channel = names.of(key);
    let from = range.from;
    for (const entries of parts(range.entries, weight, mesh.maxBytes - MARGIN)) {
      const part = { epoch: range.epoch, from, entries };
      from += entries.length;
      const bytes = encodeMessage(part);
      // It is in the log, and too long for the network: whoever follows is told that it cannot be had.
      if (bytes.byteLength > mesh.maxBytes) continue;
      mesh.publish(channel, bytes);
      const now = clock.monotonic();
      for (const peer of peers.all) {
        if ((peer.young.get(key) ?? 0) > now) peers.send(peer, { type: "entries", key, range: part });
      }
    }
  }

  /** A topic has more than it had. */
  changed(key: TopicKey): void {
    this.#changed.add(key);
  }

  /** Once a second: whoever wants to hear of what changed does. */
  digest(): void {
    if (this.#changed.size === 0) return;
    const { peers } = this.#options;
    for (const peer of peers.all) {
      const keys = [...this.#changed].filter((key) => peer.interest.has(key));
      for (const frame of this.#heads(0, keys)) peers.send(peer, frame);
    }
    this.#changed.clear();
  }

  /** What is joined, for a gateway to which there is a new link. */
  *everything(): Generator<Frame[]> {
    const { mesh } = this.#options;
    for (const keys of parts([...this.#joins.keys()], ({ length }) => 3 * length + 8, mesh.maxBytes / 2)) {
      yield [{ type: "join", id: 0, keys: keys.filter((key) => this.#joins.has(key)) }];
    }
  }

  /** A gateway cannot be waited for any more. */
  unlinked(node: NodeId): void {
    for (const [key, join] of this.#waiting.values()) this.#answered(key, join, node);
  }

  /** Takes frames about interest. @returns whether it was one */
  handle(peer: Peer, frame: Frame): boolean {
    const { peers, clock, inbound } = this.#options;
    switch (frame.type) {
      case "join": {
        const until = clock.monotonic() + YOUNG;
        for (const key of frame.keys) {
          // Beyond, it hears nothing at all times, and asks when the next message shows that it missed one.
          if (peer.interest.size >= MAX_INTEREST && !peer.interest.has(key)) continue;
          peer.interest.add(key);
          peer.young.set(key, until);
        }
        for (const answer of this.#heads(frame.id, frame.keys)) peers.send(peer, answer);
        return true;
      }
      case "leave":
        for (const key of frame.keys) {
          peer.interest.delete(key);
          peer.young.delete(key);
        }
        return true;
      case "heads": {
        for (const [key, heads] of frame.topics) {
          inbound.heard(key, new Map(heads));
          for (const [epoch] of heads) if (this.#options.isNews(epoch)) peer.toldTooEarly = true;
        }
        const waiting = this.#waiting.get(frame.id);
        if (waiting !== undefined) this.#answered(...waiting, peer.node);
        return true;
      }
      default:
        return false;
    }
  }

  #ask(key: TopicKey, join: Join): void {
    const { peers, clock } = this.#options;
    for (const peer of peers.all) {
      join.pending.add(peer.node);
      peers.send(peer, { type: "join", id: join.id, keys: [key] });
    }
    if (join.pending.size === 0) return this.#finish(key, join);
    this.#waiting.set(join.id, [key, join]);
    join.stop = clock.after(WAIT, () => this.#finish(key, join));
  }

  #answered(key: TopicKey, join: Join, node: NodeId): void {
    if (join.pending.delete(node) && join.pending.size === 0) this.#finish(key, join);
  }

  #finish(key: TopicKey, join: Join): void {
    if (join.done) return;
    join.done = true;
    join.stop();
    this.#waiting.delete(join.id);
    this.#unsettled.delete(key);
    if (this.#joins.get(key) === join) this.#options.inbound.joined(key);
    join.resolve();
  }

  /** Heads of topics; one frame at least where somebody waits for it. */
  *#heads(id: number, keys: Iterable<TopicKey>): Generator<Frame> {
    const { local, isTold, mesh } = this.#options;
    const topics: TopicHeads[] = [];
    for (const key of keys) {
      const heads = [...local.heads(key)].filter(([epoch, head]) => head > 0 && isTold(epoch));
      if (heads.length > 0) topics.push([key, heads]);
    }
    const weigh = ([key, heads]: TopicHeads) => 3 * key.length + 16 * heads.length + 8;
    const frames = [...parts(topics, weigh, mesh.maxBytes / 2)];
    for (const [i, part] of frames.entries()) {
      // Who waits waits for the last.
      yield { type: "heads", id: i === frames.length - 1 ? id : 0, topics: part };
    }
    if (frames.length === 0 && id !== 0) yield { type: "heads", id, topics: [] };
  }
}
