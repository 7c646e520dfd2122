import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { newMember, newOwner, type SignedIn, signIn, uniqueName } from "../support/accounts.ts";
import type { Answer, CallOptions } from "../support/client.ts";
import { decodeToken } from "../support/signing_key.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const refresh = (refresh_token: string, more = {}) =>
  suite.gateway.call("POST", "/v1/auth/refresh", { body: { refresh_token, ...more } });
const logout = (options: Parameters<typeof suite.gateway.call>[2]) =>
  suite.gateway.call("POST", "/v1/auth/logout", options);
const isAlive = async (token: string) => (await suite.gateway.call("GET", "/v1/auth/whoami", { token })).status === 200;

function isRefused(answer: Answer): void {
  equal(answer.status, 401, answer.text);
  equal(answer.get("error"), "invalid or expired refresh token");
}

test("a refresh token is exchanged for a new one and another access token", async () => {
  await using owner = await newOwner(suite.gateway);
  const answer = (await refresh(owner.refreshToken)).expect(200);
  notEqual(answer.get("refresh_token"), owner.refreshToken);
  match(answer.string("refresh_token"), /^[A-Za-z0-9_-]{43}$/);
  notEqual(answer.get("access_token"), owner.accessToken);
  equal(answer.get("token"), answer.get("access_token"));
  equal(answer.get("token_type"), "Bearer");
  equal(answer.get("expires_in"), 900);
  equal(answer.get("subject"), owner.wallet.address);
  equal(answer.get("namespace"), owner.namespace);
  equal(answer.headers.get("cache-control"), "no-store");
  ok(await isAlive(answer.string("access_token")));
  ok(await isAlive(owner.accessToken), "the access token before lives to its end");
  equal(decodeToken(answer.string("access_token")).claims.sid, decodeToken(owner.accessToken).claims.sid);
});

test("a session goes on from refresh to refresh", async () => {
  await using owner = await newOwner(suite.gateway);
  let token = owner.refreshToken;
  for (let i = 0; i < 4; i++) token = (await refresh(token)).expect(200).string("refresh_token");
});

test("the thief is first: when the owner uses the stolen token, the session ends for both", async () => {
  await using owner = await newOwner(suite.gateway);
  const stolen = (await refresh(owner.refreshToken)).expect(200);
  const thief = (await refresh(stolen.string("refresh_token"))).expect(200);
  isRefused(await refresh(owner.refreshToken));
  isRefused(await refresh(thief.string("refresh_token")));
  equal(await isAlive(thief.string("access_token")), false);
  equal(await isAlive(owner.accessToken), false);
});

test("the owner is first: a thief who comes when the next token was used ends the session, and gets nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const second = (await refresh(owner.refreshToken)).expect(200);
  const third = (await refresh(second.string("refresh_token"))).expect(200);
  isRefused(await refresh(owner.refreshToken));
  isRefused(await refresh(third.string("refresh_token")));
  equal(await isAlive(third.string("access_token")), false);
});

test("a client that lost the answer may repeat, and gets the same one", async () => {
  await using owner = await newOwner(suite.gateway);
  const lost = (await refresh(owner.refreshToken)).expect(200);
  const again = (await refresh(owner.refreshToken)).expect(200);
  equal(again.get("refresh_token"), lost.get("refresh_token"));
  for (const answer of [lost, again]) ok(await isAlive(answer.string("access_token")));
  (await refresh(lost.string("refresh_token"))).expect(200);
});

test("two tabs that refresh at once, again and again, keep their session", async () => {
  await using owner = await newOwner(suite.gateway);
  let tabs = [owner.refreshToken, owner.refreshToken];
  for (let round = 0; round < 4; round++) {
    const answers = await Promise.all(tabs.map((token) => refresh(token)));
    for (const answer of answers) ok(await isAlive(answer.expect(200).string("access_token")));
    tabs = answers.map((answer) => answer.string("refresh_token"));
    equal(tabs[0], tabs[1]);
  }
});

test("many refreshes at once all give the same token, and the session lives on", async () => {
  await using owner = await newOwner(suite.gateway);
  const answers = await Promise.all(Array.from({ length: 5 }, () => refresh(owner.refreshToken)));
  for (const answer of answers) ok(await isAlive(answer.expect(200).string("access_token")));
  equal(new Set(answers.map((answer) => answer.string("refresh_token"))).size, 1);
  const last = (await refresh(owner.refreshToken)).expect(200);
  (await refresh(last.string("refresh_token"))).expect(200);
});

test("a refresh token is good for its own namespace alone", async () => {
  await using owner = await newOwner(suite.gateway);
  isRefused(await refresh(owner.refreshToken, { namespace: uniqueName() }));
  isRefused(await refresh(owner.refreshToken, { namespace: "default" }));
  const answer = (await refresh(owner.refreshToken, { namespace: owner.namespace })).expect(200);
  equal(answer.get("namespace"), owner.namespace);
  equal((await refresh(answer.string("refresh_token"), { namespace: "" })).expect(200).get("namespace"), "");
});

test("what is no refresh token is refused", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const token of ["x", owner.accessToken.slice(0, 500), owner.apiKey, owner.refreshToken + "x", "' OR 1=1 --"]) {
    isRefused(await refresh(token));
  }
  const empty = await suite.gateway.call("POST", "/v1/auth/refresh", { body: { refresh_token: "" } });
  equal(empty.expect(400).get("error"), "refresh_token is required");
});

const BODYLESS = [{}, { body: {} }, { raw: "" }, { raw: "null" }, { headers: { "content-type": "application/json" } }];
const renew = (options: CallOptions) => suite.gateway.call("POST", "/v1/auth/refresh", options);

test("an access token alone, which may be stolen, renews nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const byKey = await suite.gateway.call("POST", "/v1/auth/token", { key: owner.apiKey });
  for (const token of [owner.accessToken, byKey.expect(200).string("access_token")]) {
    for (const options of BODYLESS) {
      equal((await renew({ token, ...options })).expect(400).get("error"), "refresh_token is required");
    }
    for (const key of ["ak_garbage", `ak_AAAAAAAAAAAAAAAAAAAAAAAA:${owner.namespace}`]) {
      equal((await renew({ token, key })).expect(400).get("error"), "refresh_token is required");
    }
    (await suite.gateway.call("POST", `/v1/auth/refresh?api_key=${token}`, { token })).expect(400);
  }
  equal((await renew({})).expect(400).get("error"), "refresh_token is required");
});

test("without a body, a key is exchanged, and beside a live token of the same wallet renews the token's session", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const options of BODYLESS) {
    const answer = (await renew({ token: owner.accessToken, key: owner.apiKey, ...options })).expect(200);
    equal(answer.get("token"), answer.get("access_token"));
    equal(answer.get("refresh_token"), undefined);
    equal(answer.get("subject"), owner.wallet.address, "as at the sign-in");
    equal(answer.get("namespace"), owner.namespace);
    equal(decodeToken(answer.string("token")).claims.sid, decodeToken(owner.accessToken).claims.sid);
    ok(await isAlive(answer.string("token")));
  }
  for (const token of [undefined, owner.accessToken.slice(0, -6) + "AAAAAA"]) {
    const byKey = (await renew({ ...(token && { token }), key: owner.apiKey })).expect(200);
    equal(decodeToken(byKey.string("token")).claims.sid, undefined);
    ok(await isAlive(byKey.string("token")));
  }
});

test("a token is not renewed by the key of somebody else in its namespace", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body: { name: "app" } });
  const member = await newMember(suite.gateway, owner, "member");
  for (const key of [made.expect(201).string("api_key"), member.apiKey]) {
    equal((await renew({ token: owner.accessToken, key })).expect(403).get("code"), "FORBIDDEN");
  }
});

test("a token that was renewed without a refresh token ends with its session", async () => {
  await using owner = await newOwner(suite.gateway);
  const both = { token: owner.accessToken, key: owner.apiKey };
  const renewed = (await renew(both)).expect(200).string("token");
  (await logout({ body: { refresh_token: owner.refreshToken } })).expect(200);
  equal(await isAlive(renewed), false);
  const again = (await renew({ token: renewed, key: owner.apiKey })).expect(200);
  equal(decodeToken(again.string("token")).claims.sid, undefined, "a dead token is no credential; the key is one");
});

test("logout with a token that was made from a key ends that token everywhere, and leaves the key", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const body of [{}, { all: true }, { all: false, refresh_token: null, namespace: null }]) {
    const exchange = async () =>
      (await suite.gateway.call("POST", "/v1/auth/token", { key: owner.apiKey })).expect(200).string("access_token");
    const [token, other] = [await exchange(), await exchange()];
    ok(await isAlive(token));
    (await logout({ token, body })).expect(200);
    equal(await isAlive(token), false);
    equal((await suite.gateway.call("POST", "/v1/rqlite/query", { token, body: { sql: "SELECT 1" } })).status, 401);
    equal((await logout({ token, body: { all: true } })).status, 401, "it is no token any more");
    ok(await isAlive(other));
    equal((await suite.gateway.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).status, 200);
  }
});

test("logout with a refresh token ends that session at once, and no other", async () => {
  await using owner = await newOwner(suite.gateway);
  const other = await signIn(suite.gateway, owner.wallet, owner.namespace);
  const answer = await logout({ body: { refresh_token: owner.refreshToken } });
  deepEqual(answer.expect(200).body, { status: "ok" });
  equal(await isAlive(owner.accessToken), false);
  isRefused(await refresh(owner.refreshToken));
  ok(await isAlive(other.accessToken));
});

test("logout with an old refresh token of a session ends it too", async () => {
  await using owner = await newOwner(suite.gateway);
  const next = (await refresh(owner.refreshToken)).expect(200);
  (await logout({ body: { refresh_token: owner.refreshToken } })).expect(200);
  equal(await isAlive(next.string("access_token")), false);
  isRefused(await refresh(next.string("refresh_token")));
});

test("logout with an unknown token is no error, and ends nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  (await logout({ body: { refresh_token: "unknown" } })).expect(200);
  (await logout({ token: owner.accessToken, body: { refresh_token: "unknown" } })).expect(200);
  ok(await isAlive(owner.accessToken));
});

test("logout with all ends every session of the wallet in the token's namespace, whatever the body names", async () => {
  await using owner = await newOwner(suite.gateway);
  const second = await signIn(suite.gateway, owner.wallet, owner.namespace);
  (await logout({ token: owner.accessToken, key: owner.apiKey, body: { all: true, namespace: "default" } })).expect(
    200,
  );
  for (const { accessToken, refreshToken } of [owner, second]) {
    equal(await isAlive(accessToken), false);
    isRefused(await refresh(refreshToken));
  }
  equal((await suite.gateway.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).status, 200, "a key is no session");
});

test("logout with all leaves the wallet's sessions in other namespaces alone", async () => {
  const wallet = ethereumWallet();
  await using one = await newOwner(suite.gateway, uniqueName(), wallet);
  await using two = await newOwner(suite.gateway, uniqueName(), wallet);
  (await logout({ token: one.accessToken, body: { all: true } })).expect(200);
  equal(await isAlive(one.accessToken), false);
  ok(await isAlive(two.accessToken));
}, { namespaces: 2 });

test("logout with all needs a token", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const options of [{}, { key: owner.apiKey }, { token: owner.accessToken + "x" }, { token: "a.b.c" }]) {
    const answer = await logout({ ...options, body: { all: true } });
    equal(answer.expect(401).get("error"), "jwt required for all=true");
  }
  ok(await isAlive(owner.accessToken));
});

test("logout of nothing is the client's mistake, not ours", async () => {
  const nothing = { refresh_token: null, namespace: null, all: null };
  for (const options of [{}, { body: {} }, { body: { all: false } }, { raw: "null" }, { body: nothing }]) {
    equal((await logout(options)).expect(400).get("code"), "INVALID_REQUEST");
  }
});

test("logout with nothing but an access token ends its session", async () => {
  await using owner = await newOwner(suite.gateway);
  (await logout({ token: owner.accessToken })).expect(200);
  equal(await isAlive(owner.accessToken), false);
  isRefused(await refresh(owner.refreshToken));
});

test("sessions are listed for their wallet, and each can be ended", async () => {
  await using owner = await newOwner(suite.gateway);
  const second = await signIn(suite.gateway, owner.wallet, owner.namespace);
  const list = (await suite.gateway.call("GET", "/v1/auth/sessions", { token: owner.accessToken })).expect(200);
  equal(list.get("count"), 2);
  deepEqual(list.list("sessions").map(({ current }) => current).sort(), [false, true]);
  for (const session of list.list("sessions")) {
    equal(session.wallet, owner.wallet.address);
    match(String(session.address), /^(127\.0\.0\.1|::1|[0-9a-f.:]+)$/);
  }
  equal(list.text.includes(owner.refreshToken), false);
  const { sid } = decodeToken(second.accessToken).claims;
  (await suite.gateway.call("DELETE", `/v1/auth/sessions/${sid}`, { token: owner.accessToken })).expect(200);
  equal(await isAlive(second.accessToken), false);
  isRefused(await refresh(second.refreshToken));
  (await suite.gateway.call("DELETE", `/v1/auth/sessions/${sid}`, { token: owner.accessToken })).expect(404);
  equal((await suite.gateway.call("GET", "/v1/auth/sessions", { token: owner.accessToken })).get("count"), 1);
});

test("sessions of another wallet can be neither seen nor ended", async () => {
  await using owner = await newOwner(suite.gateway);
  const wallet = ethereumWallet();
  const path = `/v1/namespaces/${owner.namespace}/members/${wallet.address}`;
  (await suite.gateway.call("PUT", path, { token: owner.accessToken, body: { role: "admin" } })).expect(200);
  const admin: SignedIn = await signIn(suite.gateway, wallet, owner.namespace);
  const list = await suite.gateway.call("GET", "/v1/auth/sessions", { token: admin.accessToken });
  deepEqual(list.list("sessions").map((session) => session.wallet), [wallet.address]);
  const { sid } = decodeToken(owner.accessToken).claims;
  (await suite.gateway.call("DELETE", `/v1/auth/sessions/${sid}`, { token: admin.accessToken })).expect(404);
  ok(await isAlive(owner.accessToken));
});

test("a key has no sessions", async () => {
  await using owner = await newOwner(suite.gateway);
  equal(
    (await suite.gateway.call("GET", "/v1/auth/sessions", { key: owner.apiKey })).expect(403).get("code"),
    "FORBIDDEN",
  );
});
