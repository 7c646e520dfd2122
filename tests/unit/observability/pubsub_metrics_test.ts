import { deepEqual } from "node:assert/strict";
import { Registry } from "prom-client";
import type { LiveFigures } from "../../../src/contracts/live_connections.ts";
import type { NetworkPeer } from "../../../src/contracts/network.ts";
import type { PubSubFigures } from "../../../src/contracts/pubsub.ts";
import { pubsubMetrics } from "../../../src/observability/pubsub_metrics.ts";

const FIGURES: PubSubFigures = {
  topics: 1,
  subscriptions: 2,
  members: 3,
  historyMessages: 4,
  historyBytes: 5,
  published: 6,
  delivered: 7,
  duplicates: 8,
  refused: 9,
  forgotten: { key: 31, message: 32 },
  gaps: { gateway_lost: 10, expired: 11, slow: 12 },
  recovered: 13,
  unrecovered: { expired: 14, gateway_lost: 15, unreachable: 16, no_history: 17, too_much: 18 },
};

const LIVE: LiveFigures = {
  open: { realtime: 20, topic: 21, events: 22, function: 34 },
  unauthenticated: 23,
  closed: new Map([[1000, 24], [4409, 25]]),
  waiting: 26,
  dropped: 27,
  sent: 28,
};

const peer = (id: string): NetworkPeer => ({ id, addresses: [], lastSeen: 0 });

Deno.test("figures of live messages, sockets and the network are read when they are scraped", async () => {
  const registry = new Registry();
  let figures = FIGURES;
  let peers = [peer("a"), peer("b")];
  pubsubMetrics(registry, {
    pubsub: { figures: () => figures },
    connections: { figures: () => LIVE },
    network: { state: () => ({ self: undefined, peers }) },
    refusals: () => ({ stranger: 30, streams: 0 }),
    unjoined: () => 33,
  });
  const values = async () =>
    Object.fromEntries(
      (await registry.metrics()).split("\n").filter((line) => line !== "" && !line.startsWith("#"))
        .map((line) => line.split(/ (?=\S+$)/)).map(([name, value]) => [name, Number(value)]),
    );
  const expected = {
    pubsub_topics: 1,
    pubsub_subscriptions: 2,
    pubsub_members: 3,
    pubsub_history_messages: 4,
    pubsub_history_bytes: 5,
    pubsub_published_total: 6,
    pubsub_delivered_total: 7,
    pubsub_duplicates_total: 8,
    pubsub_refused_total: 9,
    'pubsub_idempotency_forgotten_total{what="key"}': 31,
    'pubsub_idempotency_forgotten_total{what="message"}': 32,
    'pubsub_gaps_total{reason="gateway_lost"}': 10,
    'pubsub_gaps_total{reason="expired"}': 11,
    'pubsub_gaps_total{reason="slow"}': 12,
    'pubsub_recoveries_total{outcome="recovered"}': 13,
    'pubsub_recoveries_total{outcome="expired"}': 14,
    'pubsub_recoveries_total{outcome="gateway_lost"}': 15,
    'pubsub_recoveries_total{outcome="unreachable"}': 16,
    'pubsub_recoveries_total{outcome="no_history"}': 17,
    'pubsub_recoveries_total{outcome="too_much"}': 18,
    'live_connections{kind="realtime"}': 20,
    'live_connections{kind="topic"}': 21,
    'live_connections{kind="events"}': 22,
    'live_connections{kind="function"}': 34,
    live_connections_unauthenticated: 23,
    'live_connections_closed_total{code="1000"}': 24,
    'live_connections_closed_total{code="4409"}': 25,
    live_connections_waiting: 26,
    live_dropped_total: 27,
    live_frames_total: 28,
    network_peers: 2,
    'network_refused_total{reason="stranger"}': 30,
    'network_refused_total{reason="streams"}': 0,
    network_unjoined_topics: 33,
  };
  deepEqual(await values(), expected);
  figures = { ...FIGURES, published: 100, topics: 0 };
  peers = [];
  deepEqual(await values(), { ...expected, pubsub_published_total: 100, pubsub_topics: 0, network_peers: 0 });
});
