import { deepEqual, equal, ok } from "node:assert/strict";
import { settled } from "../cache/support/fake_clock.ts";
import { type Asked, type FakeSocket, message, Subject } from "./support/realtime.ts";

/** Numbers that look random, the same for a seed (mulberry32). */
function randomOf(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One topic as a gateway keeps it: a log that forgets, keys that were seen, and whoever listens. */
class Log {
  readonly messages: unknown[] = [];
  readonly #keys = new Map<unknown, number>();
  #forgotten = 0;
  #listener: FakeSocket | undefined;

  publish({ data, idempotency_key: key }: Asked): number {
    const before = this.#keys.get(key);
    if (before !== undefined) return before;
    const position = this.messages.push(data);
    this.#keys.set(key, position);
    const listener = this.#listener;
    // Behind the answers that come before it.
    queueMicrotask(() => listener?.tell(message("t", data, `p${position}`)));
    return position;
  }

  subscribe(since: unknown, socket: FakeSocket): Readonly<Record<string, unknown>> {
    this.#listener = socket;
    const from = typeof since === "string" ? Number(since.slice(1)) : undefined;
    const position = `p${this.messages.length}`;
    if (from === undefined) return { position, missed: [] };
    if (from < this.#forgotten) return { position, missed: [], recovered: false, unrecovered: "expired" };
    const missed = this.messages.slice(from).map((data, at) => message("t", data, `p${from + at + 1}`));
    return { position, missed, recovered: true };
  }

  forget(): void {
    this.#forgotten = this.messages.length;
  }

  /** Nobody reads there any more; what is on its way may still arrive. */
  leave(): void {
    this.#listener = undefined;
  }
}

for (let seed = 1; seed <= 25; seed++) {
  Deno.test(`whatever breaks, everything comes once and in order, or is told to be missing [seed ${seed}]`, async () => {
    const random = randomOf(seed), log = new Log(), subject = new Subject();
    const chance = (share: number) => random() < share;
    /** Some commands are done and their answers are lost, some are lost themselves. */
    const lossy =
      (done: (asked: Asked, socket: FakeSocket) => Readonly<Record<string, unknown>>) =>
      (asked: Asked, socket: FakeSocket) => {
        if (socket !== subject.socket || chance(0.05)) return undefined;
        const answer = done(asked, socket);
        return chance(0.05) ? undefined : { type: "ok", ...answer };
      };
    subject.answers.subscribe = lossy(({ since }, socket) => log.subscribe(since, socket));
    subject.answers.publish = lossy((asked) => ({ position: `p${log.publish(asked)}`, repeated: false }));
    subject.random = 0.5;
    const realtime = await subject.connect({ requestTimeout: 20_000, retry: { longestPause: 2_000 } });
    const seen: number[] = [], gaps: number[] = [], outcomes: Promise<unknown>[] = [];
    const subscription = realtime.subscribe("t");
    subscription.on("message", ({ data }) => seen.push(data as number));
    subscription.on("gap", () => gaps.push(seen.length));
    let published = 0;
    for (let step = 0; step < 300; step++) {
      if (chance(0.5)) {
        const number = ++published;
        outcomes.push(realtime.publish("t", number).then(() => number, () => -number));
      }
      if (chance(0.1)) log.publish({ id: 0, type: "publish", data: ++published, idempotency_key: {} });
      if (chance(0.03)) log.forget();
      if (chance(0.08)) {
        const { socket } = subject;
        log.leave();
        if (chance(0.5)) socket.drop();
        else socket.raw("{");
        if (chance(0.5)) socket.tell(message("t", -1, "p999999"));
      }
      await (chance(0.5) ? settled() : subject.clock.advance(Math.floor(random() * 3_000)));
    }
    subject.answers.subscribe = ({ since }, socket) => ({ type: "ok", ...log.subscribe(since, socket) });
    subject.answers.publish = (asked) => ({ type: "ok", position: `p${log.publish(asked)}` });
    await subject.clock.advance(60_000);
    const results = (await Promise.all(outcomes)) as number[];

    equal(new Set(log.messages).size, log.messages.length, "nothing was published twice");
    ok(results.filter((number) => number > 0).every((number) => log.messages.includes(number)), "done is done");
    // Between two gaps, what was seen is what the log holds without a hole.
    const bounds = [0, ...gaps, seen.length];
    let from = -1;
    for (let at = 1; at < bounds.length; at++) {
      const run = seen.slice(bounds[at - 1], bounds[at]);
      if (run.length === 0) continue;
      const start = log.messages.indexOf(run[0]);
      ok(start > from, "nothing comes twice, or late");
      deepEqual(run, log.messages.slice(start, start + run.length));
      from = start + run.length - 1;
    }
    equal(subscription.state, "live");
    equal(subscription.position, `p${log.messages.length}`);
    log.publish({ id: 0, type: "publish", data: ++published, idempotency_key: {} });
    await settled();
    equal(seen.at(-1), published);
    if (gaps.length === 0) deepEqual(seen, log.messages.slice(log.messages.indexOf(seen[0])));
    realtime.close();
    equal(subject.clock.timers, 0);
  });
}

Deno.test("the simulation would find a client that goes on in the wrong place", async () => {
  const log = new Log();
  const subject = new Subject();
  subject.answers.subscribe = (_asked, socket) => ({ type: "ok", ...log.subscribe("p0", socket) });
  const realtime = await subject.connect();
  const seen: unknown[] = [];
  realtime.subscribe("t").on("message", ({ data }) => seen.push(data));
  await settled();
  log.publish({ id: 0, type: "publish", data: 1 });
  await settled();
  await subject.breakOff();
  deepEqual(seen, [1, 1]);
  realtime.close();
});
