import { numberOf, sumOf } from "../counters.ts";
import type { Increment } from "../driver.ts";
import { get, incr, put } from "./commands.ts";
import { Call, type Deadlines, type Reason, type Waiting } from "./deadlines.ts";
import { decodeValue, type StoredEntry } from "./encoding.ts";
import { foundIn, nameOf, type Place } from "./entries.ts";
import type { Guard } from "./guard.ts";
import type { KeyedQueue } from "./keyed_queue.ts";
import { afterAll, countOf, isOk, unconfirmed, unreachable } from "./replies.ts";
import type { Transport } from "./transport.ts";

/** What counters are made of. */
export interface CountersOptions {
  readonly transport: Transport;
  readonly guard: Guard;
  readonly queue: KeyedQueue;
  readonly deadlines: Deadlines;
  /** Unix milliseconds. */
  readonly now: () => number;
}

/** Who counts together at most. */
const MOST = 512;
/** Milliseconds before its end in which a counter may end while it is counted, clocks that differ included. */
const NEAR_END = 10_000;
/** What the engine takes for a whole number, of what JSON does. */
const WHOLE = /^-?\d{1,16}$/;
const NOBODY = { signal: new AbortController().signal };

interface Group {
  readonly first: Increment;
  readonly counts: Count[];
  begun: boolean;
}

/** One call, which may leave before what it waits for is there. */
class Count implements Waiting {
  readonly #answer = Promise.withResolvers<number>();

  constructor(readonly by: number, readonly call: Call, readonly group: Group, private readonly deadlines: Deadlines) {
    group.counts.push(this);
    deadlines.add(this);
  }

  get value(): Promise<number> {
    return this.#answer.promise;
  }

  resolve(value: number): void {
    if (this.deadlines.delete(this)) this.#answer.resolve(value);
  }

  reject(error: unknown): void {
    if (this.deadlines.delete(this)) this.#answer.reject(error);
  }

  giveUp(reason: Reason): void {
    const { begun, counts } = this.group;
    if (!begun) counts.splice(counts.indexOf(this), 1);
    const late = new Error("the counter did not answer");
    this.#answer.reject(
      reason === "aborted" ? this.call.waiter.signal.reason : begun ? unconfirmed(late) : unreachable(late),
    );
  }
}

/** Two members that count at once give the same sum twice. */
const SOLELY = { pinned: true, solely: true };

/**
 * Counters. The member to whom a counter belongs counts exactly, but only what is asked of itself, and takes whatever is no whole
 * number for 0. So all gateways ask that member and no other, and each looks at what is there before. Counts of one counter that
 * meet in a gateway go together.
 */
export class Counters {
  /** Those that are not begun, by the name of their place. */
  readonly #groups = new Map<string, Group>();

  constructor(private readonly options: CountersOptions) {}

  /** @param lock the place of the lock that guards it @throws GatewayError `WRONG_TYPE`, `UNAVAILABLE` */
  add(place: Place, lock: Place, increment: Increment, call: Call): Promise<number> {
    const name = nameOf(place);
    let group = this.#groups.get(name);
    if (group !== undefined && group.counts.length > 0 && group.counts.length < MOST) {
      return new Count(increment.by, call, group, this.options.deadlines).value;
    }
    group = { first: increment, counts: [], begun: false };
    const { value } = new Count(increment.by, call, group, this.options.deadlines);
    this.#begin(name, place, lock, group);
    return value;
  }

  #begin(name: string, place: Place, lock: Place, group: Group): void {
    this.#groups.set(name, group);
    const start = async () => {
      if (this.#groups.get(name) === group) this.#groups.delete(name);
      group.begun = true;
      if (group.counts.length > 0) await this.#count(place, lock, group);
    };
    const [{ call }] = group.counts as [Count];
    // Whoever was first may leave: the others wait on, each for its own time.
    const forAll = new Call(NOBODY, call.begun, 2 * (call.until - call.begun));
    this.options.queue.run(name, forAll, start).catch((error) => {
      for (const count of [...group.counts]) count.reject(error);
    });
  }

  async #count(place: Place, lock: Place, { first, counts }: Group): Promise<void> {
    const last = counts.at(-1)!.call;
    const call = new Call(NOBODY, last.begun, last.until - last.begun);
    for (;;) {
      const found = await this.#read(place, call);
      if (found === undefined) {
        if (await this.#create(place, first, counts, call)) return;
      } else if (WHOLE.test(textOf(found)) && counts.every(({ by }) => Number.isInteger(by))) {
        return await this.#increase(place, found, first, counts, call);
      } else return await this.#rewrite(place, lock, first, counts, call);
    }
  }

  async #read(place: Place, call: Call): Promise<StoredEntry | undefined> {
    const means = { reading: true, pinned: true };
    const [reply] = await this.options.transport.ask(place, [get(place.map, place.key)], call, means);
    return foundIn(reply, place);
  }

  /** @returns whether nobody was quicker */
  async #create(place: Place, { initial, ttl }: Increment, counts: readonly Count[], call: Call): Promise<boolean> {
    const sums = sumsOf(initial, counts);
    const value = sums.at(-1)?.value;
    if (value === undefined) return true;
    const command = put(place.map, place.key, String(value), { ttl, only: "NX" });
    const [written] = await this.options.transport.ask(place, [command], call, SOLELY);
    if (isOk(written)) { for (const { count, value } of sums) count.resolve(value); }
    return isOk(written);
  }

  async #increase(
    place: Place,
    found: StoredEntry,
    first: Increment,
    counts: readonly Count[],
    call: Call,
  ): Promise<void> {
    const before = numberOf(decodeValue(found));
    const sums = sumsOf(before, counts);
    if (sums.length === 0) return;
    const by = sums.at(-1)!.value - before;
    const { expiresAt } = found;
    const mayEnd = expiresAt !== undefined && expiresAt - this.options.now() < NEAR_END;
    const commands = [incr(place.map, place.key, by), ...mayEnd ? [get(place.map, place.key)] : []];
    const [counted, after] = await this.options.transport.ask(place, commands, call, SOLELY);
    let value = countOf(counted);
    // Where it ended in between, this count began a new one, which knows neither where to begin nor when to end.
    if (mayEnd && foundIn(after, place)?.expiresAt === undefined) value = await this.#renew(place, value, first, call);
    for (const { count, value: sum } of sums) count.resolve(value - by + (sum - before));
  }

  async #renew(place: Place, counted: number, { initial, ttl }: Increment, call: Call): Promise<number> {
    const value = sumOf(counted, initial);
    const command = put(place.map, place.key, String(value), { ttl, only: "XX" });
    await this.options.transport.ask(place, [command], call, SOLELY).catch(afterAll);
    return value;
  }

  /** What the engine cannot count: fractions, and numbers that JSON alone writes so. */
  async #rewrite(place: Place, lock: Place, first: Increment, counts: readonly Count[], call: Call): Promise<void> {
    let sums: readonly Sum[] = [];
    await this.options.guard.change(place, lock, call, (found) => {
      sums = sumsOf(found ? numberOf(decodeValue(found)) : first.initial, counts);
      const value = sums.at(-1)?.value;
      if (value === undefined) return undefined;
      return { payload: String(value), ...(found ? { expiresAt: found.expiresAt } : { ttl: first.ttl }) };
    });
    for (const { count, value } of sums) count.resolve(value);
  }
}

interface Sum {
  readonly count: Count;
  readonly value: number;
}

/** What each count comes to, one after the other. Those that come to nothing that JSON can hold are refused and left out. */
function sumsOf(from: number, counts: readonly Count[]): readonly Sum[] {
  const sums: Sum[] = [];
  let value = from;
  for (const count of counts) {
    try {
      value = sumOf(value, count.by);
      sums.push({ count, value });
    } catch (error) {
      count.reject(error);
    }
  }
  return sums;
}

const textOf = ({ stored }: StoredEntry) => stored.length > 17 ? "" : new TextDecoder("latin1").decode(stored);
