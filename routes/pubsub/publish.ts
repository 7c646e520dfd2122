import { z } from "zod";
import type { Published, PubSubCaller } from "../../src/contracts/pubsub.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { callerOf } from "../../src/contracts/topic_rights.ts";
import type { Call } from "../../src/http/call.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { JsonSource } from "../../src/http/json_source.ts";
import { topicName } from "../../src/http/live/names.ts";
import { payloadMembers, payloadOf } from "../../src/http/live/payload.ts";
import { assertMayUse } from "../../src/http/live/standing.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { PUBLISH_ERRORS } from "./errors.ts";
import { position } from "./fields.ts";

export const publish = defineRoute({
  method: "POST",
  path: "/v1/pubsub/publish",
  summary: "Publish one message",
  description:
    "To every subscriber of the topic, once each, on all gateways. The answer waits for those of this gateway alone. A topic " +
    "need not be made before. With an `Idempotency-Key`, repeating publishes nothing for 5 minutes, as long as no more than 80,000 " +
    "keys came in the namespace on this gateway meanwhile.",
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:publish" },
  body: z.object({
    topic: topicName,
    data_base64: z.string().min(1).optional().describe("Bytes of any kind, in base64 (RFC 4648, 4)."),
    data: payloadMembers.data.describe("Any JSON, in place of `data_base64`. It is passed on to the last digit."),
  }),
  bodyHint: "expected {topic,data_base64}",
  output: z.object({ status: z.literal("ok"), position, repeated: z.boolean().optional() }),
  idempotent: true,
  errors: PUBLISH_ERRORS,
  handle(call, { pubsub }) {
    const { principal, body: { topic } } = call;
    assertMayUse(principal, "publish", topic);
    const source = new JsonSource(call.source);
    const payload = payloadOf(call.body, source, source.start);
    const options = { idempotencyKey: idempotencyKeyOf(call.incoming) };
    const published = pubsub.publish(principal.namespace, topic, [payload], options, publisherOf(call));
    return published instanceof Promise ? published.then(told) : told(published);
  },
});

/** @param repeated stands in the answer only where a key may have made it so */
const told = ({ position, repeated }: Published) => ok({ status: "ok", position, ...(repeated && { repeated }) });

/** The context of a request that publishes. */
export const publisherOf = (call: Call): RequestContext & PubSubCaller => {
  const { requestId, traceparent, clientAddress, principal } = call;
  return {
    requestId,
    traceparent,
    clientAddress,
    ...callerOf(principal),
    get signal() {
      return call.signal;
    },
  };
};
