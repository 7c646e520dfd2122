import { field, group, section } from "../field.ts";
import { duration } from "../kinds/duration.ts";
import { integer, number } from "../kinds/plain.ts";

/** How events are sent to webhooks of the namespaces. */
export const webhooks = section({
  description:
    "How events are sent to the webhooks of the namespaces. `limits.webhooks` says what a namespace may have, `egress` how " +
    "requests leave.",
  fields: {
    max_in_flight: field(integer({ min: 1, max: 100_000 }), {
      default: 32,
      unit: "requests",
      description: "Events of all namespaces that are being sent at once, on this gateway; the others wait.",
    }),
    timeout: field(duration({ min: "10ms", max: "30s" }), {
      default: "15s",
      description: "How long a receiver may take to answer.",
    }),
    retry: group({
      tries: field(integer({ min: 1, max: 100 }), {
        default: 8,
        unit: "tries",
        description: "How often an event is sent until it is given up.",
      }),
      delay: field(duration({ min: "1s", max: "24h" }), {
        default: "15s",
        description: "How long the second try waits after the first, up to a fifth more or less.",
      }),
      factor: field(number({ min: 1, max: 10 }), {
        default: 4,
        unit: "times",
        description: "How many times as long as the one before each further try waits.",
      }),
      max_delay: field(duration({ min: "1s", max: "30d" }), {
        default: "24h",
        description: "The longest that a try waits for its time, unless the receiver asks for more.",
      }),
      life: field(duration({ min: "1m", max: "30d" }), {
        default: "48h",
        description: "After how long an event is given up, however often it was sent.",
      }),
    }),
  },
  check: ({ retry: { delay, max_delay, life } }) => [
    ...(delay > max_delay
      ? [{ key: "retry.delay", because: "retry.max_delay", expected: "no more than webhooks.retry.max_delay" }]
      : []),
    ...(delay > life
      ? [{ key: "retry.delay", because: "retry.life", expected: "no more than webhooks.retry.life" }]
      : []),
  ],
});
