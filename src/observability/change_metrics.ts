import { Counter, Gauge, type Registry } from "prom-client";

/** Makes the metrics of the change feed, read when they are scraped. */
export function changeMetrics(
  registry: Registry,
  feed: { readonly listeners: number; readonly delivered: number },
): void {
  new Gauge({
    name: "sql_change_listeners",
    help: "Who listens to changes of tables.",
    registers: [registry],
    collect() {
      this.set(feed.listeners);
    },
  });
  new Counter({
    name: "sql_change_events_total",
    help: "Changes of tables that were handed to listeners.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(feed.delivered);
    },
  });
}
