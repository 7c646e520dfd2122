import type { Member } from "../../../src/contracts/pubsub.ts";
import type { Clock } from "../../clock/clock.ts";
import type { NodeId } from "../mesh/mesh.ts";
import type { LocalMember, LocalTopics, TopicKey } from "./cluster.ts";
import { Connections } from "./connections.ts";
import { byArrival, MemberLists } from "./member_lists.ts";
import { parts } from "./fields.ts";
import type { Frame, PresentMember, TopicMembers } from "./wire.ts";

/** What presence is made of. */
export interface PresenceOptions {
  readonly node: NodeId;
  readonly clock: Clock;
  readonly local: Pick<LocalTopics, "present">;
  /** Bytes of a frame, at most. */
  readonly maxBytes: number;
  /** Sends a frame over a link. */
  readonly send: (node: NodeId, frame: Frame) => void;
  readonly links: () => Iterable<NodeId>;
}

/** Milliseconds without a link, or without a word on it, after which the members of a gateway leave. */
const LEASE = 4_000;
/** Milliseconds in which changes are gathered. */
const GATHER = 5;
/** Members of one gateway, at most. */
const MAX_MEMBERS = 500_000;

/** Members by topic and id. */
type Members = Map<TopicKey, Map<string, PresentMember>>;

/** What another gateway says who is present there. */
class Remote {
  readonly members: Members = new Map();
  count = 0;
  /** Whether they count: not once its lease is over. */
  visible = true;
  /** Those that it has not named since it began to tell anew. */
  stale: Map<TopicKey, Set<string>> | undefined;
  /** Takes back the end of its lease, while there is no link. */
  stop: (() => void) | undefined;
}

/** Who is present, on this gateway and on all that can be seen. */
export class Presence {
  /** Members that were not taken. */
  refused = 0;
  readonly #options: PresenceOptions;
  readonly #lists = new MemberLists();
  readonly #own = new Map<TopicKey, Map<string, Connections>>();
  readonly #remotes = new Map<NodeId, Remote>();
  /** Topics that each link is still to be told as they are then. */
  readonly #untold = new Map<NodeId, Set<TopicKey> | "all">();
  readonly #dirty = new Map<TopicKey, Set<string>>();

  constructor(options: PresenceOptions) {
    this.#options = options;
  }

  enter(key: TopicKey, member: LocalMember): void {
    this.#changing(key, member.id, () => {
      let topic = this.#own.get(key);
      if (topic === undefined) this.#own.set(key, topic = new Map());
      let connections = topic.get(member.id);
      if (connections === undefined) topic.set(member.id, connections = new Connections());
      connections.add(member);
    });
    this.#tell(key, member.id);
  }

  exit(key: TopicKey, member: LocalMember): void {
    const topic = this.#own.get(key);
    const connections = topic?.get(member.id);
    if (!connections?.has(member)) return;
    this.#changing(key, member.id, () => {
      connections.delete(member);
      if (connections.size === 0) topic!.delete(member.id);
      if (topic!.size === 0) this.#own.delete(key);
    });
    this.#tell(key, member.id);
  }

  /** Those who came first in front. */
  members(key: TopicKey): readonly Member[] {
    return this.#lists.of(key, () => this.#everybody(key));
  }

  #everybody(key: TopicKey): Member[] {
    const ids = new Set(this.#own.get(key)?.keys());
    for (const { visible, members } of this.#remotes.values()) {
      if (visible) { for (const id of members.get(key)?.keys() ?? []) ids.add(id); }
    }
    return [...ids].map((id) => this.#union(key, id)!).sort(byArrival);
  }

  /** Who is present here, in parts, for a gateway that is to hear all of it. */
  everything(node: NodeId): Generator<Frame[]> {
    this.#untold.set(node, "all");
    return this.#everything(node);
  }

  linked(node: NodeId): void {
    const remote = this.#remotes.get(node);
    remote?.stop?.();
    if (remote === undefined) this.#remotes.set(node, new Remote());
  }

  unlinked(node: NodeId): void {
    this.#untold.delete(node);
    const remote = this.#remotes.get(node);
    if (remote === undefined) return;
    remote.stop?.();
    remote.stop = this.#options.clock.after(LEASE, () => {
      this.#show(remote, false);
      this.#remotes.delete(node);
    });
  }

  /** A gateway said something, just now. */
  alive(node: NodeId): void {
    const remote = this.#remotes.get(node);
    if (remote !== undefined && !remote.visible) this.#show(remote, true);
  }

  /** A gateway to which there is a link has said nothing since a moment of the monotonic clock. */
  silent(node: NodeId, since: number): void {
    const remote = this.#remotes.get(node);
    if (remote?.visible && this.#options.clock.monotonic() - since >= LEASE) this.#show(remote, false);
  }

  /** Takes what a gateway says of its members. */
  take(node: NodeId, { first, last, topics }: Extract<Frame, { type: "members" }>): void {
    const remote = this.#remotes.get(node);
    if (remote === undefined) return;
    if (first) remote.stale = new Map(Array.from(remote.members, ([key, ids]) => [key, new Set(ids.keys())]));
    for (const [key, members] of topics) {
      for (const member of members) {
        remote.stale?.get(key)?.delete(member.id);
        this.#put(remote, key, member);
      }
    }
    if (!last) return;
    const { stale } = remote;
    remote.stale = undefined;
    for (const [key, ids] of stale ?? []) {
      for (const id of ids) this.#put(remote, key, { id, meta: undefined, joinedAt: 0, connections: 0 });
    }
  }

  *#everything(node: NodeId): Generator<Frame[]> {
    const untold = new Set(this.#own.keys());
    this.#untold.set(node, untold);
    yield this.#frames([], true, false);
    const weigh = (key: TopicKey) => (this.#own.get(key)?.size ?? 0) * 200;
    for (const keys of parts([...untold], weigh, this.#options.maxBytes / 2)) {
      for (const key of keys) untold.delete(key);
      yield this.#frames(keys.map((key): TopicMembers => [key, this.#ownMembers(key)]), false, false);
    }
    this.#untold.delete(node);
    yield this.#frames([], false, true);
  }

  #put(remote: Remote, key: TopicKey, member: PresentMember): void {
    const topic = remote.members.get(key);
    const before = topic?.get(member.id);
    if (before === undefined && (member.connections === 0 || remote.count >= MAX_MEMBERS)) {
      if (member.connections > 0) this.refused++;
      return;
    }
    this.#changing(key, member.id, () => {
      if (member.connections === 0) {
        remote.count--;
        topic!.delete(member.id);
        if (topic!.size === 0) remote.members.delete(key);
        return;
      }
      if (before === undefined) remote.count++;
      if (topic === undefined) remote.members.set(key, new Map([[member.id, member]]));
      else topic.set(member.id, member);
    });
  }

  #show(remote: Remote, visible: boolean): void {
    const all = Array.from(remote.members, ([key, ids]) => [...ids.keys()].map((id) => [key, id] as const)).flat();
    const before = all.map(([key, id]) => this.#union(key, id));
    remote.visible = visible;
    for (const [i, [key, id]] of all.entries()) this.#changed(key, id, before[i]);
  }

  #changing(key: TopicKey, id: string, change: () => void): void {
    const before = this.#union(key, id);
    change();
    this.#changed(key, id, before);
  }

  #changed(key: TopicKey, id: string, before: Member | undefined): void {
    const after = this.#union(key, id);
    const same = before?.connections === after?.connections && before?.joinedAt === after?.joinedAt &&
      JSON.stringify(before?.meta) === JSON.stringify(after?.meta);
    if (same) return;
    this.#lists.forget(key);
    this.#options.local.present(key, id, before, after);
  }

  /** A member with all connections that can be seen; of the first of them, what it said. */
  #union(key: TopicKey, id: string): Member | undefined {
    let first = this.#ownMember(key, id);
    let of = this.#options.node;
    let connections = first?.connections ?? 0;
    for (const [node, { visible, members }] of this.#remotes) {
      const member = visible ? members.get(key)?.get(id) : undefined;
      if (member === undefined) continue;
      connections += member.connections;
      if (
        first === undefined || member.joinedAt < first.joinedAt || (member.joinedAt === first.joinedAt && node < of)
      ) {
        [first, of] = [member, node];
      }
    }
    return first && { id, meta: first.meta, joinedAt: first.joinedAt, connections };
  }

  #ownMember(key: TopicKey, id: string): PresentMember | undefined {
    const connections = this.#own.get(key)?.get(id);
    const first = connections?.first;
    return first && { id, meta: first.meta, joinedAt: first.joinedAt, connections: connections!.size };
  }

  #ownMembers(key: TopicKey): PresentMember[] {
    return Array.from(this.#own.get(key)?.keys() ?? [], (id) => this.#ownMember(key, id)!);
  }

  /** Tells the others how it is with a member here, with whatever else changes in this moment. */
  #tell(key: TopicKey, id: string): void {
    if (this.#dirty.size === 0) this.#options.clock.after(GATHER, () => this.#flush());
    const ids = this.#dirty.get(key);
    if (ids === undefined) this.#dirty.set(key, new Set([id]));
    else ids.add(id);
  }

  #flush(): void {
    const changes = Array.from(this.#dirty, ([key, ids]): TopicMembers => [
      key,
      Array.from(ids, (id) => this.#ownMember(key, id) ?? { id, meta: undefined, joinedAt: 0, connections: 0 }),
    ]);
    this.#dirty.clear();
    for (const node of this.#options.links()) {
      const untold = this.#untold.get(node);
      const told = untold === "all" ? [] : changes.filter(([key]) => !untold?.has(key));
      if (told.length > 0) { for (const frame of this.#frames(told, false, false)) this.#options.send(node, frame); }
    }
  }

  #frames(topics: readonly TopicMembers[], first: boolean, last: boolean): Frame[] {
    const each = topics.flatMap(([key, members]) => members.map((member) => [key, member] as const));
    const weigh = ([key, { id, meta }]: readonly [TopicKey, PresentMember]) =>
      3 * (key.length + id.length) + (meta === undefined ? 0 : 3 * JSON.stringify(meta).length) + 32;
    const all = [...parts(each, weigh, this.#options.maxBytes / 2)];
    if (all.length === 0) all.push([]);
    return all.map((part, i): Frame => ({
      type: "members",
      first: first && i === 0,
      last: last && i === all.length - 1,
      topics: [...Map.groupBy(part, ([key]) => key)].map(([key, found]) => [key, found.map(([, member]) => member)]),
    }));
  }
}
