import { deepEqual, equal, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { FarCall } from "./support/far_driver.ts";
import { LIFE, NearSubject, numberIn, SHOP, USERS, WAITER } from "./support/near.ts";

const AT = { map: USERS, key: "a" };
const TWO = { json: "2" };

/** Everything behind which nobody may read what was before, whatever becomes of it. */
const CHANGES: Readonly<Record<string, (t: NearSubject) => unknown>> = {
  put: (t) => t.near.put(SHOP, AT, TWO, {}, WAITER),
  "put that is refused": (t) => t.near.put(SHOP, AT, TWO, { condition: "absent" }, WAITER),
  "put of another version": (t) => t.near.put(SHOP, AT, TWO, { condition: { version: "1" } }, WAITER),
  putMany: (t) => t.near.putMany(SHOP, USERS, [{ key: "b", value: TWO }, { key: "a", value: TWO }], undefined, WAITER),
  swap: (t) => t.near.swap(SHOP, AT, TWO, undefined, WAITER),
  delete: (t) => t.near.delete(SHOP, AT, undefined, WAITER),
  deleteMany: (t) => t.near.deleteMany(SHOP, USERS, ["b", "a"], WAITER),
  increment: (t) => t.near.increment(SHOP, AT, { by: 1, initial: 0, ttl: undefined }, WAITER),
  expire: (t) => t.near.expire(SHOP, AT, LIFE, WAITER),
  "read of what is there now": (t) => t.near.get(SHOP, AT, WAITER, { current: true }),
  drop: (t) => t.near.drop(SHOP, USERS, WAITER),
  purge: (t) => t.near.purge(SHOP, WAITER.signal),
};

/** Every order of several sequences of steps, each of which stays in its own: as lists of whose turn it is. */
function* orders(left: readonly number[]): Generator<number[]> {
  if (left.every((steps) => steps === 0)) yield [];
  for (const [who, steps] of left.entries()) {
    if (steps === 0) continue;
    for (const rest of orders(left.with(who, steps - 1))) yield [who, ...rest];
  }
}

/** Everything has happened that waits for nothing but other promises: thousands of times, so without a timer. */
async function promisesKept(): Promise<void> {
  for (let i = 0; i < 10; i++) await undefined;
}

/** A call in three steps: it begins, it happens, its answer arrives. */
class Actor {
  answer: Promise<unknown> | undefined;
  arrived = false;
  #step = 0;
  #call: FarCall | undefined;

  constructor(private readonly t: NearSubject, private readonly begin: () => unknown) {}

  async step(): Promise<void> {
    const step = this.#step++;
    if (step === 0) {
      const before = this.t.asked;
      this.answer = Promise.resolve(this.begin());
      this.answer.catch(() => {});
      // Who joins another's read, or finds a copy, has no call of their own.
      if (this.t.asked > before) this.#call = this.t.far.last;
    } else if (step === 1) this.#call?.happen();
    else {
      this.#call?.arrive();
      this.arrived = true;
    }
    await promisesKept();
  }
}

/** What is there. */
const truth = (t: NearSubject) => t.memory.get(SHOP, AT);

/** Those that meet two reads, in 1,680 orders; the others meet one, in 20. */
const THOROUGHLY = ["put", "drop"];

for (const [name, change] of Object.entries(CHANGES)) {
  Deno.test(`${name}: however it meets reads, none that begins behind its answer gives what was before`, async () => {
    const steps = THOROUGHLY.includes(name) ? [3, 3, 3] : [3, 0, 3];
    let met = 0;
    for (const order of orders(steps)) {
      await using t = new NearSubject();
      t.elsewhere("a", 1);
      const one = () => t.get("a");
      const ofMany = async () => (await t.near.getMany(SHOP, USERS, ["a"], WAITER))[0];
      const changing = new Actor(t, () => change(t));
      const actors = [new Actor(t, one), new Actor(t, met++ % 2 ? one : ofMany), changing];
      const behind: (Promise<unknown> | undefined)[] = [];
      for (const who of order) {
        const begins = actors[who]!.answer === undefined;
        await actors[who]!.step();
        if (!changing.arrived) continue;
        if (begins) behind.push(actors[who]!.answer);
        const before = t.asked;
        behind.push(Promise.resolve(t.get("a")));
        if (t.asked > before) t.far.last.arrive();
        await promisesKept();
      }
      for (const entry of await Promise.all(behind)) deepEqual(entry, truth(t), order.join(""));
    }
    equal(met, THOROUGHLY.includes(name) ? 1_680 : 20);
  });

  Deno.test(`${name}: whatever comes of it, what was held or read before its answer is asked for anew`, async () => {
    const outcomes: Readonly<Record<string, (call: FarCall) => void>> = {
      "it is answered": (call) => call.arrive(),
      "it is done, and nobody hears of it": (call) => {
        call.happen();
        call.fail(new GatewayError("OUTCOME_UNKNOWN", "who knows"));
      },
      "it is not done": (call) => call.fail(new GatewayError("UNAVAILABLE", "nobody there")),
    };
    for (const [outcome, end] of Object.entries(outcomes)) {
      await using t = new NearSubject();
      t.elsewhere("a", 1);
      equal(await t.number("a"), 1);
      const answer = Promise.resolve(change(t));
      const call = t.far.last;
      answer.catch(() => {});
      // As if another gateway had been quicker.
      t.elsewhere("a", 5);
      equal(await t.number("a"), 5, `${outcome}: from its beginning on`);
      end(call);
      await answer.catch(() => {});
      const before = t.asked;
      deepEqual(await t.read("a"), truth(t), outcome);
      equal(t.asked, before + 1, `${outcome}: asked`);
    }
  });
}

Deno.test("a change of one entry, or of its namesake elsewhere, leaves the others alone", async () => {
  await using t = new NearSubject();
  t.lives = new Map([[USERS, LIFE], ["other", LIFE]]);
  t.elsewhere("a", 1);
  t.elsewhere("b", 1);
  await t.read("a");
  const reading = t.get("b");
  const { last: ofB } = t.far;
  for (
    const change of [
      () => t.near.put(SHOP, { map: USERS, key: "c" }, TWO, {}, WAITER),
      () => t.near.put(SHOP, { map: "other", key: "a" }, TWO, {}, WAITER),
      () => t.near.put("cafe", AT, TWO, {}, WAITER),
      () => t.near.drop(SHOP, "other", WAITER),
      () => t.near.drop("cafe", USERS, WAITER),
      () => t.near.purge("cafe", WAITER.signal),
    ]
  ) {
    const answer = change();
    t.far.last.arrive();
    await answer;
  }
  ofB.arrive();
  equal(numberIn(await reading), 1);
  const before = t.asked;
  deepEqual([await t.number("a"), await t.number("b")], [1, 1]);
  equal(t.asked, before);
});

Deno.test("a caller who reads again after a refusal sees what it was refused for", async () => {
  await using t = new NearSubject();
  t.elsewhere("a", 1);
  const { version } = (await t.read("a"))!;
  t.elsewhere("a", 2);
  equal((await t.read("a"))!.version, version, "the copy");
  const late = Promise.resolve(t.near.put(SHOP, AT, TWO, { condition: { version } }, WAITER));
  t.far.last.arrive();
  equal(await late.then(() => "written", (error) => error.code), "PRECONDITION_FAILED");
  const now = (await t.read("a"))!;
  ok(now.version !== version);
  equal(numberIn(now), 2);
});

Deno.test("what is read while rules change, or a namespace goes, is held under neither name", async () => {
  for (const end of ["other rules", "deleted here", "deleted elsewhere", "map dropped"]) {
    await using t = new NearSubject();
    t.elsewhere("a", 1);
    const reading = t.get("a");
    t.far.last.happen();
    const { last } = t.far;
    if (end === "other rules") t.lives = new Map([[USERS, LIFE]]);
    else if (end === "deleted elsewhere") t.near.forget(SHOP);
    else {
      const answer = end === "map dropped" ? t.near.drop(SHOP, USERS, WAITER) : t.near.purge(SHOP, WAITER.signal);
      t.far.last.arrive();
      await answer;
    }
    t.elsewhere("a", 2);
    const other = t.get("a");
    ok(other instanceof Promise && t.far.last !== last, `${end}: nobody joins it`);
    t.far.last.arrive();
    equal(numberIn(await other), 2);
    last.arrive();
    equal(numberIn(await reading), 1);
    const before = t.asked;
    equal(await t.number("a"), 2, end);
    equal(t.asked, before, end);
  }
});
