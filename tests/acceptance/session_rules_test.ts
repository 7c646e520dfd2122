import { equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, signIn } from "../support/accounts.ts";
import { decodeToken } from "../support/signing_key.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({
  config: { auth: { refresh_grace: "0s", access_token_ttl: "2s", refresh_token_ttl: "3s" } },
});
const { test } = suite;
const refresh = (refresh_token: string) => suite.gateway.call("POST", "/v1/auth/refresh", { body: { refresh_token } });
const whoami = (token: string) => suite.gateway.call("GET", "/v1/auth/whoami", { token });

/** Waits for a moment in Unix milliseconds. */
const passed = (time: number) => until("the time has come", () => Date.now() > time);

test("after the grace, a refresh token that is used again ends its session", async () => {
  await using owner = await newOwner(suite.gateway);
  const next = (await refresh(owner.refreshToken)).expect(200);
  await passed(Date.now());
  equal((await refresh(owner.refreshToken)).status, 401);
  equal((await refresh(next.string("refresh_token"))).status, 401);
  equal((await whoami(next.string("access_token"))).status, 401);
  const audit = await signIn(suite.gateway, owner.wallet, owner.namespace);
  const events = await suite.gateway.call("GET", `/v1/namespaces/${owner.namespace}/audit`, {
    token: audit.accessToken,
  });
  equal(events.list("events").filter(({ action }) => action === "session.reuse_detected").length, 1);
});

test("an access token ends when it says so, though it was just used", async () => {
  await using owner = await newOwner(suite.gateway);
  const { exp } = decodeToken(owner.accessToken).claims;
  (await whoami(owner.accessToken)).expect(200);
  await passed(exp! * 1000);
  equal((await whoami(owner.accessToken)).get("code"), "INVALID_CREDENTIAL");
});

test("a session that nobody refreshes ends, and cannot be kept alive by renewing access tokens", async () => {
  await using owner = await newOwner(suite.gateway);
  const start = Date.now();
  let token = owner.accessToken;
  const sidOf = (token: string) => decodeToken(token).claims.sid;
  while (Date.now() < start + 3_000) {
    const renewed = await suite.gateway.call("POST", "/v1/auth/refresh", { token, key: owner.apiKey });
    if (renewed.status !== 200 || sidOf(renewed.string("token")) === undefined) break;
    token = renewed.string("token");
    ok(decodeToken(token).claims.exp! * 1000 <= start + 4_000, "no token outlives its session");
    await passed(Date.now() + 400);
  }
  await passed(start + 4_000);
  equal((await refresh(owner.refreshToken)).status, 401);
  equal((await whoami(token)).status, 401);
  const byKey = await suite.gateway.call("POST", "/v1/auth/refresh", { token, key: owner.apiKey });
  equal(sidOf(byKey.expect(200).string("token")), undefined);
});

test("each refresh gives a session a new life", async () => {
  await using owner = await newOwner(suite.gateway);
  let token = owner.refreshToken;
  const start = Date.now();
  while (Date.now() < start + 4_000) {
    await passed(Date.now() + 1_000);
    token = (await refresh(token)).expect(200).string("refresh_token");
  }
});
