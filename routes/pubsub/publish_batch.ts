import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Payload, Published } from "../../src/contracts/pubsub.ts";
import { idempotencyKeyOf } from "../../src/http/idempotency_key.ts";
import { JsonSource } from "../../src/http/json_source.ts";
import { topicName } from "../../src/http/live/names.ts";
import { assertFits, payloadMembers, payloadOf } from "../../src/http/live/payload.ts";
import { assertMayUse } from "../../src/http/live/standing.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { PUBLISH_ERRORS } from "./errors.ts";
import { position } from "./fields.ts";
import { publisherOf } from "./publish.ts";

/** Messages of one request. */
const MAX_MESSAGES = 1_000;

export const publishBatch = defineRoute({
  method: "POST",
  path: "/v1/pubsub/publish-batch",
  summary: "Publish several messages, to one topic or several",
  description:
    "Each topic gets its messages in their order. All are checked before the first is published: a mistake in one, or a topic that " +
    "the credential may not publish to, and none is. Where the gateway cannot go on in the middle (its rate is used up), 409 " +
    "`OUTCOME_UNKNOWN` names in `details.topics` those that have theirs; with an `Idempotency-Key` the same request again " +
    "publishes the rest alone.",
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:publish" },
  body: z.object({
    messages: z.array(z.object({ topic: topicName, ...payloadMembers })).min(1).max(MAX_MESSAGES),
  }),
  output: z.object({
    status: z.literal("ok"),
    published: z.int().describe("Messages that this request published."),
    topics: z.array(z.object({ topic: z.string(), position, repeated: z.boolean() })),
  }),
  idempotent: true,
  errors: ["OUTCOME_UNKNOWN", ...PUBLISH_ERRORS],
  async handle(call, { pubsub, settings }) {
    const { principal, body: { messages } } = call;
    const { namespace } = principal;
    const key = idempotencyKeyOf(call.incoming);
    const { pubsub: { maxMessageBytes } } = await settings.rulesOf(namespace, call);
    const source = new JsonSource(call.source);
    const items = source.items(source.member(source.start, "messages")!);
    const byTopic = new Map<string, Payload[]>();
    for (const [i, message] of messages.entries()) {
      assertMayUse(principal, "publish", message.topic);
      const payload = payloadOf(message, source, items[i]!, `messages.${i}.`);
      assertFits(payload, maxMessageBytes, `messages.${i}`);
      const others = byTopic.get(message.topic);
      if (others) others.push(payload);
      else byTopic.set(message.topic, [payload]);
    }
    const publisher = publisherOf(call);
    const done: ({ readonly topic: string } & Published)[] = [];
    let published = 0;
    for (const [topic, payloads] of byTopic) {
      try {
        // A key stands for what is published to one topic.
        const options = { idempotencyKey: key === undefined ? undefined : `${key}\n${topic}` };
        const { position, repeated } = await pubsub.publish(namespace, topic, payloads, options, publisher);
        done.push({ topic, position, repeated });
        if (!repeated) published += payloads.length;
      } catch (error) {
        throw published === 0 ? error : inTheMiddle(error, done.map(({ topic }) => topic));
      }
    }
    return ok({ status: "ok", published, topics: done });
  },
});

const inTheMiddle = (cause: unknown, topics: readonly string[]) =>
  new GatewayError("OUTCOME_UNKNOWN", "some of the messages were published, and the rest could not be", {
    cause,
    details: { topics },
  });
