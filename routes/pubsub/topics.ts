import { z } from "zod";
import { mayUse } from "../../src/contracts/topic_rights.ts";
import { membersPage } from "../../src/http/live/members.ts";
import { topicInQuery } from "../../src/http/live/names.ts";
import { assertMayUse } from "../../src/http/live/standing.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { memberAnswer, memberJson } from "./fields.ts";

/** Members of one answer, and the characters of them. */
const MAX_MEMBERS = 1_000, MAX_LENGTH = 2 ** 20;

export const topics = defineRoute({
  method: "GET",
  path: "/v1/pubsub/topics",
  summary: "List the topics that somebody is subscribed to here",
  description: "On this gateway, and of those only the topics that the credential may subscribe to.",
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:subscribe" },
  output: z.object({ topics: z.array(z.string()) }),
  handle({ principal }, { pubsub }) {
    return ok({ topics: pubsub.topics(principal.namespace).filter((topic) => mayUse(principal, "subscribe", topic)) });
  },
});

export const presence = defineRoute({
  method: "GET",
  path: "/v1/pubsub/presence",
  summary: "List who is present in a topic",
  description:
    "On all gateways that can be seen from this one, those who came first in front. Somebody with several connections is one member. " +
    "An answer has some of them, about 1 MiB at most: go on with `next` as `after`. Who comes or leaves meanwhile may be in it or not.",
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:presence" },
  query: z.object({
    topic: topicInQuery,
    limit: z.coerce.number().int().min(1).max(MAX_MEMBERS).default(MAX_MEMBERS).describe("Members, at most."),
    after: z.string().min(1).max(512).optional().describe("`next` of the page before."),
  }),
  output: z.object({
    topic: z.string(),
    members: z.array(memberAnswer),
    count: z.int().describe("How many there are in the topic, whatever is in this answer."),
    next: z.string().nullable().describe("Where to go on; `null` behind the last."),
  }),
  errors: ["FORBIDDEN"],
  handle({ principal, query: { topic, limit, after } }, { pubsub }) {
    assertMayUse(principal, "presence", topic);
    const members = pubsub.members(principal.namespace, topic);
    const { text, count, next = null } = membersPage(members, memberJson, { after, limit, maxLength: MAX_LENGTH });
    const told = JSON.stringify({ topic, count, next }).slice(1, -1);
    return { status: 200, body: `{${told},"members":${text}}` };
  },
});
