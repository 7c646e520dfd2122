import { deepEqual, equal, ok } from "node:assert/strict";
import { createClient, createRealtime } from "../../src/client/index.ts";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import { closed } from "../support/live_metrics.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({
  config: { pubsub: { sockets: { commands_per_second: 600 } }, limits: { pubsub: { publish_rate: 1_500 } } },
});
const { test } = suite;

test("six thousand messages of one turn arrive once each and in order, whatever the gateway refuses for now", async () => {
  await using owner = await newOwner(suite.gateway);
  const client = createClient({ url: suite.gateway.url, apiKey: owner.apiKey });
  const [reader, writer] = [createRealtime(client), createRealtime(client, { requestTimeout: 120_000 })];
  try {
    const seen: unknown[] = [], gaps: unknown[] = [], errors: unknown[] = [];
    const subscription = reader.subscribe("t");
    subscription.on("message", ({ data }) => seen.push(data));
    subscription.on("gap", ({ reason }) => gaps.push(reason));
    for (const realtime of [reader, writer]) realtime.on("state", ({ error }) => error && errors.push(error));
    await subscription.ready;
    const numbers = Array.from({ length: 6_000 }, (_, at) => at);
    const outcomes = await Promise.allSettled(numbers.map((number) => writer.publish("t", number)));
    deepEqual(outcomes.filter(({ status }) => status === "rejected"), []);
    await until("all are heard", () => seen.length >= 6_000);
    ok(seen.every((number, at) => number === at), "in order");
    deepEqual([seen.length, gaps, errors], [6_000, [], []]);
    equal(await closed(suite.gateway, 4429), 0);
  } finally {
    reader.close();
    writer.close();
  }
});
