import { deepEqual, equal, match, ok } from "node:assert/strict";
import { routes } from "../../routes/index.ts";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, type Owner } from "../support/accounts.ts";
import { nameOf, namespaceAccess, pathOf } from "../support/route_calls.ts";
import { decodeToken } from "../support/signing_key.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

interface Credential {
  readonly key?: string;
  readonly token?: string;
}

const ask = (by: Credential, body: unknown) => suite.gateway.call("POST", "/v1/pubsub/token", { ...by, body });
const make = async (by: Credential, body: unknown) => (await ask(by, body)).expect(200).string("token");
const whoami = (by: Credential) => suite.gateway.call("GET", "/v1/auth/whoami", by);
const CHAT = { topics: { subscribe: ["chat.*"], publish: ["chat.1"] } };

async function keyWith({ accessToken: token }: Owner, scopes: readonly string[]): Promise<{ key: string; id: string }> {
  const made = await suite.gateway.call("POST", "/v1/auth/keys", { token, body: { name: "k", scopes } });
  return { key: made.expect(201).string("api_key"), id: made.string("id") };
}

test("nobody gets a token for more than the own credential has, and a token for topics makes none", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key } = await keyWith(owner, ["pubsub:subscribe:chat.*", "sql:read"]);
  for (
    const topics of [{ subscribe: ["*"] }, { subscribe: ["chat*"] }, { subscribe: ["chat.1"], publish: ["chat.1"] }, {
      presence: ["chat.1"],
    }]
  ) {
    const refused = (await ask({ key }, { topics })).expect(403);
    equal(refused.get("code"), "INSUFFICIENT_SCOPE");
  }
  const details = (await ask({ key }, CHAT)).expect(403).get("details");
  deepEqual(details, { missing_scopes: ["pubsub:publish:chat.1"] });
  const token = await make({ key }, { topics: { subscribe: ["chat.*"] } });
  equal((await ask({ token }, { topics: { subscribe: ["chat.1"] } })).expect(403).get("code"), "FORBIDDEN");
  const operator = await suite.gateway.makeKey("--operator");
  equal((await ask({ key: operator.key }, CHAT)).expect(403).get("code"), "FORBIDDEN");
  (await ask({}, CHAT)).expect(401);
});

test("a token for topics gets past no other door of its namespace, nor of another", async () => {
  await using owner = await newOwner(suite.gateway);
  const token = await make({ token: owner.accessToken }, CHAT);
  for (const route of routes) {
    const access = namespaceAccess(route);
    if (access === undefined || access.scope === "pubsub:publish" || access.scope === "pubsub:subscribe") continue;
    const answer = await suite.gateway.call(route.method, pathOf(route, owner.namespace), { token });
    equal(answer.status, 403, `${nameOf(route)}: ${answer.text}`);
    equal(answer.get("code"), "INSUFFICIENT_SCOPE");
  }
  const refusals = [
    ["POST", "/v1/namespaces", { name: `${owner.namespace}-2` }],
    ["GET", "/v1/auth/sessions", undefined],
    ["DELETE", "/v1/auth/sessions/unknown", undefined],
    ["GET", "/metrics", undefined],
  ] as const;
  for (const [method, path, body] of refusals) {
    equal((await suite.gateway.call(method, path, { token, body })).expect(403).get("code"), "FORBIDDEN", path);
  }
  (await suite.gateway.call("POST", "/v1/auth/token", { token })).expect(401);
  const renewal = await suite.gateway.call("POST", "/v1/auth/refresh", {
    token,
    headers: { "x-api-key": owner.apiKey },
  });
  equal(renewal.expect(403).get("code"), "FORBIDDEN");
  const exit = { token, body: { all: true } };
  (await suite.gateway.call("POST", "/v1/auth/logout", exit)).expect(200);
  (await whoami({ token })).expect(401);
  (await whoami({ token: owner.accessToken })).expect(200);
});

test("a token for topics says what it may do", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, id } = await keyWith(owner, ["pubsub:subscribe", "pubsub:publish:*"]);
  const answer = (await ask({ key }, { ...CHAT, ttl: "90s", member_id: "alice" })).expect(200);
  equal(answer.headers.get("cache-control"), "no-store");
  const token = answer.string("token");
  const { claims } = decodeToken(token);
  equal(claims.exp! - claims.iat!, 90);
  equal(answer.get("expires_at"), new Date(claims.exp! * 1000).toISOString());
  deepEqual([claims.topics, claims.member, claims.from, claims.scope], [
    CHAT.topics,
    "alice",
    id,
    "pubsub:publish pubsub:subscribe",
  ]);
  const who = (await whoami({ token })).expect(200);
  deepEqual([who.get("scopes"), who.get("member_id"), who.get("namespace")], [
    ["pubsub:publish:chat.1", "pubsub:subscribe:chat.*"],
    "alice",
    owner.namespace,
  ]);
  const inQuery = await suite.gateway.call("GET", `/v1/auth/whoami?token=${token}`);
  equal(inQuery.expect(200).get("method"), "jwt");
});

test("a token for topics dies with the key, the session or the member that it was made with", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, id } = await keyWith(owner, ["pubsub:subscribe", "pubsub:publish"]);
  const member = await newMember(suite.gateway, owner, "member");
  const tokens = {
    key: await make({ key }, CHAT),
    session: await make({ token: owner.accessToken }, CHAT),
    member: await make({ key: member.apiKey }, CHAT),
  };
  const living = async () =>
    Object.fromEntries(
      await Promise.all(
        Object.entries(tokens).map(async ([name, token]) => [name, (await whoami({ token })).status === 200]),
      ),
    );
  deepEqual(await living(), { key: true, session: true, member: true });
  const by = { token: owner.accessToken };
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${id}`, by)).expect(200);
  deepEqual(await living(), { key: false, session: true, member: true });
  const path = `/v1/namespaces/${owner.namespace}/members/${member.wallet.address}`;
  (await suite.gateway.call("DELETE", path, by)).expect(200);
  deepEqual(await living(), { key: false, session: true, member: false });
  (await suite.gateway.call("POST", "/v1/auth/logout", by)).expect(200);
  deepEqual(await living(), { key: false, session: false, member: false });
});

test("a token for topics ends when it says", async () => {
  await using owner = await newOwner(suite.gateway);
  const token = await make({ key: owner.apiKey }, { ...CHAT, ttl: 1_000 });
  await until("it has ended", async () => (await whoami({ token })).status === 401);
  const late = (await ask({ key: owner.apiKey }, { ...CHAT, ttl: "61m" })).expect(400);
  deepEqual([late.get("details.0.field"), late.get("code")], ["ttl", "INVALID_REQUEST"]);
  match(late.string("error"), /at most 3600000 ms/);
});

test("who may use some topics reaches no other, however it is spelled, in company or alone", async () => {
  await using owner = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const own = ["room/*", "caf\u00e9"];
  const { key } = await keyWith(owner, own.flatMap((one) => [`pubsub:publish:${one}`, `pubsub:subscribe:${one}`]));
  const token = await make({ key }, { topics: { publish: own, subscribe: own } });
  const read = async (by: Credential, topic: string) =>
    await suite.gateway.call("GET", `/v1/pubsub/history?topic=${encodeURIComponent(topic)}`, by);
  const publish = (by: Credential, path: string, body: unknown) =>
    suite.gateway.call("POST", `/v1/pubsub/${path}`, { ...by, body });
  const foreign = [
    "secret",
    "room",
    "Room/1",
    " room/1",
    "/room/1",
    "room%2F1",
    "../room/1",
    "cafe\u0301",
    `${owner.namespace}/room/1`,
    `${other.namespace}/room/1`,
    "*",
  ];
  for (const by of [{ key }, { token }]) {
    for (const topic of foreign) {
      for (
        const answer of [
          await publish(by, "publish", { topic, data: 1 }),
          await publish(by, "publish-batch", { messages: [{ topic: "room/1", data: 1 }, { topic, data: 1 }] }),
          await read(by, topic),
          await suite.gateway.call("GET", `/v1/pubsub/sse?topic=room%2F1&topic=${encodeURIComponent(topic)}`, by),
        ]
      ) equal(answer.expect(403).get("code"), "FORBIDDEN", topic);
    }
    equal((await suite.gateway.call("GET", "/v1/pubsub/presence?topic=room%2F1", by)).status, 403);
  }
  for (const topic of foreign) deepEqual((await read({ key: owner.apiKey }, topic)).expect(200).list("messages"), []);
  deepEqual((await read({ key }, "room/1")).expect(200).list("messages"), [], "of a batch nothing");
  for (const topic of ["room/1", "room/\u{1f600}/*", "caf\u00e9"]) {
    (await publish({ token }, "publish", { topic, data: topic })).expect(200);
    deepEqual((await read({ key }, topic)).expect(200).list("messages").map(({ data }) => data), [topic]);
    deepEqual((await read({ key: other.apiKey }, topic)).expect(200).list("messages"), [], "another namespace's topic");
  }
}, { namespaces: 2 });

test("topics that cannot be are refused by name", async () => {
  await using owner = await newOwner(suite.gateway);
  const long = "a".repeat(255);
  for (
    const [body, field, problem] of [
      [{}, "topics", /is missing/],
      [{ topics: {} }, "topics", /must name a topic/],
      [{ topics: { publish: null } }, "topics", /must name a topic/],
      [{ topics: { publish: [] } }, "topics.publish", /./],
      [{ topics: { listen: ["a"] } }, "topics.listen", /publish, subscribe, presence/],
      [{ topics: { publish: [""] } }, "topics.publish.0", /./],
      [{ topics: { publish: ["a", "a\u0000b"] } }, "topics.publish.1", /control characters/],
      [{ topics: { publish: ["a".repeat(256)] } }, "topics.publish.0", /255/],
      [{ topics: { publish: ["\u00fc".repeat(128)] } }, "topics.publish.0", /255 bytes/],
      [{ topics: { publish: Array(33).fill("a") } }, "topics.publish", /32/],
      [{ topics: { publish: Array(20).fill("a"), subscribe: Array(20).fill("a") } }, "topics", /at most 32/],
      [{ topics: { publish: [long, long], subscribe: [long, long, long] } }, "topics", /1024 bytes/],
      [{ ...CHAT, ttl: 999 }, "ttl", /1s at least/],
      [{ ...CHAT, ttl: "1d" }, "ttl", /duration/],
      [{ ...CHAT, member_id: "" }, "member_id", /./],
      [{ ...CHAT, member_id: "a\n" }, "member_id", /control characters/],
      [{ ...CHAT, memberid: "a" }, "memberid", /did you mean member_id/],
    ] as const
  ) {
    const refused = (await ask({ key: owner.apiKey }, body)).expect(400);
    equal(refused.get("details.0.field"), field, refused.text);
    match(refused.string("details.0.problem"), problem);
  }
});

test("a key for some topics is listed as it was made, and makes no key for more", async () => {
  await using owner = await newOwner(suite.gateway);
  const scopes = ["namespace:admin", "pubsub:subscribe:orders.*", "pubsub:publish:orders.new"];
  const { key, id } = await keyWith(owner, scopes);
  const by = { token: owner.accessToken };
  const list = (await suite.gateway.call("GET", "/v1/auth/keys", by)).expect(200).list("keys");
  deepEqual(list.find((one) => one.id === id)?.scopes, scopes);
  deepEqual((await whoami({ key })).expect(200).get("scopes"), scopes);
  const create = (scopes: unknown) =>
    suite.gateway.call("POST", "/v1/auth/keys", { key, body: { name: "more", scopes } });
  for (const more of [undefined, ["pubsub:subscribe"], ["pubsub:subscribe:*"], ["pubsub:publish:orders.*"]]) {
    equal((await create(more)).expect(403).get("code"), "INSUFFICIENT_SCOPE", JSON.stringify(more));
  }
  (await create(["pubsub:subscribe:orders.eu.*"])).expect(201);
  for (
    const [wrong, problem] of [
      ["pubsub:listen:a", /must be one of/],
      ["sql:read:a", /must be one of/],
      ["pubsub:publish:", /must not be empty/],
      ["pubsub:publish:a\u0007", /control characters/],
      [`pubsub:publish:${"a".repeat(256)}`, /255 bytes/],
    ] as const
  ) {
    const refused = (await create(["sql:read", wrong])).expect(400);
    equal(refused.get("details.0.field"), "scopes.1");
    match(refused.string("details.0.problem"), problem);
  }
  const many = (await create(Array.from({ length: 33 }, (_, i) => `pubsub:publish:orders.new${i}`))).expect(400);
  match(many.string("details.0.problem"), /at most 32 patterns/);
  const access = (await suite.gateway.call("POST", "/v1/auth/token", { key })).expect(200).string("access_token");
  deepEqual((await whoami({ token: access })).expect(200).get("scopes"), scopes, "a token made from it");
});

test("the command line makes keys for some topics", async () => {
  await using owner = await newOwner(suite.gateway);
  const place = ["--namespace", owner.namespace];
  const { key } = await suite.gateway.makeKey(...place, "--scopes", "sql:read,pubsub:publish:a*b");
  deepEqual((await whoami({ key })).expect(200).get("scopes"), ["sql:read", "pubsub:publish:a*b"]);
  const refused = await suite.gateway.cli("keys", "create", ...place, "--scopes", "pubsub:listen:a");
  ok(refused.code !== 0);
  match(refused.stderr, /pubsub:listen:a must be one of/);
});
