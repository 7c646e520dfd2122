import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { until } from "../../../engines/support/wait.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { settled } from "../../cache/support/fake_clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { invocationOf, Logs, say, texts } from "./support/logs.ts";

const away = () => {
  throw new GatewayError("UNAVAILABLE", "away");
};
const isInsertion = (sql: string) => sql.startsWith("INSERT OR IGNORE INTO function_");

Deno.test("what was logged is read newest first, as it was written, by page, level and request", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway(), from = { log, clock: t.clock };
  say(from, hello, "first", { requestId: "r1" });
  await t.clock.advance(3);
  say(from, hello, "é 😀 \" ' \\ \n \u0001", { level: "error", requestId: "r2" });
  say(from, hello, "third", { level: "debug", requestId: "r2" });
  const lines = await log.lines("shop", "hello", { limit: 10 }, CONTEXT);
  deepEqual(texts(lines), ["third", "é 😀 \" ' \\ \n \u0001", "first"]);
  deepEqual(lines.map(({ at, level, requestId, version }) => [at - lines[2]!.at, level, requestId, version]), [
    [3, "debug", "r2", 1],
    [3, "error", "r2", 1],
    [0, "info", "r1", 1],
  ]);
  deepEqual(texts(await log.lines("shop", "hello", { limit: 1, before: lines[1]!.id }, CONTEXT)), ["first"]);
  deepEqual(texts(await log.lines("shop", "hello", { limit: 9, level: "error" }, CONTEXT)), [lines[1]!.message]);
  deepEqual(texts(await log.lines("shop", "hello", { limit: 1, requestId: "r2" }, CONTEXT)), ["third"]);
  deepEqual(texts(await log.lines("shop", "hello", { limit: 1, requestId: "r2", level: "info" }, CONTEXT)), []);
  for (const before of ["", "x", "' OR 1=1 --"]) {
    await rejects(log.lines("shop", "hello", { limit: 1, before }, CONTEXT), { code: "INVALID_REQUEST" });
  }
  await rejects(log.lines("shop", "other", { limit: 1 }, CONTEXT), { code: "NOT_FOUND" });
  equal((await log.lines("shop", "hello", { limit: -3 }, CONTEXT)).length, 1);
});

Deno.test("calls are remembered with all that is known of them", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway();
  const bad = invocationOf({
    requestId: "r2",
    attempt: 2,
    trigger: "cron",
    triggerId: "trg_1",
    caller: "0xabc",
    status: "timeout",
    error: "x".repeat(50_000),
    coldStart: true,
  });
  log.invocation(hello, invocationOf());
  log.invocation(hello, bad);
  const all = await log.invocations("shop", "hello", { limit: 10 }, CONTEXT);
  const [second, first] = all;
  deepEqual(first, { id: first!.id, ...invocationOf() });
  deepEqual({ ...second, error: undefined }, { id: second!.id, ...bad, error: undefined });
  ok(second!.error!.length < 16_400 && second!.error!.endsWith("(cut)"));
  ok(second!.id > first!.id);
  deepEqual(await log.invocations("shop", "hello", { limit: 10, before: second!.id }, CONTEXT), [first]);
  deepEqual(await log.invocations("shop", "hello", { limit: 10, requestId: "r2" }, CONTEXT), [second]);
});

Deno.test("many rows are few statements, half a second behind, and never in a caller's way", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway();
  for (let i = 0; i < 300; i++) say({ log, clock: t.clock }, hello, `${i}`);
  equal(control.calls.length, 0);
  await t.clock.advance(499);
  equal(control.calls.length, 0);
  await t.clock.advance(1);
  await until("all are written", async () => await t.count("function_logs") === 300);
  deepEqual(control.calls.map(isInsertion), [true, true, true]);
  equal(new Set(control.calls).size, 1, "one text, which stays prepared");
});

Deno.test("a row that was wanted is found among many thousands that were not", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log } = t.gateway({ bufferBytesEach: 2 ** 30 });
  say({ log, clock: t.clock }, hello, "needle", { requestId: "wanted" });
  for (let i = 0; i < 6_500; i++) say({ log, clock: t.clock }, hello, "hay");
  const found = await log.lines("shop", "hello", { limit: 5, requestId: "wanted" }, CONTEXT);
  deepEqual(texts(found), ["needle"]);
  equal((await log.lines("shop", "hello", { limit: 1e9 }, CONTEXT)).length, 1_000);
});

Deno.test("while the control plane is away rows wait, up to a bound; the rest is counted and told, by a line", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway({ bufferBytesEach: 10_000 });
  control.before = away;
  for (let i = 0; i < 1_000; i++) say({ log, clock: t.clock }, hello, `${i}`);
  const { waiting, dropped } = log.figures();
  ok(waiting > 10 && waiting < 50, String(waiting));
  equal(waiting + dropped, 1_000);
  await t.clock.advance(60_000);
  equal(log.figures().waiting, waiting);
  equal(t.errors.length, 1, "told once that writing fails");
  control.before = () => {};
  await t.clock.advance(15_000);
  await t.clock.advance(1_000);
  await until("everything is written", () => log.figures().waiting === 0);
  const lines = await log.lines("shop", "hello", { limit: 1_000 }, CONTEXT);
  equal(lines.length, waiting + 1);
  deepEqual(texts(lines.slice(1)), Array.from({ length: waiting }, (_, i) => `${waiting - 1 - i}`));
  deepEqual([lines[0]!.level, lines[0]!.message.split(" ")[0]], ["warn", String(dropped)]);
});

Deno.test("tries become rarer while the control plane is away", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway();
  let tries = 0;
  control.before = () => {
    tries++;
    away();
  };
  say({ log, clock: t.clock }, hello, "a");
  await t.clock.advance(120_000);
  ok(tries > 5 && tries < 16, String(tries));
});

Deno.test("what was written and not confirmed is not there twice", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway();
  let lost = 0;
  control.after = () => {
    if (lost++ < 2) throw new GatewayError("OUTCOME_UNKNOWN", "lost");
  };
  for (let i = 0; i < 5; i++) say({ log, clock: t.clock }, hello, `${i}`);
  log.invocation(hello, invocationOf());
  await t.clock.advance(5_000);
  await until("everything is written", () => log.figures().waiting === 0);
  deepEqual([await t.count("function_logs"), await t.count("function_invocations")], [5, 1]);
  ok(lost >= 3);
});

Deno.test("a loud namespace costs no other one a line", async () => {
  await using t = await Logs.start();
  const loud = await t.deploy("loud", "f"), quiet = await t.deploy("quiet", "f");
  const { log } = t.gateway({ bufferBytes: 100_000, bufferBytesEach: 50_000 });
  for (let i = 0; i < 10_000; i++) say({ log, clock: t.clock }, loud, "x".repeat(100));
  say({ log, clock: t.clock }, quiet, "heard");
  deepEqual(texts(await log.lines("quiet", "f", { limit: 5 }, CONTEXT)), ["heard"]);
});

Deno.test("rows that can never be written stand in nobody's way", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway();
  log.invocation(hello, invocationOf({ inputBytes: NaN }));
  log.invocation(hello, invocationOf({ requestId: "good" }));
  const [one, ...more] = await log.invocations("shop", "hello", { limit: 5 }, CONTEXT);
  deepEqual([one?.requestId, more], ["good", []]);
  control.before = () => {
    throw new GatewayError("INTERNAL", "refused");
  };
  say({ log, clock: t.clock }, hello, "refused");
  await t.clock.advance(500);
  await until("the row is given up", () => log.figures().waiting === 0);
  equal(t.errors.length, 1);
  control.before = () => {};
  say({ log, clock: t.clock }, hello, "fine");
  deepEqual(texts(await log.lines("shop", "hello", { limit: 5 }, CONTEXT)), ["fine"]);
});

Deno.test("whoever takes a deleted function's name sees nothing of it, and nothing is written for it any more", async () => {
  await using t = await Logs.start();
  const old = await t.deploy("shop", "hello"), { log } = t.gateway();
  say({ log, clock: t.clock }, old, "written");
  equal((await log.lines("shop", "hello", { limit: 5 }, CONTEXT)).length, 1);
  say({ log, clock: t.clock }, old, "still waiting");
  log.invocation(old, invocationOf());
  await t.delete(old);
  await rejects(log.lines("shop", "hello", { limit: 5 }, CONTEXT), { code: "NOT_FOUND" });
  await t.clock.advance(1_000);
  await until("nothing waits", () => log.figures().waiting === 0);
  equal(await t.count("function_logs"), 1);
  equal(await t.count("function_invocations"), 0);
  const next = await t.deploy("shop", "hello");
  say({ log, clock: t.clock }, next, "mine");
  deepEqual(texts(await log.lines("shop", "hello", { limit: 5 }, CONTEXT)), ["mine"]);
  deepEqual(await log.invocations("shop", "hello", { limit: 5 }, CONTEXT), []);
});

Deno.test("rows that wait go when their namespace is deleted, also those that are being written", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), other = await t.deploy("cafe", "f"), { log, control } = t.gateway();
  const held = Promise.withResolvers<void>();
  control.before = () => held.promise;
  say({ log, clock: t.clock }, hello, "being written");
  say({ log, clock: t.clock }, other, "stays");
  await t.clock.advance(500);
  say({ log, clock: t.clock }, hello, "waits");
  equal(log.figures().waiting, 3);
  t.revoke("shop");
  equal(log.figures().waiting, 1);
  held.resolve();
  await until("everything is written", () => log.figures().waiting === 0);
  deepEqual(texts(await log.lines("cafe", "f", { limit: 5 }, CONTEXT)), ["stays"]);
  // Its bytes were given back: as much finds room again.
  say({ log, clock: t.clock }, hello, "again");
  equal(log.figures().dropped, 0);
});

Deno.test("a reader waits a second for what is not written yet, and not when it has left", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello"), { log, control } = t.gateway();
  say({ log, clock: t.clock }, hello, "stuck");
  const held = Promise.withResolvers<void>();
  control.before = (sql) => isInsertion(sql) ? held.promise : undefined;
  const reading = log.lines("shop", "hello", { limit: 5 }, CONTEXT);
  await settled();
  await t.clock.advance(999);
  const left = new AbortController();
  const leaving = awaitedLater(log.lines("shop", "hello", { limit: 5 }, { ...CONTEXT, signal: left.signal }));
  left.abort(new Error("left"));
  await rejects(leaving, /left/);
  await t.clock.advance(1);
  deepEqual(await withinDeadline(reading, "it is answered", 5_000), []);
  held.resolve();
  deepEqual(texts(await log.lines("shop", "hello", { limit: 5 }, CONTEXT)), ["stuck"]);
});

Deno.test("closing writes what waits, and ends though the control plane does not answer", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello");
  const { log } = t.gateway();
  say({ log, clock: t.clock }, hello, "last words");
  await withinDeadline(log.close(), "it is closed", 5_000);
  equal(await t.count("function_logs"), 1);
  say({ log, clock: t.clock }, hello, "too late");
  equal(log.figures().waiting, 0);

  const stuck = t.gateway();
  stuck.control.before = () => new Promise(() => {});
  say({ log: stuck.log, clock: t.clock }, hello, "never");
  const closing = stuck.log.close();
  await t.clock.advance(3_000);
  await withinDeadline(closing, "it is closed", 5_000);
});
