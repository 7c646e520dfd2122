import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Waiter } from "../../../services/cache/driver.ts";
import { LockLines } from "../../../services/cache/lock_lines.ts";
import type { CacheAddress, CacheLease } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { FakeClock, settled } from "./support/fake_clock.ts";

const AT = { map: "m", key: "k" };
const LONG = 600_000;

/** A lock in some other place, whose answers the test gives. */
class FarLock {
  /** Who asks, each time. */
  tries = 0;
  held: string | undefined;
  unlocked: string[] = [];
  /** Told instead of an answer. */
  failure: Error | undefined;
  #given = 0;
  #open = Promise.resolve();
  #openAll = () => {};

  /** From now on answers take until {@link answer}. */
  hang(): void {
    ({ promise: this.#open, resolve: this.#openAll } = Promise.withResolvers<void>());
  }

  answer(): void {
    this.#openAll();
  }

  async tryLock(_namespace: string, _at: CacheAddress, lease: number, waiter: Waiter): Promise<CacheLease | undefined> {
    this.tries++;
    equal(waiter.signal.aborted, false, "a try is not given up");
    const taken = this.held === undefined ? this.held = `token ${++this.#given}` : undefined;
    await this.#open;
    if (this.failure) throw this.failure;
    return taken === undefined ? undefined : { token: taken, fencing: this.#given, expiresAt: lease };
  }

  unlock(_namespace: string, _at: CacheAddress, token: string): Promise<void> {
    this.unlocked.push(token);
    if (this.held === token) this.held = undefined;
    return Promise.resolve();
  }
}

/** Remembers for how long everybody wanted to wait. */
class RecordingClock extends FakeClock {
  readonly waits: number[] = [];

  override after(ms: number, run: () => void): () => void {
    this.waits.push(ms);
    return super.after(ms, run);
  }
}

/** A line before a lock, on a clock that stands still. */
class Subject {
  readonly clock = new RecordingClock();
  readonly far = new FarLock();
  readonly lines = new LockLines({ driver: this.far, clock: this.clock, random: () => 0.5 });

  lock(
    wait = LONG,
    options: { readonly signal?: AbortSignal; readonly maxWaiters?: number; readonly namespace?: string } = {},
  ) {
    const { signal = new AbortController().signal, maxWaiters = 100, namespace = "a" } = options;
    const locked = this.lines.lock(namespace, AT, { lease: 1_000, wait, maxWaiters }, { signal });
    locked.catch(() => {});
    return locked;
  }

  /** The holder, whoever it is, frees the lock through this gateway. */
  free(): void {
    this.far.held = undefined;
    this.lines.freed("a", AT);
  }
}

const is = (code: string) => (error: unknown) => error instanceof GatewayError && error.code === code;

Deno.test("only whoever is first asks, with pauses that grow up to a bound", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  const waiting = Array.from({ length: 50 }, () => subject.lock());
  await settled();
  equal(subject.far.tries, 1);
  await subject.clock.advance(800);
  const pauses = subject.clock.waits.filter((ms) => ms < LONG);
  equal(subject.far.tries, pauses.length, "one try for each pause, of one caller alone");
  // Three quarters of 10, 20, 40 … 200 ms: half of each is left to chance.
  deepEqual(pauses, [7.5, 15, 30, 60, 120, 150, 150, 150, 150]);
  subject.free();
  equal((await waiting[0])?.token, "token 1");
});

Deno.test("the lock goes from one to the next in the order of their coming, at once when it is freed here", async () => {
  const subject = new Subject();
  const first = await subject.lock();
  const order: number[] = [];
  const waiting = awaitedLater(Array.from({ length: 5 }, (_, i) => subject.lock().then(() => order.push(i))));
  for (let i = 0; i < 5; i++) {
    await settled();
    equal(order.length, i);
    subject.free();
  }
  await Promise.all(waiting);
  deepEqual(order, [0, 1, 2, 3, 4]);
  equal(first.fencing, 1);
  equal(subject.clock.timers, 0, "nobody is waited for any more");
});

Deno.test("the first one sees by itself that the lock was freed elsewhere", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  const waiting = subject.lock();
  await subject.clock.advance(1_000);
  subject.far.held = undefined;
  await subject.clock.advance(200);
  equal((await waiting).token, "token 1");
});

Deno.test("a wait has an end, wherever in the line it ends, and nothing of it is left", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  const [first, second, third] = [subject.lock(3_000), subject.lock(1_000), subject.lock(2_000)];
  const behind = subject.lock();
  await subject.clock.advance(999);
  await subject.clock.advance(1);
  await rejects(second, is("LOCKED"));
  await subject.clock.advance(1_000);
  await rejects(third, is("LOCKED"));
  const { tries } = subject.far;
  await subject.clock.advance(1_000);
  await rejects(first, is("LOCKED"));
  ok(subject.far.tries > tries + 1, "the next one asks");
  subject.free();
  await behind;
  equal(subject.clock.timers, 0);
});

Deno.test("who does not wait is told at once, and asks for nothing while others are before them", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  await rejects(subject.lock(0), is("LOCKED"));
  equal(subject.far.tries, 1);
  const waiting = subject.lock();
  await rejects(subject.lock(0), is("LOCKED"));
  equal(subject.far.tries, 2);
  subject.free();
  await waiting;
});

Deno.test("whoever leaves makes room for the next, first or not", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  const leaving = [new AbortController(), new AbortController()];
  const [first, middle] = leaving.map(({ signal }) => subject.lock(LONG, { signal }));
  const last = subject.lock();
  await settled();
  leaving[1]!.abort(new Error("middle"));
  await rejects(middle!, /middle/);
  const { tries } = subject.far;
  leaving[0]!.abort(new Error("first"));
  await rejects(first!, /first/);
  await settled();
  equal(subject.far.tries, tries + 1, "the next one asks at once");
  subject.free();
  await last;
  equal(subject.clock.timers, 0);
});

Deno.test("a lock that comes for somebody who has left is given back, and the next one has it", async () => {
  const subject = new Subject();
  subject.far.hang();
  const leaving = new AbortController();
  const left = subject.lock(LONG, { signal: leaving.signal });
  const next = subject.lock();
  leaving.abort(new Error("gone"));
  subject.far.answer();
  await rejects(left, /gone/);
  deepEqual(subject.far.unlocked, ["token 1"]);
  equal((await next).token, "token 2");
});

Deno.test("who came with a signal that had fired waits for nothing", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  await rejects(subject.lock(LONG, { signal: AbortSignal.abort(new Error("gone")) }), /gone/);
  equal(subject.clock.timers, 0);
});

Deno.test("callers that wait are bounded for each namespace", async () => {
  const subject = new Subject(), leaving = new AbortController();
  // Who takes a free lock waits for nothing, however many do.
  await subject.lock(LONG, { maxWaiters: 0 });
  const options = { maxWaiters: 3 };
  const first = subject.lock(LONG, { ...options, signal: leaving.signal });
  const waiting = [subject.lock(LONG, options), subject.lock(LONG, options)];
  await settled();
  await rejects(subject.lock(LONG, options), (error) => {
    ok(error instanceof GatewayError);
    equal(error.code, "TOO_MANY_WAITERS");
    equal(error.extra.retryAfter, 1);
    return true;
  });
  const elsewhere = subject.lock(2_000, { ...options, namespace: "b" });
  leaving.abort(new Error("gone"));
  await rejects(first, /gone/);
  waiting.push(subject.lock(LONG, options));
  for (const one of waiting) {
    await settled();
    subject.free();
    await one;
  }
  await subject.clock.advance(2_000);
  await rejects(elsewhere, is("LOCKED"), "it waited too");
});

Deno.test("when the cache cannot be asked everybody is told, and who comes later asks anew", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  const waiting = Array.from({ length: 20 }, () => subject.lock());
  await settled();
  subject.far.failure = new GatewayError("UNAVAILABLE", "down");
  const again = awaitedLater(waiting[0]!.catch(() => {
    subject.far.failure = undefined;
    subject.far.held = undefined;
    return subject.lock();
  }));
  const { tries } = subject.far;
  await subject.clock.advance(20);
  for (const one of waiting) await rejects(one, is("UNAVAILABLE"));
  equal(subject.far.tries, tries + 2, "one has found out for all, and whoever comes afterwards asks anew");
  equal((await again).token, "token 1");
  equal(subject.clock.timers, 0);
});

Deno.test("a lock that is freed while a try for it is under way is tried for again at once", async () => {
  const subject = new Subject();
  subject.far.held = "somebody";
  subject.far.hang();
  const waiting = subject.lock();
  await settled();
  subject.free();
  subject.far.answer();
  equal((await waiting).token, "token 1");
  equal(subject.far.tries, 2);
});
