import { Counter, type MetricObjectWithValues, type MetricValue, type Registry } from "prom-client";
import type { Observed, Outcome } from "../contracts/observation.ts";

/** Upper bounds in seconds. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30] as const;
const BOUNDS = BUCKETS.map((seconds) => seconds * 1000);

interface Series {
  readonly method: string;
  readonly route: string;
  readonly status: number;
  readonly buckets: Float64Array;
  count: number;
  /** Milliseconds. */
  sum: number;
}

/**
 * Rate, errors and duration per route template (RED). Counts in plain numbers and speaks the registry's language only
 * when scraped: the general histogram costs more per request than routing does.
 */
export class RequestMetrics {
  readonly #series = new Map<string, Map<number, Series>>();
  readonly #streams = new Counter({
    name: "http_streams_total",
    help: "Streamed answers by route template and end: complete, failed, left (by the client), stalled.",
    labelNames: ["route", "end"],
    registers: [],
  });
  readonly #streamedBytes = new Counter({
    name: "http_streamed_bytes_total",
    help: "Bytes of streamed answers, by route template.",
    labelNames: ["route"],
    registers: [],
  });

  /** Makes the figures part of a registry: `http_request_duration_seconds`, and those of answers that were streamed. */
  register(registry: Registry): void {
    registry.registerMetric(this.#streams);
    registry.registerMetric(this.#streamedBytes);
    registry.registerMetric(
      {
        name: NAME,
        get: () => Promise.resolve(this.#collect()),
        reset: () => this.#series.clear(),
      } as unknown as Parameters<Registry["registerMetric"]>[0],
    );
  }

  /** Counts one answered request. */
  observe({ template: route, method }: Observed, { status, milliseconds, streamed }: Outcome): void {
    if (streamed) {
      this.#streams.inc({ route, end: streamed.end });
      this.#streamedBytes.inc({ route }, streamed.bytes);
    }
    const key = KNOWN.has(method) ? method + route : "OTHER" + route;
    let byStatus = this.#series.get(key);
    if (!byStatus) this.#series.set(key, byStatus = new Map());
    let series = byStatus.get(status);
    if (!series) {
      const label = KNOWN.has(method) ? method : "OTHER";
      byStatus.set(
        status,
        series = { method: label, route, status, buckets: new Float64Array(BOUNDS.length), count: 0, sum: 0 },
      );
    }
    series.count++;
    series.sum += milliseconds;
    for (let i = 0; i < BOUNDS.length; i++) {
      if (milliseconds <= BOUNDS[i]!) {
        series.buckets[i]!++;
        break;
      }
    }
  }

  #collect(): Omit<MetricObjectWithValues<MetricValue<string>>, "collect"> {
    const values: (MetricValue<string> & { metricName: string })[] = [];
    for (const byStatus of this.#series.values()) {
      for (const { method, route, status, buckets, count, sum } of byStatus.values()) {
        const labels = { method, route, status: String(status) };
        let below = 0;
        BUCKETS.forEach((le, i) => {
          values.push({ labels: { ...labels, le }, metricName: `${NAME}_bucket`, value: below += buckets[i]! });
        });
        values.push({ labels: { ...labels, le: "+Inf" }, metricName: `${NAME}_bucket`, value: count });
        values.push({ labels, metricName: `${NAME}_sum`, value: sum / 1000 });
        values.push({ labels, metricName: `${NAME}_count`, value: count });
      }
    }
    return {
      name: NAME,
      help: "Time from the request's arrival to its answer, by route template, method and status.",
      type: "histogram" as never,
      aggregator: "sum",
      values,
    };
  }
}

const NAME = "http_request_duration_seconds";
/** A client may invent methods; a label may not grow by that. */
const KNOWN = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);
