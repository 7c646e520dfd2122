import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GcraLimits, type Limit } from "../../../services/rate_limits/gcra.ts";
import type { LimitKind } from "../../../src/contracts/rate_limits.ts";
import { Chance } from "../control_plane/support/chance.ts";

const OFF: Limit = { rate: 0, burst: 0 };

function limitsOf(limits: Partial<Record<LimitKind, Limit>>) {
  const clock = { time: 1_000_000 };
  const gcra = new GcraLimits({ key: OFF, address: OFF, credentials: OFF, ...limits }, () => clock.time);
  return { clock, gcra, take: (id = "a", kind: LimitKind = "key") => gcra.take(kind, id)! };
}

Deno.test("a burst passes at once, then one request each time that one is due", () => {
  const { clock, take } = limitsOf({ key: { rate: 2, burst: 5 } });
  for (let i = 0; i < 5; i++) equal(take().allowed, true);
  equal(take().allowed, false);
  clock.time += 499;
  equal(take().allowed, false);
  clock.time += 1;
  equal(take().allowed, true);
  equal(take().allowed, false);
  clock.time += 60_000;
  for (let i = 0; i < 5; i++) equal(take().allowed, true, "the whole burst is there again, and no more");
  equal(take().allowed, false);
});

/** The same limit as a bucket of tokens: the other common way to say it. */
class TokenBucket {
  #tokens: number;
  #at: number;

  constructor(private readonly limit: Limit, at: number) {
    this.#tokens = limit.burst;
    this.#at = at;
  }

  take(at: number): boolean {
    this.#tokens = Math.min(this.limit.burst, this.#tokens + (at - this.#at) / 1000 * this.limit.rate);
    this.#at = at;
    // As much slack as rounding of many additions needs, and far less than one request.
    if (this.#tokens < 1 - 1e-6) return false;
    this.#tokens -= 1;
    return true;
  }
}

Deno.test("whatever the arrivals, it decides as a bucket of tokens does, and what passes keeps to burst + rate · t", () => {
  const chance = new Chance(11);
  let refused = 0;
  for (let round = 0; round < 40; round++) {
    const limit = { rate: chance.pick([0.1, 1, 3, 7, 50, 200]), burst: chance.pick([1, 2, 5, 60, 500]) };
    const { clock, take } = limitsOf({ key: limit });
    const bucket = new TokenBucket(limit, clock.time);
    const passed: number[] = [];
    for (let i = 0; i < 400; i++) {
      // Pauses in whole multiples of a sixteenth: what a clock of milliseconds gives, without sums that round.
      if (chance.next() < 0.5) clock.time += chance.below(Math.ceil(3 * 16_000 / limit.rate)) / 16;
      const decision = take();
      equal(decision.allowed, bucket.take(clock.time), `${JSON.stringify(limit)}, request ${i}`);
      if (decision.allowed) passed.push(clock.time);
      else refused++;
    }
    for (let from = 0; from < passed.length; from++) {
      for (let to = from; to < passed.length; to++) {
        const allowed = limit.burst + limit.rate * (passed[to]! - passed[from]!) / 1000;
        ok(to - from + 1 <= allowed + 1e-6, `${to - from + 1} of ${allowed} within ${passed[to]! - passed[from]!} ms`);
      }
    }
  }
  ok(refused > 500, String(refused));
});

Deno.test("Retry-After is the truth: so long it is refused, and then it passes", () => {
  const chance = new Chance(12);
  for (let round = 0; round < 40; round++) {
    const rate = chance.pick([0.5, 1, 3, 200]);
    const { clock, take } = limitsOf({ key: { rate, burst: 1 + chance.below(20) } });
    let decision = take();
    while (decision.allowed) {
      clock.time += chance.next() * 500 / rate;
      decision = take();
    }
    const refusedAt = clock.time;
    ok(decision.retryAfter > 0);
    clock.time = refusedAt + decision.retryAfter * 1000 * 0.99;
    equal(take().allowed, false);
    clock.time = refusedAt + decision.retryAfter * 1000;
    equal(take().allowed, true);
  }
});

Deno.test("a refused request costs nothing: hammering does not keep a client out", () => {
  const { clock, take } = limitsOf({ key: { rate: 1, burst: 1 } });
  take();
  for (let i = 0; i < 999; i++) {
    clock.time += 1;
    equal(take().allowed, false);
  }
  clock.time += 1;
  equal(take().allowed, true);
});

Deno.test("what remains counts down, and says how long until all of it is back", () => {
  const { clock, take } = limitsOf({ key: { rate: 2, burst: 4 } });
  const seen = Array.from({ length: 5 }, () => take()).map((
    { allowed, remaining, reset },
  ) => [allowed, remaining, reset]);
  deepEqual(seen, [[true, 3, 1], [true, 2, 1], [true, 1, 2], [true, 0, 2], [false, 0, 2]]);
  clock.time += 2_000;
  equal(take().remaining, 3);
});

Deno.test("clients and kinds are counted apart", () => {
  const { gcra, take } = limitsOf({ key: { rate: 1, burst: 1 }, address: { rate: 1, burst: 1 } });
  equal(take("a").allowed, true);
  equal(take("a").allowed, false);
  equal(take("b").allowed, true);
  equal(gcra.take("address", "a")!.allowed, true);
});

Deno.test("a rate of 0 switches a kind off", () => {
  const { gcra } = limitsOf({ key: { rate: 1, burst: 1 } });
  for (let i = 0; i < 1_000; i++) equal(gcra.take("credentials", "a"), undefined);
  equal(gcra.policy("credentials"), "");
});

Deno.test("the policy names the quota and the seconds that it takes to be whole", () => {
  const { gcra } = limitsOf({ key: { rate: 200, burst: 2_000 }, address: { rate: 3, burst: 10 } });
  equal(gcra.policy("key"), '"key";q=2000;w=10');
  equal(gcra.policy("address"), '"address";q=10;w=4');
  match(gcra.policy("key"), /^"[a-z]+";q=\d+;w=\d+$/);
});

Deno.test("a burst of less than one request lets one pass, or nothing ever would", () => {
  const { clock, take } = limitsOf({ key: { rate: 1, burst: 0 } });
  equal(take().allowed, true);
  equal(take().allowed, false);
  clock.time += 1_000;
  equal(take().allowed, true);
});

Deno.test("a flood of clients forgets those that were quiet for longest, and memory stays bounded", () => {
  const { take } = limitsOf({ key: { rate: 0.001, burst: 1 } });
  take("first");
  take("kept");
  for (let i = 0; i < 49_999; i++) {
    take(`flood ${i}`);
    if (i % 10_000 === 0) equal(take("kept").allowed, false);
  }
  equal(take("kept").allowed, false, "it came again and again");
  equal(take("first").allowed, true, "forgotten, which forgives it");
});
