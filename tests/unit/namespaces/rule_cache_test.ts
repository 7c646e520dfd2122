import { deepEqual, equal, ok } from "node:assert/strict";
import { type FoundRules, RuleCache } from "../../../services/namespaces/rule_cache.ts";
import type { NamespaceRules } from "../../../src/contracts/settings.ts";
import { MINUTE, SECOND, TestClock } from "../control_plane/support/clock.ts";

/** Rules that can be told apart. */
const rules = (maxRows: number) => ({ sql: { maxRows } }) as NamespaceRules;
const FALLBACK = rules(0);

/** A cache whose look-ups the test answers, in any order. */
function setUp({ size = 10 } = {}) {
  const clock = new TestClock();
  const asked: string[] = [];
  const answers: PromiseWithResolvers<FoundRules>[] = [];
  const errors: unknown[] = [];
  const cache = new RuleCache({
    size,
    monotonic: clock.now,
    fallback: FALLBACK,
    onError: (namespace, error) => errors.push([namespace, error]),
    lookUp: (namespace) => {
      asked.push(namespace);
      const answer = Promise.withResolvers<FoundRules>();
      answers.push(answer);
      return answer.promise;
    },
  });
  /** Answers a look-up and waits until the cache has heard. */
  const answer = async (at: number, maxRows: number, lasting = true) => {
    answers[at]!.resolve({ rules: rules(maxRows), lasting });
    await settled();
  };
  const fail = async (at: number) => {
    answers[at]!.reject(new Error("down"));
    await settled();
  };
  return { clock, asked, errors, cache, answer, fail };
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await Promise.resolve();
}

const isNow = (value: NamespaceRules | Promise<NamespaceRules>, maxRows: number) => deepEqual(value, rules(maxRows));

Deno.test("known rules come without a promise, and nobody is asked", async () => {
  const t = setUp();
  const first = t.cache.get("shop");
  ok(first instanceof Promise);
  await t.answer(0, 1);
  isNow(await first, 1);
  for (let i = 0; i < 3; i++) isNow(t.cache.get("shop"), 1);
  deepEqual(t.asked, ["shop"]);
});

Deno.test("many who ask at once for what nobody knows are one look-up", async () => {
  const t = setUp();
  const all = Array.from({ length: 100 }, () => t.cache.get("shop"));
  const other = t.cache.get("cafe");
  deepEqual(t.asked, ["shop", "cafe"]);
  await t.answer(0, 1);
  await t.answer(1, 2);
  for (const one of all) isNow(await one, 1);
  isNow(await other, 2);
});

Deno.test("a change is read at once, and what was known holds until it is there", async () => {
  const t = setUp();
  void t.cache.get("shop");
  await t.answer(0, 1);
  const done = t.cache.changed("shop");
  isNow(t.cache.get("shop"), 1);
  await t.answer(1, 2);
  await done;
  isNow(t.cache.get("shop"), 2);
  equal(t.asked.length, 2);
});

Deno.test("a change of what is not known here asks nobody", async () => {
  const t = setUp();
  await t.cache.changed("shop");
  deepEqual(t.asked, []);
});

Deno.test("what was read before a change and arrives after it is not remembered", async () => {
  for (const newerFirst of [true, false]) {
    const t = setUp();
    const early = t.cache.get("shop");
    void t.cache.changed("shop");
    const late = t.cache.get("shop");
    equal(t.asked.length, 2, "whoever asks after the change does not get what may be older");
    for (const at of newerFirst ? [1, 0] : [0, 1]) await t.answer(at, at);
    isNow(await early, 0);
    isNow(await late, 1);
    isNow(t.cache.get("shop"), 1);
  }
});

Deno.test("of two changes at once the later one's reading counts", async () => {
  const t = setUp();
  void t.cache.get("shop");
  await t.answer(0, 0);
  void t.cache.changed("shop");
  void t.cache.changed("shop");
  await t.answer(2, 2);
  await t.answer(1, 1);
  isNow(t.cache.get("shop"), 2);
});

Deno.test("a namespace that went is looked up again, and what was under way is not remembered", async () => {
  const t = setUp();
  void t.cache.get("shop");
  await t.answer(0, 1);
  t.cache.gone("shop");
  const again = t.cache.get("shop");
  ok(again instanceof Promise);
  t.cache.gone("shop");
  await t.answer(1, 2);
  isNow(await again, 2);
  ok(t.cache.get("shop") instanceof Promise);
});

Deno.test("rules of a name that is about to be free are not remembered", async () => {
  const t = setUp();
  void t.cache.get("shop");
  await t.answer(0, 1);
  void t.cache.changed("shop");
  await t.answer(1, 2, false);
  ok(t.cache.get("shop") instanceof Promise);
});

Deno.test("rules are read anew from time to time, and nobody waits for it", async () => {
  const t = setUp();
  void t.cache.get("shop");
  await t.answer(0, 1);
  t.clock.advance(10 * MINUTE - 1);
  isNow(t.cache.get("shop"), 1);
  equal(t.asked.length, 1);
  t.clock.advance(1);
  for (let i = 0; i < 3; i++) isNow(t.cache.get("shop"), 1);
  equal(t.asked.length, 2);
  await t.answer(1, 2);
  isNow(t.cache.get("shop"), 2);
});

Deno.test("where nobody can be asked, what was known last holds, and it is tried again a second later", async () => {
  const t = setUp();
  void t.cache.get("shop");
  await t.answer(0, 1);
  void t.cache.changed("shop");
  await t.fail(1);
  isNow(t.cache.get("shop"), 1);
  equal(t.asked.length, 2, "not at once");
  t.clock.advance(SECOND);
  isNow(t.cache.get("shop"), 1);
  await t.fail(2);
  t.clock.advance(SECOND);
  isNow(t.cache.get("shop"), 1);
  await t.answer(3, 2);
  isNow(t.cache.get("shop"), 2);
  equal(t.errors.length, 2);
});

Deno.test("where nobody can be asked and nothing was known, the defaults hold for a second", async () => {
  const t = setUp();
  const first = t.cache.get("shop");
  await t.fail(0);
  isNow(await first, 0);
  isNow(t.cache.get("shop"), 0);
  equal(t.asked.length, 1);
  t.clock.advance(SECOND);
  const next = t.cache.get("shop");
  ok(next instanceof Promise, "what was only assumed is no reason to let a caller go on without its rules");
  await t.answer(1, 7);
  isNow(await next, 7);
  isNow(t.cache.get("shop"), 7);
});

Deno.test("no more namespaces are remembered than there is room for", async () => {
  const t = setUp({ size: 2 });
  for (const [at, name] of ["a", "b", "c"].entries()) {
    void t.cache.get(name);
    await t.answer(at, at);
  }
  isNow(t.cache.get("c"), 2);
  ok(t.cache.get("a") instanceof Promise);
});
