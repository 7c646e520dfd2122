import { deepEqual, equal } from "node:assert/strict";
import { createClient, createRealtime, type RealtimeOptions } from "../../src/client/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { closed } from "../support/live_metrics.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({
  config: { pubsub: { sockets: { commands_per_second: 10, commands_per_frame: 10 } } },
});
const { test } = suite;

/** A connection of the client, and what cuts it. */
function connection(apiKey: string, options: RealtimeOptions = {}) {
  let last: WebSocket | undefined;
  class Socket extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      last = this;
    }
  }
  const client = createClient({ url: suite.gateway.url, apiKey });
  const realtime = createRealtime(client, { webSocket: Socket, retry: { firstPause: 50 }, ...options });
  const codes: unknown[] = [];
  realtime.on("state", ({ error }) => error && codes.push((error as { details?: unknown }).details));
  return { realtime, codes, cut: () => last?.close(4000), [Symbol.dispose]: () => realtime.close() };
}

test("a frame of the client has no more commands than the gateway takes", async () => {
  await using owner = await newOwner(suite.gateway);
  using one = connection(owner.apiKey);
  const seen: unknown[] = [];
  const subscription = one.realtime.subscribe("t");
  subscription.on("message", ({ data }) => seen.push(data));
  await subscription.ready;
  const numbers = Array.from({ length: 30 }, (_, at) => at);
  await Promise.all(numbers.map((number) => one.realtime.publish("t", number)));
  await until("all are heard", () => seen.length >= 30);
  deepEqual([seen, one.codes], [numbers, []]);
});

test("sixty subscriptions and a hundred messages that waited get through after a break, at the gateway's pace", async () => {
  await using owner = await newOwner(suite.gateway);
  using one = connection(owner.apiKey, { requestTimeout: 120_000 });
  const topics = Array.from({ length: 60 }, (_, at) => one.realtime.subscribe(`topic ${at}`));
  const seen: unknown[] = [];
  topics[0]!.on("message", ({ data }) => seen.push(data));
  await Promise.all(topics.map(({ ready }) => ready));
  const numbers = Array.from({ length: 100 }, (_, at) => at);
  const outcomes: Promise<unknown>[] = [];
  one.realtime.on("state", ({ state }) => {
    if (state !== "waiting" || outcomes.length > 0) return;
    outcomes.push(...numbers.map((number) => one.realtime.publish("topic 0", number).catch((error) => error)));
  });
  one.cut();
  await until("the break is seen", () => outcomes.length > 0);
  await until("all are there again", () => topics.every(({ state }) => state === "live"));
  deepEqual((await Promise.all(outcomes)).filter((outcome) => outcome instanceof Error), []);
  await until("all are heard", () => seen.length >= 100);
  deepEqual(seen, numbers);
  equal(one.codes.length, 1, "the break that the test made, and none else");
  equal(await closed(suite.gateway, 4429), 0);
});
