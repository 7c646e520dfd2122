import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { LogLine } from "../../../../src/contracts/function_logs.ts";
import { until } from "../../../engines/support/wait.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { settled } from "../../cache/support/fake_clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { Logs, say, texts } from "./support/logs.ts";

/** Reads all that comes, until it is over. */
function readerOf(lines: AsyncIterable<readonly LogLine[]>) {
  const read: LogLine[] = [];
  const state = { read, error: undefined as unknown, over: undefined as unknown as Promise<void> };
  state.over = (async () => {
    try {
      for await (const some of lines) read.push(...some);
    } catch (error) {
      state.error = error;
    }
  })();
  return state;
}

const signals = () => {
  const controller = new AbortController();
  return { controller, context: { ...CONTEXT, signal: controller.signal } };
};

Deno.test("lines of this gateway come at once, also while the control plane is away", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway(), { controller, context } = signals();
  say({ log, clock: t.clock }, hello, "before");
  await t.clock.advance(1);
  const reader = readerOf(await log.follow("shop", "hello", undefined, context));
  control.before = () => {
    throw new GatewayError("UNAVAILABLE", "away");
  };
  say({ log, clock: t.clock }, hello, "one");
  say({ log, clock: t.clock }, hello, "two");
  await settled();
  deepEqual(texts(reader.read), ["one", "two"]);
  await t.clock.advance(20_000);
  control.before = () => {};
  await t.clock.advance(30_000);
  await until("all is written", () => log.figures().waiting === 0);
  await t.clock.advance(5_000);
  deepEqual(texts(reader.read), ["one", "two"], "nothing comes twice");
  controller.abort();
  await withinDeadline(reader.over, "it is over", 5_000);
  equal(reader.error, undefined);
  equal(log.figures().followers, 0);
});

Deno.test("lines of all gateways come once each, of every one in its order", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway(), other = t.gateway();
  const { context, controller } = signals();
  const readers = [
    readerOf(await log.follow("shop", "hello", undefined, context)),
    readerOf(await log.follow("shop", "hello", undefined, context)),
  ];
  for (let i = 0; i < 40; i++) {
    say({ log: i % 2 === 0 ? log : other.log, clock: t.clock }, hello, `${i % 2} ${i}`);
    await t.clock.advance(97);
  }
  await t.clock.advance(3_000);
  for (const { read } of readers) {
    equal(read.length, 40);
    equal(new Set(read.map(({ id }) => id)).size, 40);
    for (const gateway of ["0", "1"]) {
      const own = read.filter(({ message }) => message.startsWith(gateway)).map(({ id }) => id);
      deepEqual(own, own.toSorted());
    }
  }
  controller.abort();
});

Deno.test("a line of another gateway that was written late, or by a slower clock, is not missed", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway(), other = t.gateway();
  const { context, controller } = signals();
  const reader = readerOf(await log.follow("shop", "hello", undefined, context));
  other.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "away");
  };
  await t.clock.advance(10_000);
  say({ log: other.log, clock: t.clock }, hello, "late");
  await t.clock.advance(700);
  say({ log, clock: t.clock }, hello, "in time");
  await t.clock.advance(700);
  other.control.before = () => {};
  await t.clock.advance(3_000);
  deepEqual(texts(reader.read), ["in time", "late"]);
  controller.abort();
});

Deno.test("whoever comes back hears all that was logged behind a line, however much, and then what comes", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway({ bufferBytesEach: 2 ** 30 }), other = t.gateway();
  say({ log, clock: t.clock }, hello, "seen");
  const since = (await log.lines("shop", "hello", { limit: 1 }, CONTEXT))[0]!.id;
  const expected: string[] = [];
  for (let i = 0; i < 1_700; i++) {
    expected.push(`missed ${i}`);
    say({ log, clock: t.clock }, hello, `missed ${i}`);
    if (i % 100 === 0) await t.clock.advance(10);
  }
  await t.clock.advance(1);
  const { context, controller } = signals();
  // Somebody else follows already, so that the newest lines are told and read at once.
  const neighbour = readerOf(await log.follow("shop", "hello", undefined, context));
  const following = await log.follow("shop", "hello", since, context);
  say({ log, clock: t.clock }, hello, "meanwhile");
  say({ log: other.log, clock: t.clock }, hello, "of another one");
  const reader = readerOf(following);
  await until("it has caught up", () => reader.read.length >= 1_700);
  await t.clock.advance(3_000);
  say({ log, clock: t.clock }, hello, "last");
  await t.clock.advance(20_000);
  const all = texts(reader.read);
  equal(new Set(reader.read.map(({ id }) => id)).size, all.length, "nothing comes twice");
  deepEqual(all.slice(0, 1_700), expected);
  deepEqual(all.slice(1_700).toSorted(), ["last", "meanwhile", "of another one"]);
  deepEqual(texts(neighbour.read).toSorted(), ["last", "meanwhile", "of another one"]);
  controller.abort();
});

Deno.test("someone who does not read costs bounded memory, and is told how many lines were dropped", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway(), { context, controller } = signals();
  const lines = (await log.follow("shop", "hello", undefined, context))[Symbol.asyncIterator]();
  for (let i = 0; i < 5_000; i++) say({ log, clock: t.clock }, hello, `${i}`);
  const first = (await lines.next()).value as readonly LogLine[];
  deepEqual([first[0]!.level, first[0]!.message.split(" ")[0]], ["warn", "4000"]);
  deepEqual(first[1]!.message, "4000");
  ok(first[0]!.id < first[1]!.id);
  let count = first.length;
  while (count < 1_001) count += ((await lines.next()).value as readonly LogLine[]).length;
  equal(count, 1_001);
  for (let i = 0; i < 200; i++) say({ log, clock: t.clock }, hello, "x".repeat(16_000));
  const large = (await lines.next()).value as readonly LogLine[];
  ok(large.length < 40, "bytes are bounded, too");
  controller.abort();
  deepEqual(await lines.next(), { done: true, value: undefined });
});

Deno.test("as many follow as may, of a namespace and in all; who leaves makes room", async () => {
  await using t = await Logs.start();
  await t.deploy("shop", "a");
  await t.deploy("shop", "b");
  await t.deploy("cafe", "c");
  await t.deploy("third", "d");
  const { log } = t.gateway({ maxFollowersEach: 2, maxFollowers: 3 });
  const follow = async (namespace: string, name: string) => {
    const { controller, context } = signals();
    return { controller, lines: await log.follow(namespace, name, undefined, context) };
  };
  const one = await follow("shop", "a");
  await follow("shop", "b");
  await rejects(follow("shop", "b"), { code: "TOO_MANY_LISTENERS" });
  await follow("cafe", "c");
  await rejects(follow("third", "d"), { code: "TOO_MANY_LISTENERS" });
  one.controller.abort();
  one.controller.abort();
  equal(log.figures().followers, 2);
  const again = await follow("shop", "a");
  await again.lines[Symbol.asyncIterator]().return!();
  equal(log.figures().followers, 2);
  await rejects(log.follow("shop", "a", "not an id", CONTEXT), { code: "INVALID_REQUEST" });
  await rejects(log.follow("shop", "nobody", undefined, CONTEXT), { code: "NOT_FOUND" });
  equal(log.figures().followers, 2);
  const { controller, context } = signals();
  controller.abort();
  const over = await log.follow("shop", "a", undefined, context).catch((error) => error);
  ok(over instanceof Error || (await over[Symbol.asyncIterator]().next()).done);
  equal(log.figures().followers, 2);
});

Deno.test("following ends when the namespace or the function is deleted, here or elsewhere, and when the gateway closes", async () => {
  await using t = await Logs.start();
  const { log } = t.gateway();
  const start = async (namespace: string, name: string) =>
    readerOf(await log.follow(namespace, name, undefined, CONTEXT));
  await t.deploy("shop", "a");
  const byNamespace = await start("shop", "a");
  t.revoke("other");
  equal(log.figures().followers, 1);
  t.revoke("shop");
  await withinDeadline(byNamespace.over, "it is over", 5_000);

  const b = await t.deploy("cafe", "b"), deletedElsewhere = await start("cafe", "b");
  await t.delete(b);
  await t.clock.advance(6_000);
  await withinDeadline(deletedElsewhere.over, "it is over", 5_000);

  await t.deploy("cafe", "c");
  const replaced = await start("cafe", "c");
  await t.deploy("cafe", "c");
  await t.clock.advance(6_000);
  await withinDeadline(replaced.over, "it is over", 5_000);

  await t.deploy("cafe", "d");
  const closed = await start("cafe", "d");
  const closing = log.close();
  await withinDeadline(closed.over, "it is over", 5_000);
  await closing;
  equal(log.figures().followers, 0);
});

Deno.test("looking costs nothing while nobody follows", async () => {
  await using t = await Logs.start();
  await t.deploy("shop", "a");
  const { log, control } = t.gateway(), { controller, context } = signals();
  await t.clock.advance(10_000);
  equal(control.calls.length, 0);
  const reader = readerOf(await log.follow("shop", "a", undefined, context));
  await t.clock.advance(10_000);
  const looked = control.calls.length;
  ok(looked >= 15 && looked <= 25, String(looked));
  controller.abort();
  await reader.over;
  await t.clock.advance(10_000);
  equal(control.calls.length, looked);
});
