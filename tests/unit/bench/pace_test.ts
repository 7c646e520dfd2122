import { deepEqual, equal } from "node:assert/strict";
import { keepPace, quantile } from "../../bench/pace.ts";

/** Time that passes only when somebody sleeps or is waited for. */
class Time {
  time = 0;
  now = () => this.time;
  /** @param late how much later than asked for timers are */
  constructor(private readonly late = 0) {}

  sleep = (milliseconds: number) => {
    this.time += milliseconds + this.late;
    return Promise.resolve();
  };
}

/** The times of requests of which each takes as long as it says, the last one for all that follow. */
async function timesOf(interval: number, until: number, took: readonly number[], clock = new Time()) {
  const times: number[] = [];
  let sent = 0;
  const send = () => {
    clock.time += took[Math.min(sent++, took.length - 1)]!;
    return Promise.resolve();
  };
  await keepPace({ begin: 0, interval, until }, send, times, clock);
  return { times, end: clock.time };
}

Deno.test("what waits behind a slow answer counts from when it was due, and catches up", async () => {
  const { times } = await timesOf(10, 80, [1, 35, 1]);
  deepEqual(times, [1, 35, 26, 17, 8, 1, 1, 1]);
});

Deno.test("a server that is slower than the rate is asked for all that was due, and waits grow", async () => {
  const { times, end } = await timesOf(10, 50, [20]);
  deepEqual(times, [20, 30, 40, 50, 60]);
  equal(end, 100);
});

Deno.test("without a rate each request follows the answer to the one before, and counts by itself", async () => {
  const { times } = await timesOf(0, 50, [5, 30, 10]);
  deepEqual(times, [5, 30, 10, 10]);
});

Deno.test("a late timer counts, an early one makes nothing quicker than it was", async () => {
  deepEqual((await timesOf(10, 40, [1], new Time(2))).times, [1, 3, 3, 3]);
  deepEqual((await timesOf(10, 40, [1], new Time(-2))).times, [1, 1, 1, 1]);
});

Deno.test("a quantile is one of those that were measured", () => {
  const sorted = Array.from({ length: 100 }, (_, i) => i);
  deepEqual([quantile(sorted, 0.5), quantile(sorted, 0.99), quantile([7], 0.99)], [50, 99, 7]);
  equal(Number.isNaN(quantile([], 0.5)), true);
});
