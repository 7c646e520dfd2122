import { field, group } from "../../field.ts";
import { byteSize } from "../../kinds/byte_size.ts";
import { duration } from "../../kinds/duration.ts";
import { integer } from "../../kinds/plain.ts";

/** What operators may set of outbound requests for one namespace by `/v1/namespaces/{ns}/limits`; here for all the others. */
export const egress = group({
  requests_in_flight: field(integer({ min: 1, max: 100_000 }), {
    default: 64,
    unit: "requests",
    description:
      "Outbound requests of one namespace that are under way at once, on each gateway; one more is 429. No more than " +
      "`egress.max_in_flight` are.",
  }),
  request_bytes: field(byteSize({ max: "64MiB" }), {
    default: "10MiB",
    description:
      "Size of the body of one request that is held in memory: of `POST /v1/proxy/anon`, `http_fetch` and webhooks.",
  }),
  response_bytes: field(byteSize({ max: "64MiB" }), {
    default: "10MiB",
    description: "The same of what comes back. A larger response is an error, never part of one.",
  }),
  stream_bytes: field(byteSize({ max: "1024TiB" }), {
    default: 0,
    description: "What one `POST /v1/proxy/anon/stream` may carry in either direction. 0: any.",
  }),
  duration: field(duration({ min: "1ms", max: "1h" }), {
    default: "60s",
    description: "How long one request may take whose response is held in memory, redirects included.",
  }),
  stream_duration: field(duration({ min: "1ms", max: "24h" }), {
    default: "1h",
    description: "How long one stream may take.",
  }),
  redirects: field(integer({ max: 50 }), {
    default: 10,
    unit: "redirects",
    description: "How often one request may be sent elsewhere; each step is checked as the first one. 0: never.",
  }),
});
