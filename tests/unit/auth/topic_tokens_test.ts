import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Grant, Principal } from "../../../src/contracts/identity.ts";
import { MAX_PATTERN_BYTES, mayUse } from "../../../src/contracts/topic_rights.ts";
import type { TopicTokenRequest } from "../../../src/contracts/topic_tokens.ts";
import { MINUTE, SECOND } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { ALICE, BOB, code, Node, principal, TOKEN_TTL } from "./support/node.ts";

const owner = principal({ wallet: ALICE, role: "owner" });
const CHAT: TopicTokenRequest = { topics: { subscribe: ["chat.*"] } };

async function shop() {
  const node = await Node.start();
  await node.namespace("shop", ALICE, { [BOB]: "member" });
  return node;
}

const identified = async (node: Node, token: string) => await node.authenticator.identifyToken(token);
const holder = async (node: Node, key: string) => await node.authenticator.identifyKey(key) as Principal;

async function keyWith(node: Node, scopes?: readonly Grant[], expiresAt?: number) {
  const { key, id } = await node.apiKeys.create(
    "shop",
    { name: "k", scopes, ...(expiresAt !== undefined && { expiresAt }) },
    owner,
    CONTEXT,
  );
  return { key, id, caller: await holder(node, key) };
}

const make = async (node: Node, caller: Principal, request = CHAT) =>
  (await node.topicTokens.issue(request, caller)).token;

Deno.test("a token for more than the caller's own rights is not made", async () => {
  await using node = await shop();
  const { caller } = await keyWith(node, ["pubsub:subscribe:chat.*", "pubsub:publish:chat.1", "sql:read"]);
  for (
    const topics of [
      { subscribe: ["*"] },
      { subscribe: ["chat*"] },
      { subscribe: ["chat.*", "news"] },
      { subscribe: ["chat.1"], publish: ["chat.2"] },
      { subscribe: ["chat.1"], publish: ["chat.*"] },
      { presence: ["chat.1"] },
    ]
  ) await rejects(make(node, caller, { topics }), code("INSUFFICIENT_SCOPE"), JSON.stringify(topics));
  const without = await keyWith(node, ["sql:read", "sql:write"]);
  await rejects(make(node, without.caller, CHAT), code("INSUFFICIENT_SCOPE", /pubsub:subscribe:chat\.\*/));
  await node.members.set("shop", BOB, "viewer", owner, CONTEXT);
  const viewer = await holder(node, await node.apiKeys.ofWallet("shop", BOB, CONTEXT));
  await rejects(make(node, viewer, { topics: { publish: ["chat.1"] } }), code("INSUFFICIENT_SCOPE"));
  ok(await make(node, viewer, CHAT));
});

Deno.test("operators and tokens that name topics make none, and one without a topic is none", async () => {
  await using node = await shop();
  const operator = await node.apiKeys.createOperator({ name: "o" }, { subject: "c" }, CONTEXT);
  await rejects(make(node, await holder(node, operator.key)), code("FORBIDDEN"));
  const { caller } = await keyWith(node);
  const own = await identified(node, await make(node, caller));
  await rejects(make(node, own!, CHAT), code("FORBIDDEN"));
  for (const topics of [{}, { publish: [] }, { publish: undefined }]) {
    await rejects(make(node, caller, { topics }), code("INVALID_REQUEST", /^topics: /));
  }
});

Deno.test("a token that names topics has those rights, the caller's namespace and nothing else of the caller", async () => {
  await using node = await shop();
  const { token: access } = await node.session("shop", ALICE);
  const caller = await identified(node, access);
  const topics = { subscribe: ["chat.*"], publish: ["chat.1"] };
  const token = await make(node, caller!, { topics, memberId: "alice" });
  const found = await identified(node, token);
  ok(found);
  deepEqual([found.kind, found.namespace, found.subject, found.operator], ["jwt", "shop", ALICE, false]);
  deepEqual([...found.scopes], ["pubsub:publish", "pubsub:subscribe"]);
  deepEqual([found.topics, found.memberId], [topics, "alice"]);
  deepEqual([found.wallet, found.role], [undefined, undefined], "neither sessions nor namespaces of the wallet");
  equal(found.id, found.tokenId);
  deepEqual(found.describe.scopes, ["pubsub:publish:chat.1", "pubsub:subscribe:chat.*"]);
  equal(found.describe.member_id, "alice");
  deepEqual([mayUse(found, "publish", "chat.1"), mayUse(found, "publish", "chat.2")], [true, false]);
  deepEqual([mayUse(found, "subscribe", "chat.2"), mayUse(found, "presence", "chat.1")], [true, false]);
  equal(await identified(node, token), found, "warm");
  equal(await node.authenticator.identifyKey(token), undefined);
});

Deno.test("it is neither renewed nor exchanged, and logging out with it ends it alone", async () => {
  await using node = await shop();
  const { token: access, refreshToken } = await node.session("shop", ALICE);
  const token = await make(node, await identified(node, access) as Principal);
  const caller = await identified(node, token) as Principal;
  const own = await holder(node, await node.apiKeys.ofWallet("shop", ALICE, CONTEXT));
  await rejects(node.signIn.renew(caller, own), code("FORBIDDEN"));
  await node.signIn.logoutCaller(caller, true, CONTEXT);
  equal(await identified(node, token), undefined);
  ok(await identified(node, access));
  ok(await node.signIn.refresh(refreshToken, undefined, CONTEXT));
});

/** What ends the credential of whoever made a token, by what it was made with. */
const ENDS: Readonly<
  Record<string, (node: Node) => Promise<{ readonly caller: Principal; readonly end: () => Promise<unknown> }>>
> = {
  "its key is revoked": async (node) => {
    const { caller, id } = await keyWith(node);
    return { caller, end: () => node.apiKeys.revoke("shop", id, owner, CONTEXT) };
  },
  "its key is rotated": async (node) => {
    const { caller, id } = await keyWith(node);
    return { caller, end: () => node.apiKeys.rotate("shop", id, owner, CONTEXT) };
  },
  "the key behind its access token is revoked": async (node) => {
    const { caller, id } = await keyWith(node);
    const { accessToken } = await node.signIn.tokenForKey(caller);
    return {
      caller: await identified(node, accessToken) as Principal,
      end: () => node.apiKeys.revoke("shop", id, owner, CONTEXT),
    };
  },
  "the access token that was made from a key is logged out": async (node) => {
    const { accessToken } = await node.signIn.tokenForKey((await keyWith(node)).caller);
    const caller = await identified(node, accessToken) as Principal;
    return { caller, end: () => node.signIn.logoutCaller(caller, false, CONTEXT) };
  },
  "its session is ended": async (node) => {
    const { token, id } = await node.session("shop", ALICE);
    return {
      caller: await identified(node, token) as Principal,
      end: () => node.sessions.revoke("shop", ALICE, id, CONTEXT),
    };
  },
  "its member is removed": async (node) => {
    const caller = await holder(node, await node.apiKeys.ofWallet("shop", BOB, CONTEXT));
    return { caller, end: () => node.members.remove("shop", BOB, owner, CONTEXT) };
  },
  "its member may do less": async (node) => {
    const { token } = await node.session("shop", BOB);
    return {
      caller: await identified(node, token) as Principal,
      end: () => node.members.set("shop", BOB, "viewer", owner, CONTEXT),
    };
  },
  "its namespace is deleted": async (node) => {
    const { caller } = await keyWith(node);
    return { caller, end: () => node.namespaces.delete("shop", owner, CONTEXT) };
  },
};

for (const [what, begin] of Object.entries(ENDS)) {
  Deno.test(`a token that names topics dies on every gateway when ${what}`, async () => {
    await using node = await shop();
    const other = await node.another();
    const { caller, end } = await begin(node);
    const spared = await make(node, (await keyWith(node)).caller);
    const token = await make(node, caller);
    for (const gateway of [node, other]) ok(await identified(gateway, token));
    await end();
    await node.revocations.pull();
    await other.revocations.pull();
    for (const gateway of [node, other, await node.another()]) equal(await identified(gateway, token), undefined);
    if (!what.includes("namespace")) ok(await identified(node, spared));
  });
}

Deno.test("a token made on a gateway that had not heard of the revocation yet dies when it hears", async () => {
  await using node = await shop();
  const { key, id } = await keyWith(node);
  const other = await node.another();
  const warm = await holder(other, key);
  await node.apiKeys.revoke("shop", id, owner, CONTEXT);
  const token = await make(other, warm);
  await other.revocations.pull();
  for (const gateway of [node, other]) equal(await identified(gateway, token), undefined);
});

Deno.test("a token lives as long as it was asked to, and no longer than it may or its credential does", async () => {
  await using node = await shop();
  const start = Math.floor(node.clock.time / SECOND) * SECOND;
  const lives = async (caller: Principal, ttl?: number) =>
    (await node.topicTokens.issue({ ...CHAT, ttl }, caller)).expiresAt - start;
  const { caller } = await keyWith(node);
  equal(await lives(caller), TOKEN_TTL);
  equal(await lives(caller, 30 * SECOND), 30 * SECOND);
  await rejects(lives(caller, TOKEN_TTL + 1), code("INVALID_REQUEST", /^ttl: at most 900000 ms/));
  const short = await keyWith(node, undefined, start + 5 * MINUTE);
  equal(await lives(short.caller), 5 * MINUTE);
  equal(await lives(short.caller, MINUTE), MINUTE);
  const token = await make(node, short.caller);
  node.clock.advance(5 * MINUTE);
  await node.revocations.pull();
  equal(await identified(node, token), undefined);
  const access = await node.session("shop", ALICE);
  const parent = await identified(node, access.token) as Principal;
  node.clock.advance(10 * MINUTE);
  equal((await node.topicTokens.issue(CHAT, parent)).expiresAt, parent.expiresAt);
});

Deno.test("the longest token that may be made is taken", async () => {
  await using node = await shop();
  const { token: access } = await node.session("shop", ALICE);
  const caller = await identified(node, access) as Principal;
  const pattern = "\\".repeat(MAX_PATTERN_BYTES / 8 - 1);
  const topics = { publish: [pattern, pattern], subscribe: [pattern], presence: [pattern] };
  const token = await make(node, caller, { topics, memberId: '"'.repeat(255) });
  equal(mayUse(await identified(node, token) as Principal, "presence", pattern), true);
});

Deno.test("a key for some topics has no others, nor has what is made from it, made by it or put in its place", async () => {
  await using node = await shop();
  const grants: Grant[] = ["namespace:admin", "sql:read", "pubsub:subscribe:chat.*", "pubsub:subscribe:news"];
  const { id, caller } = await keyWith(node, grants);
  deepEqual(caller.topics, { subscribe: ["chat.*", "news"] });
  deepEqual([...caller.scopes], ["namespace:admin", "sql:read", "pubsub:subscribe"]);
  deepEqual(caller.describe.scopes, grants);
  const [listed] = (await node.apiKeys.list("shop", { limit: 10 }, CONTEXT)).filter((view) => view.id === id);
  deepEqual(listed?.scopes, grants);
  const access = await identified(node, (await node.signIn.tokenForKey(caller)).accessToken) as Principal;
  deepEqual([access.topics, [...access.scopes]], [caller.topics, [...caller.scopes]]);
  for (const by of [caller, access]) {
    for (const scopes of [undefined, ["pubsub:subscribe"], ["pubsub:subscribe:*"], ["pubsub:publish:news"]] as const) {
      await rejects(node.apiKeys.create("shop", { name: "more", scopes }, by, CONTEXT), code("INSUFFICIENT_SCOPE"));
    }
    await node.apiKeys.create("shop", { name: "less", scopes: ["pubsub:subscribe:chat.1"] }, by, CONTEXT);
  }
  const narrow = await keyWith(node, ["namespace:admin", "pubsub:subscribe:chat.1"]);
  await rejects(node.apiKeys.rotate("shop", id, narrow.caller, CONTEXT), code("INSUFFICIENT_SCOPE"));
  const rotated = await node.apiKeys.rotate("shop", id, owner, CONTEXT);
  deepEqual((await holder(node, rotated.key)).topics, caller.topics);
});

Deno.test("a key of a wallet that is for some topics loses them with the role", async () => {
  await using node = await shop();
  const key = await node.apiKeys.ofWallet("shop", BOB, CONTEXT, { name: "w", scopes: ["pubsub:publish:chat.*"] });
  equal(mayUse(await holder(node, key), "publish", "chat.1"), true);
  await node.members.set("shop", BOB, "viewer", owner, CONTEXT);
  equal(mayUse(await holder(node, key), "publish", "chat.1"), false);
});
