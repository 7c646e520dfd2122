import { deepEqual, equal, rejects } from "node:assert/strict";
import { Call, Deadlines } from "../../../services/cache/olric/deadlines.ts";
import { KeyedQueue } from "../../../services/cache/olric/keyed_queue.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { awaitedLater } from "../../support/awaited_later.ts";

function setUp() {
  const now = () => performance.now();
  const deadlines = new Deadlines(now);
  const queue = new KeyedQueue(deadlines);
  const call = (timeout = 60_000, signal = new AbortController().signal) => new Call({ signal }, now(), timeout);
  return { queue, call, [Symbol.dispose]: () => deadlines.close() };
}

Deno.test("work on one name is done one after the other, in order; names do not wait for each other", async () => {
  using world = setUp();
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const work = (name: string, wait?: Promise<void>) => () => {
    log.push(`+${name}`);
    return Promise.resolve(wait).then(() => void log.push(`-${name}`));
  };
  const first = world.queue.run("a", world.call(), work("a1", gate.promise));
  const second = world.queue.run("a", world.call(), work("a2"));
  const third = world.queue.run("a", world.call(), work("a3"));
  await world.queue.run("b", world.call(), work("b"));
  deepEqual(log, ["+a1", "+b", "-b"]);
  gate.resolve();
  await Promise.all([first, second, third]);
  deepEqual(log.slice(3), ["-a1", "+a2", "-a2", "+a3", "-a3"]);
});

Deno.test("work that fails lets the next one begin", async () => {
  using world = setUp();
  const failing = world.queue.run("a", world.call(), () => Promise.reject(new Error("no")));
  const next = awaitedLater(world.queue.run("a", world.call(), () => Promise.resolve("yes")));
  await rejects(failing, /no/);
  equal(await next, "yes");
});

Deno.test("whoever waits too long, or leaves, gives the turn to the next, and is never begun", async () => {
  using world = setUp();
  const gate = Promise.withResolvers<void>();
  const leaving = new AbortController();
  let begun = 0;
  const count = () => Promise.resolve(void begun++);
  const first = awaitedLater(world.queue.run("a", world.call(), () => gate.promise));
  const late = world.queue.run("a", world.call(30), count);
  const gone = awaitedLater(world.queue.run("a", world.call(60_000, leaving.signal), count));
  const last = awaitedLater(world.queue.run("a", world.call(), () => Promise.resolve("turn")));
  await rejects(late, (error) => error instanceof GatewayError && error.code === "UNAVAILABLE");
  leaving.abort(new Error("left"));
  await rejects(gone, /left/);
  gate.resolve();
  await first;
  equal(await last, "turn");
  equal(begun, 0);
});
