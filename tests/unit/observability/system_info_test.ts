import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { Counter, Registry } from "prom-client";
import { type Probe, SystemStatus } from "../../../services/system/system_info.ts";
import { code } from "../auth/support/node.ts";
import { HOUR, SECOND, TestClock } from "../control_plane/support/clock.ts";

function statusOf(probes: Readonly<Record<string, Probe>>, metrics = true) {
  const clock = new TestClock();
  const registry = new Registry();
  const build = { version: "1.2.3", commit: "abc", buildTime: "" };
  return { clock, registry, system: new SystemStatus({ ...build, now: clock.now, probes, registry, metrics }) };
}

const fine: Probe = () => Promise.resolve({ status: "ok", driver: "test" });

Deno.test("it knows its build, when it began and for how long it runs", () => {
  const { clock, system } = statusOf({});
  clock.advance(1_234);
  deepEqual([system.version, system.commit, system.uptime(), system.ready()], ["1.2.3", "abc", 1_234, true]);
  equal(Date.parse(system.startedAt), clock.time - 1_234);
  system.stopping();
  equal(system.ready(), false);
});

Deno.test("services are measured once for all who ask within two seconds", async () => {
  let probed = 0;
  const { clock, system } = statusOf({
    one: (signal) => {
      probed++;
      return fine(signal);
    },
  });
  await Promise.all(Array.from({ length: 100 }, () => system.services()));
  clock.advance(2 * SECOND);
  await system.services();
  equal(probed, 1);
  clock.advance(1);
  await system.services();
  equal(probed, 2);
  clock.advance(-HOUR);
  await system.services();
  equal(probed, 3, "a clock that was set back does not freeze what was measured");
});

Deno.test("each service has its own state, also where another one hangs", async () => {
  let told: AbortSignal | undefined;
  const { system } = statusOf({
    fine,
    lame: () => Promise.resolve({ status: "degraded", driver: "test", reason: "one member lost" }),
    hanging: (signal) => {
      told = signal;
      return new Promise(() => {});
    },
  });
  const start = performance.now();
  deepEqual(await system.services(), {
    fine: { status: "ok", driver: "test" },
    lame: { status: "degraded", driver: "test", reason: "one member lost" },
    hanging: { status: "down", driver: "unknown", reason: "no answer in time" },
  });
  equal(told?.aborted, true, "and is told to give up");
  equal(performance.now() - start < 4_000, true);
});

Deno.test("figures come in Prometheus' form, or not at all where they are switched off", async () => {
  const { registry, system } = statusOf({});
  new Counter({ name: "things_total", help: "Things.", registers: [registry] }).inc(3);
  const { text, contentType } = await system.metrics();
  match(text, /^things_total 3$/m);
  match(contentType, /^text\/plain; version=0\.0\.4/);
  await rejects(statusOf({}, false).system.metrics(), code("NOT_FOUND"));
});
