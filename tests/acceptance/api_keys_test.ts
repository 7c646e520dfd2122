import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, type SignedIn, signIn, uniqueName } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const ALL_BUT_ADMIN = 16;

interface Credential {
  readonly key?: string;
  readonly token?: string;
}

const create = (by: Credential, body: unknown) => suite.gateway.call("POST", "/v1/auth/keys", { ...by, body });
const whoami = (key: string) => suite.gateway.call("GET", "/v1/auth/whoami", { key });

/** A key with these scopes, and its id. */
async function keyWith(
  { accessToken: token }: SignedIn,
  scopes?: readonly string[],
  more = {},
): Promise<{ key: string; id: string }> {
  const made = (await create({ token }, { name: "test", scopes, ...more })).expect(201);
  return { key: made.string("api_key"), id: made.string("id") };
}

function isInsufficient(answer: Answer): void {
  equal(answer.status, 403, answer.text);
  equal(answer.get("code"), "INSUFFICIENT_SCOPE");
}

test("a new key is shown once, with what it may do", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = (await create({ token: owner.accessToken }, { name: "  my key " })).expect(201);
  match(made.string("api_key"), /^ak_[A-Za-z0-9_-]{24}:/);
  ok(made.string("api_key").endsWith(`:${owner.namespace}`));
  equal(made.get("name"), "my key");
  equal(made.get("scopes"), null);
  equal(made.get("expires_at"), null);
  equal(made.headers.get("cache-control"), "no-store");
  const who = (await whoami(made.string("api_key"))).expect(200);
  equal((who.get("scopes") as string[]).length, ALL_BUT_ADMIN);
  equal((who.get("scopes") as string[]).includes("namespace:admin"), false);
  const list = (await suite.gateway.call("GET", "/v1/auth/keys", { token: owner.accessToken })).expect(200);
  equal(list.text.includes(made.string("api_key").slice(3, 27)), false);
});

test("a namespace has many keys, each with a life of its own", async () => {
  await using owner = await newOwner(suite.gateway);
  const [one, two] = [await keyWith(owner), await keyWith(owner)];
  notEqual(one.key, two.key);
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${one.id}`, { token: owner.accessToken })).expect(200);
  equal((await whoami(one.key)).status, 401);
  equal((await whoami(two.key)).status, 200);
  equal((await whoami(owner.apiKey)).status, 200);
});

test("a key without namespace:admin does nothing to keys, members or the namespace", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, id } = await keyWith(owner);
  const path = `/v1/namespaces/${owner.namespace}`;
  for (
    const [method, route, body] of [
      ["GET", "/v1/auth/keys"],
      ["POST", "/v1/auth/keys", { name: "x" }],
      ["DELETE", `/v1/auth/keys/${id}`],
      ["POST", `/v1/auth/keys/${id}/rotate`],
      ["GET", path],
      ["DELETE", path],
      ["GET", `${path}/members`],
      ["GET", `${path}/audit`],
    ] as const
  ) {
    const answer = await suite.gateway.call(method, route, { key, body });
    isInsufficient(answer);
    deepEqual(answer.get("details"), { required_scope: "namespace:admin" });
    equal(answer.headers.get("www-authenticate"), 'Bearer error="insufficient_scope", scope="namespace:admin"');
  }
});

test("nobody gives a key more rights than the own credential has", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key } = await keyWith(owner, ["namespace:admin", "cache:read"]);
  isInsufficient(await create({ key }, { name: "all by default" }));
  isInsufficient(await create({ key }, { name: "more", scopes: ["cache:read", "cache:write"] }));
  const same = (await create({ key }, { name: "same", scopes: ["cache:read"] })).expect(201);
  deepEqual(same.get("scopes"), ["cache:read"]);
});

test("a key made stronger by rotation goes to nobody who could not have made it", async () => {
  await using owner = await newOwner(suite.gateway);
  const weak = await keyWith(owner, ["namespace:admin"]);
  const strong = await keyWith(owner, ["sql:read", "sql:write"]);
  const byDefault = await keyWith(owner);
  for (const { id } of [strong, byDefault]) {
    isInsufficient(await suite.gateway.call("POST", `/v1/auth/keys/${id}/rotate`, { key: weak.key }));
  }
  equal((await whoami(strong.key)).status, 200);
});

test("a wallet's key is rotated by that wallet alone", async () => {
  await using owner = await newOwner(suite.gateway);
  const admin = await newMember(suite.gateway, owner, "admin");
  const list = await suite.gateway.call("GET", "/v1/auth/keys", { token: admin.accessToken });
  const ofOwner = list.list("keys").find(({ wallet }) => wallet === owner.wallet.address)!;
  const rotate = (token: string) => suite.gateway.call("POST", `/v1/auth/keys/${ofOwner.id}/rotate`, { token });
  equal((await rotate(admin.accessToken)).expect(403).text.includes("ak_"), false);
  const named = await keyWith(admin, ["namespace:admin", ...(await scopesOf(admin))]);
  equal((await suite.gateway.call("POST", `/v1/auth/keys/${ofOwner.id}/rotate`, { key: named.key })).status, 403);
  const rotated = (await rotate(owner.accessToken)).expect(200);
  equal((await whoami(owner.apiKey)).status, 401);
  equal((await whoami(rotated.string("api_key"))).status, 200);
  equal((await signIn(suite.gateway, owner.wallet, owner.namespace)).apiKey, rotated.string("api_key"));
});

async function scopesOf({ accessToken: token }: SignedIn): Promise<string[]> {
  const scopes = (await suite.gateway.call("GET", "/v1/auth/whoami", { token })).get("scopes") as string[];
  return scopes.filter((scope) => scope !== "namespace:admin");
}

test("rotation keeps name, scopes and expiry, and ends the old key at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const expires = "2099-01-01T00:00:00.000Z";
  const { key, id } = await keyWith(owner, ["cache:read"], { expires_at: expires });
  equal((await whoami(key)).status, 200);
  const next = (await suite.gateway.call("POST", `/v1/auth/keys/${id}/rotate`, { token: owner.accessToken })).expect(
    200,
  );
  notEqual(next.get("id"), id);
  equal(next.get("name"), "test");
  deepEqual(next.get("scopes"), ["cache:read"]);
  equal(next.get("expires_at"), expires);
  equal((await whoami(key)).status, 401);
  equal((await whoami(next.string("api_key"))).status, 200);
  const again = await suite.gateway.call("POST", `/v1/auth/keys/${id}/rotate`, { token: owner.accessToken });
  equal(again.expect(409).get("code"), "CONFLICT");
});

test("of many rotations of one key at once, one gives a key", async () => {
  await using owner = await newOwner(suite.gateway);
  const { id } = await keyWith(owner, ["cache:read"]);
  const rotate = () => suite.gateway.call("POST", `/v1/auth/keys/${id}/rotate`, { token: owner.accessToken });
  const answers = await Promise.all([rotate(), rotate(), rotate(), rotate()]);
  deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409, 409]);
});

test("a revoked key is refused at once, though it was just used", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, id } = await keyWith(owner);
  for (let i = 0; i < 5; i++) equal((await whoami(key)).status, 200);
  const token = (await suite.gateway.call("POST", "/v1/auth/token", { key })).expect(200).string("access_token");
  (await suite.gateway.call("GET", "/v1/auth/whoami", { token })).expect(200);
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${id}`, { token: owner.accessToken })).expect(200);
  const refused = await whoami(key);
  equal(refused.status, 401);
  equal(refused.get("code"), "INVALID_CREDENTIAL");
  equal((await suite.gateway.call("GET", "/v1/auth/whoami", { token })).status, 401, "the token made from it");
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${id}`, { token: owner.accessToken })).expect(200);
});

test("a wallet whose key was revoked gets another one", async () => {
  await using owner = await newOwner(suite.gateway);
  const list = await suite.gateway.call("GET", "/v1/auth/keys", { token: owner.accessToken });
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${list.string("keys.0.id")}`, { token: owner.accessToken }))
    .expect(200);
  equal((await whoami(owner.apiKey)).status, 401);
  const again = await signIn(suite.gateway, owner.wallet, owner.namespace);
  notEqual(again.apiKey, owner.apiKey);
  equal((await whoami(again.apiKey)).status, 200);
  equal((await whoami(owner.apiKey)).status, 401);
});

test("a wallet that signs in many times at once has one key", async () => {
  await using owner = await newOwner(suite.gateway);
  const wallet = ethereumWallet();
  const path = `/v1/namespaces/${owner.namespace}/members/${wallet.address}`;
  (await suite.gateway.call("PUT", path, { token: owner.accessToken, body: { role: "member" } })).expect(200);
  const all = await Promise.all(Array.from({ length: 6 }, () => signIn(suite.gateway, wallet, owner.namespace)));
  equal(new Set(all.map(({ apiKey }) => apiKey)).size, 1);
  const list = await suite.gateway.call("GET", "/v1/auth/keys", { token: owner.accessToken });
  equal(list.list("keys").filter((key) => key.wallet === wallet.address).length, 1);
});

test("a key is dead when its time has come, though it was just used", async () => {
  await using owner = await newOwner(suite.gateway);
  const expires = new Date(Date.now() + 1200);
  const { key } = await keyWith(owner, undefined, { expires_at: expires.toISOString() });
  equal((await whoami(key)).status, 200);
  await until("the key has expired", () => Date.now() > expires.getTime());
  equal((await whoami(key)).get("code"), "INVALID_CREDENTIAL");
});

test("a key can be made for a time to come alone", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const expires_at of ["2020-01-01T00:00:00Z", "tomorrow", "2099-13-01T00:00:00Z", ""]) {
    const answer = (await create({ token: owner.accessToken }, { name: "x", expires_at })).expect(400);
    equal(answer.get("details.0.field"), "expires_at");
  }
  const offset = (await create({ token: owner.accessToken }, { name: "x", expires_at: "2099-01-01T01:00:00+01:00" }))
    .expect(201);
  equal(offset.get("expires_at"), "2099-01-01T00:00:00.000Z");
});

test("a list of keys comes in pages, with every key once", async () => {
  await using owner = await newOwner(suite.gateway);
  for (let i = 0; i < 6; i++) await keyWith(owner);
  const seen: unknown[] = [];
  let after = "";
  for (let page = 0; page < 10; page++) {
    const list = await suite.gateway.call("GET", `/v1/auth/keys?limit=3${after}`, { token: owner.accessToken });
    const keys = list.expect(200).list("keys");
    equal(list.get("count"), keys.length);
    seen.push(...keys.map(({ id }) => id));
    if (list.get("next") === null) break;
    after = `&after=${list.get("next")}`;
  }
  equal(seen.length, 7);
  equal(new Set(seen).size, 7);
  const beyond = await suite.gateway.call("GET", "/v1/auth/keys?limit=3&after=key_unknown", {
    token: owner.accessToken,
  });
  deepEqual(beyond.expect(200).list("keys"), []);
});

test("limits of a page are checked", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const limit of ["0", "-1", "201", "x", "1.5", "", "1e9"]) {
    const answer = await suite.gateway.call("GET", `/v1/auth/keys?limit=${limit}`, { token: owner.accessToken });
    equal(answer.expect(400).get("details.0.field"), "limit", limit);
  }
});

test("keys of another namespace can be neither seen, revoked nor rotated", async () => {
  await using owner = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway, uniqueName(), ethereumWallet());
  const { key, id } = await keyWith(owner);
  for (const [method, path] of [["DELETE", `/v1/auth/keys/${id}`], ["POST", `/v1/auth/keys/${id}/rotate`]] as const) {
    equal((await suite.gateway.call(method, path, { token: other.accessToken })).expect(404).get("code"), "NOT_FOUND");
  }
  const list = await suite.gateway.call("GET", `/v1/auth/keys?after=${id}`, { token: other.accessToken });
  equal(list.expect(200).text.includes(owner.namespace), false);
  equal((await whoami(key)).status, 200);
}, { namespaces: 2 });

test("keys that are none are refused, whatever they look like", async () => {
  await using owner = await newOwner(suite.gateway);
  const { apiKey } = owner;
  const wrong = [
    "x",
    "ak_",
    "ak_AAAAAAAAAAAAAAAAAAAAAAAA:default",
    apiKey.slice(0, -1),
    apiKey + "x",
    apiKey.replace("ak_", "AK_"),
    apiKey.replace("ak_", ""),
    apiKey.split(":")[0]!,
    apiKey + ":" + owner.namespace,
    apiKey.replace(/.:/, ":"),
    "'; DROP TABLE api_keys; --",
    "a".repeat(7000),
  ];
  for (const key of wrong) equal((await whoami(key)).status, 401, key.slice(0, 40));
  equal((await whoami(apiKey)).status, 200);
});
