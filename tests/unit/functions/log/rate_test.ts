import { deepEqual, equal, match, ok } from "node:assert/strict";
import { LogRate } from "../../../../services/functions/log/rate.ts";
import { until } from "../../../engines/support/wait.ts";
import { FakeClock } from "../../cache/support/fake_clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { invocationOf, Logs, say, texts } from "./support/logs.ts";

Deno.test("a namespace has its burst, and then what a second gives back; another one has its own", () => {
  const clock = new FakeClock();
  const rate = new LogRate({ bytesPerSecond: 100, burst: 400 }, () => clock.monotonic());
  const taken = (namespace: string) => {
    let count = 0;
    while (rate.take(namespace, 10)) count++;
    return count;
  };
  deepEqual([taken("loud"), taken("loud"), taken("quiet")], [40, 0, 40]);
  clock.pass(1_000);
  deepEqual([taken("loud"), rate.take("loud", 1)], [10, false]);
  clock.pass(1_000_000);
  equal(taken("loud"), 40, "never more than the burst");
  equal(rate.take("loud", 1_000), false, "and nothing that is larger than it, ever");
});

Deno.test("of namespaces that are quiet nothing is kept", () => {
  const clock = new FakeClock();
  const rate = new LogRate({ bytesPerSecond: 100, burst: 400 }, () => clock.monotonic());
  for (let i = 0; i < 1_000; i++) rate.take(`n${i}`, 100);
  equal(rate.size, 1_000);
  clock.pass(2_000);
  rate.take("one", 100);
  equal(rate.size, 1);
});

Deno.test("a function that logs for ever costs the control plane no more than its rate, and is told what was left out", async () => {
  await using t = await Logs.start();
  const loud = await t.deploy("loud", "f"), quiet = await t.deploy("quiet", "f");
  const { log } = t.gateway({ rateEach: { bytesPerSecond: 5_000, burst: 20_000 } });
  const from = { log, clock: t.clock };
  const seconds = 20, each = 500;
  for (let i = 0; i < 2 * seconds; i++) {
    for (let line = 0; line < each; line++) say(from, loud, "x".repeat(100));
    for (let call = 0; call < each; call++) log.invocation(loud, invocationOf());
    await t.clock.advance(500);
    // The line that tells of what was dropped comes with the next round.
    await until("what waits is written", () => log.figures().waiting <= 1);
  }
  say(from, quiet, "heard");
  deepEqual(texts(await log.lines("quiet", "f", { limit: 5 }, CONTEXT)), ["heard"]);
  const most = (20_000 + seconds * 5_000) / 500;
  const [lines, calls] = [await t.count("function_logs"), await t.count("function_invocations")];
  // Beside them are the lines that tell of the others, two a second at most.
  ok(lines > most / 2 && lines < most + 2 * seconds + 2, String(lines));
  ok(calls > most / 4 && calls <= most, String(calls));
  equal(log.figures().dropped > 2 * seconds * each, true);
  const [newest] = texts(await log.lines("loud", "f", { limit: 1, level: "warn" }, CONTEXT));
  match(newest!, /^\d+ lines or calls were not written down/);
});

Deno.test("what came too fast is told also where nothing else is written, and everything that was is in the sum", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello");
  const { log } = t.gateway({ rateEach: { bytesPerSecond: 1, burst: 100 } });
  for (let i = 0; i < 7; i++) say({ log, clock: t.clock }, hello, "too large for the burst");
  await t.clock.advance(500);
  await until("it is written", async () => await t.count("function_logs") === 1);
  const [line] = texts(await log.lines("shop", "hello", { limit: 5 }, CONTEXT));
  match(line!, /^7 lines or calls were not written down/);
  equal(log.figures().dropped, 7);
});

Deno.test("a namespace may log 4 MiB at once and 256 KiB a second, and as much of calls, where nothing else is said", async () => {
  await using t = await Logs.start();
  const hello = await t.deploy("shop", "hello");
  const { log } = t.gateway({ bufferBytesEach: 2 ** 30 });
  const kept = (bytes: number) => bytes / 600;
  const call = (times: number) => {
    const before = log.figures().dropped;
    for (let i = 0; i < times; i++) log.invocation(hello, invocationOf());
    return times - (log.figures().dropped - before);
  };
  equal(call(10_000), Math.floor(kept(4 * 2 ** 20)));
  t.clock.pass(1_000);
  ok(Math.abs(call(10_000) - kept(256 * 1024)) <= 1);
  const { dropped } = log.figures();
  say({ log, clock: t.clock }, hello, "lines have their own");
  equal(log.figures().dropped, dropped);
});
