import { Histogram, type Registry } from "prom-client";
import { EgressFailure } from "../contracts/egress.ts";
import { GatewayError } from "../contracts/errors.ts";

/** Told of each call: how long it took and how it ended. */
export type ObserveCall = (service: string, operation: string, outcome: string, seconds: number) => void;

/** Makes the histogram of all service calls and returns what feeds it. */
export function serviceTimings(registry: Registry): ObserveCall {
  const histogram = new Histogram({
    name: "service_call_duration_seconds",
    help:
      "Time of calls from routes into services, and from these into their engines, by service, operation and outcome " +
      "(ok, refused, unavailable, failed).",
    labelNames: ["service", "operation", "outcome"],
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers: [registry],
  });
  return (service, operation, outcome, seconds) => histogram.observe({ service, operation, outcome }, seconds);
}

/**
 * Times the methods of a service that answer with a promise; the others pass untouched.
 * @param outcomeOf how an error counts
 */
export function instrument<Service extends object>(
  name: string,
  service: Service,
  observe: ObserveCall,
  outcomeOf: (error: unknown) => string,
): Service {
  const wrapped = new Map<PropertyKey, unknown>();
  return new Proxy(service, {
    get(target, property) {
      const known = wrapped.get(property);
      if (known) return known;
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== "function") return value;
      const timed = (...args: unknown[]) => {
        const start = performance.now();
        const result: unknown = value.apply(target, args);
        if (!(result instanceof Promise)) return result;
        const done = (outcome: string) => observe(name, String(property), outcome, (performance.now() - start) / 1000);
        result.then(() => done("ok"), (error) => done(outcomeOf(error)));
        return result;
      };
      wrapped.set(property, timed);
      return timed;
    },
  });
}

/** {@link instrument} for several services. */
export const instrumentWith =
  (observe: ObserveCall, outcomeOf: (error: unknown) => string) =>
  <Service extends object>(name: string, service: Service): Service => instrument(name, service, observe, outcomeOf);

/** How a call's end counts: the caller's mistakes apart from ours. */
export function outcomeOf(error: unknown): string {
  if (error instanceof EgressFailure) return error.code.endsWith("_UNAVAILABLE") ? "unavailable" : "refused";
  if (!(error instanceof GatewayError)) return "failed";
  return error.status === 503 ? "unavailable" : "refused";
}
