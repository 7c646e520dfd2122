import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { uniqueName } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import type { Answer } from "../support/client.ts";
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

function isUnavailable(answer: Answer, what: string): void {
  deepEqual([answer.status, answer.get("code")], [503, "UNAVAILABLE"], `${what}: ${answer.text}`);
  match(answer.headers.get("retry-after") ?? "", /^[1-9]\d*$/, what);
  ok(!/127\.0\.0\.1|\d{5}/.test(answer.string("error")), answer.text);
}

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
        isUnavailable(answer, operation);
      }
      for (
        const [method, names] of [["GET", []], ["DELETE", ["m"]], ["GET", ["m", "k"]], ["DELETE", ["m", "k"]]] as const
      ) {
        isUnavailable(await cache.raw(method, names), `${method} ${names}`);
      }
      isUnavailable(await cache.raw("PUT", ["m", "k"], { raw: "1" }), "PUT m,k");
      // The answer has no body that could say so.
      const head = await cache.raw("HEAD", ["m", "k"]);
      deepEqual([head.status, head.headers.get("retry-after")], [503, "1"]);
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

Deno.test({
  name: "with one of three members of its cache down a gateway says so, and goes on; with all of them, it says that",
  ignore: chosenCache() !== "olric" || Deno.env.get("TEST_OLRIC_NODES") !== "3" || Deno.env.has("TEST_BASE_URL"),
  async fn() {
    await using shared = await startTestCache("olric");
    const [, , victim] = shared.cluster!.nodes;
    await using gateway = await TestGateway.start({ cache: shared });
    const key = await gateway.defaultKey(), { key: operator } = await gateway.makeKey("--operator");
    const cache = new CacheCaller(gateway, { key });
    const state = () => gateway.call("GET", "/v1/status");
    const isNow = (status: string) => async () => (await state()).get("services.cache.status") === status;
    const upOf = async () =>
      /^service_up\{service="cache",driver="olric"\} (\S+)$/m.exec(
        (await gateway.call("GET", "/metrics", { key: operator })).expect(200).text,
      )?.[1];
    await until("all members answer", isNow("ok"));
    deepEqual((await state()).get("services.cache.details"), { members: 3, reachable: 3 });

    await victim!.kill();
    await until("the status says so", isNow("degraded"));
    const answer = (await state()).expect(200);
    equal(answer.get("status"), "degraded");
    deepEqual(answer.get("services.cache.details"), { members: 3, reachable: 2 });
    match(answer.string("services.cache.reason"), /do not answer/);
    equal(typeof answer.get("services.cache.latency_ms"), "number");
    equal(answer.text.includes("127.0.0.1"), false, answer.text);
    await until("figures say so", async () => await upOf() === "0.5");
    const name = uniqueName();
    const put = async () => (await cache.call("put", { dmap: "m", key: name, value: 1 })).status === 200;
    await until("those that are left go on", put);
    equal(await cache.value("m", name), 1);

    await victim!.start();
    await shared.cluster!.ready();
    await until("the status says so", isNow("ok"));
    await until("figures say so", async () => await upOf() === "1");
  },
});
