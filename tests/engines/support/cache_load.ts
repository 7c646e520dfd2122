import { deepEqual } from "node:assert/strict";
import type { CacheDriver } from "../../../services/cache/driver.ts";
import { OlricDriver } from "../../../services/cache/olric/driver.ts";
import type { CacheAddress, CacheEntry } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "./wait.ts";

const WAITER = { signal: new AbortController().signal };
const NS = "load";
/** How many entries of each kind there are. Few, so that gateways meet. */
const ENTRIES = 200, COUNTERS = 20, CHAINS = 10, LOCKS = 6;
/** Callers of each kind. */
const WRITERS = 8, READERS = 8, COUNTING = 8, CHANGING = 4, LOCKING = 6;
/** Milliseconds of a lease. Nobody holds a lock for as long. */
const LEASE = 5_000;
/** Milliseconds without a failure after which all is well. */
const QUIET = 1_500;

/** What was wrong. All of it is 0 where nothing was. */
export interface Anomalies {
  /** Reads of less than was acknowledged before they began, or of what nobody wrote. */
  readonly wrongReads: number;
  /** Reads of what was tried and never acknowledged, after something newer was: it happened late. */
  readonly lateWrites: number;
  /** Entries that in the end have less than was acknowledged. */
  readonly lostWrites: number;
  /** Acknowledged counts that the counters do not have. */
  readonly lostCounts: number;
  /** Results that two counts of one counter had. */
  readonly sameResults: number;
  /** Counts that nobody made. */
  readonly madeUpCounts: number;
  /** Versions from which two writes were acknowledged. */
  readonly forks: number;
  /** Times at which a lock had two holders. */
  readonly twoHolders: number;
  /** Holders with a number that was not larger than that of the one before. */
  readonly numbersNotGrowing: number;
  /** Failures that are not `UNAVAILABLE`. */
  readonly strangeFailures: number;
}

const NOTHING_WRONG: Anomalies = {
  wrongReads: 0,
  lateWrites: 0,
  lostWrites: 0,
  lostCounts: 0,
  sameResults: 0,
  madeUpCounts: 0,
  forks: 0,
  twoHolders: 0,
  numbersNotGrowing: 0,
  strangeFailures: 0,
};

/** Puts load on two gateways of a cluster while something happens to it. @throws AssertionError when anything came out wrong */
export async function underLoad(
  name: string,
  addresses: readonly string[],
  run: (load: CacheLoad) => Promise<void>,
): Promise<void> {
  const gateways = await Promise.all([1, 2].map(() => OlricDriver.open({ addresses })));
  const load = new CacheLoad(gateways);
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

/** Callers of several gateways that never stop, and what they were told. Every entry has one writer, who counts upwards. */
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
  readonly #acknowledged = new Array<number>(ENTRIES).fill(-1);
  readonly #tried = new Array<number>(ENTRIES).fill(-1);
  readonly #failed = Array.from({ length: ENTRIES }, () => new Set<number>());
  readonly #counts = Array.from({ length: COUNTERS }, () => ({ acknowledged: [] as number[], unknown: 0 }));
  readonly #steps: { chain: number; from: string }[] = [];
  readonly #held: { lock: number; from: number; to: number; fencing: number }[] = [];
  readonly #loops: Promise<void>[] = [];

  constructor(private readonly gateways: readonly CacheDriver[]) {
    this.#begin(WRITERS, (gateway, caller, turn) => this.#write(gateway, (caller + WRITERS * turn) % ENTRIES));
    this.#begin(READERS, (gateway) => this.#read(gateway, any(ENTRIES)));
    this.#begin(COUNTING, (gateway) => this.#count(gateway, any(COUNTERS)));
    this.#begin(CHANGING, (gateway) => this.#change(gateway, any(CHAINS)));
    this.#begin(LOCKING, (gateway) => this.#lock(gateway, any(LOCKS)));
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

  /** Milliseconds that the longest operation took. */
  get longest(): number {
    return Math.round(this.#longest);
  }

  /** Ends the callers. */
  async halt(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  /** Ends the callers, and looks at what came of all. */
  async stop(): Promise<Anomalies> {
    await this.halt();
    let lostWrites = 0, lostCounts = 0, sameResults = 0, madeUpCounts = 0;
    for (const [i, least] of this.#acknowledged.entries()) {
      const value = await this.#final(at("entries", i)) ?? -1;
      if (!(value >= least) && !this.#failed[i]!.has(value)) lostWrites++;
    }
    for (const [i, { acknowledged, unknown }] of this.#counts.entries()) {
      const value = await this.#final(at("counters", i)) ?? 0;
      lostCounts += Math.max(0, acknowledged.length - value);
      madeUpCounts += Math.max(0, value - acknowledged.length - unknown);
      sameResults += acknowledged.length - new Set(acknowledged).size;
    }
    const froms = this.#steps.map(({ chain, from }) => `${chain} ${from}`);
    const byLock = Map.groupBy(this.#held.toSorted((a, b) => a.from - b.from), ({ lock }) => lock);
    let twoHolders = 0, numbersNotGrowing = 0;
    for (const holders of byLock.values()) {
      for (let i = 1; i < holders.length; i++) {
        if (holders[i]!.from < holders[i - 1]!.to) twoHolders++;
        if (holders[i]!.fencing <= holders[i - 1]!.fencing) numbersNotGrowing++;
      }
    }
    return {
      wrongReads: this.#wrongReads,
      lateWrites: this.#lateWrites,
      lostWrites,
      lostCounts,
      sameResults,
      madeUpCounts,
      forks: froms.length - new Set(froms).size,
      twoHolders,
      numbersNotGrowing,
      strangeFailures: this.strange.length,
    };
  }

  /** What was done, in a line. */
  get summary(): string {
    const counts = this.#counts.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
    return `${this.done} operations (${counts} counts, ${this.#steps.length} compare-and-set, ${this.#held.length} locks), ` +
      `${this.unavailable} unavailable, the longest took ${this.longest} ms`;
  }

  /** What is there in the end, as soon as somebody tells. */
  async #final(place: CacheAddress): Promise<number | undefined> {
    let value: number | undefined;
    await until("it is read", async () => {
      value = numberIn(await this.gateways[0]!.get(NS, place, WAITER));
      return true;
    });
    return value;
  }

  #begin(callers: number, operation: (gateway: CacheDriver, caller: number, turn: number) => Promise<void>): void {
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

  async #write(gateway: CacheDriver, entry: number): Promise<void> {
    const value = ++this.#tried[entry]!;
    try {
      await gateway.put(NS, at("entries", entry), { json: String(value) }, {}, WAITER);
      this.#acknowledged[entry] = value;
    } catch (error) {
      this.#failed[entry]!.add(value);
      throw error;
    }
  }

  async #read(gateway: CacheDriver, entry: number): Promise<void> {
    const least = this.#acknowledged[entry]!;
    const value = numberIn(await gateway.get(NS, at("entries", entry), WAITER)) ?? -1;
    if (value >= least && value <= this.#tried[entry]!) return;
    if (this.#failed[entry]!.has(value)) this.#lateWrites++;
    else this.#wrongReads++;
  }

  async #count(gateway: CacheDriver, counter: number): Promise<void> {
    const counts = this.#counts[counter]!;
    try {
      const by = { by: 1, initial: 0, ttl: undefined };
      counts.acknowledged.push((await gateway.increment(NS, at("counters", counter), by, WAITER)).value);
    } catch (error) {
      counts.unknown++;
      throw error;
    }
  }

  async #change(gateway: CacheDriver, chain: number): Promise<void> {
    const found = await gateway.get(NS, at("chains", chain), WAITER);
    const condition = found === undefined ? "absent" : { version: found.version };
    try {
      await gateway.put(NS, at("chains", chain), { json: "1" }, { condition, versioned: true }, WAITER);
      if (found !== undefined) this.#steps.push({ chain, from: found.version });
    } catch (error) {
      if (!(error instanceof GatewayError && error.code === "PRECONDITION_FAILED")) throw error;
    }
  }

  async #lock(gateway: CacheDriver, lock: number): Promise<void> {
    const lease = await gateway.tryLock(NS, at("locks", lock), LEASE, WAITER);
    if (lease === undefined) return;
    const from = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 3));
    this.#held.push({ lock, from, to: performance.now(), fencing: lease.fencing });
    await gateway.unlock(NS, at("locks", lock), lease.token, WAITER);
  }
}

const tell = (line: string) => Deno.stdout.write(new TextEncoder().encode(`${line}\n`));
const at = (map: string, i: number) => ({ map, key: `k${i}` });
const any = (count: number) => Math.floor(Math.random() * count);
const numberIn = (entry: CacheEntry | undefined) =>
  entry === undefined ? undefined : "json" in entry.value ? Number(entry.value.json) : NaN;
