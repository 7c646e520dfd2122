import { deepEqual, equal, match } from "node:assert/strict";
import { newMember, newOwner, signIn, tryToSignIn } from "../support/accounts.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet, solanaWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const set = (token: string, namespace: string, wallet: string, role: unknown) =>
  suite.gateway.call("PUT", `/v1/namespaces/${namespace}/members/${wallet}`, { token, body: { role } });
const remove = (token: string, namespace: string, wallet: string) =>
  suite.gateway.call("DELETE", `/v1/namespaces/${namespace}/members/${wallet}`, { token });
const whoami = (credential: { key?: string; token?: string }) =>
  suite.gateway.call("GET", "/v1/auth/whoami", credential);
const sum = (address: string) => `0x${address.slice(2).toUpperCase()}`;

test("members have the scopes of their role", async () => {
  await using owner = await newOwner(suite.gateway);
  const scopes = async (role: string) => {
    const member = await newMember(suite.gateway, owner, role);
    equal(member.role, role);
    const token = (await whoami({ token: member.accessToken })).expect(200).get("scopes") as string[];
    const key = (await whoami({ key: member.apiKey })).expect(200).get("scopes") as string[];
    deepEqual(key, token.filter((scope) => scope !== "namespace:admin"));
    return token;
  };
  equal((await scopes("admin")).length, 17);
  equal((await scopes("member")).includes("namespace:admin"), false);
  deepEqual(await scopes("viewer"), ["sql:read", "cache:read", "storage:read", "pubsub:subscribe", "functions:read"]);
});

test("members and viewers see and change neither members, keys nor the audit log", async () => {
  await using owner = await newOwner(suite.gateway);
  const path = `/v1/namespaces/${owner.namespace}`;
  for (const role of ["member", "viewer"]) {
    const { accessToken: token, wallet } = await newMember(suite.gateway, owner, role);
    for (
      const [method, route, body] of [
        ["GET", `${path}/members`],
        ["PUT", `${path}/members/${wallet.address}`, { role: "owner" }],
        ["DELETE", `${path}/members/${owner.wallet.address}`],
        ["GET", `${path}/audit`],
        ["GET", "/v1/auth/keys"],
        ["POST", "/v1/auth/keys", { name: "x", scopes: ["sql:read"] }],
      ] as const
    ) equal((await suite.gateway.call(method, route, { token, body })).status, 403, `${role} ${method} ${route}`);
  }
});

test("an admin runs members, but makes, changes and removes no owner", async () => {
  await using owner = await newOwner(suite.gateway);
  const admin = await newMember(suite.gateway, owner, "admin");
  const { namespace } = owner;
  const other = ethereumWallet().address;
  (await set(admin.accessToken, namespace, other, "viewer")).expect(200);
  (await set(admin.accessToken, namespace, other, "admin")).expect(200);
  for (const wallet of [other, admin.wallet.address, ethereumWallet().address]) {
    equal((await set(admin.accessToken, namespace, wallet, "owner")).expect(403).get("code"), "FORBIDDEN");
  }
  (await set(admin.accessToken, namespace, owner.wallet.address, "viewer")).expect(403);
  (await remove(admin.accessToken, namespace, owner.wallet.address)).expect(403);
  (await remove(admin.accessToken, namespace, other)).expect(200);
  equal(
    (await suite.gateway.call("GET", `/v1/namespaces/${namespace}/audit`, { token: admin.accessToken })).status,
    403,
  );
});

test("the last owner stays", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken, wallet } = owner;
  for (const role of ["admin", "member", "viewer"]) {
    equal((await set(accessToken, namespace, wallet.address, role)).expect(409).get("code"), "CONFLICT");
  }
  (await remove(accessToken, namespace, wallet.address)).expect(409);
  (await whoami({ token: accessToken })).expect(200);
});

test("of two owners who leave at once, one stays", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace } = owner;
  for (let round = 0; round < 3; round++) {
    const now = await signIn(suite.gateway, owner.wallet, namespace);
    const second = await newMember(suite.gateway, now, "owner");
    const answers = await Promise.all([
      remove(now.accessToken, namespace, owner.wallet.address),
      remove(second.accessToken, namespace, second.wallet.address),
    ]);
    deepEqual(answers.map(({ status }) => status).sort(), [200, 409], answers.map(({ text }) => text).join());
    if (answers[0].status === 200) {
      (await set(second.accessToken, namespace, owner.wallet.address, "owner")).expect(200);
      (await remove(
        (await signIn(suite.gateway, owner.wallet, namespace)).accessToken,
        namespace,
        second.wallet.address,
      )).expect(200);
    } else (await tryToSignIn(suite.gateway, second.wallet, namespace)).expect(403);
  }
});

test("an owner hands a namespace over", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace } = owner;
  const heir = await newMember(suite.gateway, owner, "owner");
  (await remove(heir.accessToken, namespace, owner.wallet.address)).expect(200);
  (await tryToSignIn(suite.gateway, owner.wallet, namespace)).expect(403);
  equal((await whoami({ token: heir.accessToken })).expect(200).get("role"), "owner");
  (await suite.gateway.call("DELETE", `/v1/namespaces/${namespace}`, { token: heir.accessToken })).expect(200);
});

test("a removed member's token, key and session are dead at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const member = await newMember(suite.gateway, owner, "member");
  const token = (await suite.gateway.call("POST", "/v1/auth/token", { key: member.apiKey })).expect(200).string(
    "token",
  );
  const credentials = [{ token: member.accessToken }, { key: member.apiKey }, { token }];
  for (const credential of credentials) (await whoami(credential)).expect(200);
  (await remove(owner.accessToken, owner.namespace, member.wallet.address)).expect(200);
  for (const credential of credentials) equal((await whoami(credential)).status, 401);
  const refresh = { body: { refresh_token: member.refreshToken } };
  equal((await suite.gateway.call("POST", "/v1/auth/refresh", refresh)).status, 401);
  equal((await tryToSignIn(suite.gateway, member.wallet, owner.namespace)).status, 403);
  (await remove(owner.accessToken, owner.namespace, member.wallet.address)).expect(404);
});

test("a member that was added again comes in at once, and what it had before stays dead", async () => {
  await using owner = await newOwner(suite.gateway);
  const before = await newMember(suite.gateway, owner, "member");
  (await remove(owner.accessToken, owner.namespace, before.wallet.address)).expect(200);
  const after = await newMember(suite.gateway, owner, "viewer", before.wallet);
  equal((await whoami({ token: after.accessToken })).expect(200).get("role"), "viewer");
  equal((await whoami({ token: before.accessToken })).status, 401);
  const refresh = { body: { refresh_token: before.refreshToken } };
  equal((await suite.gateway.call("POST", "/v1/auth/refresh", refresh)).status, 401);
});

test("a change of role ends what the member had, and its next sign-in has the new role", async () => {
  await using owner = await newOwner(suite.gateway);
  const before = await newMember(suite.gateway, owner, "admin");
  (await set(owner.accessToken, owner.namespace, before.wallet.address, "viewer")).expect(200);
  equal((await whoami({ token: before.accessToken })).status, 401);
  const key = (await whoami({ key: before.apiKey })).expect(200).get("scopes") as string[];
  equal(key.includes("sql:write"), false, "the wallet's key does no more than its role");
  const after = await signIn(suite.gateway, before.wallet, owner.namespace);
  equal(after.role, "viewer");
  equal((await whoami({ token: after.accessToken })).expect(200).get("role"), "viewer");
});

test("setting a role that a member has changes nothing", async () => {
  await using owner = await newOwner(suite.gateway);
  const member = await newMember(suite.gateway, owner, "member");
  (await set(owner.accessToken, owner.namespace, member.wallet.address, "member")).expect(200);
  (await whoami({ token: member.accessToken })).expect(200);
});

test("a member is one wallet in any letter case", async () => {
  await using owner = await newOwner(suite.gateway);
  const wallet = ethereumWallet();
  const added = (await set(owner.accessToken, owner.namespace, sum(wallet.address), "member")).expect(200);
  equal(added.get("wallet"), wallet.address);
  equal((await signIn(suite.gateway, wallet, owner.namespace)).role, "member");
  (await remove(owner.accessToken, owner.namespace, wallet.address)).expect(200);
  (await tryToSignIn(suite.gateway, wallet, owner.namespace)).expect(403);
});

test("a member can be a Solana wallet", async () => {
  await using owner = await newOwner(suite.gateway);
  const member = await newMember(suite.gateway, owner, "viewer", solanaWallet());
  equal((await whoami({ token: member.accessToken })).expect(200).get("subject"), member.wallet.address);
});

test("what is no wallet, or mistyped, becomes no member", async () => {
  await using owner = await newOwner(suite.gateway);
  const { accessToken: token, namespace } = owner;
  const mistyped = "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2b";
  for (const wallet of ["x", "0x12", "me", "a%2Fb", mistyped, "%00", "%F0%9F%A6%95"]) {
    const answer = await set(token, namespace, wallet, "member");
    equal(answer.status, 400, `${wallet}: ${answer.text}`);
    equal(answer.get("details.0.field"), "wallet");
  }
  for (const role of ["Owner", "root", "", null, 1, ["owner"], undefined]) {
    const answer = (await set(token, namespace, ethereumWallet().address, role)).expect(400);
    equal(answer.get("details.0.field"), "role");
  }
});

test("the audit log tells an owner who did what, and to nobody else", async () => {
  await using owner = await newOwner(suite.gateway);
  const member = await newMember(suite.gateway, owner, "member");
  const made = await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "audited" },
  });
  await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken });
  (await remove(owner.accessToken, owner.namespace, member.wallet.address)).expect(200);
  const path = `/v1/namespaces/${owner.namespace}/audit`;
  const events = (await suite.gateway.call("GET", path, { token: owner.accessToken })).expect(200);
  const acts = events.list("events").map(({ action }) => action);
  deepEqual(acts, [
    "member.removed",
    "key.revoked",
    "key.created",
    "session.opened",
    "key.created",
    "member.added",
    "session.opened",
    "key.created",
    "namespace.created",
  ]);
  for (const event of events.list("events")) {
    match(String(event.request_id), /^[A-Za-z0-9._~-]+$/);
    match(String(event.at), /^\d{4}-.*Z$/);
  }
  equal(events.list("events")[0]!.actor, owner.wallet.address);
  equal(events.text.includes("ak_"), false);
  equal((await suite.gateway.call("GET", path, { key: made.string("api_key") })).status, 401);
  equal((await suite.gateway.call("GET", path, { key: owner.apiKey })).status, 403);
});

test("the audit log comes in pages, with every event once", async () => {
  await using owner = await newOwner(suite.gateway);
  for (let i = 0; i < 5; i++) await signIn(suite.gateway, owner.wallet, owner.namespace);
  const path = `/v1/namespaces/${owner.namespace}/audit`;
  const all = (await suite.gateway.call("GET", path, { token: owner.accessToken })).expect(200);
  const seen: unknown[] = [];
  for (let before = ""; seen.length < 100;) {
    const page = (await suite.gateway.call("GET", `${path}?limit=3${before}`, { token: owner.accessToken })).expect(
      200,
    );
    seen.push(...page.list("events").map(({ id }) => id));
    if (page.get("next") === null) break;
    before = `&before=${page.get("next")}`;
  }
  deepEqual(seen, all.list("events").map(({ id }) => id));
});

test("members come in pages, each once, in the order in which they were added", async () => {
  await using owner = await newOwner(suite.gateway);
  const { namespace, accessToken: token } = owner;
  for (let i = 0; i < 5; i++) (await set(token, namespace, ethereumWallet().address, "viewer")).expect(200);
  const list = (query: string) => suite.gateway.call("GET", `/v1/namespaces/${namespace}/members${query}`, { token });
  const all = (await list("")).expect(200);
  deepEqual([all.get("count"), all.get("next_cursor")], [6, null]);
  equal(all.list("members")[0]!.wallet, owner.wallet.address);
  const seen: unknown[] = [];
  for (let cursor = ""; seen.length < 20;) {
    const page = (await list(`?limit=4${cursor}`)).expect(200);
    seen.push(...page.list("members").map(({ wallet }) => wallet));
    if (page.get("next_cursor") === null) break;
    cursor = `&cursor=${page.string("next_cursor")}`;
  }
  deepEqual(seen, all.list("members").map(({ wallet }) => wallet));
  for (const wrong of ["limit=0", "limit=1001", "cursor=x", "cursor=WzEsMl0", "cursor=%00"]) {
    equal((await list(`?${wrong}`)).expect(400).get("details.0.field"), wrong.split("=")[0], wrong);
  }
});
