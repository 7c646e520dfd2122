import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type HeldLock, type LockClock, whileLocked } from "../../../src/client/cache/held_lock.ts";
import { OramaError } from "../../../src/client/index.ts";
import { FakeClock, settled } from "../cache/support/fake_clock.ts";

const LEASE = 3_000;
const lost = () => new OramaError("it is lost", { code: "LOCK_LOST", status: 409 });
const offline = () => new OramaError("no answer", { code: "OUTCOME_UNKNOWN" });
const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;

/** What one operation does in place of succeeding at once. */
type Behaviour = (signal: AbortSignal | undefined) => Promise<void>;

const fails = (error: () => unknown): Behaviour => () => Promise.reject(error());
/** Does not answer until it is given up. */
const hangs: Behaviour = (signal) =>
  new Promise((_, reject) => signal?.addEventListener("abort", () => reject(offline())));

/** A gateway with one lock, on a clock that stands still. */
class Subject {
  readonly clock = new FakeClock();
  /** Each operation, and when it was asked for. */
  readonly seen: [what: string, at: number][] = [];
  lock: Behaviour = () => Promise.resolve();
  renew: Behaviour = () => Promise.resolve();
  unlock: Behaviour = () => Promise.resolve();
  readonly #start = this.clock.monotonic();

  /** Milliseconds since the beginning. */
  get now(): number {
    return this.clock.monotonic() - this.#start;
  }

  get times(): LockClock {
    return { now: () => this.clock.monotonic(), after: (ms, run) => this.clock.after(ms, run) };
  }

  hold<R>(
    work: (held: HeldLock) => R | Promise<R>,
    { signal, lease = LEASE }: { readonly signal?: AbortSignal; readonly lease?: number } = {},
  ): Promise<R> {
    const operations = {
      lock: async (signal: AbortSignal | undefined) => {
        await this.#do("lock", this.lock, signal);
        return { token: "t", fencing: 7, expiresAt: new Date(0) };
      },
      renew: (token: string, signal: AbortSignal) => this.#do(`renew ${token}`, this.renew, signal),
      unlock: (token: string, signal: AbortSignal) => this.#do(`unlock ${token}`, this.unlock, signal),
    };
    const held = whileLocked(operations, { lease, signal }, work, this.times);
    held.catch(() => {});
    return held;
  }

  /** Work that goes on until it is told to end, and then does as it is told. */
  begin(options?: { readonly signal?: AbortSignal }) {
    const done = Promise.withResolvers<string>(), begun = Promise.withResolvers<HeldLock>();
    const result = this.hold((held) => {
      begun.resolve(held);
      return done.promise;
    }, options);
    return { done, begun: begun.promise, result };
  }

  #do(what: string, behaviour: Behaviour, signal: AbortSignal | undefined): Promise<void> {
    this.seen.push([what, this.now]);
    return behaviour(signal);
  }
}

Deno.test("work is given the number of the lock, its result is given back, and the lock is freed", async () => {
  const subject = new Subject(), controller = new AbortController();
  const { fencing, token, signal } = await subject.hold((held) => held, { signal: controller.signal });
  deepEqual([fencing, token], [7, "t"]);
  deepEqual(subject.seen, [["lock", 0], ["unlock t", 0]]);
  equal(subject.clock.timers, 0);
  controller.abort();
  equal(signal.aborted, false, "what is done is not told any more");
});

Deno.test("what work throws is thrown, at once or later, and the lock is freed", async () => {
  for (
    const work of [() => Promise.reject(new Error("work")), () => {
      throw new Error("work");
    }]
  ) {
    const subject = new Subject();
    await rejects(subject.hold(work), /^Error: work$/);
    deepEqual(subject.seen.map(([what]) => what), ["lock", "unlock t"]);
    subject.unlock = fails(offline);
    await rejects(subject.hold(work), /^Error: work$/, "also where it cannot be freed");
    equal(subject.clock.timers, 0);
  }
});

Deno.test("work does not begin without the lock", async () => {
  const subject = new Subject();
  subject.lock = fails(() => new OramaError("taken", { code: "LOCKED", status: 409 }));
  await rejects(subject.hold(() => ok(false, "it began")), withCode("LOCKED"));
  deepEqual(subject.seen.map(([what]) => what), ["lock"]);
});

Deno.test("the lease is renewed after each third of it, for as long as work runs", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  const { signal } = await begun;
  await subject.clock.advance(3 * LEASE + 500);
  equal(signal.aborted, false);
  done.resolve("done");
  equal(await result, "done");
  const renewals = Array.from({ length: 9 }, (_, at) => ["renew t", (at + 1) * 1_000]);
  deepEqual(subject.seen, [["lock", 0], ...renewals, ["unlock t", 9_500]]);
  await subject.clock.advance(LEASE);
  equal(subject.seen.length, 11, "nothing comes behind");
});

Deno.test("a lock that the gateway calls lost ends work's signal at once, and is not freed: it is another one's", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  const { signal } = await begun;
  const loss = lost();
  subject.renew = fails(() => loss);
  await subject.clock.advance(999);
  equal(signal.aborted, false);
  await subject.clock.advance(1);
  equal(signal.reason, loss);
  done.resolve("done all the same");
  await rejects(result, loss);
  deepEqual(subject.seen.map(([what]) => what), ["lock", "renew t"]);
});

Deno.test("what work throws after the lock was lost is thrown as it is", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  await begun;
  subject.renew = fails(lost);
  await subject.clock.advance(LEASE);
  done.reject(new Error("rolled back"));
  await rejects(result, /^Error: rolled back$/);
});

Deno.test("a renewal that fails is tried again, and the lock is lost when its lease is over, not before", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  const { signal } = await begun;
  await subject.clock.advance(1_000);
  const failure = offline();
  subject.renew = fails(() => failure);
  await subject.clock.advance(2_999);
  equal(signal.aborted, false, "the first renewal holds until 4,000");
  await subject.clock.advance(1);
  ok(withCode("LOCK_LOST")(signal.reason));
  equal(signal.reason.cause, failure);
  const tries = subject.seen.filter(([what, at]) => what === "renew t" && at > 1_000).map(([, at]) => at);
  deepEqual(tries, [2_000, 2_300, 2_600, 2_900, 3_200, 3_500, 3_800]);
  done.resolve("done");
  await rejects(result, withCode("LOCK_LOST"));
  deepEqual(
    subject.seen.at(-1),
    ["unlock t", 4_000],
    "one of the renewals may have arrived: nobody need wait for its end",
  );
});

Deno.test("after renewals that failed, one that succeeds holds the lock for another lease", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  const { signal } = await begun;
  subject.renew = fails(offline);
  await subject.clock.advance(2_500);
  subject.renew = () => Promise.resolve();
  await subject.clock.advance(300);
  subject.renew = hangs;
  await subject.clock.advance(900);
  equal(signal.aborted, false, "the lease of before would be over");
  // The program stands still, and finds all of its timers late.
  subject.clock.pass(LEASE);
  await subject.clock.advance(0);
  equal(signal.reason.cause, undefined, "what failed before is not why");
  done.reject(signal.reason);
  await rejects(result, signal.reason);
});

Deno.test("a renewal without an answer is given up for another try, and its lease counts from when it was sent", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  const { signal } = await begun;
  subject.renew = hangs;
  await subject.clock.advance(1_000);
  // The second try is answered after half a second.
  let answer = () => {};
  subject.renew = () => new Promise((resolve) => answer = resolve);
  await subject.clock.advance(1_050);
  deepEqual(subject.seen.slice(1), [["renew t", 1_000], ["renew t", 2_050]]);
  await subject.clock.advance(500);
  answer();
  await settled();
  subject.renew = hangs;
  await subject.clock.advance(2_499);
  deepEqual([subject.now, signal.aborted], [5_049, false]);
  await subject.clock.advance(1);
  equal(signal.aborted, true, "at 2,050 + 3,000");
  done.resolve("");
  await rejects(result, withCode("LOCK_LOST"));
});

Deno.test("a lock that took long to come is renewed before work begins, because nobody knows since when it is held", async () => {
  const subject = new Subject();
  subject.lock = () => {
    subject.clock.pass(10_000);
    return Promise.resolve();
  };
  equal(await subject.hold(() => subject.seen.length), 2);
  deepEqual(subject.seen, [["lock", 0], ["renew t", 10_000], ["unlock t", 10_000]]);
  subject.renew = fails(lost);
  await rejects(subject.hold(() => ok(false, "it began")), withCode("LOCK_LOST"));
  subject.renew = fails(offline);
  await rejects(subject.hold(() => ok(false, "it began")), withCode("OUTCOME_UNKNOWN"));
  equal(subject.seen.at(-1)?.[0], "unlock t", "it is held all the same");
  equal(subject.clock.timers, 0);
});

Deno.test("the caller's signal ends work's with its reason; until work has ended, the lock is held", async () => {
  const subject = new Subject(), controller = new AbortController(), reason = new Error("the user left");
  const { done, begun, result } = subject.begin({ signal: controller.signal });
  const { signal } = await begun;
  controller.abort(reason);
  equal(signal.reason, reason);
  await subject.clock.advance(2_500);
  done.reject(reason);
  await rejects(result, reason);
  deepEqual(subject.seen.slice(1), [["renew t", 1_000], ["renew t", 2_000], ["unlock t", 2_500]]);
});

Deno.test("a caller who left while the lock came gets no work done, and it is freed", async () => {
  const subject = new Subject(), controller = new AbortController(), reason = new Error("the user left");
  subject.lock = () => {
    controller.abort(reason);
    return Promise.resolve();
  };
  await rejects(subject.hold(() => ok(false, "it began"), { signal: controller.signal }), reason);
  deepEqual(subject.seen.map(([what]) => what), ["lock", "unlock t"]);
});

Deno.test("a lock that turns out to be lost when it is freed is told; one that cannot be freed is left to its end", async () => {
  const subject = new Subject();
  subject.unlock = fails(lost);
  await rejects(subject.hold(() => "done"), withCode("LOCK_LOST"));
  subject.unlock = fails(() => new OramaError("x", { code: "OUTCOME_UNKNOWN", cause: lost() }));
  equal(await subject.hold(() => "done"), "done", "an earlier try may have freed it");
  subject.unlock = hangs;
  const held = subject.hold(() => "done");
  await settled();
  await subject.clock.advance(LEASE);
  equal(await held, "done");
  equal(subject.clock.timers, 0);
});

Deno.test("a renewal that is on its way when work ends is given up, and not taken for a loss", async () => {
  const subject = new Subject();
  const { done, begun, result } = subject.begin();
  await begun;
  subject.renew = (signal) => new Promise((_, reject) => signal?.addEventListener("abort", () => reject(lost())));
  await subject.clock.advance(1_000);
  done.resolve("done");
  equal(await result, "done");
  deepEqual(subject.seen.at(-1), ["unlock t", 1_000]);
  equal(subject.clock.timers, 0);
});

Deno.test("a lease that no timer counts takes no lock", async () => {
  const subject = new Subject();
  for (const lease of [0, -1, NaN, Infinity, 2 ** 31]) {
    await rejects(subject.hold(() => {}, { lease }), RangeError);
  }
  deepEqual(subject.seen, []);
});
