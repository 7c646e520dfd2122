import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { FunctionVersion } from "../../../../src/contracts/functions.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { until } from "../../../engines/support/wait.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { withinDeadline } from "../../../support/deadline.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { invocationOf, Logs, say, texts } from "./support/logs.ts";

type Gateway = ReturnType<Logs["gateway"]>;

/** Logs lines, and as many calls, and waits until they are written. */
async function fill(t: Logs, { log }: Gateway, of: FunctionVersion, count: number, text = "x"): Promise<void> {
  for (let i = 0; i < count; i++) {
    say({ log, clock: t.clock }, of, `${text} ${i}`);
    log.invocation(of, invocationOf());
  }
  await log.lines(of.namespace, of.name, { limit: 1 }, CONTEXT);
}

const deletions = ({ control }: Gateway) => control.calls.filter((sql) => sql.startsWith("DELETE")).length;

Deno.test("what is too old goes, as each namespace has it, in small pieces and by one gateway", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), b = await t.deploy("cafe", "b"), c = await t.deploy("quiet", "c");
  t.retention.set("shop", 80_000);
  t.retention.set("quiet", Infinity);
  const one = t.gateway({ bufferBytesEach: 2 ** 30 }), other = t.gateway();
  await fill(t, one, a, 1_100, "old");
  await fill(t, one, b, 5, "old");
  await fill(t, one, c, 5, "old");
  await t.clock.advance(30_000);
  await fill(t, one, a, 5, "new");
  one.log.start();
  other.log.start();
  await t.clock.advance(62_000);
  await until("the old lines are gone", async () => {
    await t.clock.advance(50);
    return await t.count("function_logs") === 15 && await t.count("function_invocations") === 15;
  });
  deepEqual(texts(await one.log.lines("shop", "a", { limit: 9 }, CONTEXT)).at(-1), "new 0");
  equal(await t.count("function_invocations"), 15);
  const [most, least] = [deletions(one), deletions(other)].toSorted((x, y) => y - x) as [number, number];
  ok(most >= 12, `at most 200 rows in a statement: ${most}`);
  equal(least, 0, "one gateway does it");
  equal(t.errors.length, 0);
  await t.clock.advance(4_000_000);
  await until("the rest is gone, but for what is kept for ever", async () => {
    await t.clock.advance(60_000);
    return await t.count("function_logs") === 5;
  });
});

Deno.test("of one function no more rows are kept than may be, the newest", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), b = await t.deploy("shop", "b");
  const gateway = t.gateway({ maxRows: 50, bufferBytesEach: 2 ** 30 });
  await fill(t, gateway, a, 700);
  await fill(t, gateway, b, 50);
  gateway.log.start();
  await t.clock.advance(62_000);
  await until("there are no more", async () => {
    await t.clock.advance(50);
    return await t.count("function_invocations") === 100;
  });
  const lines = await gateway.log.lines("shop", "a", { limit: 1_000 }, CONTEXT);
  deepEqual([lines.length, lines[0]!.message, lines[49]!.message], [50, "x 699", "x 650"]);
});

Deno.test("a deleted function's rows go with the next round", async () => {
  await using t = await Logs.start();
  const b = await t.deploy("shop", "b"), c = await t.deploy("shop", "c");
  const gateway = t.gateway({ bufferBytesEach: 2 ** 30 });
  for (const one of [b, c]) await fill(t, gateway, one, 500);
  await t.delete(b);
  gateway.log.start();
  await t.clock.advance(62_000);
  await until("its rows are gone", async () => {
    await t.clock.advance(50);
    return await t.count("function_logs") + await t.count("function_invocations") === 1_000;
  });
  equal((await gateway.log.lines("shop", "c", { limit: 1_000 }, CONTEXT)).length, 500);
});

Deno.test("a round that fails is told, and the next one does it", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), gateway = t.gateway();
  t.retention.set("shop", 1_000);
  await fill(t, gateway, a, 5);
  gateway.log.start();
  gateway.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "away");
  };
  await t.clock.advance(61_000);
  equal(t.errors.length, 1);
  gateway.control.before = () => {};
  await until("the rows are gone", async () => {
    await t.clock.advance(61_000);
    return await t.count("function_logs") === 0;
  });
});

Deno.test("a gateway goes on where another one was lost, once that one's right is over", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), lost = t.gateway(), next = t.gateway();
  t.retention.set("shop", 1_000);
  await fill(t, lost, a, 5);
  const held = Promise.withResolvers<void>();
  lost.control.before = (sql) => sql.startsWith("DELETE") ? held.promise : undefined;
  lost.log.start();
  await t.clock.advance(61_000);
  next.log.start();
  await until("the rows are gone", async () => {
    await t.clock.advance(61_000);
    return await t.count("function_logs") === 0;
  });
  ok(deletions(next) > 0);
  held.resolve();
});

Deno.test("a namespace goes with all its rows, in small pieces, and no other one loses any", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), b = await t.deploy("shop", "b"), c = await t.deploy("shops", "c");
  const gateway = t.gateway({ bufferBytesEach: 2 ** 30 });
  for (const one of [a, b, c]) await fill(t, gateway, one, 450);
  say({ log: gateway.log, clock: t.clock }, a, "waits");
  await t.beginDeletion("shop");
  const purging = gateway.log.purge("shop", CONTEXT.signal);
  await until("the rows are gone", async () => {
    await t.clock.advance(50);
    return await t.count("function_logs") + await t.count("function_invocations") === 900;
  });
  await purging;
  ok(deletions(gateway) >= 9, String(deletions(gateway)));
  equal((await gateway.log.lines("shops", "c", { limit: 1_000 }, CONTEXT)).length, 450);
  await gateway.log.purge("shop", CONTEXT.signal);
  await gateway.log.purge("nobody", CONTEXT.signal);
  equal(gateway.log.figures().waiting, 0);
});

Deno.test("a purge that comes late takes nothing from whoever has the name by now", async () => {
  await using t = await Logs.start();
  const theirs = await t.deploy("shop", "a"), gateway = t.gateway();
  await fill(t, gateway, theirs, 5);
  await gateway.log.purge("shop", CONTEXT.signal);
  deepEqual([await t.count("function_logs"), await t.count("function_invocations")], [5, 5]);
});

Deno.test("purging ends with its signal, and tells when the control plane is away", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), gateway = t.gateway({ bufferBytesEach: 2 ** 30 });
  await fill(t, gateway, a, 450);
  await t.beginDeletion("shop");
  const over = new AbortController();
  const purging = awaitedLater(gateway.log.purge("shop", over.signal));
  await until("it has begun", () => deletions(gateway) > 0);
  over.abort(new Error("enough"));
  await rejects(withinDeadline(purging, "it ends", 5_000), /enough/);
  ok(await t.count("function_logs") > 0);
  gateway.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "away");
  };
  await rejects(gateway.log.purge("shop", CONTEXT.signal), { code: "UNAVAILABLE" });
});

Deno.test("closing ends a round between two statements", async () => {
  await using t = await Logs.start();
  const a = await t.deploy("shop", "a"), gateway = t.gateway({ bufferBytesEach: 2 ** 30 });
  t.retention.set("shop", 1_000);
  await fill(t, gateway, a, 1_000);
  gateway.log.start();
  await t.clock.advance(60_000);
  await until("it has begun", () => deletions(gateway) > 0);
  await withinDeadline(gateway.log.close(), "it is closed", 5_000);
  const done = deletions(gateway);
  await t.clock.advance(120_000);
  equal(deletions(gateway), done);
  ok(await t.count("function_logs") > 0);
});
