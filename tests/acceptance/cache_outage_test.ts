import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { uniqueName } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import { TestGateway } from "../support/gateway.ts";
import { chosenCache, startTestCache } from "../support/test_cache.ts";

const OPERATIONS: readonly [string, Record<string, unknown>][] = [
  ["put", { dmap: "m", key: "k", value: 1 }],
  ["put", { dmap: "m", key: "k", value: 1, nx: true }],
  ["put", { dmap: "m", key: "k", value: 1, if_version: "1" }],
  ["get", { dmap: "m", key: "k" }],
  ["mget", { dmap: "m", keys: ["k"] }],
  ["delete", { dmap: "m", key: "k" }],
  ["scan", { dmap: "m" }],
  ["incr", { dmap: "m", key: "k" }],
  ["expire", { dmap: "m", key: "k", ttl: "1h" }],
  ["touch", { dmap: "m", keys: ["k"] }],
  ["ttl", { dmap: "m", key: "k" }],
  ["getset", { dmap: "m", key: "k", value: 1 }],
  ["mput", { dmap: "m", entries: [{ key: "k", value: 1 }] }],
  ["mdelete", { dmap: "m", keys: ["k"] }],
  ["lock", { dmap: "m", key: "k", lease: "1s", wait: "1m" }],
  ["renew", { dmap: "m", key: "k", lease: "1s", token: "0".repeat(32) }],
  ["unlock", { dmap: "m", key: "k", token: "0".repeat(32) }],
];

Deno.test({
  name: "without its cache a gateway starts, says so, answers 503 there and does all else; with it, it goes on",
  ignore: chosenCache() !== "olric" || Deno.env.has("TEST_BASE_URL"),
  async fn() {
    await using shared = await startTestCache("olric");
    const { nodes } = shared.cluster!;
    await Promise.all(nodes.map((node) => node.kill()));
    await using gateway = await TestGateway.start({ cache: shared });
    const key = await gateway.defaultKey();
    const cache = new CacheCaller(gateway, { key });
    const isDown = async () => {
      for (const [operation, body] of OPERATIONS) {
        const answer = await cache.call(operation, body).catch(async (cause) => {
          await gateway.exitCode();
          throw new Error(`no answer to ${operation}; the gateway wrote ${gateway.log().slice(-2_000)}`, { cause });
        });
        deepEqual([answer.status, answer.get("code")], [503, "UNAVAILABLE"], `${operation}: ${answer.text}`);
        ok(answer.headers.has("retry-after"));
        ok(!/127\.0\.0\.1|\d{5}/.test(answer.string("error")), answer.text);
      }
      for (
        const [method, names] of [["GET", []], ["DELETE", ["m"]], ["GET", ["m", "k"]], ["DELETE", ["m", "k"]]] as const
      ) {
        equal((await cache.raw(method, names)).status, 503, `${method} ${names}`);
      }
      equal((await cache.raw("PUT", ["m", "k"], { raw: "1" })).status, 503);
      const health = (await gateway.call("GET", "/v1/cache/health", { key })).expect(503);
      match(health.string("error"), /^cache health check failed: /);
    };
    const stateOf = async () => (await gateway.call("GET", "/v1/status")).get("services.cache.status");
    await isDown();
    await until("the status says so", async () => await stateOf() === "down");
    (await gateway.call("GET", "/health")).expect(200);
    (await gateway.call("POST", "/v1/rqlite/query", { key, body: { sql: "SELECT 1" } })).expect(200);

    await Promise.all(nodes.map((node) => node.start()));
    await shared.cluster!.ready();
    const name = uniqueName();
    await until(
      "the cache is back",
      async () => (await cache.call("put", { dmap: "m", key: name, value: 1 })).status === 200,
    );
    equal(await cache.value("m", name), 1);
    (await gateway.call("GET", "/v1/cache/health", { key })).expect(200);
    await until("the status says so", async () => await stateOf() === "ok");

    await Promise.all(nodes.map((node) => node.kill()));
    await until("the cache is gone", async () => (await cache.get("m", name)).status === 503);
    await isDown();
    equal(await gateway.stop(), 0, "it ends as ever");
  },
});
