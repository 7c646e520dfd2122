import type { Member } from "../../../src/contracts/pubsub.ts";
import { Connections } from "./connections.ts";
import { byArrival, MemberLists } from "./member_lists.ts";
import type { Cluster, LocalMember, LocalTopics, Missed, Range, TopicKey, View } from "./cluster.ts";

/** What a gateway without others is told. */
export interface AloneOptions {
  /** Its own topics. */
  readonly topics: LocalTopics;
  /** The epoch of this process, once it has one: without one there are no positions. */
  readonly epoch: () => number | undefined;
}

/** A cluster of one gateway. Nobody is asked, and nobody is told. */
export class Alone implements Cluster {
  readonly counts = { duplicates: 0, refused: 0 };
  readonly #topics: LocalTopics;
  readonly #epoch: () => number | undefined;
  readonly #lists = new MemberLists();
  readonly #members = new Map<TopicKey, Map<string, Connections>>();
  #view: Cluster["view"] & { readonly epoch: number | undefined } = { open: new Set(), known: 0, epoch: undefined };

  constructor({ topics, epoch }: AloneOptions) {
    this.#topics = topics;
    this.#epoch = epoch;
  }

  get epoch(): number | undefined {
    return this.#epoch();
  }

  get view(): Cluster["view"] {
    const { epoch } = this;
    if (this.#view.epoch !== epoch) {
      this.#view = { open: new Set(epoch === undefined ? [] : [epoch]), known: epoch ?? 0, epoch };
    }
    return this.#view;
  }

  join(): Promise<void> {
    return Promise.resolve();
  }

  leave(): void {}

  watched(): boolean {
    return false;
  }

  publish(): void {}

  missed(
    key: TopicKey,
    { heads, known }: View,
    limits: { readonly bytes: number; readonly messages: number },
  ): Promise<Missed> {
    const answer = (reason: Extract<Missed, { readonly complete: false }>["reason"]): Promise<Missed> =>
      Promise.resolve({ complete: false, reason });
    const { epoch } = this;
    if (epoch === undefined) return answer("unreachable");
    // What another life had went with its memory, and nobody can say how much that was.
    const hadOthers = known > epoch || known < epoch - 1 || [...heads.keys()].some((other) => other !== epoch);
    if (hadOthers || known === epoch && !heads.has(epoch)) return answer("gateway_lost");
    const after = heads.get(epoch) ?? 0;
    const head = this.#topics.heads(key).get(epoch) ?? 0;
    const range = this.#topics.range(key, epoch, after, Infinity);
    if (range === undefined) return answer("expired");
    const bytes = range.entries.reduce((sum, { data }) => sum + data.byteLength, 0);
    if (range.entries.length > limits.messages || bytes > limits.bytes) return answer("too_much");
    const ranges = range.entries.length === 0 ? [] : [range];
    return Promise.resolve({ complete: true, ranges, view: { heads: new Map([[epoch, head]]), known: epoch } });
  }

  kept(key: TopicKey): Promise<readonly Range[]> {
    const ranges = [...this.#topics.heads(key).keys()].flatMap((epoch) => {
      const range = this.#topics.range(key, epoch, this.#topics.first(key, epoch) - 1, Infinity);
      return range === undefined || range.entries.length === 0 ? [] : [range];
    });
    return Promise.resolve(ranges);
  }

  enter(key: TopicKey, member: LocalMember): void {
    const before = this.#memberOf(key, member.id);
    let members = this.#members.get(key);
    if (members === undefined) this.#members.set(key, members = new Map());
    let connections = members.get(member.id);
    if (connections === undefined) members.set(member.id, connections = new Connections());
    connections.add(member);
    this.#changed(key, member.id, before);
  }

  exit(key: TopicKey, member: LocalMember): void {
    const members = this.#members.get(key), connections = members?.get(member.id);
    if (members === undefined || connections === undefined) return;
    const before = this.#memberOf(key, member.id);
    if (!connections.delete(member)) return;
    if (connections.size === 0) members.delete(member.id);
    if (members.size === 0) this.#members.delete(key);
    this.#changed(key, member.id, before);
  }

  members(key: TopicKey): readonly Member[] {
    return this.#lists.of(key, () => {
      const ids = this.#members.get(key)?.keys() ?? [];
      return [...ids].map((id) => this.#memberOf(key, id)!).sort(byArrival);
    });
  }

  #changed(key: TopicKey, id: string, before: Member | undefined): void {
    this.#lists.forget(key);
    this.#topics.present(key, id, before, this.#memberOf(key, id));
  }

  #memberOf(key: TopicKey, id: string): Member | undefined {
    const connections = this.#members.get(key)?.get(id);
    const first = connections?.first;
    return first && { id, meta: first.meta, joinedAt: first.joinedAt, connections: connections!.size };
  }
}
