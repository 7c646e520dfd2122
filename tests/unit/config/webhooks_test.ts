import { deepEqual, equal, match } from "node:assert/strict";
import { load, problemOf, problemsOf } from "./support.ts";

Deno.test("what is set of webhooks is read from a file and from the environment", () => {
  const { config: { webhooks, limits } } = load({
    yaml:
      "webhooks: {max_in_flight: 5, timeout: 3s, retry: {tries: 2, delay: 1m, factor: 1.5, max_delay: 1h, life: 2h}}",
    env: { ORAMA_LIMITS__WEBHOOKS__ENDPOINTS: "0", ORAMA_LIMITS__WEBHOOKS__EVENT_BYTES: "1MiB" },
  });
  deepEqual(webhooks, {
    max_in_flight: 5,
    timeout: 3_000,
    retry: { tries: 2, delay: 60_000, factor: 1.5, max_delay: 3_600_000, life: 7_200_000 },
  });
  deepEqual([limits.webhooks.endpoints, limits.webhooks.event_bytes, limits.webhooks.waiting], [0, 2 ** 20, 1_000]);
});

Deno.test("what is wrong with webhooks is told by the key", () => {
  for (
    const [key, wrong] of [
      ["webhooks.max_in_flight", "webhooks: {max_in_flight: 0}"],
      // A receiver that may take longer than the lease of a turn would be told by two gateways.
      ["webhooks.timeout", "webhooks: {timeout: 31s}"],
      ["webhooks.retry.tries", "webhooks: {retry: {tries: 0}}"],
      ["webhooks.retry.factor", "webhooks: {retry: {factor: 0.5}}"],
      ["webhooks.retry.life", "webhooks: {retry: {life: 31d}}"],
      ["limits.webhooks.event_bytes", "limits: {webhooks: {event_bytes: 1023}}"],
      ["limits.webhooks.waiting", "limits: {webhooks: {waiting: 0}}"],
      ["limits.webhooks.dead_retention", "limits: {webhooks: {dead_retention: 1s}}"],
    ]
  ) deepEqual(problemsOf({ yaml: wrong! }).map((problem) => problem.key), [key], wrong!);
});

Deno.test("values that contradict each other are refused, and both are named", () => {
  for (
    const [key, because, yaml] of [
      ["webhooks.retry.delay", /webhooks\.retry\.max_delay/, "webhooks: {retry: {delay: 2m, max_delay: 1m}}"],
      ["webhooks.retry.delay", /webhooks\.retry\.life/, "webhooks: {retry: {delay: 2m, life: 1m}}"],
      [
        "limits.webhooks.event_bytes",
        /limits\.webhooks\.waiting_bytes/,
        "limits: {webhooks: {event_bytes: 8KiB, waiting_bytes: 7KiB}}",
      ],
    ] as const
  ) {
    const problem = problemOf({ yaml });
    equal(problem.key, key);
    match(problem.problem, because);
  }
  deepEqual(
    load({ yaml: "limits: {webhooks: {event_bytes: 8KiB, waiting_bytes: 8KiB}}" }).config.limits.webhooks.event_bytes,
    8_192,
  );
});
