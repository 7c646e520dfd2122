import { deepEqual, equal } from "node:assert/strict";
import { TopicSocket } from "../../../routes/pubsub/topic_socket.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { Gap } from "../../../src/contracts/pubsub.ts";
import { LiveContext } from "../../../src/http/live/context.ts";
import { TableAuthenticator } from "../http/support.ts";
import { deliveryOf, FakePubSub, messageOf } from "./support/fake_pubsub.ts";
import { FakeSocket, liveGateway, RULES, somebody } from "./support/live.ts";

const GAP: Gap = { kind: "gap", reason: "gateway_lost", position: "p1" };

/** A socket of the topic `t`, subscribed. */
async function topicSocketOf({ gaps = false, principal = somebody(), member }: {
  gaps?: boolean;
  principal?: Principal;
  member?: string;
} = {}) {
  const gateway = liveGateway();
  const { connections } = gateway;
  const authenticator = new TableAuthenticator(new Map([["key", principal]]));
  const pubsub = new FakePubSub();
  const handler = new TopicSocket({
    services: { authenticator, pubsub: pubsub.service, connections },
    topic: "t",
    member,
    principal,
    credential: "key",
    rules: RULES,
    context: new LiveContext({ requestId: "r", traceparent: undefined, clientAddress: "192.0.2.1" }),
    place: connections.enter("topic", principal, RULES),
    gaps,
  });
  handler.subscription = await pubsub.service.subscribe(
    "shop",
    "t",
    handler,
    {},
    new LiveContext({
      requestId: "r",
      traceparent: undefined,
      clientAddress: "192.0.2.1",
    }),
  );
  const socket = new FakeSocket();
  return { ...gateway, authenticator, pubsub, handler, socket };
}

const dataOf = (frame: Record<string, unknown>) => new TextDecoder().decode(Uint8Array.fromBase64(String(frame.data)));

Deno.test("what comes before the socket is open is the first that it gets", async () => {
  const { handler, pubsub, socket, turn } = await topicSocketOf();
  for (const text of ["1", "2"]) pubsub.deliver("shop", deliveryOf("t", messageOf(text)));
  handler.opened(socket, () => {});
  pubsub.deliver("shop", deliveryOf("t", messageOf("3")));
  await turn();
  deepEqual(socket.sent.length, 3);
  deepEqual(socket.take().map(dataOf), ["1", "2", "3"]);
});

Deno.test("gaps are told to those who know of them, and hidden from others, who would take them for messages", async () => {
  for (const gaps of [true, false]) {
    const { handler, pubsub, socket, turn } = await topicSocketOf({ gaps });
    handler.opened(socket, () => {});
    pubsub.deliver("shop", deliveryOf("t", GAP, messageOf("1")));
    await turn();
    const told = socket.take();
    deepEqual(told.map(({ type }) => type), gaps ? ["gap", undefined] : [undefined]);
    if (gaps) deepEqual([told[0]!.reason, JSON.parse(dataOf(told[0]!)).type], ["gateway_lost", "gap"]);
  }
});

Deno.test("publications that wait keep their order, and a refusal is told as JSON", async () => {
  const { handler, pubsub, socket, turn } = await topicSocketOf();
  handler.opened(socket, () => {});
  const gate = Promise.withResolvers<void>();
  pubsub.gate = gate.promise;
  handler.message("1");
  pubsub.gate = undefined;
  handler.message("2");
  pubsub.refusal = new GatewayError("RATE_LIMITED", "too fast", { retryAfter: 2 });
  gate.resolve();
  await turn();
  await turn();
  deepEqual(pubsub.published.map(({ messages }) => messages[0]), ["1"]);
  const [message, refused] = socket.take();
  equal(dataOf(message!), "1");
  deepEqual(refused, { type: "error", code: "RATE_LIMITED", error: "too fast", retry_after: 2, topic: "t" });
});

Deno.test("a right that is lost ends the socket, or what it is told by it, the one to be present too", async () => {
  const narrow = somebody({ scopes: new Set(["pubsub:subscribe", "pubsub:publish"] as const) });
  const present = await topicSocketOf({ member: "m" });
  present.handler.opened(present.socket, () => {});
  present.authenticator.known.set("key", narrow);
  await present.pass(500);
  equal(present.socket.code(), 4403);
  const listening = await topicSocketOf();
  listening.handler.opened(listening.socket, () => {});
  listening.authenticator.known.set("key", narrow);
  const join = (id: string) =>
    ({ kind: "join", member: { id, meta: undefined, joinedAt: 1, connections: 1 }, at: 1 }) as const;
  const heard = async (id: string) => {
    listening.pubsub.deliver("shop", deliveryOf("t", join(id)));
    listening.pubsub.deliver("shop", deliveryOf("t", messageOf(`"${id}"`)));
    await listening.turn();
    return listening.socket.take().map(({ type = "message" }) => type);
  };
  deepEqual(await heard("u"), ["presence.join", "message"]);
  await listening.pass(500);
  equal(listening.socket.code(), undefined);
  deepEqual(await heard("v"), ["message"]);
  listening.authenticator.known.set("key", somebody({ topics: { presence: ["other"] } }));
  await listening.pass(500);
  deepEqual(await heard("w"), ["message"]);
  listening.authenticator.known.set("key", somebody());
  await listening.pass(500);
  deepEqual(await heard("x"), ["presence.join", "message"]);
  listening.authenticator.known.set("key", somebody({ topics: { subscribe: ["other"] } }));
  await listening.pass(500);
  equal(listening.socket.code(), 4403);
  equal(listening.pubsub.count("shop", "t"), 0);
});

Deno.test("a subscription that ends before the socket is open ends it as soon as it is", async () => {
  const { handler, pubsub, socket, connections } = await topicSocketOf();
  pubsub.end("shop", "t");
  handler.opened(socket, () => {});
  equal(socket.code(), 1011);
  handler.closed(1011, false);
  deepEqual(connections.figures().open, { realtime: 0, topic: 0, events: 0, function: 0 });
});
