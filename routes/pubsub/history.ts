import { z } from "zod";
import { messageMembers, within } from "../../src/http/live/encodings.ts";
import { topicInQuery } from "../../src/http/live/names.ts";
import { assertMayUse } from "../../src/http/live/standing.ts";
import { defineRoute } from "../../src/http/route.ts";
import { messageAnswer, position, sinceInQuery } from "./fields.ts";

/** Bytes of the messages of one answer. */
const MAX_BYTES = 4 * 2 ** 20;

export const history = defineRoute({
  method: "GET",
  path: "/v1/pubsub/history",
  summary: "Read what is kept of a topic",
  description:
    "Oldest first, from whichever gateways have it. With `since`, `complete` says whether nothing is missing behind it; it is " +
    "never true on a guess. Go on with `position` while there is `more`.",
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:subscribe" },
  query: z.object({
    topic: topicInQuery,
    since: sinceInQuery.describe("The position behind which to begin. Default: the oldest that is kept."),
    limit: z.coerce.number().int().min(1).max(1_000).default(100).describe("Messages, at most."),
  }),
  output: z.object({
    topic: z.string(),
    messages: z.array(messageAnswer),
    position,
    more: z.boolean(),
    complete: z.boolean().optional(),
  }),
  errors: ["FORBIDDEN", "UNAVAILABLE"],
  async handle(call, { pubsub }) {
    const { principal, query: { topic, since, limit } } = call;
    assertMayUse(principal, "subscribe", topic);
    const page = await pubsub.history(principal.namespace, topic, { since, limit }, call);
    const { messages, position, more, complete } = within(page, MAX_BYTES);
    const told = JSON.stringify({ topic, position, more, complete }).slice(1, -1);
    const texts = messages.map((message) => `{${messageMembers(message)}}`);
    return { status: 200, body: `{${told},"messages":[${texts.join(",")}]}` };
  },
});
