import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { CacheCaller } from "../support/cache.ts";
import { newOwner, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenCache } from "../support/test_cache.ts";
import { chosenDriver } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite();
const { test } = suite;
const get = (path: string) => suite.gateway.call("GET", path);
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/;
const DURATION = /^(\d+h)?(\d+m)?\d+(\.\d+)?m?s$/;

test("health says that the process is alive", async () => {
  for (const path of ["/health", "/v1/health"]) {
    const answer = (await get(path)).expect(200);
    equal(answer.get("status"), "ok");
    equal(answer.get("server.status"), "ok");
    match(answer.string("server.started_at"), TIME);
    match(answer.string("server.uptime"), DURATION);
    match(answer.headers.get("content-type")!, /application\/json/);
  }
});

test("status says how each service is, as measured", async () => {
  for (const path of ["/status", "/v1/status"]) {
    const answer = (await get(path)).expect(200);
    equal(answer.get("status"), "ok");
    match(answer.string("version"), /^\d+\.\d+\.\d+/);
    match(answer.string("uptime"), DURATION);
    match(answer.string("server.started_at"), TIME);
    const drivers = { control_plane: chosenDriver(), database: chosenDriver(), cache: chosenCache() };
    for (const [service, driver] of Object.entries(drivers)) {
      equal(answer.get(`services.${service}.status`), "ok");
      equal(answer.get(`services.${service}.driver`), driver);
    }
  }
});

test("status tells of the cache's engine how many members answer, and how quickly", async () => {
  const cache = (await get("/v1/status")).expect(200).get("services.cache") as Record<string, unknown>;
  const { cluster } = suite.gateway.cache;
  if (cluster === undefined) return deepEqual(cache, { status: "ok", driver: "memory" });
  const members = cluster.nodes.length;
  const { latency_ms: latency, ...rest } = cache;
  deepEqual(rest, { status: "ok", driver: "olric", details: { members, reachable: members } });
  ok(typeof latency === "number" && latency >= 0, String(latency));
});

test("status tells no address, file or tenant", async () => {
  await using owner = await newOwner(suite.gateway, uniqueName("marker"));
  const { text } = await get("/v1/status");
  for (const secret of [owner.namespace, suite.gateway.folder, "sqlite3", "/data", "tenant-", "127.0.0.1"]) {
    equal(text.includes(secret), false, `${secret} in ${text}`);
  }
});

test("version says which build runs", async () => {
  const answer = (await get("/v1/version")).expect(200);
  deepEqual(Object.keys(answer.body).sort(), ["build_time", "commit", "started_at", "uptime", "version"]);
  match(answer.string("started_at"), TIME);
});

test("figures are for operators", async () => {
  await using owner = await newOwner(suite.gateway);
  equal((await get("/metrics")).status, 401);
  for (const credential of [{ key: owner.apiKey }, { token: owner.accessToken }]) {
    const answer = await suite.gateway.call("GET", "/metrics", credential);
    equal(answer.status, 403);
    equal(answer.text.includes("# HELP"), false);
  }
});

test("figures tell rate, errors and duration of each route, timings of services, and the process", async () => {
  const { key } = await suite.gateway.makeKey("--operator");
  await get("/v1/version");
  await get("/v1/auth/whoami");
  const cache = new CacheCaller(suite.gateway, { key: await suite.gateway.defaultKey() });
  await cache.put("m", "k", 1);
  (await cache.get("m", "k")).expect(200);
  (await cache.get("m", "none")).expect(404);
  const answer = (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
  match(answer.headers.get("content-type")!, /^text\/plain/);
  for (
    const line of [
      /^http_request_duration_seconds_bucket\{method="GET",route="\/v1\/version",status="200",le="0\.001"\} \d+$/m,
      /^http_request_duration_seconds_count\{method="GET",route="\/v1\/auth\/whoami",status="401"\} [1-9]/m,
      /^http_request_duration_seconds_sum\{[^}]*\} \d/m,
      /^service_call_duration_seconds_count\{/m,
      /^service_up\{service="control_plane",driver="[a-z]+"\} 1$/m,
      /^service_up\{service="cache",driver="(memory|olric)"\} 1$/m,
      /^cache_hits_total [1-9]/m,
      /^cache_misses_total [1-9]/m,
      ...(chosenCache() === "memory"
        ? [/^cache_evictions_total 0$/m]
        : [/^cache_near_hits_total \d+$/m, /^cache_near_misses_total \d+$/m, /^cache_near_bytes \d+$/m]),
      /^process_resident_memory_bytes \d+/m,
    ]
  ) match(answer.text, line);
});

test("figures tell how much the cache holds, wherever it is", async () => {
  const { key } = await suite.gateway.makeKey("--operator");
  const cache = new CacheCaller(suite.gateway, { key: await suite.gateway.defaultKey() });
  await cache.put("large", "k", "x".repeat(10_000));
  // What a cluster holds is asked for every few seconds.
  await until("what was stored is counted", async () => {
    const { text } = (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
    match(text, /^cache_evictions_total \d+$/m);
    const figure = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    return figure("cache_entries") >= 1 && figure("cache_bytes") >= 10_000;
  });
});

test("what the cache asks of its engine is timed by itself, to be told from what the service adds", async () => {
  const { key } = await suite.gateway.makeKey("--operator");
  const cache = new CacheCaller(suite.gateway, { key: await suite.gateway.defaultKey() });
  const counts = async () => {
    const { text } = (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
    return (service: string, operation: string) => {
      const start = `service_call_duration_seconds_count{service="${service}",operation="${operation}",outcome="ok"} `;
      return Number(text.split("\n").find((line) => line.startsWith(start))?.slice(start.length) ?? 0);
    };
  };
  const map = uniqueName("map"), before = await counts();
  await cache.put(map, "k", 1);
  (await cache.get(map, "k")).expect(200);
  (await cache.get(map, "none")).expect(404);
  (await cache.call("mget", { dmap: map, keys: ["k", "none"] })).expect(200);
  // Held by one, and waited for by another: one call of the service, several tries at the engine.
  const lock = { dmap: map, key: "l", lease: "500ms" };
  (await cache.call("lock", lock)).expect(200);
  (await cache.call("lock", { ...lock, wait: "30s" })).expect(200);
  const after = await counts();
  const more = (service: string, operation: string) => after(service, operation) - before(service, operation);
  equal(more("cache", "lock"), 2);
  const engine = ["put", "get", "getMany"].map((operation) => more("cache_engine", operation));
  if (chosenCache() === "memory") {
    deepEqual([...engine, more("cache_engine", "tryLock")], [0, 0, 0, 0], "nobody waits for memory");
  } else {
    deepEqual(engine, [1, 2, 1]);
    ok(more("cache_engine", "tryLock") >= 3);
  }
});

test("what a client invents becomes no label, and what a tenant is called stands nowhere", async () => {
  const { key } = await suite.gateway.makeKey("--operator");
  await using owner = await newOwner(suite.gateway, uniqueName("marker"));
  const marker = owner.namespace;
  await suite.gateway.call("GET", `/v1/namespaces/${marker}`, { token: owner.accessToken });
  await suite.gateway.call("GET", `/v1/namespaces/${marker}/members`, { token: owner.accessToken });
  await suite.gateway.call("GET", `/${marker}/unknown/path`, { token: owner.accessToken });
  await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body: { name: marker } });
  await suite.gateway.call("POST", "/v1/rqlite/query", { key: owner.apiKey, body: { sql: `SELECT '${marker}'` } });
  const cache = new CacheCaller(suite.gateway, { key: owner.apiKey });
  await cache.put(marker, marker, marker);
  await cache.raw("GET", [marker, marker]);
  await suite.gateway.call("GET", "/v1/auth/whoami", { key: `ak_AAAAAAAAAAAAAAAAAAAAAAAA:${marker}` });
  await tryToSignIn(suite.gateway, ethereumWallet(), marker);
  for (let i = 0; i < 30; i++) await suite.gateway.call(`X${marker.toUpperCase()}${i}`, `/${marker}/${i}`);
  const { text } = (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
  equal(text.toLowerCase().includes(marker.toLowerCase()), false);
  equal(text.includes(owner.wallet.address), false);
  const methods = new Set([...text.matchAll(/method="([^"]*)"/g)].map(([, method]) => method));
  ok(
    [...methods].every((method) =>
      ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "OTHER"].includes(method!)
    ),
    [...methods].join(),
  );
  const routes = new Set([...text.matchAll(/route="([^"]*)"/g)].map(([, route]) => route));
  ok(routes.has("*") && routes.has("/v1/namespaces/:ns"), [...routes].join());
});

test("the log is one JSON object a line, with time, level and part", async () => {
  await get("/v1/version");
  const lines = suite.gateway.log().trimEnd().split("\n").map((line) => JSON.parse(line));
  ok(lines.length > 1);
  for (const line of lines) {
    match(line.time, TIME);
    match(line.level, /^(trace|debug|info|warning|error|fatal)$/);
    ok(line.part.length > 0);
  }
});

test("what a client does wrong makes no error in the log", async () => {
  await get("/nothing");
  await suite.gateway.call("POST", "/v1/auth/challenge", { raw: "{" });
  const lines = suite.gateway.log().trimEnd().split("\n").map((line) => JSON.parse(line));
  deepEqual(lines.filter(({ level }) => ["error", "fatal"].includes(level)), []);
});
