import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Registry } from "prom-client";
import { OlricDriver } from "../../../services/cache/olric/driver.ts";
import { openCache } from "../../../src/cache_drivers.ts";
import type { CacheHoldings } from "../../../src/contracts/cache.ts";
import { cacheMetrics } from "../../../src/observability/cache_metrics.ts";
import { instrument, serviceTimings } from "../../../src/observability/instrument.ts";
import { REQUEST, RULES } from "../../contracts/cache_drivers.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { type Answer, entry, FakeOlric, SILENCE } from "./support/fake_olric.ts";

const NOTHING = new Error("KEYNOTFOUND key not found");
const at = (key: string, map = "m") => ({ map, key });

/** Figures of a member: what its maps hold in each of its partitions, and how many it evicted. */
function figuresOf(partitions: readonly Readonly<Record<string, readonly [number, number]>>[], evicted?: unknown) {
  const dmapsOf = (maps: Readonly<Record<string, readonly [number, number]>>) =>
    Object.fromEntries(
      Object.entries(maps).map(([name, [length, inuse]]) => [name, { length, slab_info: { inuse, allocated: 1e6 } }]),
    );
  const told = {
    partitions: Object.fromEntries(partitions.map((maps, i) => [String(i), { length: 9, dmaps: dmapsOf(maps) }])),
    backups: { "0": { dmaps: dmapsOf({ "2:ns/d/m": [1_000, 1_000] }) } },
    ...(evicted !== undefined && { dmaps: { evicted_total: evicted, entries_total: 77 } }),
  };
  return new TextEncoder().encode(JSON.stringify(told));
}

const answering = (stats: () => Answer) => ([name]: readonly string[]): Answer =>
  name === "STATS" ? stats() : name === "PING" ? "PONG" : NOTHING;

const asksOf = ({ asked }: FakeOlric) => asked.filter(([name]) => name === "STATS").length;

/** A driver whose clock can be put forward. */
async function open(members: readonly FakeOlric[], timeout = 1_000) {
  let ahead = 0;
  const clock = { now: () => Date.now(), monotonic: () => performance.now() + ahead };
  const driver = await OlricDriver.open({ addresses: members.map(({ address }) => address), timeout, clock });
  return Object.assign(driver, {
    pass: (milliseconds: number) => void (ahead += milliseconds),
    [Symbol.asyncDispose]: () => driver.close(),
  });
}

Deno.test("what the cluster holds is the sum of its members: values of all namespaces, no locks, copies or strangers' maps", async () => {
  const named = { "2:ns/d/m": [2, 200], "2:ns/l/m": [50, 5_000], "2:ns/f/m": [50, 5_000] } as const;
  const odd = { "9:a/d/b:c/d/d/x": [1, 10], "2:ns/dd/m": [50, 5_000], "3:ns/d/m": [50, 5_000] } as const;
  const strange = { "sessions": [50, 5_000], "": [50, 5_000], ":ns/d/m": [50, 5_000], "-1:/d/m": [50, 5_000] } as const;
  using one = new FakeOlric(answering(() => figuresOf([named, odd], 7)));
  using two = new FakeOlric(answering(() => figuresOf([{ "2:ns/d/m": [3, 300] }, strange], 4)));
  for (const member of [one, two]) member.members = [one.address, two.address];
  await using driver = await open([one]);
  deepEqual(await driver.held(), { entries: 6, bytes: 510, evictions: 11 });
});

Deno.test("members are asked for figures once for all who want them, and seldom, however often they are wanted", async () => {
  let entries = 1;
  using member = new FakeOlric(answering(() => figuresOf([{ "2:ns/d/m": [entries, 1] }], 0)));
  await using driver = await open([member]);
  const expected = { entries: 1, bytes: 1, evictions: 0 };
  deepEqual(await Promise.all(Array.from({ length: 20 }, () => driver.held())), Array(20).fill(expected));
  entries = 2;
  deepEqual(driver.held(), expected, "at once");
  equal(asksOf(member), 1);
  driver.pass(60_000);
  equal((await driver.held())?.entries, 2);
  equal(asksOf(member), 2);
});

Deno.test("evictions never become less, though a member begins anew; where no member tells them there are none", async () => {
  let evicted: unknown;
  using member = new FakeOlric(answering(() => figuresOf([{}], evicted)));
  await using driver = await open([member]);
  const seen: unknown[] = [];
  for (evicted of [undefined, "7", -1, 1.5, null, 7, 9, 2, "x", 3]) {
    driver.pass(60_000);
    seen.push((await driver.held())?.evictions);
  }
  deepEqual(seen, [undefined, undefined, undefined, undefined, undefined, 7, 9, 11, 11, 12]);
});

Deno.test("figures that make no sense, or of a member that fails, are none; metrics go on without them", async () => {
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const map = (figures: unknown) => json({ partitions: { 0: { dmaps: { "2:ns/d/m": figures } } } });
  const odd: Answer[] = [
    "OK",
    5,
    null,
    [],
    new Error("ERR no"),
    new Uint8Array([0xff]),
    json(null),
    json({}),
    json({ partitions: [null] }),
    map(null),
    map({ length: "5", slab_info: { inuse: 1 } }),
    map({ length: 5, slab_info: { inuse: -1 } }),
    map({ length: 5 }),
    map({ length: 1e300, slab_info: { inuse: 1 } }),
  ];
  for (const answer of odd) {
    using member = new FakeOlric(answering(() => answer));
    await using driver = await open([member]);
    const registry = new Registry();
    const statistics = () => ({ hits: 1, misses: 2, near: undefined });
    cacheMetrics(registry, { statistics, holdings: () => driver.held() });
    const text = await registry.metrics();
    match(text, /^cache_hits_total 1$/m);
    equal(/^cache_(entries|bytes|evictions_total) /m.test(text), false, text);
    equal(await driver.held(), undefined);
  }
});

Deno.test("nobody waits for a member that is long in telling; what was known before is told until then", async () => {
  let stats: Answer = figuresOf([{ "2:ns/d/m": [1, 1] }]);
  using member = new FakeOlric(answering(() => stats));
  await using driver = await open([member], 600_000);
  const known: CacheHoldings = { entries: 1, bytes: 1, evictions: undefined };
  deepEqual(await driver.held(), known);
  stats = SILENCE;
  driver.pass(60_000);
  deepEqual(await driver.held(), known);
  deepEqual(await driver.held(), known);
  equal(asksOf(member), 2, "the second is waited for by all");
});

Deno.test("calls to the engine are timed by themselves: no reads of copies, and of a lock each try without the waiting", async () => {
  let held = true;
  using member = new FakeOlric(([name, map, key]) => {
    if (name === "DM.GET") {
      return map === "2:ns/d/near" || map === "2:ns/d/m" && key === "k" ? entry(key!, "1") : NOTHING;
    }
    if (name === "DM.PUT") return held && map === "2:ns/l/m" ? new Error("KEYFOUND key found") : "OK";
    return name === "DM.INCR" ? 1.8e15 : "OK";
  });
  const registry = new Registry();
  const observe = serviceTimings(registry);
  const lives = new Map([["near", 600_000]]);
  const { cache } = await openCache({
    driver: "olric",
    memory: { max_bytes: 0 },
    olric: { addresses: [member.address], password: undefined, connections: 1, request_timeout: 2_000 },
    near: { max_bytes: 2 ** 20, max_ttl: 600_000 },
  }, {
    rulesOf: () => ({ ...RULES, near: lives }),
    onNamespaceGone: () => {},
    timed: (engine) => instrument("cache_engine", engine, observe, () => "refused"),
  });
  const countOf = async (operation: string, outcome = "ok") => {
    const labels = `{service="cache_engine",operation="${operation}",outcome="${outcome}"}`;
    const line = (await registry.metrics()).split("\n").find((line) =>
      line.startsWith(`service_call_duration_seconds_count${labels} `)
    );
    return Number(line?.split(" ").at(-1) ?? 0);
  };
  try {
    equal((await cache.get("ns", at("k"), REQUEST)) !== undefined, true);
    equal(await cache.get("ns", at("none"), REQUEST), undefined);
    equal(await countOf("get"), 2, "what is not there is an answer, too");
    for (let i = 0; i < 3; i++) {
      await Promise.all(Array.from({ length: 5 }, () => cache.get("ns", at("k", "near"), REQUEST)));
    }
    equal(await countOf("get"), 3, "one for all five, whose copy is read then");
    await cache.getMany("ns", "m", ["a", "b"], REQUEST);
    deepEqual([await countOf("getMany"), await countOf("get")], [1, 3]);

    const waiting = awaitedLater(cache.lock("ns", at("l"), { lease: 60_000, wait: 60_000 }, REQUEST));
    while (await countOf("tryLock") < 3) await new Promise((resolve) => setTimeout(resolve, 5));
    held = false;
    await waiting;
    ok(await countOf("tryLock") >= 4);
    equal(await countOf("lock"), 0);
    member.answer = () => new Error("ERR no");
    await Promise.resolve(cache.get("ns", at("k"), REQUEST)).catch(() => {});
    equal(await countOf("get", "refused"), 1);
  } finally {
    await cache.close();
  }
});
