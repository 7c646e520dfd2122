import { equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite({
  config: {
    limits: {
      key: { rate: 2, burst: 10 },
      address: { rate: 1000, burst: 1000 },
      credentials: { rate: 1000, burst: 1000 },
    },
  },
});
const { test } = suite;
const whoami = (gateway: TestGateway, key: string) => gateway.call("GET", "/v1/auth/whoami", { key });

/** Starts a gateway with limits of its own. */
const withLimits = (limits: Record<string, unknown>) =>
  TestGateway.start({
    driver: "sqlite",
    config: { limits: { key: { rate: 0 }, address: { rate: 0 }, credentials: { rate: 0 }, ...limits } },
  });

function isLimited(answer: Answer): void {
  equal(answer.status, 429, answer.text);
  equal(answer.get("code"), "RATE_LIMITED");
  match(answer.headers.get("retry-after")!, /^[1-9]\d*$/);
  match(answer.headers.get("ratelimit")!, /^"[a-z]+";r=0;t=\d+$/);
}

async function keyOf({ accessToken: token }: SignedIn): Promise<string> {
  return (await suite.gateway.call("POST", "/v1/auth/keys", { token, body: { name: "x" } })).expect(201).string(
    "api_key",
  );
}

test("each answer says how many requests its key has left", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = await keyOf(owner);
  for (let used = 1; used <= 3; used++) {
    const { headers } = await whoami(suite.gateway, key);
    equal(headers.get("ratelimit-policy"), '"key";q=10;w=5');
    match(headers.get("ratelimit")!, new RegExp(`^"key";r=${10 - used};t=[12]$`));
  }
});

test("a key beyond its limit is told when to come again, and may then", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = await keyOf(owner);
  const answers = await Promise.all(Array.from({ length: 16 }, () => whoami(suite.gateway, key)));
  const refused = answers.filter(({ status }) => status === 429);
  ok(refused.length >= 4 && refused.length <= 6, `${refused.length} refused`);
  for (const answer of refused) isLimited(answer);
  await until("the key may call again", async () => (await whoami(suite.gateway, key)).status === 200, 3_000);
});

test("one key's limit is no other's", async () => {
  await using owner = await newOwner(suite.gateway);
  const [one, two] = [await keyOf(owner), await keyOf(owner)];
  await Promise.all(Array.from({ length: 15 }, () => whoami(suite.gateway, one)));
  isLimited(await whoami(suite.gateway, one));
  (await whoami(suite.gateway, two)).expect(200);
});

test("health, OPTIONS and what is not limited have no such headers", async () => {
  for (const [method, path] of [["GET", "/health"], ["OPTIONS", "/v1/auth/whoami"]] as const) {
    const { headers } = await suite.gateway.call(method, path);
    equal(headers.get("ratelimit"), null);
    equal(headers.get("ratelimit-policy"), null);
  }
});

test("an address without a credential has a limit of its own, which those with one do not share", async () => {
  await using gateway = await withLimits({ address: { rate: 0.01, burst: 8 } });
  await using owner = await newOwner(gateway);
  (await whoami(gateway, owner.apiKey)).expect(200);
  const anonymous = await Promise.all(Array.from({ length: 20 }, () => gateway.call("GET", "/v1/version")));
  ok(anonymous.filter(({ status }) => status === 200).length <= 8);
  isLimited(await gateway.call("GET", "/v1/version"));
  isLimited(await gateway.call("GET", "/nothing"));
  (await whoami(gateway, owner.apiKey)).expect(200);
  (await gateway.call("GET", "/health")).expect(200);
});

test("guesses of keys and tokens are counted before they are looked up", async () => {
  await using gateway = await withLimits({ address: { rate: 0.01, burst: 10 } });
  const guess = (i: number) => whoami(gateway, `ak_${String(i).padStart(24, "A")}:default`);
  const answers = [];
  for (let i = 0; i < 20; i++) answers.push(await guess(i));
  const tried = answers.filter(({ status }) => status === 401).length;
  ok(tried >= 4 && tried <= 10, `${tried} guesses`);
  for (const answer of answers.slice(tried)) isLimited(answer);
  isLimited(await gateway.call("GET", "/v1/auth/whoami", { token: "eyJhbGciOiJFZERTQSIsImtpZCI6IngifQ.e30.AAAA" }));
  equal((await gateway.call("GET", "/health")).status, 200);
});

test("routes that give or take credentials have the strict limit, counted for the address whoever calls", async () => {
  await using gateway = await withLimits({ credentials: { rate: 0.01, burst: 6 } });
  const ask = () => gateway.call("POST", "/v1/auth/challenge", { body: { wallet: ethereumWallet().address } });
  for (let i = 0; i < 6; i++) match((await ask()).expect(200).headers.get("ratelimit")!, /^"credentials";r=/);
  isLimited(await ask());
  for (
    const path of [
      "/v1/auth/verify",
      "/v1/auth/refresh",
      "/v1/auth/logout",
      "/v1/auth/api-key",
      "/v1/auth/register",
      "/v1/auth/login/token",
    ]
  ) {
    isLimited(await gateway.call("POST", path, { body: {} }));
  }
  isLimited(await gateway.call("POST", "/v1/auth/token", { key: await gateway.defaultKey() }));
  (await gateway.call("GET", "/v1/version")).expect(200);
});

test("without configured proxies, X-Forwarded-For changes nobody's limit", async () => {
  await using gateway = await withLimits({ address: { rate: 0.01, burst: 5 } });
  const statuses = [];
  for (let i = 0; i < 10; i++) {
    const headers = {
      "x-forwarded-for": `203.0.113.${i}`,
      forwarded: `for=203.0.113.${i}`,
      "x-real-ip": `203.0.113.${i}`,
    };
    statuses.push((await gateway.call("GET", "/v1/version", { headers })).status);
  }
  equal(statuses.filter((status) => status === 200).length, 5);
});

test("by default a test suite of 600 requests in a minute from one address passes", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite", asShipped: true });
  await using owner = await newOwner(gateway);
  for (let i = 0; i < 6; i++) {
    const calls = Array.from({ length: 60 }, () => whoami(gateway, owner.apiKey));
    const anonymous = Array.from({ length: 40 }, () => gateway.call("GET", "/v1/version"));
    for (const answer of await Promise.all([...calls, ...anonymous])) answer.expect(200);
  }
});
