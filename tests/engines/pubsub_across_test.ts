import { deepEqual, equal, ok } from "node:assert/strict";
import { EventReader } from "../support/event_reader.ts";
import { dataOf, TestSocket, type Told } from "../support/sockets.ts";
import { liveTest } from "./support/live_gateways.ts";
import { until } from "./support/wait.ts";

/** Milliseconds for what comes soon. */
const SOON = 30_000;
/** Milliseconds in which revocation closes sockets: a second, and room for a slow machine. */
const REVOKED = 3_000;

interface Numbered {
  readonly by: number;
  readonly n: number;
}

/** What is wrong where each of some publishers sent messages with rising numbers from 0. */
function wrongIn(seen: readonly Numbered[], publishers: number, each: number): string[] {
  const next = new Map<number, number>();
  const wrong: string[] = [];
  for (const { by, n } of seen) {
    if (n !== (next.get(by) ?? 0)) wrong.push(`${n} of ${by} where ${next.get(by) ?? 0} was due`);
    next.set(by, n + 1);
  }
  for (let by = 0; by < publishers; by++) if (next.get(by) !== each) wrong.push(`${next.get(by)} of ${by}`);
  return wrong;
}

liveTest(
  "what is published at one gateway reaches sockets and event streams of another once, in the order of each publisher",
  2,
  {},
  async (cluster, a, b) => {
    const { owner } = cluster, credential = `api_key=${owner.apiKey}`;
    for (const [from, to] of [[a!, b!], [b!, a!]] as const) {
      const topic = crypto.randomUUID(), { url } = to.gateway;
      await using many = await TestSocket.open(url, `/v1/realtime?${credential}`);
      await many.done({ type: "subscribe", topic });
      await using single = await TestSocket.open(url, `/v1/pubsub/ws?topic=${topic}&${credential}`);
      await using stream = await EventReader.open(`${url}/v1/pubsub/sse?topic=${topic}`, { "x-api-key": owner.apiKey });
      const publishers = 4, each = 50, all = publishers * each;
      await Promise.all(Array.from({ length: publishers }, async (_, by) => {
        for (let n = 0; n < each; n++) await cluster.publish(from, topic, { by, n });
      }));
      // Behind what was published, so that a second copy of anything would have come before it.
      await cluster.publish(from, topic, { by: publishers, n: 0 });
      const read: Readonly<Record<string, () => Numbered[]>> = {
        "/v1/realtime": () => many.of("message").map(({ data }) => data as Numbered),
        "/v1/pubsub/ws": () => single.told.map((told) => JSON.parse(dataOf(told))),
        "/v1/pubsub/sse": () =>
          stream.events.filter(({ event }) => event === "message").map(({ data }) => JSON.parse(data).data),
      };
      for (const [path, seen] of Object.entries(read)) {
        await until(`${path} has the last`, () => seen().some(({ by }) => by === publishers), SOON);
        deepEqual(wrongIn(seen().filter(({ by }) => by < publishers), publishers, each), [], path);
        equal(seen().length, all + 1, path);
      }
    }
  },
);

liveTest(
  "who comes to a topic at one gateway, and leaves it, is told at another, once each, on every kind of connection",
  2,
  {},
  async ({ owner, key }, a, b) => {
    const credential = `api_key=${owner.apiKey}`, { url } = b!.gateway;
    await using many = await TestSocket.open(url, `/v1/realtime?${credential}`);
    await many.done({ type: "subscribe", topic: "room", presence: true });
    await using single = await TestSocket.open(url, `/v1/pubsub/ws?topic=room&${credential}`);
    await using stream = await EventReader.open(`${url}/v1/pubsub/sse?topic=room&events=presence`, {
      "x-api-key": owner.apiKey,
    });
    await stream.take(1, ["subscribed"]);
    const changes: Readonly<Record<string, () => string[]>> = {
      "/v1/realtime": () => many.of("join", "leave").map(({ type, member }) => `${type} ${(member as Told).id}`),
      "/v1/pubsub/ws": () =>
        single.told.map((told) => `${String(told.type).replace("presence.", "")} ${told.member_id}`),
      "/v1/pubsub/sse": () =>
        stream.events.filter(({ event }) => ["join", "leave"].includes(event))
          .map(({ event, data }) => `${event} ${JSON.parse(data).member.id}`),
    };
    const isTold = async (expected: readonly string[]) => {
      for (const [path, told] of Object.entries(changes)) {
        await until(`${path} tells: ${expected.join(", ")}`, () => told().length >= expected.length, SOON);
        deepEqual(told(), expected, path);
      }
    };
    const ada = await TestSocket.open(a!.gateway.url, `/v1/realtime?${credential}`);
    await ada.done({ type: "subscribe", topic: "room", member: { id: "ada", meta: { n: 1 } } });
    await isTold(["join ada"]);
    const again = await TestSocket.open(
      a!.gateway.url,
      `/v1/pubsub/ws?topic=room&presence=true&member_id=ada&${credential}`,
    );
    const membersAt = async (place = b!) =>
      (await place.gateway.call("GET", "/v1/pubsub/presence?topic=room", key)).expect(200).list("members");
    await ada[Symbol.asyncDispose]();
    const bob = await TestSocket.open(
      a!.gateway.url,
      `/v1/pubsub/ws?topic=room&presence=true&member_id=bob&${credential}`,
    );
    await isTold(["join ada", "join bob"]);
    equal((await membersAt()).length, 2);
    bob.socket.close();
    again.socket.close();
    await until("both have left", () => Object.values(changes).every((told) => told().length === 4), SOON);
    for (const [path, told] of Object.entries(changes)) {
      deepEqual(told().slice(2).sort(), ["leave ada", "leave bob"], path);
    }
    deepEqual(await membersAt(), []);
    for (const socket of [again, bob]) await socket.end();
  },
);

liveTest(
  "a key that is revoked at one gateway closes sockets at another with 4403, within a second on a machine that is not slow",
  2,
  {},
  async ({ owner }, a, b) => {
    const by = { token: owner.accessToken };
    for (const path of ["/v1/realtime?", "/v1/pubsub/ws?topic=t&"]) {
      const made = (await a!.gateway.call("POST", "/v1/auth/keys", { ...by, body: { name: "k" } })).expect(201);
      const open = async () => await TestSocket.open(b!.gateway.url, `${path}api_key=${made.string("api_key")}`);
      await using socket = await open();
      await using other = await TestSocket.open(b!.gateway.url, `${path}api_key=${owner.apiKey}`);
      (await a!.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, by)).expect(200);
      const start = performance.now();
      equal(await socket.end(SOON), 4403, path);
      const took = performance.now() - start;
      ok(took < REVOKED, `${path} took ${took} ms`);
      equal(other.ended, undefined);
    }
  },
);
