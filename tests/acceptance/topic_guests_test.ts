import { deepEqual, equal } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { TestSocket } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({
  config: { limits: { pubsub: { topics: 20, sockets: 40, publish_rate: 100, guest_share: 10 } } },
});
const { test } = suite;

const CHAT = { publish: ["chat.*"], subscribe: ["chat.*"] };

/** A token of a key, as an application gives one to each of its users. */
const tokenOf = async (key: string, member_id?: string): Promise<string> => {
  const body = { topics: CHAT, ...(member_id && { member_id }) };
  return (await suite.gateway.call("POST", "/v1/pubsub/token", { key, body })).expect(200).string("token");
};
const publish = (token: string, key: string, data: unknown) =>
  suite.gateway.call("POST", "/v1/pubsub/publish", {
    token,
    headers: { "idempotency-key": key },
    body: { topic: "chat.1", data },
  });
const open = (token: string) => TestSocket.open(suite.gateway.url, `/v1/realtime?token=${token}`);

test("two users of one application who choose the same idempotency keys do not swallow each other's messages", async () => {
  await using owner = await newOwner(suite.gateway);
  const [alice, bob] = [await tokenOf(owner.apiKey, "alice"), await tokenOf(owner.apiKey, "bob")];
  const [carol, dave] = [await tokenOf(owner.apiKey), await tokenOf(owner.apiKey)];
  await using reader = await open(alice);
  await reader.ask({ type: "subscribe", topic: "chat.1" });
  const names = { alice, bob, carol, dave };
  for (const [name, token] of Object.entries(names)) {
    equal((await publish(token, "1", "hi")).expect(200).get("repeated"), undefined, name);
  }
  for (const [name, token] of Object.entries(names)) {
    equal((await publish(token, "1", "hi")).expect(200).get("repeated"), true, name);
    equal((await publish(token, "1", "ho")).expect(422).get("code"), "IDEMPOTENCY_KEY_REUSED", name);
  }
  // Over a socket they are who they are over HTTP; with a member id also with the next token.
  const renewed = await tokenOf(owner.apiKey, "alice");
  for (
    const [token, repeated] of [[renewed, true], [bob, true], [await tokenOf(owner.apiKey, "eve"), false]] as const
  ) {
    await using socket = await open(token);
    const command = { type: "publish", topic: "chat.1", data: "hi", idempotency_key: "1" };
    equal((await socket.ask(command)).repeated, repeated);
  }
  // A token without one has keys of its own.
  equal((await publish(await tokenOf(owner.apiKey), "1", "hi")).expect(200).get("repeated"), undefined);
  const history = await suite.gateway.call("GET", "/v1/pubsub/history?topic=chat.1", { key: owner.apiKey });
  equal(history.expect(200).list("messages").length, 6);
});

test("one user of an application has a share of its topics, messages and sockets, and the others go on", async () => {
  await using owner = await newOwner(suite.gateway);
  const [alice, bob] = [await tokenOf(owner.apiKey, "alice"), await tokenOf(owner.apiKey, "bob")];
  await using first = await open(alice);
  await using second = await open(await tokenOf(owner.apiKey, "alice"));
  const subscribe = (socket: TestSocket, topic: string) => socket.ask({ type: "subscribe", topic });
  for (const [socket, topic] of [[first, "chat.1"], [second, "chat.2"], [second, "chat.1"]] as const) {
    equal((await subscribe(socket, topic)).type, "ok", topic);
  }
  const { code, details } = await subscribe(first, "chat.3");
  deepEqual([code, details], ["TOO_MANY_TOPICS", { of: "credential", limit: 2 }]);
  const events = await suite.gateway.call("GET", "/v1/pubsub/sse?topic=chat.4", { token: alice });
  equal(events.expect(429).get("code"), "TOO_MANY_TOPICS");
  await using other = await open(bob);
  equal((await subscribe(other, "chat.3")).type, "ok");

  // A tenth of a hundred per second.
  const sent = { type: "publish", topic: "chat.1", messages: Array.from({ length: 1_000 }, () => ({ data: 1 })) };
  equal((await first.ask(sent)).type, "ok", "what is published together passes together, and is paid for afterwards");
  const refused = await second.ask({ type: "publish", topic: "chat.2", data: 1 });
  deepEqual([refused.code, refused.details], ["RATE_LIMITED", { of: "credential", limit: 10 }]);

  await using _third = await open(alice);
  await using _fourth = await open(alice);
  await using late = await TestSocket.open(suite.gateway.url, "/v1/realtime");
  const kept = await late.ask({ type: "connect", token: alice });
  deepEqual([kept.code, kept.details], ["TOO_MANY_SOCKETS", { of: "credential", limit: 4 }]);
  equal(await late.end(), 4430);
  await using welcome = await open(await tokenOf(owner.apiKey));
  equal((await subscribe(welcome, "chat.5")).type, "ok");
});
