import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import {
  createClient,
  createRealtime,
  OramaError,
  type Realtime,
  type RealtimeOptions,
  type SocketLike,
  subscribeEvents,
  type Subscription,
} from "../../../src/client/index.ts";
import { awaitedLater } from "../awaited_later.ts";
import type { Target } from "./scenarios.ts";

const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;
type Topics = Record<string, unknown>;

/** Connections of the target that are closed in the end, and what cuts theirs. */
class Connections {
  readonly #target: Target;
  readonly #made: Realtime<Topics>[] = [];

  constructor(target: Target) {
    this.#target = target;
  }

  make(options: RealtimeOptions = {}): { readonly realtime: Realtime<Topics>; readonly cut: () => void } {
    let last: SocketLike | undefined;
    class Socket extends WebSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        last = this;
      }
    }
    const retry = { firstPause: 50 };
    const realtime = createRealtime<Topics>(createClient(this.#target), { webSocket: Socket, retry, ...options });
    this.#made.push(realtime);
    return { realtime, cut: () => last?.close(4000) };
  }

  close(): void {
    for (const realtime of this.#made) realtime.close();
  }
}

/** Runs with connections, and closes them whatever comes of it. */
const connected = (run: (connections: Connections, target: Target) => Promise<void>) => async (target: Target) => {
  const connections = new Connections(target);
  try {
    await run(connections, target);
  } finally {
    connections.close();
  }
};

/** Settles as soon as something is so. */
async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a subscription tells, as it comes. */
function heard(subscription: Subscription<unknown>) {
  const data: unknown[] = [], gaps: string[] = [], presence: string[] = [], recovered: boolean[] = [];
  subscription.on("message", (message) => data.push(message.data));
  subscription.on("gap", ({ reason }) => gaps.push(reason));
  subscription.on("join", ({ member }) => presence.push(`join ${member.id}`));
  subscription.on("leave", ({ member }) => presence.push(`leave ${member.id}`));
  subscription.on("recovered", (event) => recovered.push(event.recovered));
  return { data, gaps, presence, recovered };
}

/** What an application does with live messages, each in topics of its own. Runs on Deno and on Node. */
export const REALTIME_SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  "values of any kind come as they were, to everybody and in their order": connected(async (connections) => {
    const [first, second] = [connections.make().realtime, connections.make().realtime];
    const lists = [first, second].map((realtime) => heard(realtime.subscribe("kinds: ä/%?#")).data);
    await Promise.all([first, second].map((realtime) => realtime.subscription("kinds: ä/%?#")!.ready));
    const values = [
      0,
      "",
      null,
      false,
      "é\u2028\ud83d\ude00\n",
      { a: [null, { b: 9007199254740993n }], ["__proto__"]: 1 },
      new Uint8Array([0, 255, 10]),
      new Uint8Array(),
    ];
    for (const value of values) await first.publish("kinds: ä/%?#", value);
    await second.publishMany("kinds: ä/%?#", values);
    for (const list of lists) {
      await until("all is heard", () => list.length === 2 * values.length);
      deepEqual(list, [...values, ...values]);
    }
  }),

  "a thousand messages of one turn come once each, in their order": connected(async (connections) => {
    const { realtime } = connections.make();
    const { data, gaps } = heard(realtime.subscribe("many"));
    await realtime.subscription("many")!.ready;
    const numbers = Array.from({ length: 1_000 }, (_, at) => at);
    await Promise.all(numbers.map((number) => realtime.publish("many", number)));
    await until("all are heard", () => data.length >= numbers.length);
    deepEqual([data, gaps], [numbers, []]);
  }),

  "what was missed during a break comes behind it, once": connected(async (connections) => {
    const reader = connections.make(), writer = connections.make().realtime;
    const subscription = reader.realtime.subscribe("breaks");
    const { data, gaps, recovered } = heard(subscription);
    await subscription.ready;
    const sent: number[] = [];
    for (let round = 1; round <= 5; round++) {
      for (let at = 0; at < 3; at++) {
        sent.push(sent.length);
        await writer.publish("breaks", sent.at(-1));
      }
      reader.cut();
      for (let at = 0; at < 3; at++) {
        sent.push(sent.length);
        await writer.publish("breaks", sent.at(-1));
      }
      await until("it is there again", () => recovered.length === round && data.length === sent.length);
    }
    deepEqual([data, gaps, recovered], [sent, [], [true, true, true, true, true]]);
    equal(subscription.recovered, true);
  }),

  "what was missed and is more than one answer holds comes whole, and so does a page of history": connected(
    async (connections) => {
      const writer = connections.make().realtime;
      const { position } = await writer.publish("much missed", 0);
      const all = Array.from({ length: 30 }, (_, at) => `${at} ${"x".repeat(20_000)}`);
      await Promise.all(all.map((one) => writer.publish("much missed", one)));
      const subscription = connections.make().realtime.subscribe("much missed", { since: position });
      const { data, gaps } = heard(subscription);
      const missed: unknown[] = [];
      subscription.on("recovered", (event) => missed.push(event.missed));
      await until("all is there", () => data.length === 30);
      deepEqual([data, gaps, subscription.recovered, missed], [all, [], true, [30]]);
      const page = await writer.history("much missed", { since: position, limit: 25 });
      deepEqual(page.messages.map((one) => one.data), all.slice(0, 25));
      deepEqual([page.more, page.complete], [true, true]);
      const rest = await writer.history("much missed", { since: page.position });
      deepEqual([rest.messages.map((one) => one.data), rest.more], [all.slice(25), false]);
    },
  ),

  "publishing goes on over breaks, and nothing is published twice": connected(async (connections) => {
    const writer = connections.make(), reader = connections.make().realtime;
    const { data } = heard(reader.subscribe("writer breaks"));
    await reader.subscription("writer breaks")!.ready;
    const all: Promise<unknown>[] = [];
    for (let at = 0; at < 200; at++) {
      all.push(awaitedLater(writer.realtime.publish("writer breaks", at)));
      if (at % 40 === 20) writer.cut();
      if (at % 10 === 0) await Promise.race([all.at(-1), new Promise((resolve) => setTimeout(resolve, 20))]);
    }
    await Promise.all(all);
    await until("all are heard", () => data.length >= 200);
    deepEqual(data, Array.from({ length: 200 }, (_, at) => at));
  }),

  "a key is good once": connected(async (connections) => {
    const { realtime } = connections.make();
    const first = await realtime.publish("keys", 1, { idempotencyKey: "k" });
    const second = await realtime.publish("keys", 1, { idempotencyKey: "k" });
    deepEqual([first.repeated, second.repeated, second.position], [false, true, first.position]);
    await rejects(realtime.publish("keys", 2, { idempotencyKey: "k" }), withCode("IDEMPOTENCY_KEY_REUSED"));
  }),

  "who was away is told what came since, also in another process, and history tells it too": connected(
    async (connections) => {
      const { realtime } = connections.make();
      const positions = [];
      for (let at = 0; at < 5; at++) positions.push((await realtime.publish("away", at)).position!);
      const subscription = connections.make().realtime.subscribe("away", { since: positions[1] });
      const seen: unknown[] = [];
      for await (const event of subscription) {
        seen.push(event.kind === "message" ? event.data : event.kind);
        if (seen.length === 4) break;
      }
      deepEqual([seen, subscription.recovered], [["recovered", 2, 3, 4], true]);
      const page = await realtime.history("away", { since: positions[1], limit: 2 });
      deepEqual([page.messages.map(({ data }) => data), page.more, page.complete], [[2, 3], true, true]);
      const rest = await realtime.history("away", { since: page.position });
      deepEqual([rest.messages.map(({ data }) => data), rest.more], [[4], false]);
      const all = await realtime.history("away");
      deepEqual(all.messages.map(({ position }) => position), positions);
    },
  ),

  "who comes and leaves is told once each": connected(async (connections) => {
    const [first, second, third] = [connections.make(), connections.make(), connections.make()];
    const watching = first.realtime.subscribe("room", { presence: true });
    const { presence } = heard(watching);
    await watching.ready;
    const meta = { name: "Ada" };
    const here = [second, third].map(({ realtime }) => realtime.subscribe("room", { member: { id: "ada", meta } }));
    await Promise.all(here.map(({ ready }) => ready));
    await until("she is seen", () => presence.length > 0);
    const { members, count } = await first.realtime.presence("room");
    deepEqual([members.map(({ id, meta, connections }) => [id, meta, connections]), count], [[["ada", meta, 2]], 1]);
    here[0]!.close();
    const bob = second.realtime.subscribe("room", { member: { id: "bob" } });
    await bob.ready;
    here[1]!.close();
    await until("she has left", () => presence.includes("leave ada"));
    deepEqual(presence, ["join ada", "join bob", "leave ada"]);
    deepEqual(watching.members.map(({ id }) => id), ["bob"]);
    second.realtime.close();
    await until("he has left", () => presence.includes("leave bob"));
    equal((await first.realtime.presence("room")).count, 0);
  }),

  "a topic that is not listened to any more is silent, and can be listened to again": connected(async (connections) => {
    const { realtime } = connections.make();
    const seen: unknown[] = [];
    for (let round = 0; round < 20; round++) {
      const subscription = realtime.subscribe("again");
      subscription.on("message", ({ data }) => seen.push(data));
      await subscription.ready;
      await realtime.publish("again", round);
      await until("it is heard", () => seen.length === round + 1);
      subscription.close();
    }
    await realtime.publish("again", "nobody hears it");
    await realtime.presence("again").catch(() => {});
    deepEqual(seen, Array.from({ length: 20 }, (_, at) => at));
  }),

  "what the gateway refuses is told to the call that it belongs to": connected(async (connections) => {
    const { realtime } = connections.make();
    await rejects(realtime.publish("a\u0000b", 1), withCode("INVALID_REQUEST"));
    await rejects(realtime.publish("x".repeat(256), 1), withCode("INVALID_REQUEST"));
    await rejects(realtime.subscribe("").ready, withCode("INVALID_REQUEST"));
    await rejects(realtime.subscribe("here", { since: "no position" }).ready, withCode("INVALID_REQUEST"));
    await rejects(realtime.history("here", { limit: 0 }), withCode("INVALID_REQUEST"));
    await rejects(realtime.publish("here", "x".repeat(2 ** 21)), withCode("BODY_TOO_LARGE"));
    equal((await realtime.publish("here", 1)).repeated, false);
    equal(realtime.state, "connected");
  }),

  "server-sent events go on where they were, each once": connected(async (connections, target) => {
    const { realtime } = connections.make();
    const leaving = new AbortController();
    let breaking = new AbortController();
    const client = createClient({
      ...target,
      fetch: (url, init) => fetch(url, { ...init, signal: AbortSignal.any([init.signal!, breaking.signal]) }),
    });
    const seen: number[] = [], gaps: string[] = [];
    let recovered = 0;
    const topics = ["events a", "events b"];
    const reading = awaitedLater((async () => {
      const options = { signal: leaving.signal, retry: { firstPause: 20 } };
      for await (const event of subscribeEvents<number>(client, topics, options)) {
        if (event.kind === "message") seen.push(event.data);
        if (event.kind === "gap") gaps.push(event.reason);
        if (event.kind === "recovered" && event.recovered) recovered++;
      }
    })());
    let sent = 0;
    const publish = () => realtime.publish(topics[sent % 2]!, sent++);
    await until("it is heard", async () => {
      await publish();
      return seen.length > 0;
    });
    for (let round = 1; round <= 3; round++) {
      for (let at = 0; at < 4; at++) await publish();
      breaking.abort();
      breaking = new AbortController();
      for (let at = 0; at < 4; at++) await publish();
      await until(
        "all is there again",
        () => recovered >= 2 * round && seen.includes(sent - 1) && seen.includes(sent - 2),
      );
    }
    for (const part of [0, 1]) {
      const numbers = seen.filter((number) => number % 2 === part);
      deepEqual(numbers, Array.from(numbers, (_, at) => numbers[0]! + 2 * at));
    }
    deepEqual([gaps, recovered], [[], 6]);
    leaving.abort(new Error("enough"));
    await rejects(reading, /^Error: enough$/);
  }),

  "a credential that is refused stops, and a good one begins again": connected(async (connections, target) => {
    const { realtime } = connections.make({ token: "ak_wrong:default" });
    const subscription = realtime.subscribe("credentials");
    await rejects(subscription.ready, OramaError);
    equal(realtime.state, "stopped");
    await rejects(realtime.publish("credentials", 1), OramaError);
    const { data } = heard(subscription);
    await realtime.authenticate(target.apiKey);
    await until("it is live", () => subscription.state === "live");
    await realtime.publish("credentials", 2);
    await until("it is heard", () => data.length === 1);
    ok(realtime.session?.namespace);
    await realtime.authenticate(target.apiKey);
    equal(realtime.state, "connected");
  }),
};
