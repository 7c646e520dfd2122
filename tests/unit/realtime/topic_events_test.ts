import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { topicEvents } from "../../../routes/pubsub/sse.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { Message, Subscription } from "../../../src/contracts/pubsub.ts";
import type { Services } from "../../../src/contracts/services.ts";
import type { Call } from "../../../src/http/call.ts";
import { TableAuthenticator } from "../http/support.ts";
import { deliveryOf, FakePubSub, messageOf } from "./support/fake_pubsub.ts";
import { liveGateway, RULES, settled, somebody } from "./support/live.ts";

/** Topics each of which begins in its own way. */
class Topics extends FakePubSub {
  readonly beginnings: Record<string, Partial<Subscription>> = {};
  readonly asked: (string | undefined)[] = [];

  override async subscribe(...args: Parameters<FakePubSub["subscribe"]>): Promise<Subscription> {
    this.asked.push(args[3].since);
    return { ...await super.subscribe(...args), ...this.beginnings[args[1]] };
  }
}

interface Told {
  readonly event: string;
  readonly id: string | undefined;
  readonly data: Record<string, unknown>;
}

/** A gateway whose streams are opened by {@link listening.open} and read at once. */
function listening(principal: Principal = somebody()) {
  const gateway = liveGateway();
  const { connections } = gateway;
  const authenticator = new TableAuthenticator(new Map([["key", principal]]));
  const pubsub = new Topics();
  const services = {
    authenticator,
    connections,
    pubsub: pubsub.service,
    settings: { rulesOf: () => ({ pubsub: RULES }) },
  } as unknown as Services;

  const open = async (query: string, headers: Record<string, string> = {}) => {
    const url = `http://gateway.example/v1/pubsub/sse?${query}`;
    const signal = new AbortController().signal;
    const call = {
      principal,
      query: Object.fromEntries(new URL(url).searchParams),
      incoming: new Headers({ "x-api-key": "key", ...headers }),
      http: { req: { raw: { url } } },
      route: topicEvents,
      signal,
      stopping: signal,
      requestId: "r",
      traceparent: undefined,
      clientAddress: "192.0.2.1",
    } as unknown as Call;
    const { body } = await topicEvents.handle(call, services);
    const stream = { text: "", over: false };
    void (async () => {
      for await (const piece of body as AsyncIterable<Uint8Array>) stream.text += new TextDecoder().decode(piece);
      stream.over = true;
    })();
    await settled();
    return {
      over: () => stream.over,
      text: () => stream.text,
      /** What was told so far. */
      told: () => stream.text.split("\n\n").slice(1, -1).filter((block) => block.includes("data: ")).map(eventIn),
    };
  };
  return { ...gateway, authenticator, pubsub, open };
}

function eventIn(block: string): Told {
  const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(block)?.[1];
  return { event: field("event")!, id: field("id"), data: JSON.parse(field("data")!) };
}

const kinds = (told: readonly Told[]) => told.map(({ event, data }) => [event, data.topic ?? data.code]);
const join = (id: string) =>
  ({ kind: "join", member: { id, meta: undefined, joinedAt: 1, connections: 1 }, at: 1 }) as const;

Deno.test("an id has a place for each topic: its position, or a sign that its reader was there without one", async () => {
  const { open, pubsub } = listening();
  pubsub.beginnings["b"] = { position: "B0" };
  const { told } = await open("topic=a&topic=b&topic=c");
  pubsub.deliver("shop", deliveryOf("a", messageOf("1")));
  pubsub.deliver("shop", deliveryOf("b", messageOf("2", "B1")));
  pubsub.deliver("shop", deliveryOf("c", messageOf("3", "C1")));
  await settled();
  // Somebody who breaks off in the middle of the first three would otherwise come back as if it had never been here.
  deepEqual(told().map(({ id }) => id), ["-,B0,-", "-,B0,-", "-,B0,-", "-,B0,-", "-,B1,-", "-,B1,C1"]);
});

Deno.test("whoever comes back without a position in a topic is told that what it missed there cannot be had", async () => {
  const { open, pubsub } = listening();
  const missed: Message[] = [messageOf("1", "B1")];
  Object.assign(pubsub.beginnings, {
    a: { position: "A5" },
    b: { position: "B1", recovered: true, missed },
    c: { position: undefined },
  });
  for (const id of ["-,B0,-", ",B0,"]) {
    pubsub.asked.length = 0;
    const { told } = await open("topic=a&topic=b&topic=c", { "last-event-id": id });
    deepEqual(pubsub.asked, [undefined, "B0", undefined]);
    deepEqual(
      told().filter(({ event }) => event === "recovered").map(({ id, data }) => [id, data]),
      [
        ["A5,B0,-", { type: "recovered", topic: "a", recovered: false, unrecovered: "no_history" }],
        ["A5,B0,-", { type: "recovered", topic: "b", recovered: true }],
        ["A5,B1,-", { type: "recovered", topic: "c", recovered: false, unrecovered: "no_history" }],
      ],
    );
  }
  const { told } = await open("topic=a", { "last-event-id": "-" });
  deepEqual(kinds(told()), [["recovered", "a"], ["subscribed", "a"]]);
});

Deno.test("a topic to which the right is lost ends at once, and the stream with the last of them", async () => {
  const { open, pubsub, pass, authenticator } = listening();
  const { told, over } = await open("topic=a&topic=b");
  authenticator.known.set("key", somebody({ topics: { subscribe: ["b"] } }));
  await pass(500);
  for (const topic of ["a", "b"]) pubsub.deliver("shop", deliveryOf(topic, messageOf("1")));
  await settled();
  deepEqual(kinds(told()).slice(2), [["unsubscribed", "a"], ["message", "b"]]);
  equal(told()[2]!.data.reason, "right_lost");
  deepEqual([pubsub.count("shop", "a"), pubsub.count("shop", "b")], [0, 1]);
  authenticator.known.set("key", somebody({ scopes: new Set(["pubsub:publish"] as const) }));
  await pass(500);
  deepEqual(kinds(told()).slice(4), [["unsubscribed", "b"], ["failure", "INSUFFICIENT_SCOPE"]]);
  deepEqual([over(), pubsub.count("shop", "b")], [true, 0]);
});

Deno.test("whoever loses the right to presence, or to its member id, hears of nobody and is present no more", async () => {
  const narrow = somebody({ scopes: new Set(["pubsub:subscribe"] as const) });
  const ways: [string, Principal][] = [
    ["topic=t&presence=true&member_id=m", narrow],
    ["topic=t&presence=true&member_id=m", somebody({ memberId: "other" })],
    ["topic=t&presence=true&member_id=m", somebody({ topics: { presence: ["other"] } })],
    ["topic=t&events=presence", narrow],
  ];
  for (const [query, now] of ways) {
    const { open, pubsub, pass, authenticator, connections } = listening();
    const { told, over } = await open(query);
    pubsub.deliver("shop", deliveryOf("t", join("u")));
    authenticator.known.set("key", now);
    await pass(500);
    pubsub.deliver("shop", deliveryOf("t", join("v")));
    await settled();
    deepEqual(told().map(({ event }) => event), ["subscribed", "join", "unsubscribed", "failure"], query);
    deepEqual([over(), pubsub.count("shop", "t"), connections.figures().open.events], [true, 0, 0]);
  }
  const { open, pass, authenticator } = listening();
  const { told, over } = await open("topic=t");
  authenticator.known.set("key", narrow);
  await pass(500);
  deepEqual([kinds(told()), over()], [[["subscribed", "t"]], false]);
});

Deno.test("a stream outlives a control plane that is away for a moment, and not one that is away for a minute", async () => {
  const { open, pubsub, pass, authenticator } = listening();
  const { told, over } = await open("topic=t");
  const known = authenticator.known.get("key")!;
  let asked = 0;
  authenticator.identifyKey = () => {
    asked++;
    return Promise.reject(new GatewayError("UNAVAILABLE", "away"));
  };
  for (let i = 0; i < 100; i++) await pass(500);
  pubsub.deliver("shop", deliveryOf("t", messageOf("1")));
  await settled();
  deepEqual([kinds(told()), over()], [[["subscribed", "t"], ["message", "t"]], false]);
  equal(asked, 100);
  authenticator.identifyKey = () => known;
  await pass(500);
  authenticator.identifyKey = () => Promise.reject(new GatewayError("UNAVAILABLE", "away"));
  for (let i = 0; i < 110; i++) await pass(500);
  equal(over(), false);
  for (let i = 0; i < 20; i++) await pass(500);
  deepEqual([kinds(told()).at(-1), over()], [["failure", "UNAVAILABLE"], true]);
});

Deno.test("a credential that ends ends its stream, and a silent one gives signs of life", async () => {
  const { open, pass, authenticator, clock } = listening(somebody({ expiresAt: 1_700_000_040_000 }));
  const { told, text, over } = await open("topic=t");
  for (let i = 0; i < 64; i++) await pass(500);
  match(text(), /\n\n:\nid: -\n\n:\nid: -\n\n$/);
  while (clock.unix < 1_700_000_039_000) await pass(500);
  equal(over(), false);
  await pass(1_000);
  deepEqual([kinds(told()).at(-1), over()], [["failure", "INVALID_CREDENTIAL"], true]);
  const other = listening();
  const { told: toldOther } = await other.open("topic=t");
  other.authenticator.known.delete("key");
  await other.pass(500);
  deepEqual(kinds(toldOther()).at(-1), ["failure", "INVALID_CREDENTIAL"]);
  equal(authenticator.asked.length > 0, true);
});

Deno.test("where one topic is refused, nothing is left of the others", async () => {
  const { open, pubsub, connections } = listening();
  const subscribe = pubsub.subscribe.bind(pubsub);
  pubsub.subscribe = async (...args) => {
    const made = await subscribe(...args);
    if (args[1] === "b") throw new GatewayError("TOO_MANY_TOPICS", "too many");
    return made;
  };
  await rejects(open("topic=a&topic=b&topic=c"), { code: "TOO_MANY_TOPICS" });
  await settled();
  deepEqual([pubsub.count("shop", "a"), pubsub.count("shop", "c"), connections.figures().open.events], [0, 0, 0]);
});
