import { deepEqual, equal, notEqual, ok, rejects, throws } from "node:assert/strict";
import { randomKey } from "../../../services/auth/crypto/api_key.ts";
import { DEFAULT_SCOPES } from "../../../services/auth/rights.ts";
import type { ControlQuery, ControlResult } from "../../../services/control_plane/control_database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { type Principal, SCOPES } from "../../../src/contracts/identity.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { MINUTE, SECOND } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { WatchedControl } from "../control_plane/support/doubles.ts";
import { ALICE, BOB, code, MAX_SILENCE, Node, principal, TOKEN_TTL } from "./support/node.ts";

const owner = principal({ wallet: ALICE, role: "owner" });
const down = () => {
  throw new GatewayError("UNAVAILABLE", "the control plane is down");
};

async function shop(more: Parameters<typeof Node.start>[0] = {}) {
  const node = await Node.start(more);
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  return node;
}

const make = (node: Node, name = "k", more: { scopes?: readonly "sql:read"[]; expiresAt?: number } = {}) =>
  node.apiKeys.create("shop", { name, ...more }, owner, CONTEXT);

Deno.test("a named key is its namespace's, with the scopes it was made with", async () => {
  await using node = await shop();
  const { key, id } = await make(node, "reader", { scopes: ["sql:read"] });
  const found = await node.authenticator.identifyKey(key);
  ok(found);
  equal(found.kind, "api_key");
  equal(found.id, id);
  equal(found.subject, `key:${id}`);
  equal(found.wallet, undefined);
  equal(found.role, undefined);
  equal(found.namespace, "shop");
  deepEqual([...found.scopes], ["sql:read"]);
  equal(JSON.stringify(found).includes(key.slice(3, 27)), false, "a principal holds no secret");
});

Deno.test("a key without scopes has all but the running of the namespace", async () => {
  await using node = await shop();
  const found = await node.authenticator.identifyKey((await make(node)).key);
  deepEqual([...found!.scopes], DEFAULT_SCOPES);
  equal(found!.scopes.has("namespace:admin"), false);
});

Deno.test("a warm key answers without a promise and without a query, and each use is noted", async () => {
  await using node = await shop();
  const { key, id } = await make(node);
  const first = await node.authenticator.identifyKey(key);
  const queries = node.control.calls.length;
  const second = node.authenticator.identifyKey(key);
  equal(second instanceof Promise, false);
  equal(second, first);
  equal(node.control.calls.length, queries);
  deepEqual(node.used, [id, id]);
});

Deno.test("a token is no key and a key no token, also when they are warm", async () => {
  await using node = await shop();
  const { key } = await make(node);
  const { token } = await node.session("shop", ALICE);
  for (let i = 0; i < 2; i++) {
    ok(await node.authenticator.identifyKey(key));
    ok(await node.authenticator.identifyToken(token));
    equal(await node.authenticator.identifyKey(token), undefined);
    equal(await node.authenticator.identifyToken(key), undefined);
  }
  equal(node.used.length, 2);
});

Deno.test("what cannot be a key is refused without a look-up, and what may be one is announced before", async () => {
  await using node = await shop();
  const queries = node.control.calls.length;
  let announced = 0;
  for (
    const text of ["", "x", "ak_", "ak_short:shop", `ak_${"x".repeat(24)}`, `ak_${"x".repeat(24)}:a b`, "ü".repeat(80)]
  ) {
    equal(node.authenticator.identifyKey(text, () => announced++), undefined, text);
  }
  equal(announced, 0);
  equal(node.control.calls.length, queries);
  const guess = randomKey("shop", new Chance(9).bytes);
  equal(await node.authenticator.identifyKey(guess, () => announced++), undefined);
  equal(await node.authenticator.identifyKey(guess, () => announced++), undefined);
  equal(announced, 1, "the second time it is known to be unknown");
  throws(() =>
    node.authenticator.identifyKey(randomKey("shop", new Chance(10).bytes), () => {
      throw new GatewayError("RATE_LIMITED", "too many");
    }), code("RATE_LIMITED"));
});

Deno.test("a key is refused once it is revoked, on a warm cache and on a cold one", async () => {
  await using node = await shop();
  const { key, id } = await make(node);
  await node.authenticator.identifyKey(key);
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  equal(await node.authenticator.identifyKey(key), undefined);
  const cold = await node.another();
  equal(await cold.authenticator.identifyKey(key), undefined);
});

Deno.test("another gateway's warm key dies when that gateway hears of the revocation", async () => {
  await using node = await shop();
  const other = await node.another();
  const { key, id } = await make(node);
  ok(await other.authenticator.identifyKey(key));
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  ok(other.authenticator.identifyKey(key), "not heard yet");
  await other.revocations.pull();
  equal(await other.authenticator.identifyKey(key), undefined);
});

Deno.test("a key is refused from the moment it expires, also a warm one", async () => {
  await using node = await shop();
  const { key } = await make(node, "short", { expiresAt: node.clock.time + 10 * SECOND });
  ok(await node.authenticator.identifyKey(key));
  node.clock.advance(10 * SECOND - 1);
  ok(node.authenticator.identifyKey(key));
  node.clock.advance(1);
  equal(await node.authenticator.identifyKey(key), undefined);
  equal(await (await node.another()).authenticator.identifyKey(key), undefined);
});

Deno.test("a wallet's key has its role's rights, and loses them with the role", async () => {
  await using node = await shop();
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  const asMember = await node.authenticator.identifyKey(key);
  equal(asMember?.role, "member");
  equal(asMember?.wallet, BOB);
  ok(asMember?.scopes.has("sql:write"));
  await node.members.set("shop", BOB, "viewer", owner, CONTEXT);
  const asViewer = await node.authenticator.identifyKey(key);
  deepEqual([...asViewer!.scopes], ["sql:read", "cache:read", "storage:read", "pubsub:subscribe", "functions:read"]);
  await node.members.remove("shop", BOB, owner, CONTEXT);
  equal(await node.authenticator.identifyKey(key), undefined);
});

Deno.test("keys of a namespace that is being deleted are refused, those of members and named ones", async () => {
  await using node = await shop();
  const keys = [(await make(node)).key, await node.apiKeys.ofWallet("shop", BOB, CONTEXT)];
  for (const key of keys) ok(await node.authenticator.identifyKey(key));
  await node.namespaces.delete("shop", owner, CONTEXT);
  for (const key of keys) equal(await node.authenticator.identifyKey(key), undefined);
});

Deno.test("an operator's key belongs to no namespace and has no scope", async () => {
  await using node = await shop();
  const { key } = await node.apiKeys.createOperator({ name: "ops" }, { subject: "command-line" }, CONTEXT);
  const found = await node.authenticator.identifyKey(key);
  deepEqual([found?.operator, found?.namespace, found?.scopes.size], [true, "", 0]);
});

Deno.test("a warm key is believed for a minute when revocations are not heard, and then not refused but UNAVAILABLE", async () => {
  await using node = await shop({ cache: { life: 10 * MINUTE } });
  const { key } = await make(node);
  const session = await node.session("shop", ALICE);
  ok(await node.authenticator.identifyKey(key));
  ok(await node.authenticator.identifyToken(session.token));
  node.control.before = down;
  node.clock.advance(MAX_SILENCE);
  await node.revocations.pull();
  ok(node.authenticator.identifyKey(key));
  ok(node.authenticator.identifyToken(session.token));
  node.clock.advance(1);
  throws(() => node.authenticator.identifyKey(key), code("UNAVAILABLE"));
  throws(() => node.authenticator.identifyToken(session.token), code("UNAVAILABLE"));
  node.control.before = () => {};
  await node.revocations.pull();
  ok(node.authenticator.identifyKey(key));
});

Deno.test("a cold key while the control plane is down is UNAVAILABLE, and nothing is remembered of it", async () => {
  await using node = await shop();
  const { key } = await make(node);
  node.control.before = down;
  await rejects(async () => await node.authenticator.identifyKey(key), code("UNAVAILABLE"));
  node.control.before = () => {};
  ok(await node.authenticator.identifyKey(key));
});

/** Answers nobody, and lets go only of those who give up. */
class HangingControl extends WatchedControl {
  hanging = false;
  looks = 0;

  override async run<Row>(query: ControlQuery, signal?: AbortSignal): Promise<ControlResult<Row>> {
    if (!this.hanging) return await super.run<Row>(query, signal);
    this.looks++;
    const { promise, reject } = Promise.withResolvers<never>();
    signal?.addEventListener("abort", () => reject(new GatewayError("UNAVAILABLE", "nobody answers")));
    return await promise;
  }
}

Deno.test("a control plane that hangs keeps nobody waiting for more than about three seconds, many at once no longer", async () => {
  await using node = await shop();
  const control = new HangingControl(node.database);
  const cold = await node.another({ control });
  const { key } = await make(node);
  const { token } = await node.session("shop", ALICE);
  const [, ...rest] = token.split(".");
  const header = { alg: "EdDSA", typ: "JWT", kid: "made elsewhere" };
  const encoded = new TextEncoder().encode(JSON.stringify(header)).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });
  control.hanging = true;
  const start = performance.now();
  const identified = Array.from({ length: 20 }, async (_, i) => {
    const { authenticator } = cold;
    return i % 2
      ? await authenticator.identifyKey(key)
      : await authenticator.identifyToken([encoded, ...rest].join("."));
  });
  for (const result of await Promise.allSettled(identified)) {
    equal(result.status === "rejected" && result.reason.code, "UNAVAILABLE");
  }
  const took = performance.now() - start;
  ok(took > 2_500 && took < 4_500, String(took));
  equal(control.looks, 2, "one for the key and one for the token's");
});

Deno.test("a cold token is not believed by a gateway that never heard of revocations", async () => {
  await using node = await shop();
  const { token } = await node.session("shop", ALICE);
  const other = await node.another();
  other.clock.advance(MAX_SILENCE + 1);
  await rejects(async () => await other.authenticator.identifyToken(token), code("UNAVAILABLE"));
});

Deno.test("a token says who its wallet is, with the rights of its role", async () => {
  await using node = await shop();
  const { token, id } = await node.session("shop", BOB);
  const found = await node.authenticator.identifyToken(token);
  ok(found);
  deepEqual([found.kind, found.id, found.subject, found.wallet, found.role], ["jwt", id, BOB, BOB, "member"]);
  equal(found.scopes.has("namespace:admin"), false, "it was signed with every scope, its role has fewer");
  equal(found.describe.session_id, id);
  equal(node.authenticator.identifyToken(token), found, "warm");
});

Deno.test("a token of a session ends with the session, also one that is made of it later", async () => {
  await using node = await shop();
  const { token, id } = await node.session("shop", ALICE);
  const caller = await node.authenticator.identifyToken(token) as Principal;
  await node.sessions.revoke("shop", ALICE, id, CONTEXT);
  equal(await node.authenticator.identifyToken(token), undefined);
  const key = await node.authenticator.identifyKey(await node.apiKeys.ofWallet("shop", ALICE, CONTEXT)) as Principal;
  await rejects(node.signIn.renew(caller, key), code("INVALID_CREDENTIAL"));
});

Deno.test("a token made from a key ends with the key", async () => {
  await using node = await shop();
  const { key, id } = await make(node);
  const { accessToken } = await node.signIn.tokenForKey(await node.authenticator.identifyKey(key) as Principal);
  const found = await node.authenticator.identifyToken(accessToken);
  deepEqual([found?.id, found?.subject, found?.wallet], [id, `key:${id}`, undefined]);
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  equal(await node.authenticator.identifyToken(accessToken), undefined);
});

for (const change of ["remove", "demote"] as const) {
  Deno.test(`to ${change} a member kills its tokens, and a token of a sign-in after it lives, in the same millisecond`, async () => {
    await using node = await shop();
    const before = await node.session("shop", BOB);
    ok(await node.authenticator.identifyToken(before.token));
    if (change === "remove") {
      await node.members.remove("shop", BOB, owner, CONTEXT);
      await node.members.set("shop", BOB, "viewer", owner, CONTEXT);
    } else await node.members.set("shop", BOB, "viewer", owner, CONTEXT);
    const after = await node.session("shop", BOB);
    equal(await node.authenticator.identifyToken(before.token), undefined);
    const found = await node.authenticator.identifyToken(after.token);
    equal(found?.role, "viewer");
    equal(found?.scopes.has("sql:write"), false);
    const other = await node.another();
    equal(await other.authenticator.identifyToken(before.token), undefined, "elsewhere too");
    ok(await other.authenticator.identifyToken(after.token));
  });
}

Deno.test("a token made on a gateway that had not heard of the removal yet dies when it hears, whatever its clock says", async () => {
  await using node = await shop();
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT);
  const other = await node.another();
  const warm = await other.authenticator.identifyKey(key) as Principal;
  await node.members.remove("shop", BOB, owner, CONTEXT);
  other.clock.advance(400);
  const { accessToken } = await other.signIn.tokenForKey(warm);
  const renewed = await other.signIn.renew(await other.authenticator.identifyToken(accessToken) as Principal, warm);
  await other.revocations.pull();
  for (const gateway of [node, other]) {
    equal(await gateway.authenticator.identifyToken(accessToken), undefined);
    equal(await gateway.authenticator.identifyToken(renewed.accessToken), undefined);
  }
});

Deno.test("the tokens of a deleted namespace stay dead when its name belongs to somebody else", async () => {
  await using node = await shop();
  const old = await node.session("shop", ALICE);
  await node.namespaces.delete("shop", owner, CONTEXT);
  for (const table of ["sessions", "members", "api_keys", "namespaces"] as const) {
    await node.database.run(node.database.db.deleteFrom(table));
  }
  await node.namespace("shop", BOB);
  const mine = await node.session("shop", BOB);
  equal(await node.authenticator.identifyToken(old.token), undefined);
  ok(await node.authenticator.identifyToken(mine.token));
});

Deno.test("who comes with a credential of a namespace made anew comes after everybody's memory of the one before", async () => {
  await using node = await shop();
  const listening = async () => {
    const other = await node.another(), heard: string[] = [];
    other.revocations.onRevoked(({ kind, id }) => heard.push(`${kind} ${id}`));
    return { other, heard };
  };
  const withKey = await listening(), withToken = await listening();
  await node.namespaces.delete("shop", owner, CONTEXT);
  for (const table of ["sessions", "members", "api_keys", "namespaces"] as const) {
    await node.database.run(node.database.db.deleteFrom(table));
  }
  await node.namespace("shop", BOB);
  const { key } = await node.apiKeys.create("shop", { name: "k" }, principal({ wallet: BOB, role: "owner" }), CONTEXT);
  const { token } = await node.session("shop", BOB);
  ok(await withKey.other.authenticator.identifyKey(key));
  deepEqual(withKey.heard, ["namespace shop"]);
  ok(await withToken.other.authenticator.identifyToken(token));
  deepEqual(withToken.heard, ["namespace shop"]);
});

Deno.test("a look-up that makes a gateway hear of what was revoked before it is remembered", async () => {
  await using node = await shop();
  const { key } = await make(node);
  const { token } = await node.session("shop", ALICE);
  await using other = await node.another();
  await node.database.run(node.revocations.entry("settings", "shop"));
  ok(await other.authenticator.identifyKey(key));
  ok(!(other.authenticator.identifyKey(key) instanceof Promise), "the key is warm");
  ok(await other.authenticator.identifyToken(token));
  ok(!(other.authenticator.identifyToken(token) instanceof Promise), "the token is warm");
});

Deno.test("what was looked up while something was revoked is not remembered", async () => {
  await using node = await shop();
  const { key } = await make(node);
  node.control.after = async (sql) => {
    if (!sql.includes('from "api_keys"')) return;
    node.control.after = () => {};
    await node.database.run(node.revocations.entry("key", "another"));
    await node.revocations.pull();
  };
  ok(await node.authenticator.identifyKey(key));
  const queries = node.control.calls.length;
  ok(await node.authenticator.identifyKey(key));
  equal(node.control.calls.length, queries + 1, "looked up again");
  ok(node.authenticator.identifyKey(key));
  equal(node.control.calls.length, queries + 1);
});

Deno.test("a request that comes after a revocation does not ride on a look-up that began before it", async () => {
  await using node = await shop();
  const { key, id } = await make(node);
  const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
  node.control.after = (sql) => sql.startsWith('select "k"') ? gate : undefined;
  const early = node.authenticator.identifyKey(key);
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  node.control.after = () => {};
  equal(await node.authenticator.identifyKey(key), undefined);
  openGate();
  await early;
  equal(await node.authenticator.identifyKey(key), undefined);
});

Deno.test("a token dies at its end, warm or not, not a moment later", async () => {
  await using node = await shop();
  const { token } = await node.session("shop", ALICE);
  ok(await node.authenticator.identifyToken(token));
  node.clock.advance(TOKEN_TTL - 1);
  await node.revocations.pull();
  ok(await node.authenticator.identifyToken(token));
  node.clock.advance(1);
  equal(await node.authenticator.identifyToken(token), undefined);
  const other = await node.another();
  equal(await other.authenticator.identifyToken(token), undefined);
});

Deno.test("a token is renewed for who holds a key of the same wallet and namespace, and for nobody else", async () => {
  await using node = await shop();
  await node.namespace("other", ALICE);
  const identified = async (key: string) => await node.authenticator.identifyKey(key) as Principal;
  const own = await identified(await node.apiKeys.ofWallet("shop", ALICE, CONTEXT));
  const strangers = [
    await identified(await node.apiKeys.ofWallet("shop", BOB, CONTEXT)),
    await identified(await node.apiKeys.ofWallet("other", ALICE, CONTEXT)),
    await identified((await make(node)).key),
    await identified((await node.apiKeys.createOperator({ name: "o" }, { subject: "c" }, CONTEXT)).key),
  ];
  const { token, id } = await node.session("shop", ALICE);
  const caller = await node.authenticator.identifyToken(token) as Principal;
  for (const key of strangers) await rejects(node.signIn.renew(caller, key), code("FORBIDDEN"));
  const { accessToken } = await node.signIn.renew(caller, own);
  const renewed = await node.authenticator.identifyToken(accessToken) as Principal;
  deepEqual([renewed.id, renewed.wallet, [...renewed.scopes]], [id, ALICE, SCOPES]);
  notEqual(renewed.tokenId, caller.tokenId);
  const ofKey = await node.authenticator.identifyToken((await node.signIn.tokenForKey(own)).accessToken) as Principal;
  for (const key of strangers) await rejects(node.signIn.renew(ofKey, key), code("FORBIDDEN"));
});

Deno.test("a renewed token has its session's role of now, and ends with it", async () => {
  await using node = await shop();
  const { token } = await node.session("shop", BOB);
  const caller = await node.authenticator.identifyToken(token) as Principal;
  const key = await node.authenticator.identifyKey(await node.apiKeys.ofWallet("shop", BOB, CONTEXT)) as Principal;
  await node.database.run(node.database.db.updateTable("members").set({ role: "viewer" }).where("wallet", "=", BOB));
  const end = node.clock.time + 90 * SECOND;
  await node.database.run(node.database.db.updateTable("sessions").set({ expires_at: end }));
  const grant = await node.signIn.renew(caller, key);
  equal(grant.expiresIn, 90);
  equal((await node.authenticator.identifyToken(grant.accessToken))?.role, "viewer");
  node.clock.advance(90 * SECOND);
  await node.revocations.pull();
  equal(await node.authenticator.identifyToken(grant.accessToken), undefined);
  await rejects(node.signIn.renew(caller, key), code("INVALID_CREDENTIAL", /session of this token has ended/));
});

Deno.test("a token cannot do more than the key it is made from, also when it is renewed", async () => {
  await using node = await shop();
  const { key } = await make(node, "reader", { scopes: ["sql:read"] });
  const holder = await node.authenticator.identifyKey(key) as Principal;
  const { accessToken, refreshToken } = await node.signIn.tokenForKey(holder);
  equal(refreshToken, undefined);
  const found = await node.authenticator.identifyToken(accessToken) as Principal;
  deepEqual([...found.scopes], ["sql:read"]);
  const again = await node.signIn.renew(found, holder);
  const renewed = await node.authenticator.identifyToken(again.accessToken) as Principal;
  deepEqual([...renewed.scopes], ["sql:read"]);
});

Deno.test("an operator's key cannot be exchanged for a token", async () => {
  await using node = await shop();
  const { key } = await node.apiKeys.createOperator({ name: "ops" }, { subject: "command-line" }, CONTEXT);
  const found = await node.authenticator.identifyKey(key) as Principal;
  await rejects(node.signIn.tokenForKey(found), code("FORBIDDEN"));
  await rejects(node.signIn.renew(found, found), code("FORBIDDEN"));
});

Deno.test("every scope belongs to the owner's session", async () => {
  await using node = await shop();
  const { token } = await node.session("shop", ALICE);
  const found = await node.authenticator.identifyToken(token);
  deepEqual([...found!.scopes], SCOPES);
});
