import { Counter, Histogram, type Registry } from "prom-client";
import type { EgressFigures } from "../contracts/egress.ts";
import { Scraped } from "./scraped.ts";

/** What is told of each request. */
export interface EgressObserver {
  /**
   * The head of a response is there, or is not going to be.
   * @param outcome `response`, or the code of its failure
   */
  request(way: string, outcome: string, seconds: number): void;
}

const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Makes the metrics of outbound requests. Nothing in them names a namespace, or where a request went. */
export function egressMetrics(registry: Registry, figures: () => EgressFigures): EgressObserver {
  const scraped = new Scraped(registry);
  scraped.gauge(
    "egress_requests_in_flight",
    "Outbound requests whose response has not been read to its end.",
    () => figures().inFlight,
  );
  scraped.gauges(
    "egress_proxy_healthy",
    "Anonymous proxies: 1 where the last handshake succeeded.",
    "proxy",
    () => Object.fromEntries(figures().proxies.map(({ name, healthy }) => [name, healthy ? 1 : 0])),
  );
  scraped.gauges(
    "egress_proxy_handshake_seconds",
    "How long the last handshake with an anonymous proxy took that succeeded.",
    "proxy",
    () =>
      Object.fromEntries(
        figures().proxies.flatMap(({ name, latency }) => latency === undefined ? [] : [[name, latency / 1000]]),
      ),
  );
  scraped.gauges(
    "egress_confinement",
    "1 where the rights of the process that sends keep it from inner addresses, whatever the gateway asks of it.",
    "process",
    () => Object.fromEntries(Object.entries(figures().confinement).map(([name, is]) => [name, is ? 1 : 0])),
  );
  const requests = new Counter({
    name: "egress_requests_total",
    help: "Outbound requests, by how they left and by outcome: `response`, or the code of the failure.",
    labelNames: ["way", "outcome"],
    registers: [registry],
  });
  const durations = new Histogram({
    name: "egress_response_seconds",
    help: "Time from an outbound request to the head of its response, redirects included.",
    labelNames: ["way"],
    buckets: DURATIONS,
    registers: [registry],
  });
  return {
    request(way, outcome, seconds) {
      requests.inc({ way, outcome });
      if (outcome === "response") durations.observe({ way }, seconds);
    },
  };
}
