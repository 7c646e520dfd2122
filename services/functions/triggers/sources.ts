import type { TriggerSource } from "../../../src/contracts/function_triggers.ts";
import type { CronTimes } from "./cron_times.ts";
import { invalid } from "./failures.ts";
import { readPattern } from "./route_pattern.ts";

/** Bytes of UTF-8 that the name of a topic may have, as live messages take it. */
const LONGEST_TOPIC = 255;
const LONGEST_TABLE = 255;
const OPERATIONS = ["insert", "update", "delete"] as const;
/** `OPTIONS` is answered by the gateway itself, for browsers. */
const METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]);
const CONTROL = /\p{Cc}/u;

/** A source whose every part is in one spelling, so that the same is said in the same words. */
export interface CheckedSource {
  readonly source: TriggerSource;
  /** Of a route: what no other one of the namespace may have. */
  readonly route: string | undefined;
}

/**
 * Checks what is to begin calls.
 * @param now Unix milliseconds
 * @throws GatewayError `INVALID_REQUEST` that names the field
 */
export function checkedSource(source: TriggerSource, times: CronTimes, now: number): CheckedSource {
  switch (source.kind) {
    case "cron":
      return { source: { kind: "cron", ...times.checked(source.expression, source.timezone, now) }, route: undefined };
    case "topic":
      return { source: { kind: "topic", topic: checkedName("topic", source.topic, LONGEST_TOPIC) }, route: undefined };
    case "database": {
      const table = checkedName("table", source.table, LONGEST_TABLE);
      for (const operation of source.operations) {
        if (!OPERATIONS.includes(operation)) throw invalid("operations", "may be insert, update and delete");
      }
      const operations = OPERATIONS.filter((one) => source.operations.length === 0 || source.operations.includes(one));
      return { source: { kind: "database", table, operations }, route: undefined };
    }
    case "route": {
      const method = source.method.toUpperCase();
      if (!METHODS.has(method)) throw invalid("method", `must be one of ${[...METHODS].join(", ")}`);
      const pattern = readPattern(source.path);
      return {
        source: { kind: "route", method, path: pattern.path, isPublic: source.isPublic },
        route: `${method} ${pattern.key}`,
      };
    }
  }
}

/**
 * Refuses what never ends: a function that is called with its own dead letters fails for each, and so writes the next one.
 * @param dlqTopic the topic that is told of the function's failures
 * @throws GatewayError `INVALID_REQUEST` that names `topic`
 */
export function refuseOwnDeadLetters(source: TriggerSource, dlqTopic: string | undefined): void {
  if (source.kind !== "topic" || dlqTopic === undefined || source.topic !== dlqTopic) return;
  throw invalid(
    "topic",
    "is the function's own dlq_topic: each call that fails would cause the next; name another function",
  );
}

function checkedName(field: string, name: string, longest: number): string {
  if (name === "") throw invalid(field, "is missing or empty");
  if (name.length > longest || new TextEncoder().encode(name).length > longest) {
    throw invalid(field, `has more than ${longest} bytes of UTF-8`);
  }
  if (!name.isWellFormed()) throw invalid(field, "holds half of a surrogate pair, which no UTF-8 can hold");
  if (CONTROL.test(name)) throw invalid(field, "holds a control character");
  return name;
}
