import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { Registry } from "prom-client";
import type { CacheHoldings, CacheStatistics, Maybe } from "../../../src/contracts/cache.ts";
import type { Observed } from "../../../src/contracts/observation.ts";
import { cacheMetrics } from "../../../src/observability/cache_metrics.ts";
import { instrument, serviceTimings } from "../../../src/observability/instrument.ts";
import { RequestMetrics } from "../../../src/observability/request_metrics.ts";

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Reads Prometheus' text format, and fails on what is none. */
function samplesOf(text: string): Sample[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).map((line) => {
    const [, name = "", labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    ok(name, line);
    const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)/g)];
    equal(pairs.map(([whole]) => whole).join(""), labels, line);
    return { name, labels: Object.fromEntries(pairs.map(([, key, value]) => [key, value])), value: Number(value) };
  });
}

const request = (parts: Partial<Observed> = {}): Observed => ({
  requestId: "r",
  method: "GET",
  template: "/v1/things/:id",
  path: "/v1/things/7",
  clientAddress: "x",
  caller: undefined,
  traceparent: undefined,
  quiet: false,
  ...parts,
});

function metricsOf() {
  const registry = new Registry();
  const metrics = new RequestMetrics();
  metrics.register(registry);
  const observe = (parts: Partial<Observed>, status: number, milliseconds: number) =>
    metrics.observe(request(parts), { status, milliseconds, error: undefined });
  const samples = async () => samplesOf(await registry.metrics());
  return { registry, observe, samples };
}

const NAME = "http_request_duration_seconds";

Deno.test("figures are a histogram by route, method and status, cumulative, in seconds", async () => {
  const { observe, samples, registry } = metricsOf();
  for (const milliseconds of [0, 0.5, 1, 1.0001, 2.5, 9, 10, 11, 29_000, 30_000, 31_000, 900_000]) {
    observe({}, 200, milliseconds);
  }
  ok((await registry.metrics()).includes(`# TYPE ${NAME} histogram`));
  const found = await samples();
  const buckets = found.filter(({ name }) => name === `${NAME}_bucket`);
  const cumulative = Object.fromEntries(buckets.map(({ labels, value }) => [labels.le, value]));
  deepEqual(cumulative, {
    "0.001": 3,
    "0.0025": 5,
    "0.005": 5,
    "0.01": 7,
    "0.025": 8,
    "0.05": 8,
    "0.1": 8,
    "0.25": 8,
    "0.5": 8,
    "1": 8,
    "2.5": 8,
    "5": 8,
    "10": 8,
    "30": 10,
    "+Inf": 12,
  });
  const one = (name: string) => found.find((sample) => sample.name === name)!.value;
  equal(one(`${NAME}_count`), 12);
  ok(Math.abs(one(`${NAME}_sum`) - 990.035_0001) < 1e-6, String(one(`${NAME}_sum`)));
  for (const { labels } of buckets) {
    deepEqual([labels.route, labels.method, labels.status], ["/v1/things/:id", "GET", "200"]);
  }
});

Deno.test("a slower bucket never holds less than a quicker one, whatever is counted", async () => {
  const { observe, samples } = metricsOf();
  for (let i = 0; i < 500; i++) {
    observe({ method: i % 2 ? "GET" : "POST" }, [200, 404, 500][i % 3]!, (i * 7919) % 40_000);
  }
  const series = Map.groupBy(
    (await samples()).filter(({ name }) => name.endsWith("_bucket")),
    ({ labels: { method, status } }) => `${method} ${status}`,
  );
  equal(series.size, 6);
  for (const buckets of series.values()) {
    const values = buckets.map(({ value }) => value);
    deepEqual(values, values.toSorted((a, b) => a - b));
    equal(buckets.at(-1)!.labels.le, "+Inf");
  }
});

Deno.test("figures go on between two looks, and a reset begins anew", async () => {
  const { observe, samples, registry } = metricsOf();
  const count = async () => (await samples()).find(({ name }) => name === `${NAME}_count`)?.value;
  equal(await count(), undefined);
  observe({}, 200, 1);
  equal(await count(), 1);
  observe({}, 200, 1);
  equal(await count(), 2);
  registry.resetMetrics();
  equal(await count(), undefined);
});

Deno.test("methods that a client invents are one label", async () => {
  const { observe, samples } = metricsOf();
  for (let i = 0; i < 1_000; i++) observe({ method: `X${i}` }, 405, 1);
  observe({ method: "OTHER" }, 405, 1);
  observe({ method: "get" }, 405, 1);
  for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) observe({ method }, 405, 1);
  const counts = (await samples()).filter(({ name }) => name === `${NAME}_count`);
  equal(counts.length, 8);
  equal(counts.find(({ labels }) => labels.method === "OTHER")!.value, 1_002);
});

Deno.test("no label holds what a client wrote", async () => {
  const { observe, registry } = metricsOf();
  observe({ path: "/v1/things/of-a-tenant", requestId: "secret", clientAddress: "192.0.2.77", method: "EVIL" }, 404, 1);
  const text = await registry.metrics();
  for (const part of ["of-a-tenant", "secret", "192.0.2.77", "EVIL"]) equal(text.includes(part), false, part);
});

class Service {
  #calls = 0;
  readonly name = "it";

  plain(a: number): number {
    this.#calls++;
    return a + 1;
  }

  broken(): never {
    throw new TypeError("at once");
  }

  async good(a: number): Promise<number> {
    await Promise.resolve();
    this.#calls++;
    return a * 2;
  }

  async bad(): Promise<never> {
    await Promise.resolve();
    throw new RangeError("later");
  }

  get calls(): number {
    return this.#calls;
  }
}

Deno.test("calls that take time are timed by service, operation and outcome; the caller notices nothing", async () => {
  const observed: [string, string, string][] = [];
  const timed = instrument("things", new Service(), (service, operation, outcome, seconds) => {
    ok(seconds >= 0 && seconds < 5);
    observed.push([service, operation, outcome]);
  }, (error) => error instanceof RangeError ? "refused" : "failed");
  equal(timed.plain(1), 2);
  equal(await timed.good(2), 4);
  await rejects(timed.bad(), RangeError);
  throws(() => timed.broken(), TypeError);
  equal(timed.name, "it");
  equal(timed.calls, 2, "members behind # are reached");
  deepEqual(observed, [["things", "good", "ok"], ["things", "bad", "refused"]]);
});

Deno.test("a timed method is the same function each time it is asked for", () => {
  const timed = instrument("things", new Service(), () => {}, () => "failed");
  equal(timed.good, timed.good);
  ok(timed instanceof Service);
});

Deno.test("timings come out as a histogram in seconds", async () => {
  const registry = new Registry();
  const observe = serviceTimings(registry);
  observe("database", "query", "ok", 0.003);
  observe("database", "query", "ok", 0.3);
  const found = samplesOf(await registry.metrics());
  const bucket = (le: string) => found.find(({ name, labels }) => name.endsWith("_bucket") && labels.le === le)?.value;
  deepEqual([bucket("0.005"), bucket("0.5"), bucket("+Inf")], [1, 2, 2]);
  equal(found.find(({ name }) => name === "service_call_duration_seconds_sum")!.value, 0.303);
});

Deno.test("figures of the cache are read when they are scraped, and left out where the engine does not tell", async () => {
  const registry = new Registry();
  let statistics: CacheStatistics = { hits: 3, misses: 1, near: undefined };
  let holdings: Maybe<CacheHoldings | undefined> = { evictions: 2, entries: 5, bytes: 700 };
  cacheMetrics(registry, { statistics: () => statistics, holdings: () => holdings });
  const values = async () =>
    Object.fromEntries(samplesOf(await registry.metrics()).map(({ name, value }) => [name, value]));
  deepEqual(await values(), {
    cache_hits_total: 3,
    cache_misses_total: 1,
    cache_evictions_total: 2,
    cache_entries: 5,
    cache_bytes: 700,
  });
  statistics = { hits: 4, misses: 1, near: { hits: 3, misses: 2, entries: 7, bytes: 900 } };
  holdings = Promise.resolve({ evictions: undefined, entries: 6, bytes: 800 });
  deepEqual(await values(), {
    cache_hits_total: 4,
    cache_misses_total: 1,
    cache_entries: 6,
    cache_bytes: 800,
    cache_near_hits_total: 3,
    cache_near_misses_total: 2,
    cache_near_entries: 7,
    cache_near_bytes: 900,
  });
  statistics = { hits: 4, misses: 1, near: undefined };
  for (const untold of [undefined, Promise.resolve(undefined)]) {
    holdings = untold;
    deepEqual(await values(), { cache_hits_total: 4, cache_misses_total: 1 });
  }
});
