import { equal } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { gatewaySuite } from "../support/suite.ts";

/** The tests are the proxy here; 10.0.0.0/8 stands for the ones behind it. */
const suite = gatewaySuite({
  config: {
    http: {
      cors: { origins: ["https://app.example", "http://localhost:3000"] },
      trusted_proxies: ["127.0.0.1/32", "10.0.0.0/8"],
    },
    limits: { key: { rate: 0 }, address: { rate: 0.001, burst: 3 }, credentials: { rate: 0 } },
  },
});
const { test } = suite;
const get = (headers: Record<string, string>) => suite.gateway.call("GET", "/v1/version", { headers });

/** Whose requests these are counted as: three of them pass, for one client. */
async function passed(forwarded: readonly string[]): Promise<number> {
  let count = 0;
  for (const value of forwarded) {
    if ((await get({ "x-forwarded-for": value })).status === 200) count++;
  }
  return count;
}

const from = (address: string) => Array.from({ length: 5 }, () => address);

test("pages of the configured origins may read answers, and no others", async () => {
  for (const origin of ["https://app.example", "http://localhost:3000"]) {
    const { headers } = await suite.gateway.call("GET", "/health", { headers: { origin } });
    equal(headers.get("access-control-allow-origin"), origin);
    equal(headers.get("vary"), "Origin");
    const preflight = await suite.gateway.call("OPTIONS", "/v1/rqlite/query", { headers: { origin } });
    equal(preflight.expect(204).headers.get("access-control-allow-origin"), origin);
  }
  for (
    const origin of [
      "https://evil.example",
      "https://app.example.evil",
      "http://app.example",
      "null",
      "https://app.example:8443",
      "",
    ]
  ) {
    const { headers } = await suite.gateway.call("GET", "/health", { headers: { origin } });
    equal(headers.get("access-control-allow-origin"), null, origin);
    equal(headers.get("vary"), "Origin", "so that no cache gives one page another's answer");
    const preflight = await suite.gateway.call("OPTIONS", "/v1/rqlite/query", { headers: { origin } });
    equal(preflight.headers.get("access-control-allow-origin"), null, origin);
  }
});

test("a trusted proxy says who the client is: the nearest one that is no proxy", async () => {
  equal(await passed(from("203.0.113.1")), 3);
  equal(await passed(from("203.0.113.2, 10.1.1.1")), 3);
  equal(await passed(from("203.0.113.3,10.1.1.1 , 10.2.2.2")), 3);
  equal(await passed(from("[2001:db8:1::1]:443")), 3);
  equal(await passed(from("203.0.113.5:1234")), 3);
});

test("what a client claims to the left of itself counts for nothing", async () => {
  const claims = ["1.1.1.1", "2.2.2.2", "10.9.9.9", "127.0.0.1", "garbage"].map((claim) => `${claim}, 203.0.113.20`);
  equal(await passed(claims), 3);
});

test("a claim that is no address counts for nothing", async () => {
  const behind = ["unknown", "", "a, 10.7.7.7", "<script>, 10.7.7.7", "999.1.1.1, 10.7.7.7"];
  const first = await passed(behind.slice(2));
  equal(first, 3, "these come from 10.7.7.7");
  equal((await get({ "x-forwarded-for": "x, 10.7.7.7" })).status, 429);
});

test("one network of IPv6 is one client", async () => {
  const network = Array.from({ length: 5 }, (_, i) => `2001:db8:2:3:${i}::${i}`);
  equal(await passed(network), 3);
  equal(await passed(["2001:db8:2:4::1"]), 1);
});

test("an address of IPv4 in IPv6's clothes is that of IPv4", async () => {
  equal(await passed(["::ffff:203.0.113.50", "203.0.113.50", "::ffff:cb00:7132", "203.0.113.50"]), 3);
});

test("sessions show the client's address, not the proxy's", async () => {
  await using owner = await newOwner(suite.gateway);
  const headers = { "x-forwarded-for": "203.0.113.77" };
  const body = { wallet: owner.wallet.address, namespace: owner.namespace };
  const asked = await suite.gateway.call("POST", "/v1/auth/challenge", { body, headers });
  const nonce = asked.string("nonce");
  const proof = { ...body, nonce, signature: owner.wallet.sign(nonce) };
  (await suite.gateway.call("POST", "/v1/auth/verify", { body: proof, headers })).expect(200);
  const list = await suite.gateway.call("GET", "/v1/auth/sessions", { token: owner.accessToken });
  equal(list.get("sessions.0.address"), "203.0.113.77");
});
