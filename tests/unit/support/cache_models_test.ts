import { equal, ok, throws } from "node:assert/strict";
import {
  type CounterHappening,
  type EntryAllowances,
  type EntryAnswer,
  type EntryHappening,
  type EntryOperation,
  type LockHappening,
  type LockOperation,
  whyNotCounter,
  whyNotEntry,
  whyNotLock,
} from "../../support/cache_models.ts";
import type { Outcome } from "../../support/linearisable.ts";
import { randomFrom } from "../cache/support/random.ts";

const good = (reason: string | undefined) => equal(reason, undefined);
const bad = (reason: string | undefined) => ok(reason !== undefined, "it is taken for good");

const count = (begin: number, end: number, result: number, by = 1): CounterHappening => ({
  begin,
  end,
  op: { does: "incr", by },
  outcome: "ok",
  result,
});
const lostAnswer = (begin: number, by = 1): CounterHappening => ({
  ...count(begin, begin, 0, by),
  outcome: "unknown",
  result: undefined,
});
const readCount = (begin: number, end: number, result: number | undefined): CounterHappening => ({
  begin,
  end,
  op: { does: "get" },
  outcome: "ok",
  result,
});

Deno.test("a counter: counts at once come in any order, one after the other in theirs", () => {
  good(whyNotCounter([count(0, 5, 2), count(1, 6, 1), count(7, 8, 3), readCount(9, 10, 3)]));
  good(whyNotCounter([readCount(0, 1, undefined), count(2, 3, 0.5, 0.5), count(4, 5, 1.5)]));
  bad(whyNotCounter([count(0, 1, 2), count(2, 3, 1)]));
});

Deno.test("a counter: a lost increment is found, also where unknown ones could make up for it in number", () => {
  bad(whyNotCounter([count(0, 1, 1), count(2, 3, 2), readCount(4, 5, 1)]));
  bad(whyNotCounter([count(0, 1, 1), count(2, 3, 1)]));
  bad(whyNotCounter([count(0, 1, 1), count(2, 3, 2), readCount(4, 5, undefined)]));
  // Three counts and one unknown: the sum of three could be right, but not so.
  bad(whyNotCounter([count(0, 1, 1), count(2, 3, 2), lostAnswer(4), count(6, 7, 2), readCount(8, 9, 3)]));
  bad(whyNotCounter([count(0, 1, 1), readCount(2, 3, 2), lostAnswer(4)]));
});

Deno.test("a counter: what was not confirmed counts once, late, or never", () => {
  good(whyNotCounter([count(0, 1, 1), lostAnswer(2), count(3, 4, 2), readCount(5, 6, 3)]));
  good(whyNotCounter([count(0, 1, 1), lostAnswer(2), count(3, 4, 3), readCount(5, 6, 3)]));
  good(whyNotCounter([count(0, 1, 1), lostAnswer(2), count(3, 4, 2), readCount(5, 6, 2)]));
  bad(whyNotCounter([count(0, 1, 1), lostAnswer(2), count(3, 4, 2), readCount(5, 6, 4)]));
});

Deno.test("a counter: hundreds of counts with dozens unknown are decided", () => {
  const next = randomFrom(3), history: CounterHappening[] = [];
  let sum = 0;
  for (let at = 0; at < 900; at++) {
    const begin = at - next() * 10, end = at + next() * 10;
    if (at > 400 && at < 460) {
      if (next() < 0.5) sum++;
      history.push(lostAnswer(begin));
    } else history.push(next() < 0.2 ? readCount(begin, end, sum || undefined) : count(begin, end, ++sum));
  }
  good(whyNotCounter(history));
  const [at] = history.entries().find(([i, { op }]) => i > 700 && op.does === "incr")!;
  bad(whyNotCounter(history.with(at, { ...history[at]!, result: history[at]!.result! - 100 })));
});

/** The version of a value, in these histories. */
const seen = (value: string) => ({ value, version: `@${value}` });
const entry = (
  begin: number,
  end: number,
  op: EntryOperation,
  result: EntryAnswer = {},
  outcome: Outcome = "ok",
): EntryHappening => ({ begin, end, op, outcome, result: outcome === "ok" ? result : undefined });
const put = (begin: number, end: number, value: string) => entry(begin, end, { does: "put", value });
const get = (begin: number, end: number, value?: string) =>
  entry(begin, end, { does: "get" }, value === undefined ? {} : { found: seen(value) });
const cas = (begin: number, end: number, from: string, value: string, outcome?: Outcome) =>
  entry(begin, end, { does: "cas", from: `@${from}`, value }, { version: `@${value}` }, outcome);
const getset = (begin: number, end: number, value: string, found?: string) =>
  entry(begin, end, { does: "getset", value }, found === undefined ? {} : { found: seen(found) });
const nx = (begin: number, end: number, value: string, outcome?: Outcome) =>
  entry(begin, end, { does: "nx", value }, {}, outcome);
const xx = (begin: number, end: number, value: string, outcome?: Outcome) =>
  entry(begin, end, { does: "xx", value }, {}, outcome);
const remove = (begin: number, end: number, existed: boolean, from?: string) =>
  entry(begin, end, { does: "delete", ...(from !== undefined && { from: `@${from}` }) }, { existed });
const entryGood = (history: EntryHappening[], allowed?: EntryAllowances) => good(whyNotEntry(history, allowed));
const entryBad = (history: EntryHappening[], allowed?: EntryAllowances) => bad(whyNotEntry(history, allowed));

Deno.test("an entry: a stale read after an acknowledged write, and a read that goes back, are found", () => {
  entryGood([put(0, 1, "a"), get(2, 3, "a"), put(4, 9, "b"), get(5, 6, "a"), get(7, 8, "b"), get(10, 11, "b")]);
  entryBad([put(0, 1, "a"), put(2, 3, "b"), get(4, 5, "a")]);
  entryBad([put(0, 1, "a"), put(2, 9, "b"), get(3, 4, "b"), get(5, 6, "a")]);
  entryBad([put(0, 1, "a"), get(2, 3)]);
  entryBad([put(0, 1, "a"), get(2, 3, "nobody's")]);
});

Deno.test("an entry: of two who change one version one alone may win", () => {
  const start = [put(0, 1, "a"), get(2, 3, "a")];
  entryGood([...start, cas(4, 9, "a", "b"), cas(5, 8, "a", "c", "refused"), get(10, 11, "b")]);
  entryBad([...start, cas(4, 9, "a", "b"), cas(5, 8, "a", "c")]);
  entryBad([...start, cas(4, 5, "a", "b", "refused"), get(6, 7, "a")]);
  // The winner's value is gone, under one that was begun before it and not confirmed: its condition did not hold any more.
  entryBad([...start, cas(4, 4, "a", "c", "unknown"), cas(5, 6, "a", "b"), get(7, 8, "b"), get(9, 10, "c")]);
  entryGood([...start, cas(4, 4, "a", "c", "unknown"), get(7, 8, "c"), cas(9, 10, "a", "d", "refused")]);
});

Deno.test("an entry: whoever swaps gets what was there last, and nobody else gets the same", () => {
  entryGood([getset(0, 9, "a"), getset(1, 8, "b", "a"), getset(10, 11, "c", "b"), get(12, 13, "c")]);
  entryBad([getset(0, 1, "a"), getset(2, 9, "b", "a"), getset(3, 8, "c", "a")]);
  entryBad([getset(0, 1, "a"), getset(2, 3, "b", "a"), get(4, 5, "a")]);
});

Deno.test("an entry: of those who write where nothing is one wins; where something must be, none is early", () => {
  entryGood([nx(0, 9, "a"), nx(1, 8, "b", "refused"), get(10, 11, "a"), xx(12, 13, "c"), get(14, 15, "c")]);
  entryBad([nx(0, 9, "a"), nx(1, 8, "b")]);
  entryBad([nx(0, 1, "a", "refused")]);
  entryBad([xx(0, 1, "a")]);
  entryBad([put(0, 1, "a"), xx(2, 3, "b", "refused")]);
  entryGood([nx(0, 1, "a"), remove(2, 3, true), nx(4, 5, "b"), get(6, 7, "b")]);
});

Deno.test("an entry: what is deleted is gone, and one alone hears so, unless that is allowed", () => {
  const two = [put(0, 1, "a"), remove(2, 9, true), remove(3, 8, true), get(10, 11)];
  entryBad(two);
  entryGood(two, { bothDeleted: "allowed" });
  entryBad([put(0, 1, "a"), remove(2, 3, true), get(4, 5, "a")], { bothDeleted: "allowed" });
  entryBad([put(0, 1, "a"), remove(2, 3, false), get(4, 5)], { bothDeleted: "allowed" });
  const named = [put(0, 1, "a"), get(2, 3, "a"), remove(4, 9, true, "a")];
  entryGood([...named, remove(5, 8, false, "a")]);
  entryBad([...named, remove(5, 8, true, "a")], { bothDeleted: "allowed" });
});

Deno.test("an entry: a value has one version, and a version one value", () => {
  const other = (value: string, version: string) => entry(4, 5, { does: "get" }, { found: { value, version } });
  entryBad([put(0, 1, "a"), get(2, 3, "a"), other("a", "@b")]);
  entryBad([put(0, 1, "a"), get(2, 3, "a"), put(2, 6, "b"), other("b", "@a")]);
  const told = entry(0, 1, { does: "put", value: "a" }, { version: "0" });
  entryBad([told, get(2, 3, "a")]);
  entryGood([told, get(2, 3, "a")], { versionOfNobody: "allowed" });
  throws(() => whyNotEntry([put(0, 1, "a"), put(2, 3, "a")]), /same value/);
});

Deno.test("an entry: a thousand operations by forty callers are decided, and one wrong answer among them found", () => {
  for (const seed of [1, 2, 3]) {
    const next = randomFrom(seed), history: EntryHappening[] = [];
    let state = "first";
    const told = new Set(["first"]);
    history.push(put(-100, -99, state), get(-98, -97, state));
    // Each happens at a moment of its own, and is stretched over its neighbours.
    for (let at = 0; at < 1_000; at++) {
      const begin = at - next() * 20, end = at + next() * 20, kind = next(), value = `w${at}`, before = state;
      if (kind < 0.5) {
        history.push(get(begin, end, before));
        told.add(before);
      } else if (!told.has(before)) history.push(xx(begin, end, state = value));
      else if (kind < 0.6) history.push(put(begin, end, state = value));
      else if (kind < 0.7) history.push(getset(begin, end, state = value, before));
      else if (kind < 0.8) history.push(cas(begin, end, before, state = value));
      else if (kind < 0.9) history.push(cas(begin, end, "first", value, at === 0 ? "unknown" : "refused"));
      else if (kind < 0.95) history.push(cas(begin, end, before, state = value, "unknown"));
      else history.push(entry(begin, begin, { does: "put", value }, {}, "unknown"));
    }
    entryGood(history);
    const reads = history.filter(({ op }) => op.does === "get");
    const [early, late] = [reads[50]!, reads.at(-50)!];
    entryBad(history.with(history.indexOf(late), { ...late, result: early.result }));
  }
});

const lock = (begin: number, end: number, holder: string, fencing: number, lease = 1_000): LockHappening => ({
  begin,
  end,
  op: { does: "lock", lease },
  outcome: "ok",
  result: { token: holder, fencing },
});
const on = (begin: number, end: number, op: LockOperation, outcome: Outcome = "ok"): LockHappening => ({
  begin,
  end,
  op,
  outcome,
  result: undefined,
});
const unlock = (begin: number, end: number, token: string, outcome?: Outcome) =>
  on(begin, end, { does: "unlock", token }, outcome);
const renew = (begin: number, end: number, token: string, outcome?: Outcome, lease = 1_000) =>
  on(begin, end, { does: "renew", token, lease }, outcome);
const tried = (begin: number, end: number, outcome: Outcome) => on(begin, end, { does: "lock", lease: 1_000 }, outcome);

Deno.test("a lock: two holders are found, whether they overlap or one has not freed it", () => {
  good(whyNotLock([lock(0, 1, "a", 1), tried(2, 3, "refused"), unlock(4, 6, "a"), lock(5, 7, "b", 2)]));
  bad(whyNotLock([lock(0, 1, "a", 1), lock(2, 3, "b", 2), unlock(4, 5, "a")]));
  bad(whyNotLock([lock(0, 1, "a", 1), lock(2, 3, "b", 2), unlock(4, 5, "a", "refused")]));
  bad(whyNotLock([tried(0, 1, "refused")]));
});

Deno.test("a lock: what is allowed lets nobody else in", () => {
  const allowed = { heldByNobody: "allowed", lostEarly: "allowed" };
  good(whyNotLock([tried(0, 1, "refused"), lock(2, 3, "a", 1), unlock(4, 5, "a", "refused")], allowed));
  bad(whyNotLock([lock(0, 1, "a", 1), unlock(2, 3, "a", "refused"), lock(4, 5, "b", 2)], allowed));
  bad(whyNotLock([lock(0, 1, "a", 1), unlock(2, 3, "a"), tried(4, 5, "refused"), lock(6, 7, "b", 1)], allowed));
});

Deno.test("a lock: numbers that do not grow are found", () => {
  bad(whyNotLock([lock(0, 1, "a", 2), unlock(2, 3, "a"), lock(4, 5, "b", 1)]));
  bad(whyNotLock([lock(0, 1, "a", 2), unlock(2, 3, "a"), lock(4, 5, "b", 2)]));
});

Deno.test("a lock: a lease that is over lets in the next, no sooner, and not the old holder again", () => {
  good(whyNotLock([lock(0, 1, "a", 1), lock(999, 1_000, "b", 2), unlock(1_001, 1_002, "a", "refused")]));
  good(whyNotLock([lock(0, 1, "a", 1), renew(1_001, 1_002, "a", "refused")]));
  bad(whyNotLock([lock(0, 1, "a", 1), lock(900, 901, "b", 2)]));
  bad(whyNotLock([lock(0, 1, "a", 1), unlock(900, 901, "a", "refused")]));
  bad(whyNotLock([lock(0, 1, "a", 1), lock(999, 1_000, "b", 2), renew(1_001, 1_002, "a")]));
  bad(whyNotLock([lock(0, 1, "a", 1), unlock(2, 3, "a"), unlock(4, 5, "a")]));
});

Deno.test("a lock: renewing holds it for longer, as far as that was confirmed", () => {
  bad(whyNotLock([lock(0, 1, "a", 1), renew(900, 901, "a"), lock(1_500, 1_501, "b", 2)]));
  good(whyNotLock([lock(0, 1, "a", 1), renew(900, 901, "a"), lock(1_900, 1_901, "b", 2)]));
  good(whyNotLock([lock(0, 1, "a", 1), renew(900, 900, "a", "unknown"), lock(1_500, 1_501, "b", 2)]));
  good(whyNotLock([lock(0, 1, "a", 1), renew(900, 900, "a", "unknown"), tried(1_500, 1_501, "refused")]));
});

Deno.test("a lock: what was not confirmed may hold it, or have freed it", () => {
  good(whyNotLock([tried(0, 0, "unknown"), tried(2, 3, "refused"), lock(1_003, 1_004, "b", 1)]));
  bad(whyNotLock([tried(0, 1, "refused"), tried(2, 2, "unknown")]));
  good(whyNotLock([lock(0, 1, "a", 1), unlock(2, 2, "a", "unknown"), lock(3, 4, "b", 2)]));
  good(whyNotLock([lock(0, 1, "a", 1), unlock(2, 2, "a", "unknown"), tried(3, 4, "refused")]));
});
