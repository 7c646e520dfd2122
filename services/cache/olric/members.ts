import { GatewayError } from "../../../src/contracts/errors.ts";
import { MEMBERS, ROUTING_TABLE } from "./commands.ts";
import { Call } from "./deadlines.ts";
import { type LaneName, Member, type MemberOptions } from "./member.ts";
import { MemberFailure, type Reply } from "./replies.ts";
import { type Hash, Routing } from "./routing.ts";

/** Milliseconds between two looks at who has what, while the cluster is used. */
const LOOK_EVERY = 1_000;
/** The least time between two looks, when something has just gone wrong. */
const LOOK_AGAIN_AFTER = 100;
/** How long a look may take. */
const LOOK = 1_000;
/**
 * For how long after a member was lost nothing is asked of another about what it got from it: members take up a table one after the
 * other, and what was a copy is not found at once by whoever has become its owner.
 */
const TAKING_OVER = 2_000;
/** For how long after that changes of the table are part of it, and nobody counts in what goes from one living member to another. */
const UNSETTLED = 5_000, SETTLING = 3_000;

/**
 * Connections to a cluster of one member, at most: it answers at once whatever comes, and fewer carry more. One of several waits
 * for others between a command and its answer, and lets what is behind it on the connection wait too.
 */
const MOST_ALONE = 2;
/** How many of what everybody may have, what has time may have beside them. At least one. */
const SHARE_OF_PATIENT = 1 / 4;

/** What {@link Members} are made of. */
export interface MembersOptions extends Omit<MemberOptions, "most"> {
  /** The most connections to each of several members. */
  readonly connections: number;
  /** Known from the start. */
  readonly addresses: readonly string[];
  readonly hash: Hash;
}

interface Settling {
  /** Whether the former owner is no member any more. */
  readonly isOrphan: boolean;
  readonly until: number;
}

/**
 * Knows the members of the cluster, and which of them has what. Looks beside the traffic, which waits for the first look alone.
 */
export class Members {
  readonly #members = new Map<string, Member>();
  #routing: Routing | undefined;
  /** Who told it; and who is to be asked next, if it is to be one alone. */
  #teller: string | undefined;
  #source: string | undefined;
  #looking: Promise<void> | undefined;
  #lookedAt = -Infinity;
  /** When a member was last seen to be no member any more, and gone. */
  #lostAt = -Infinity;
  /** Partitions that were seen to have gone to another member, and until when what is not to be asked of it. */
  readonly #settling = new Map<number, Settling>();
  /** When all of them may be asked. */
  #settledAt = -Infinity;
  #turn = 0;

  constructor(private readonly options: MembersOptions) {
    for (const address of options.addresses) this.#member(address);
  }

  /** What was seen last; `undefined` before anything was. */
  get routing(): Routing | undefined {
    if (this.options.now() - this.#lookedAt > LOOK_EVERY) this.look().catch(() => {});
    return this.#routing;
  }

  /** Something has gone wrong: others may have become owners. */
  suspect(): void {
    if (this.options.now() - this.#lookedAt > LOOK_AGAIN_AFTER) this.look().catch(() => {});
  }

  /** Looks now. @throws what went wrong, when nobody answers */
  look(): Promise<void> {
    return this.#looking ??= this.#look().finally(() => this.#looking = undefined);
  }

  /** Whether any partition may be {@link isSettling}: mostly none is, and nobody need look which one is asked. */
  get settles(): boolean {
    if (this.#settling.size === 0) return false;
    if (this.options.now() < this.#settledAt) return true;
    this.#settling.clear();
    return false;
  }

  /**
   * Whether a partition went to another member so short a time ago that it is not to be asked.
   * @param solely for what only one member may do
   */
  isSettling(partition: number, solely: boolean): boolean {
    const settling = this.#settling.get(partition);
    return settling !== undefined && this.options.now() < settling.until && (solely || settling.isOrphan);
  }

  /** Whether all members are worth asking. */
  get isWhole(): boolean {
    for (const address of this.addresses) if (!this.at(address).awake) return false;
    return true;
  }

  /** Those of these members that are not worth asking. */
  missing(addresses: readonly string[]): readonly Member[] {
    return addresses.map((address) => this.at(address)).filter((member) => !member.awake);
  }

  /**
   * The member at an address, also one that is not worth asking. A cluster of one member is where it was found: the address that
   * it gives itself need not be one by which it can be reached.
   */
  at(address: string): Member {
    return this.#member(this.#routing?.isAlone && this.#teller !== undefined ? this.#teller : address);
  }

  /** A member to ask when it does not matter which, or the best one cannot be asked. @param but not this one */
  pick(but?: Member): Member | undefined {
    const oneOf = (addresses: readonly string[]) => {
      const all = addresses.map((address) => this.at(address)).filter((member) => member !== but && member.awake);
      return all[this.#turn++ % all.length];
    };
    return oneOf(this.addresses) ?? oneOf(this.options.addresses);
  }

  /** When nobody is worth asking: whoever is just proving to live. @param alone nobody else @returns `undefined` for nobody */
  async risen(alone: Member | undefined): Promise<Member | undefined> {
    const all = alone === undefined ? [...this.#members.values()] : [alone];
    const proofs = all.map((member) => member.proof?.then(() => member)).filter((proof) => proof !== undefined);
    return await Promise.any(proofs).catch(() => undefined);
  }

  /** Addresses of the members, as they give them; before they did, those that are configured. */
  get addresses(): readonly string[] {
    return this.#routing?.members ?? this.options.addresses;
  }

  /** Those that the configuration names. */
  get configured(): readonly string[] {
    return this.options.addresses;
  }

  /** Closes all connections. */
  close(): void {
    for (const member of this.#members.values()) member.close();
  }

  #most(lane: LaneName): number {
    const { connections } = this.options;
    const most = this.#routing?.isAlone ? Math.min(MOST_ALONE, connections) : connections;
    return lane === "patient" ? Math.max(1, Math.floor(most * SHARE_OF_PATIENT)) : most;
  }

  #member(address: string): Member {
    let member = this.#members.get(address);
    if (member === undefined) {
      member = new Member(address, { ...this.options, most: (lane) => this.#most(lane) });
      this.#members.set(address, member);
    }
    return member;
  }

  async #look(): Promise<void> {
    const { now, addresses: configured } = this.options;
    this.#lookedAt = now();
    const all = new Set([...this.addresses, ...configured]);
    const awake = [...all].filter((address) => this.#member(address).awake);
    // One alone while all goes well; everybody when nothing is known, so that nobody waits for one that is dead.
    const first = this.#source !== undefined && awake.includes(this.#source) ? [this.#source] : awake;
    try {
      await Promise.any(first.map((address) => this.#ask(address, this.#routing)));
    } catch (error) {
      this.#source = undefined;
      throw error;
    }
  }

  /** @param known when the look began: what several members say in one look is no change */
  async #ask(address: string, known: Routing | undefined): Promise<void> {
    const { now, hash, timeout } = this.options;
    const call = new Call({ signal: NEVER }, now(), Math.min(LOOK, timeout));
    const [members, table] = await this.#member(address).send([MEMBERS, ROUTING_TABLE], call);
    for (const reply of [members, table]) {
      if (reply instanceof MemberFailure || reply instanceof GatewayError) throw reply;
    }
    const routing = Routing.of(members as Reply, table as Reply, hash);
    if (known !== undefined) this.#compare(known, routing);
    this.#routing = routing;
    this.#teller = this.#source = address;
    this.#forget();
    for (const member of this.addresses) this.at(member).check();
  }

  /** What goes over when a member is lost is let settle. */
  #compare(known: Routing, newer: Routing): void {
    const now = this.options.now();
    // One that answers is not gone, whatever another one thinks of it.
    const isGone = (member: string) => !newer.members.includes(member) && !this.#members.get(member)?.awake;
    if (known.members.some(isGone)) this.#lostAt = now;
    if (now - this.#lostAt > UNSETTLED) return;
    for (const [partition, former] of known.movedIn(newer)) {
      const isOrphan = isGone(former), until = now + (isOrphan ? TAKING_OVER : SETTLING);
      this.#settling.set(partition, { isOrphan, until });
      this.#settledAt = Math.max(this.#settledAt, until);
    }
  }

  /** Gives back the connections to those that are no members any more. */
  #forget(): void {
    for (const [address, member] of this.#members) {
      if (this.addresses.includes(address) || this.options.addresses.includes(address)) continue;
      member.close();
      this.#members.delete(address);
    }
  }
}

const NEVER = new AbortController().signal;
