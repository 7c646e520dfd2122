import type { Registry } from "prom-client";
import type { LiveConnections, LiveFigures } from "../contracts/live_connections.ts";
import type { Network } from "../contracts/network.ts";
import type { PubSub, PubSubFigures } from "../contracts/pubsub.ts";
import { Scraped } from "./scraped.ts";

/** What the metrics are read from when they are scraped. */
export interface MeasuredPubSub {
  readonly pubsub: Pick<PubSub, "figures">;
  readonly connections: Pick<LiveConnections, "figures">;
  readonly network: Pick<Network, "state">;
  /** What peers tried and were refused, by what it was. */
  readonly refusals: () => Readonly<Record<string, number>>;
  /** Topics that wait to be joined on the network. */
  readonly unjoined: () => number;
}

/** Makes the metrics of live messages, of the sockets that take them and of the network between gateways. */
export function pubsubMetrics(registry: Registry, measured: MeasuredPubSub): void {
  const { pubsub, connections, network, refusals, unjoined } = measured;
  const scraped = new Scraped(registry);
  messageMetrics(scraped, () => pubsub.figures());
  socketMetrics(scraped, () => connections.figures());
  scraped.gauge(
    "network_peers",
    "Gateways to which this one is connected.",
    () => network.state().peers.length,
  );
  scraped.counters(
    "network_refused_total",
    "What came over the network between gateways and no gateway does, by what it was.",
    "reason",
    refusals,
  );
  scraped.gauge(
    "network_unjoined_topics",
    "Topics beyond the 100,000 that a gateway joins on the network: what others publish there comes a second later.",
    unjoined,
  );
}

function messageMetrics(scraped: Scraped, figures: () => PubSubFigures): void {
  const counter = (name: string, help: string, of: (figures: PubSubFigures) => number) =>
    scraped.counter(name, help, () => of(figures()));
  const gauge = (name: string, help: string, of: (figures: PubSubFigures) => number) =>
    scraped.gauge(name, help, () => of(figures()));
  gauge("pubsub_topics", "Topics that have subscribers, or of which something is kept.", ({ topics }) => topics);
  gauge("pubsub_subscriptions", "Subscriptions to topics.", ({ subscriptions }) => subscriptions);
  gauge(
    "pubsub_members",
    "Members of topics that are present by connections of this gateway.",
    ({ members }) => members,
  );
  gauge("pubsub_history_messages", "Messages that are kept for those who were away.", (now) => now.historyMessages);
  gauge("pubsub_history_bytes", "Bytes of memory that they take.", ({ historyBytes }) => historyBytes);
  counter("pubsub_published_total", "Messages that were published on this gateway.", ({ published }) => published);
  counter("pubsub_delivered_total", "Messages that were handed to subscribers.", ({ delivered }) => delivered);
  counter(
    "pubsub_duplicates_total",
    "Messages that came a second time from another gateway and were dropped.",
    ({ duplicates }) => duplicates,
  );
  counter(
    "pubsub_refused_total",
    "Messages of other gateways that were refused: forged, malformed, too large, too many.",
    ({ refused }) => refused,
  );
  scraped.counters(
    "pubsub_idempotency_forgotten_total",
    "Idempotency keys, and messages that were published with one, that were forgotten within five minutes: too many came.",
    "what",
    () => ({ ...figures().forgotten }),
  );
  scraped.counters(
    "pubsub_gaps_total",
    "How often subscribers were told that something is missing, by reason.",
    "reason",
    () => ({ ...figures().gaps }),
  );
  scraped.counters(
    "pubsub_recoveries_total",
    "Subscriptions that asked for what they missed: `recovered`, or why it could not be had.",
    "outcome",
    () => {
      const { recovered, unrecovered } = figures();
      return { recovered, ...unrecovered };
    },
  );
}

function socketMetrics(scraped: Scraped, figures: () => LiveFigures): void {
  scraped.gauges(
    "live_connections",
    "Sockets and event streams that are open, by kind.",
    "kind",
    () => ({ ...figures().open }),
  );
  scraped.gauge(
    "live_connections_unauthenticated",
    "Of them, those that have not said yet who they are.",
    () => figures().unauthenticated,
  );
  scraped.gauge("live_connections_waiting", "Sockets that do not take what waits for them.", () => figures().waiting);
  scraped.counters(
    "live_connections_closed_total",
    "Sockets that ended, by close code; 1006 where there was none.",
    "code",
    () => Object.fromEntries(figures().closed),
  );
  scraped.counter(
    "live_dropped_total",
    "Deliveries that were dropped because a socket did not read.",
    () => figures().dropped,
  );
  scraped.counter("live_frames_total", "Frames that were handed to sockets.", () => figures().sent);
}
