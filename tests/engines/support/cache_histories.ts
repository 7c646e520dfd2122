import type { CacheDriver } from "../../../services/cache/driver.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import {
  type CounterHappening,
  type EntryAllowances,
  type EntryAnswer,
  type EntryHappening,
  type EntryOperation,
  type LockAllowances,
  type LockAnswer,
  type LockHappening,
  type LockOperation,
  whyNotCounter,
  whyNotEntry,
  whyNotLock,
} from "../../support/cache_models.ts";
import type { Happening } from "../../support/linearisable.ts";

/** What of a cache is looked at. */
export type Watched = Pick<
  CacheDriver,
  "get" | "put" | "swap" | "delete" | "increment" | "tryLock" | "renew" | "unlock"
>;

/** What may come out otherwise than one after the other, each with the reason why nobody promises it. */
export type Allowances = EntryAllowances & LockAllowances;

/** What Olric does not promise while the members stay the same and answer. */
export const STEADY: Allowances = {
  bothDeleted: "the engine does not say what it deleted, so that those who delete at once hear what they saw before",
};

/** What Olric does not promise while members change or do not answer. Nothing of it lets two in, or loses what was acknowledged. */
export const WHILE_MEMBERS_CHANGE: Allowances = {
  ...STEADY,
  heldByNobody:
    "members remember nothing of what was deleted: a lock that one had not heard to be free holds until its lease is over",
  lostEarly:
    "to renew empties the lock's replicas before it is written again: who does so while its owner dies has lost it, " +
    "though nobody else gets it before the lease is over",
};

/** What callers asked of a cache and were told, key by key, and whether that can be so. */
export class Histories {
  readonly #counters = new Map<string, CounterHappening[]>();
  readonly #entries = new Map<string, EntryHappening[]>();
  readonly #locks = new Map<string, LockHappening[]>();

  /** Counts, and remembers it. @throws what the work throws */
  async count(key: string, by: number, work: () => Promise<{ readonly value: number }>): Promise<number | undefined> {
    return await recorded(of(this.#counters, key), { does: "incr", by }, async () => (await work()).value);
  }

  /** The same for a read of a counter. */
  async readCount(key: string, work: () => Promise<number | undefined>): Promise<number | undefined> {
    return await recorded(of(this.#counters, key), { does: "get" }, work);
  }

  /** The same for an entry. @returns `undefined` where its condition did not hold */
  async entry(key: string, op: EntryOperation, work: () => Promise<EntryAnswer>): Promise<EntryAnswer | undefined> {
    return await recorded(of(this.#entries, key), op, work);
  }

  /** The same for a lock. The work gives `undefined` for what is no lock to the caller: it is somebody else's. */
  async lock(
    key: string,
    op: LockOperation,
    work: () => Promise<LockAnswer | undefined>,
  ): Promise<LockAnswer | undefined> {
    return await recorded(of(this.#locks, key), op, work, op.does === "lock");
  }

  /** Names of all counters and entries, to read them once more in the end. */
  get counters(): readonly string[] {
    return [...this.#counters.keys()];
  }
  get entries(): readonly string[] {
    return [...this.#entries.keys()];
  }

  /** How many operations there are. */
  get size(): number {
    return [this.#counters, this.#entries, this.#locks].reduce(
      (sum, histories) => sum + [...histories.values()].reduce((all, { length }) => all + length, 0),
      0,
    );
  }

  /** Each key whose answers cannot all be true, with the reason. @throws Error when that was not found out */
  wrong(allowed: Allowances): readonly string[] {
    return [
      ...reasons("counter", this.#counters, whyNotCounter),
      ...reasons("entry", this.#entries, (history: readonly EntryHappening[]) => whyNotEntry(history, allowed)),
      ...reasons("lock", this.#locks, (history: readonly LockHappening[]) => whyNotLock(history, allowed)),
    ];
  }
}

function reasons<One>(
  kind: string,
  histories: ReadonlyMap<string, readonly One[]>,
  why: (history: readonly One[]) => string | undefined,
): readonly string[] {
  return [...histories].flatMap(([key, history]) => {
    const reason = why(history);
    return reason === undefined ? [] : [`${kind} ${key}: ${reason}`];
  });
}

function of<One>(histories: Map<string, One[]>, key: string): One[] {
  const history = histories.get(key) ?? [];
  histories.set(key, history);
  return history;
}

/** @param mayRefuse whether nothing for a result means that it was refused */
async function recorded<Operation, Result>(
  history: Happening<Operation, Result>[],
  op: Operation,
  work: () => Promise<Result | undefined>,
  mayRefuse = false,
): Promise<Result | undefined> {
  const begin = performance.now();
  const note = (outcome: "ok" | "refused" | "unknown", result?: Result) =>
    history.push({ begin, end: performance.now(), op, outcome, result });
  try {
    const result = await work();
    note(mayRefuse && result === undefined ? "refused" : "ok", result);
    return result;
  } catch (error) {
    if (error instanceof GatewayError && ["PRECONDITION_FAILED", "LOCK_LOST"].includes(error.code)) {
      note("refused");
      return undefined;
    }
    if (!saysNothingHappened(error)) note("unknown");
    throw error;
  }
}

/** Who is told so is promised that it did not happen, so that nobody may ever see that it did. */
const saysNothingHappened = (error: unknown) =>
  error instanceof GatewayError && error.code === "UNAVAILABLE" && /nothing was changed/.test(error.message);
