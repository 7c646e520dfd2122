import type { Unrecovered } from "../../../src/contracts/pubsub.ts";
import type { NodeId } from "../mesh/mesh.ts";
import type { Asking } from "./asking.ts";
import { within } from "./deadline.ts";
import type { LocalTopics, Missed, Range, TopicKey, View } from "./cluster.ts";
import type { Endings } from "./endings.ts";
import type { Epoch } from "./epochs.ts";
import { weight } from "./fields.ts";
import type { Inbound } from "./inbound.ts";
import type { Membership } from "./membership.ts";
import type { Peers } from "./peers.ts";
import type { Timers } from "./timers.ts";

/** What recovery is made of. */
export interface RecoveryOptions {
  readonly clock: Timers;
  readonly local: LocalTopics;
  readonly membership: Membership;
  readonly inbound: Inbound;
  readonly peers: Peers;
  readonly asking: Asking;
  readonly endings: Endings;
}

/** How much one answer may hold. */
interface Limits {
  readonly bytes: number;
  readonly messages: number;
}

/** Milliseconds that finding what was missed takes at most, and what is kept. */
const MISSED = 6_000, KEPT = 3_000;
/** Bytes of all that is kept of a topic, at most. */
const MAX_KEPT = 16 * 2 ** 20;

/** Why it cannot be told what was missed. */
class NotProven extends Error {
  constructor(readonly reason: Unrecovered) {
    super(reason);
  }
}

/** How far an epoch is, for certain. */
interface Proof {
  readonly epoch: number;
  /** Where the one stands who missed something. */
  readonly after: number;
  readonly head: number;
  /** Whether positions name it. */
  readonly named: boolean;
  /** Who has its entries, beside this gateway. */
  readonly from: readonly NodeId[];
}

/** Finds what somebody missed, by the table in `DESIGN.md`. */
export class Recovery {
  constructor(private readonly options: RecoveryOptions) {}

  /** @see Cluster.missed */
  async missed(key: TopicKey, since: View, limits: Limits, signal: AbortSignal): Promise<Missed> {
    const { local, membership, clock } = this.options;
    if (!local.keeps(key)) return { complete: false, reason: "no_history" };
    if (membership.epoch === undefined) return { complete: false, reason: "unreachable" };
    try {
      return await within(clock, MISSED, async () => {
        try {
          return await this.#find(key, since, limits);
        } catch (error) {
          // A gateway may have ended meanwhile, and then there is another answer.
          if (!(error instanceof NotProven) || error.reason !== "unreachable") throw error;
          return await this.#find(key, since, limits);
        }
      }, signal);
    } catch (error) {
      return { complete: false, reason: error instanceof NotProven ? error.reason : "unreachable" };
    }
  }

  /** @see Cluster.kept */
  async kept(key: TopicKey, signal: AbortSignal): Promise<readonly Range[]> {
    const { local, peers, asking, clock } = this.options;
    const found: Range[] = [];
    const gather = async () => {
      const here = Array.from(local.heads(key), ([epoch, head]) => ({ epoch, head, first: local.first(key, epoch) }));
      const answers = await Promise.all(peers.all.map(async ({ node }) => {
        const answer = await asking.heads(node, key);
        return (answer?.extents ?? []).map((extent) => ({ ...extent, node }));
      }));
      const all = Map.groupBy(
        [...here.map((extent) => ({ ...extent, node: undefined })), ...answers.flat()],
        ({ epoch }) => epoch,
      );
      let left = MAX_KEPT;
      for (const [epoch, extents] of [...all].sort(([a], [b]) => a - b)) {
        const first = Math.min(...extents.map(({ first }) => first));
        const head = Math.max(...extents.map(({ head }) => head));
        const nodes = extents.flatMap(({ node, first: from }) => node === undefined ? [] : [{ node, from }])
          .sort((a, b) => a.from - b.from).map(({ node }) => node);
        let after = first - 1;
        while (after < head && left > 0) {
          const range = await this.#part(key, epoch, after, head, nodes);
          // Those who have the oldest may have let it go meanwhile: what others keep begins later.
          const next = extents.map(({ first }) => first).filter((first) => first > after + 1).sort((a, b) => a - b)[0];
          if (range === undefined && next === undefined) break;
          if (range !== undefined) {
            found.push(range);
            left -= range.entries.reduce((sum, entry) => sum + weight(entry), 0);
          }
          after = range === undefined ? next! - 1 : after + range.entries.length;
        }
      }
    };
    await within(clock, KEPT, gather, signal).catch(() => {});
    return found;
  }

  async #find(key: TopicKey, since: View, limits: Limits): Promise<Missed> {
    const { membership, inbound } = this.options;
    let looked;
    try {
      looked = await membership.lives(since);
    } catch {
      throw new NotProven("unreachable");
    }
    const { lives, known } = looked;
    // Of one that ended and was told to its end elsewhere something may still be on its way to this gateway's copy.
    const { concluding } = this.options.endings;
    const numbers = new Set([...since.heads.keys(), ...lives.keys(), ...concluding, membership.epoch!]);
    const proofs = await Promise.all([...numbers].map((epoch) => this.#prove(key, epoch, lives.get(epoch), since)));
    // Whoever subscribes here gets positions of this gateway's own copy: it has to be as far.
    await Promise.all(proofs.map(async ({ epoch, head, named }) => {
      if (!named || membership.isOwn(epoch)) return;
      await inbound.reach(key, epoch, head);
      if (inbound.head(key, epoch) < head) throw new NotProven("unreachable");
    }));
    const left = { ...limits };
    const ranges: Range[] = [];
    for (const proof of proofs) {
      let { after } = proof;
      while (after < proof.head) {
        const range = await this.#part(key, proof.epoch, after, proof.head, proof.from);
        if (range === undefined) throw new NotProven("expired");
        left.messages -= range.entries.length;
        for (const entry of range.entries) left.bytes -= entry.data.byteLength;
        if (left.messages < 0 || left.bytes < 0) throw new NotProven("too_much");
        ranges.push(range);
        after += range.entries.length;
      }
    }
    const heads = new Map(proofs.filter(({ named }) => named).map(({ epoch, head }) => [epoch, head]));
    return { complete: true, ranges, view: { heads, known } };
  }

  async #prove(key: TopicKey, epoch: number, life: Epoch | undefined, since: View): Promise<Proof> {
    const { local, membership, peers, asking, endings } = this.options;
    const isTold = epoch <= since.known && !since.heads.has(epoch);
    const proof = (head: number, named: boolean, from: readonly NodeId[]): Proof => {
      const after = since.heads.get(epoch) ?? (isTold ? head : 0);
      // Nobody was ever as far: it is no position of this cluster.
      if (head < after) throw new NotProven("expired");
      return { epoch, after, head, named, from };
    };
    const { former } = life ?? {};
    if (epoch > since.known && former !== undefined && former <= since.known && !since.heads.has(former)) {
      // It had been told that this one had ended, and it had not.
      throw new NotProven("gateway_lost");
    }
    if (membership.isOwn(epoch)) {
      const isNow = epoch === membership.epoch;
      const head = local.heads(key).get(epoch) ?? (isNow ? 0 : undefined);
      // How far an earlier life of this process came is forgotten with the topic.
      if (head === undefined) throw new NotProven("gateway_lost");
      return proof(head, isNow, []);
    }
    const all = peers.nodes;
    if (life?.state === "clean" || endings.concluding.has(epoch)) {
      const head = (await endings.headsOf(epoch, [key]))?.get(key);
      if (head === undefined) throw new NotProven(isTold ? "unreachable" : "expired");
      return proof(head, endings.concluding.has(epoch), all);
    }
    // One that is open is named in every position that was given.
    if (life?.state !== "open" || isTold) throw new NotProven("gateway_lost");
    const owner = peers.ownerOf(epoch);
    const answer = owner && await asking.heads(owner.node, key);
    if (owner === undefined || answer?.epoch !== epoch) throw new NotProven("unreachable");
    const head = answer.extents.find((extent) => extent.epoch === epoch)?.head ?? 0;
    return proof(head, true, [owner.node, ...all.filter((node) => node !== owner.node)]);
  }

  /** The next entries of an epoch, from this gateway's copy or from whoever has them. */
  async #part(
    key: TopicKey,
    epoch: number,
    after: number,
    head: number,
    nodes: readonly NodeId[],
  ): Promise<Range | undefined> {
    const { local, asking } = this.options;
    const cut = (from: number, entries: Range["entries"]) =>
      entries.length === 0 ? undefined : { epoch, from, entries: entries.slice(0, head - after) };
    const here = local.range(key, epoch, after, MAX_KEPT);
    const found = here && cut(here.from, here.entries);
    if (found !== undefined) return found;
    for (const node of nodes) {
      const answer = await asking.range(node, key, epoch, after);
      const range = answer && cut(answer.from, answer.entries);
      if (range !== undefined) return range;
    }
    return undefined;
  }
}
