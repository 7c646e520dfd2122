import { deepEqual } from "node:assert/strict";
import { OlricDriver } from "../../../services/cache/olric/driver.ts";
import type { CacheAddress, CacheEntry, CachePutOptions } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { EntryOperation, Seen } from "../../support/cache_models.ts";
import { type Allowances, Histories, STEADY, type Watched } from "./cache_histories.ts";
import { until } from "./wait.ts";

const WAITER = { signal: new AbortController().signal };
const NS = "load";
/** How many entries of each kind there are. Few, so that gateways meet. */
const ENTRIES = 200, COUNTERS = 20, CHAINS = 10, PLAIN = 6, LOCKS = 6;
/** Callers of each kind. */
const WRITERS = 8, READERS = 8, COUNTING = 8, CHANGING = 6, CREATING = 6, LOCKING = 6;
/** Writes after which a chain goes on under another key, where nothing is. */
const LINKS = 30;
/** Milliseconds of a lease: of whoever frees the lock, which takes far less, and of whoever is gone and never does. */
const LEASE = 5_000, LAST_LEASE = 400;
/** Milliseconds without a failure after which all is well. */
const QUIET = 1_500;

/** How a load is judged. */
export interface LoadOptions {
  /** What the test puts up with, and why. Default: what {@link STEADY} says. */
  readonly allowed?: Allowances;
  /**
   * Whether entries are also written and deleted without a look at what they were. Not while members change: what was deleted may
   * come up again then, and be deleted twice. Default `false`.
   */
  readonly plain?: boolean;
}

/** What was wrong. All of it is 0 where nothing was. */
export interface Anomalies {
  /** Reads of less than was acknowledged before they began, or of what nobody wrote. */
  readonly wrongReads: number;
  /** Reads of what was tried and never acknowledged, after something newer was: it happened late. */
  readonly lateWrites: number;
  /** Entries that in the end have less than was acknowledged. */
  readonly lostWrites: number;
  /** Failures that are not `UNAVAILABLE`. */
  readonly strangeFailures: number;
  /** Counters, entries and locks whose answers cannot all be true, with the reason. */
  readonly notLinearisable: readonly string[];
}

const NOTHING_WRONG: Anomalies = {
  wrongReads: 0,
  lateWrites: 0,
  lostWrites: 0,
  strangeFailures: 0,
  notLinearisable: [],
};

/** Puts load on two gateways of a cluster while something happens to it. @throws AssertionError when anything came out wrong */
export async function underLoad(
  name: string,
  addresses: readonly string[],
  run: (load: CacheLoad) => Promise<void>,
  options: LoadOptions = {},
): Promise<void> {
  const gateways = await Promise.all([1, 2].map(() => OlricDriver.open({ addresses })));
  const load = new CacheLoad(gateways, options);
  let anomalies: Anomalies | undefined;
  try {
    await load.goesOn(1_000);
    await run(load);
  } finally {
    anomalies = await load.stop().finally(() => Promise.all(gateways.map((gateway) => gateway.close())));
  }
  await tell(`${name}: ${load.summary}`);
  deepEqual(load.strange, []);
  // What was not acknowledged may happen at any time: a member carries out what it has already, behind a command that waits for a
  // replica in vain, and nothing takes it back (docs/cache.md, "What was not confirmed").
  if (anomalies.lateWrites > 0) await tell(`${name}: ${anomalies.lateWrites} reads of writes that happened late`);
  deepEqual({ ...anomalies, lateWrites: 0 }, NOTHING_WRONG);
}

/**
 * Callers of several gateways that never stop, and what they were told. Of many entries each has one writer, who counts upwards;
 * counters, chains of changes and locks have all callers, and their histories are judged in the end.
 */
export class CacheLoad {
  done = 0;
  unavailable = 0;
  /** When the last failure was told, on the clock that never jumps. */
  lastFailure = -Infinity;
  readonly strange: unknown[] = [];
  #longest = 0;
  #wrongReads = 0;
  #lateWrites = 0;
  #stopped = false;
  /** No two values of a chain are the same. */
  #values = 0;
  readonly #acknowledged = new Array<number>(ENTRIES).fill(-1);
  readonly #tried = new Array<number>(ENTRIES).fill(-1);
  readonly #failed = Array.from({ length: ENTRIES }, () => new Set<number>());
  readonly #links = new Array<number>(CHAINS).fill(0);
  readonly #histories = new Histories();
  readonly #loops: Promise<void>[] = [];

  constructor(private readonly gateways: readonly Watched[], private readonly options: LoadOptions = {}) {
    this.#begin(WRITERS, (gateway, caller, turn) => this.#write(gateway, (caller + WRITERS * turn) % ENTRIES));
    this.#begin(READERS, (gateway) => this.#read(gateway, any(ENTRIES)));
    this.#begin(COUNTING, (gateway) => this.#count(gateway, `k${any(COUNTERS)}`));
    this.#begin(CHANGING, (gateway) => this.#change(gateway, any(CHAINS)));
    if (options.plain) this.#begin(CREATING, (gateway) => this.#create(gateway, `plain${any(PLAIN)}`));
    this.#begin(LOCKING, (gateway) => this.#lock(gateway, `k${any(LOCKS)}`));
  }

  /** Waits until so many more operations were done. */
  async goesOn(operations: number, within = 30_000): Promise<void> {
    const enough = this.done + operations;
    await until(`${operations} more operations are done`, () => this.done >= enough, within);
  }

  /** Waits until harm that was done is felt and nothing fails any more, and tells how long that took. @param within milliseconds */
  async recovers(within: number): Promise<void> {
    const since = performance.now(), before = this.unavailable;
    await until("the harm is felt", () => this.unavailable > before);
    await this.isQuiet(within);
    await tell(`the last failure was ${Math.round(this.lastFailure - since)} ms after the harm`);
    await this.goesOn(1_000);
  }

  /** Waits until there was no failure for a while. @param within milliseconds */
  async isQuiet(within: number): Promise<void> {
    await until(`nothing fails for ${QUIET} ms`, () => performance.now() - this.lastFailure > QUIET, within);
  }

  /** Ends the callers. */
  async halt(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  /** Ends the callers, and looks at what came of all. */
  async stop(): Promise<Anomalies> {
    await this.halt();
    let lostWrites = 0;
    for (const [i, least] of this.#acknowledged.entries()) {
      const value = await this.#final(() => this.#value(this.gateways[0]!, at("entries", `k${i}`))) ?? -1;
      if (!(value >= least) && !this.#failed[i]!.has(value)) lostWrites++;
    }
    for (const key of this.#histories.counters) await this.#final(() => this.#readCount(this.gateways[0]!, key));
    for (const key of this.#histories.entries) await this.#final(() => this.#look(this.gateways[0]!, key));
    return {
      wrongReads: this.#wrongReads,
      lateWrites: this.#lateWrites,
      lostWrites,
      strangeFailures: this.strange.length,
      notLinearisable: this.#histories.wrong(this.options.allowed ?? STEADY),
    };
  }

  /** What was done, in a line. */
  get summary(): string {
    return `${this.done} operations (${this.#histories.size} on counters, chains and locks), ` +
      `${this.unavailable} unavailable, the longest took ${Math.round(this.#longest)} ms`;
  }

  /** What is there in the end, as soon as somebody tells. */
  async #final<Result>(read: () => Promise<Result>): Promise<Result> {
    const told: Result[] = [];
    await until("it is read", async () => told.push(await read()) > 0);
    return told[0]!;
  }

  #begin(callers: number, operation: (gateway: Watched, caller: number, turn: number) => Promise<void>): void {
    for (let caller = 0; caller < callers; caller++) {
      this.#loops.push(
        this.#loop(caller, (turn) => operation(this.gateways[caller % this.gateways.length]!, caller, turn)),
      );
    }
  }

  async #loop(caller: number, operation: (turn: number) => Promise<void>): Promise<void> {
    for (let turn = 0; !this.#stopped; turn++) {
      const begun = performance.now();
      try {
        await operation(turn);
        this.done++;
      } catch (error) {
        this.lastFailure = performance.now();
        if (error instanceof GatewayError && error.code === "UNAVAILABLE") this.unavailable++;
        else this.strange.push(error);
      }
      this.#longest = Math.max(this.#longest, performance.now() - begun);
      await new Promise((resolve) => setTimeout(resolve, 1 + caller % 2));
    }
  }

  async #write(gateway: Watched, entry: number): Promise<void> {
    const value = ++this.#tried[entry]!;
    try {
      await gateway.put(NS, at("entries", `k${entry}`), { json: String(value) }, {}, WAITER);
      this.#acknowledged[entry] = value;
    } catch (error) {
      this.#failed[entry]!.add(value);
      throw error;
    }
  }

  async #read(gateway: Watched, entry: number): Promise<void> {
    const least = this.#acknowledged[entry]!;
    const value = await this.#value(gateway, at("entries", `k${entry}`)) ?? -1;
    if (value >= least && value <= this.#tried[entry]!) return;
    if (this.#failed[entry]!.has(value)) this.#lateWrites++;
    else this.#wrongReads++;
  }

  async #value(gateway: Watched, place: CacheAddress): Promise<number | undefined> {
    const found = await gateway.get(NS, place, WAITER);
    return found === undefined ? undefined : Number(textOf(found));
  }

  async #count(gateway: Watched, key: string): Promise<void> {
    if (Math.random() < 0.2) return void await this.#readCount(gateway, key);
    const increment = { by: 1, initial: 0, ttl: undefined };
    await this.#histories.count(
      key,
      1,
      () => Promise.resolve(gateway.increment(NS, at("counters", key), increment, WAITER)),
    );
  }

  #readCount(gateway: Watched, key: string): Promise<number | undefined> {
    return this.#histories.readCount(key, () => this.#value(gateway, at("counters", key)));
  }

  /** What an entry of a chain is. */
  async #look(gateway: Watched, key: string): Promise<Seen | undefined> {
    const read = async () => ({ found: seenIn(await gateway.get(NS, at("chains", key), WAITER)) });
    return (await this.#histories.entry(key, { does: "get" }, read))?.found;
  }

  /** One more link of a chain: whoever changes it holds the cluster's lock of it, or is the first. */
  async #change(gateway: Watched, chain: number): Promise<void> {
    const key = `chain${chain}.${Math.floor(this.#links[chain]! / LINKS)}`, place = at("chains", key);
    if (Math.random() < 0.2) {
      const value = String(++this.#values);
      const swap = async () => ({
        found: seenIn(await gateway.swap(NS, place, { json: value }, undefined, WAITER)),
      });
      await this.#histories.entry(key, { does: "getset", value }, swap);
    } else {
      const found = await this.#look(gateway, key), value = String(++this.#values);
      const op = found ? { does: "cas", from: found.version, value } as const : { does: "nx", value } as const;
      const condition = found ? { version: found.version } : "absent";
      await this.#put(gateway, key, op, { condition, versioned: found !== undefined });
    }
    this.#links[chain]!++;
  }

  async #put(
    gateway: Watched,
    key: string,
    op: EntryOperation & { readonly value: string },
    options: CachePutOptions,
  ): Promise<void> {
    const put = () => Promise.resolve(gateway.put(NS, at("chains", key), { json: op.value }, options, WAITER));
    await this.#histories.entry(key, op, put);
  }

  /** Writes and deletes without the cluster's lock. */
  async #create(gateway: Watched, key: string): Promise<void> {
    const value = String(++this.#values), kind = any(5);
    if (kind === 0) return void await this.#look(gateway, key);
    if (kind === 1) return await this.#put(gateway, key, { does: "put", value }, {});
    if (kind === 2) return await this.#put(gateway, key, { does: "nx", value }, { condition: "absent" });
    if (kind === 3) return await this.#put(gateway, key, { does: "xx", value }, { condition: "present" });
    const remove = async () => ({ existed: await gateway.delete(NS, at("chains", key), undefined, WAITER) });
    await this.#histories.entry(key, { does: "delete" }, remove);
  }

  /** Takes a lock, if it is free, and holds it for a moment. Now and then its holder is gone, and never frees it. */
  async #lock(gateway: Watched, key: string): Promise<void> {
    const dies = Math.random() < 0.02, place = at("locks", key), lease = dies ? LAST_LEASE : LEASE;
    const held = await this.#histories.lock(
      key,
      { does: "lock", lease },
      () => Promise.resolve(gateway.tryLock(NS, place, lease, WAITER)),
    );
    if (held === undefined || dies) return;
    const { token } = held;
    await new Promise((resolve) => setTimeout(resolve, 3));
    if (Math.random() < 0.5) {
      const renew = () => Promise.resolve(gateway.renew(NS, place, token, LEASE, WAITER)).then(() => undefined);
      await this.#histories.lock(key, { does: "renew", token, lease: LEASE }, renew);
    }
    const free = () => Promise.resolve(gateway.unlock(NS, place, token, WAITER)).then(() => undefined);
    await this.#histories.lock(key, { does: "unlock", token }, free);
  }
}

const tell = (line: string) => Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
const at = (map: string, key: string) => ({ map, key });
const any = (count: number) => Math.floor(Math.random() * count);
const textOf = ({ value }: CacheEntry) => "json" in value ? value.json : "bytes";
const seenIn = (entry: CacheEntry | undefined): Seen | undefined =>
  entry && { value: textOf(entry), version: entry.version };
