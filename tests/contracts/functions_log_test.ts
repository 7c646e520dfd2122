import { deepEqual, equal, ok } from "node:assert/strict";
import { migrate } from "../../services/control_plane/migrate.ts";
import type { LogLine } from "../../src/contracts/function_logs.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { invocationOf, Logs, say, texts } from "../unit/functions/log/support/logs.ts";
import { until } from "../engines/support/wait.ts";
import { now, onEveryDriver, type Open } from "./control_drivers.ts";

/** Runs a scenario with gateways on this control plane, which somebody else closes. */
const withLogs = (scenario: (t: Logs) => Promise<void>) => async (open: Open) => {
  const control = open();
  await migrate(control, { now });
  await using t = new Logs(control);
  await scenario(t);
};

onEveryDriver({
  "lines and calls come back as they were written, newest first, by page, level and request": withLogs(async (t) => {
    const hello = await t.deploy("shop", "hello"), { log } = t.gateway(), from = { log, clock: t.clock };
    const odd = 'é 😀 " \' \\ \n \u0001 \u2028 {"a":[1]} %s ? :x';
    say(from, hello, odd, { level: "error", requestId: "r'2" });
    for (let i = 0; i < 700; i++) say(from, hello, `line ${i}`, { level: "debug" });
    say(from, hello, "x".repeat(40_000));
    const bad = invocationOf({ status: "error", error: odd, caller: "0xabc", triggerId: "trg_1", coldStart: true });
    log.invocation(hello, bad);
    const newest = await log.lines("shop", "hello", { limit: 2 }, CONTEXT);
    deepEqual([newest[0]!.message.length, newest[1]!.message], [16_382, "line 699"]);
    const next = await log.lines("shop", "hello", { limit: 1_000, before: newest[1]!.id }, CONTEXT);
    deepEqual([next.length, next[0]!.message, next.at(-1)!.message], [700, "line 698", odd]);
    const found = await log.lines("shop", "hello", { limit: 5, level: "error", requestId: "r'2" }, CONTEXT);
    deepEqual(found, [next.at(-1)]);
    const [call] = await log.invocations("shop", "hello", { limit: 5 }, CONTEXT);
    deepEqual(call, { id: call!.id, ...bad });
  }),

  "gateways follow each other's lines, once each": withLogs(async (t) => {
    const hello = await t.deploy("shop", "hello"), one = t.gateway(), other = t.gateway();
    const over = new AbortController();
    const lines = await one.log.follow("shop", "hello", undefined, { ...CONTEXT, signal: over.signal });
    const read: LogLine[] = [];
    const reading = (async () => {
      for await (const some of lines) read.push(...some);
    })();
    for (let i = 0; i < 20; i++) {
      say({ log: i % 2 === 0 ? one.log : other.log, clock: t.clock }, hello, `${i}`);
      await t.clock.advance(100);
    }
    await until("all have come", async () => {
      await t.clock.advance(500);
      return read.length >= 20;
    });
    await t.clock.advance(3_000);
    deepEqual(texts(read).map(Number).toSorted((a, b) => a - b), Array.from({ length: 20 }, (_, i) => i));
    over.abort();
    await reading;
  }),

  "nothing is written for a function that is gone, and its name's next owner sees nothing": withLogs(async (t) => {
    const old = await t.deploy("shop", "hello"), { log } = t.gateway();
    say({ log, clock: t.clock }, old, "old");
    await log.lines("shop", "hello", { limit: 1 }, CONTEXT);
    await t.delete(old);
    say({ log, clock: t.clock }, old, "late");
    const next = await t.deploy("shop", "hello");
    say({ log, clock: t.clock }, next, "mine");
    deepEqual(texts(await log.lines("shop", "hello", { limit: 9 }, CONTEXT)), ["mine"]);
    await t.clock.advance(1_000);
    await until("everything is written", () => log.figures().waiting === 0);
    equal(await t.count("function_logs"), 2);
  }),

  "what is too old, too much or of nobody goes, by one gateway; a namespace goes whole": withLogs(async (t) => {
    const a = await t.deploy("shop", "a"), b = await t.deploy("shop", "b"), c = await t.deploy("cafe", "c");
    const gateways = [t.gateway({ maxRows: 300 }), t.gateway({ maxRows: 300 })],
      [{ log }] = gateways as [typeof gateways[0]];
    t.retention.set("cafe", 10_000);
    for (const each of [a, b, c]) {
      for (let i = 0; i < 450; i++) say({ log, clock: t.clock }, each, `${i}`);
      await log.lines(each.namespace, each.name, { limit: 1 }, CONTEXT);
    }
    await t.delete(b);
    for (const gateway of gateways) gateway.log.start();
    await until("they are gone", async () => {
      await t.clock.advance(5_000);
      return await t.count("function_logs") === 300;
    });
    const kept = await log.lines("shop", "a", { limit: 1_000 }, CONTEXT);
    deepEqual([kept.length, kept[0]!.message, kept.at(-1)!.message], [300, "449", "150"]);
    const worked = gateways.filter(({ control }) => control.calls.some((sql) => sql.startsWith("DELETE")));
    equal(worked.length, 1);
    await t.beginDeletion("shop");
    const purging = log.purge("shop", CONTEXT.signal);
    await until("the namespace is gone", async () => {
      await t.clock.advance(100);
      return await t.count("function_logs") === 0;
    });
    await purging;
    ok(t.errors.length === 0, String(t.errors));
  }),
});
