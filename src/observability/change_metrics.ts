import type { Registry } from "prom-client";
import { Scraped } from "./scraped.ts";

/** Makes the metrics of the change feed, read when they are scraped. */
export function changeMetrics(
  registry: Registry,
  feed: { readonly listeners: number; readonly delivered: number },
): void {
  const scraped = new Scraped(registry);
  scraped.gauge("sql_change_listeners", "Who listens to changes of tables.", () => feed.listeners);
  scraped.counter(
    "sql_change_events_total",
    "Changes of tables that were handed to listeners.",
    () => feed.delivered,
  );
}
