import type { Registry } from "prom-client";
import type { WebhookFigures } from "../contracts/webhooks.ts";
import { Scraped } from "./scraped.ts";

/** Makes the metrics of webhooks. Nothing in them names a namespace or an address. */
export function webhookMetrics(registry: Registry, figures: () => WebhookFigures): void {
  const scraped = new Scraped(registry);
  scraped.counters(
    "webhook_tries_total",
    "Tries to deliver events by how they ended: `delivered`; `failed`, to be tried again; `dead`, given up; `postponed`, no fault of " +
      "the receiver's; `lost`, told of by another gateway by then.",
    "outcome",
    () => ({ ...figures().tries }),
  );
  scraped.counter(
    "webhook_events_dropped_total",
    "Events for an endpoint that were not written down, because too much waited for it.",
    () => figures().dropped,
  );
  scraped.gauge("webhook_requests_in_flight", "Requests to receivers that are under way.", () => figures().inFlight);
  scraped.gauge(
    "webhook_deliveries_waiting",
    "Deliveries of all gateways that wait to be tried; a minute behind.",
    () => figures().kept?.waiting,
  );
  scraped.gauge(
    "webhook_deliveries_dead",
    "Deliveries of all gateways that were given up and are kept; a minute behind.",
    () => figures().kept?.dead,
  );
}
