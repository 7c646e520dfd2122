import { field, group } from "../../field.ts";
import { byteSize } from "../../kinds/byte_size.ts";
import { duration } from "../../kinds/duration.ts";
import { integer } from "../../kinds/plain.ts";

/** What operators may set of webhooks for one namespace by `/v1/namespaces/{ns}/limits`; here for all the others. */
export const webhooks = group({
  endpoints: field(integer({ max: 10_000 }), {
    default: 20,
    unit: "webhooks",
    description: "How many webhooks one namespace may have. 0: none.",
  }),
  event_bytes: field(byteSize({ min: "1KiB", max: "1MiB" }), {
    default: "64KiB",
    description: "Size of one event, as it is sent.",
  }),
  waiting: field(integer({ min: 1, max: 1_000_000 }), {
    default: 1_000,
    unit: "events",
    description: "Events that wait for one webhook; further ones are dropped, and counted.",
  }),
  waiting_bytes: field(byteSize({ min: "1KiB", max: "1TiB" }), {
    default: "16MiB",
    description: "The same of all webhooks of one namespace together.",
  }),
  requests_in_flight: field(integer({ min: 1, max: 100_000 }), {
    default: 4,
    unit: "requests",
    description:
      "Events of one namespace that are being sent at once, on each gateway. No more than `webhooks.max_in_flight` are.",
  }),
  remembered: field(integer({ max: 100_000 }), {
    default: 100,
    unit: "events",
    description:
      "Events of one webhook that are remembered once they were sent, and as many of those that were given up. 0: none.",
  }),
  delivered_retention: field(duration({ min: "1m", max: "365d" }), {
    default: "3d",
    description: "For how long those are remembered that were sent, without what was in them.",
  }),
  dead_retention: field(duration({ min: "1m", max: "365d" }), {
    default: "30d",
    description: "For how long those are kept that were given up, to be sent anew.",
  }),
});
