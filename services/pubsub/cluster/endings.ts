import type { NodeId } from "../mesh/mesh.ts";
import type { Asking, FarewellHeads } from "./asking.ts";
import { within } from "./deadline.ts";
import type { LocalTopics, TopicKey } from "./cluster.ts";
import type { ClusterGap } from "./figures.ts";
import { parts } from "./fields.ts";
import type { Inbound } from "./inbound.ts";
import type { Membership } from "./membership.ts";
import type { Peer, Peers } from "./peers.ts";
import type { Timers } from "./timers.ts";
import type { Frame } from "./wire.ts";

/** What the ends of epochs are made of. */
export interface EndingsOptions {
  readonly clock: Timers;
  readonly local: LocalTopics;
  readonly membership: Membership;
  readonly inbound: Inbound;
  readonly peers: Peers;
  readonly asking: Asking;
  readonly maxBytes: number;
  readonly gap: (key: TopicKey, reason: ClusterGap) => void;
  /** An epoch is over for good. */
  readonly over: (epoch: number) => void;
}

/** Milliseconds that others have to get what they joined, and that this gateway takes to get it from others. */
const FAREWELL = 2_000, CONCLUDE = 5_000;
/** Topics of one farewell, and of all that are remembered; farewells. */
const MAX_HEADS = 100_000, MAX_REMEMBERED = 500_000, MAX_FAREWELLS = 64;

/** What an epoch said of itself at its end. */
interface Farewell {
  readonly node: NodeId;
  readonly heads: Map<TopicKey, number>;
  /** Topics that are not named may have a head up to this. */
  readonly forgotten: number;
}

/** How epochs end: this gateway's own, and those of others. */
export class Endings {
  /** Farewells that were not taken. */
  refused = 0;
  readonly #options: EndingsOptions;
  readonly #concluding = new Set<number>();
  readonly #farewells = new Map<number, Farewell>();
  readonly #arriving = new Map<NodeId, Farewell & { readonly epoch: number }>();
  readonly #unsaid = new Set<NodeId>();
  #said: (() => void) | undefined;

  constructor(options: EndingsOptions) {
    this.#options = options;
  }

  /** Epochs that ended cleanly and of which something may still come. Positions name them. */
  get concluding(): ReadonlySet<number> {
    return this.#concluding;
  }

  /** Heads of topics when an epoch said farewell, if it was heard here; `undefined` for one that may have had any. */
  heard(epoch: number, keys: readonly TopicKey[]): readonly (number | undefined)[] | undefined {
    const said = this.#farewells.get(epoch);
    // It may have been said before the control plane had told whose epoch it is. Nobody says farewell for another.
    if (said?.node !== this.#options.membership.nodeOf(epoch)) return undefined;
    return said && keys.map((key) => headIn(said, key));
  }

  /** The same, wherever it was heard. */
  async headsOf(epoch: number, keys: readonly TopicKey[]): Promise<FarewellHeads | undefined> {
    const heard = this.heard(epoch, keys);
    if (heard !== undefined) return new Map(keys.map((key, i) => [key, heard[i]]));
    const { peers, asking } = this.#options;
    const answers = peers.all.map(async ({ node }) => await asking.farewell(node, epoch, keys) ?? Promise.reject());
    return await Promise.any(answers).catch(() => undefined);
  }

  /** Gets what is still to come of an epoch that ended cleanly, and tells of what cannot be had. */
  conclude(epoch: number): void {
    this.#concluding.add(epoch);
    void this.#conclude(epoch);
  }

  /** Tells the others how far this epoch came, and waits until they have what they joined. Nothing is published any more. */
  async say(epoch: number): Promise<void> {
    const { local, peers, clock, maxBytes } = this.#options;
    const heads: [TopicKey, number][] = [];
    let all = true;
    for (const key of local.keys()) {
      const head = local.heads(key).get(epoch) ?? 0;
      if (head === 0) continue;
      all = heads.length < MAX_HEADS;
      if (!all) break;
      heads.push([key, head]);
    }
    const told = [...parts(heads, ([key]) => 3 * key.length + 16, maxBytes / 2)];
    if (told.length === 0) told.push([]);
    for (const peer of peers.all) {
      this.#unsaid.add(peer.node);
      for (const [i, part] of told.entries()) {
        // One that is never finished was never heard.
        const last = all && i === told.length - 1;
        peers.send(peer, { type: "farewell", epoch, last, forgotten: local.forgotten, heads: part });
      }
    }
    if (this.#unsaid.size === 0) return;
    const done = new Promise<void>((resolve) => this.#said = resolve);
    await within(clock, FAREWELL, () => done).catch(() => {});
  }

  unlinked(node: NodeId): void {
    this.#arriving.delete(node);
    this.#done(node);
  }

  /** Takes frames about ends. @returns whether it was one */
  handle(peer: Peer, frame: Frame): boolean {
    switch (frame.type) {
      case "farewell":
        void this.#take(peer, frame);
        return true;
      case "farewell_done":
        this.#done(peer.node);
        return true;
      default:
        return false;
    }
  }

  #done(node: NodeId): void {
    if (this.#unsaid.delete(node) && this.#unsaid.size === 0) this.#said?.();
  }

  async #take(peer: Peer, { epoch, last, forgotten, heads }: Extract<Frame, { type: "farewell" }>): Promise<void> {
    const { clock, inbound, peers, membership } = this.#options;
    const { node } = peer;
    if ((membership.nodeOf(epoch) ?? node) !== node) return void this.refused++;
    let arriving = this.#arriving.get(node);
    if (arriving?.epoch !== epoch) this.#arriving.set(node, arriving = { node, epoch, forgotten, heads: new Map() });
    if (arriving.heads.size + heads.length > MAX_HEADS) return;
    for (const [key, head] of heads) arriving.heads.set(key, head);
    if (!last) return;
    this.#arriving.delete(node);
    this.#remember(epoch, arriving);
    const here = inbound.keys().map((key) => inbound.reach(key, epoch, arriving.heads.get(key) ?? 0));
    await within(clock, FAREWELL, () => Promise.all(here)).then(
      () => peers.send(peer, { type: "farewell_done", epoch }),
      () => {},
    );
  }

  #remember(epoch: number, said: Farewell): void {
    this.#farewells.set(epoch, said);
    let size = 0;
    for (const { heads } of this.#farewells.values()) size += heads.size;
    for (const [oldest, { heads }] of this.#farewells) {
      if (size <= MAX_REMEMBERED && this.#farewells.size <= MAX_FAREWELLS) break;
      this.#farewells.delete(oldest);
      size -= heads.size;
    }
  }

  async #conclude(epoch: number): Promise<void> {
    const { clock, inbound, gap, over } = this.#options;
    const keys = inbound.answered();
    const heads = keys.length === 0 ? undefined : await this.headsOf(epoch, keys);
    const headOf = (key: TopicKey) => heads?.get(key) ?? Infinity;
    const all = keys.flatMap((key) => headOf(key) === Infinity ? [] : [inbound.reach(key, epoch, headOf(key))]);
    await within(clock, CONCLUDE, () => Promise.all(all)).catch(() => {});
    // Who is answered behind the end stands behind all of it.
    const missing = keys.filter((key) => inbound.has(key) && inbound.head(key, epoch) < headOf(key));
    this.#concluding.delete(epoch);
    inbound.ended(epoch);
    over(epoch);
    for (const key of missing) gap(key, "expired");
  }
}

const headIn = ({ heads, forgotten }: Farewell, key: TopicKey) => heads.get(key) ?? (forgotten === 0 ? 0 : undefined);
