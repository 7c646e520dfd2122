import { z } from "zod";
import { MAX_PATTERN_BYTES, MAX_PATTERNS, patternsProblem } from "../../src/contracts/topic_rights.ts";
import { durationField } from "../../src/http/duration_field.ts";
import { rfc3339 } from "../../src/http/formats.ts";
import { json, NO_STORE } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { named, optional } from "./schemas.ts";

/** Milliseconds; what lives for less is of no use. */
const SHORTEST = 1_000;
const EXPECTED = "must be milliseconds, or a duration such as 30s, 15m or 1h, 1s at least";

const ttl = durationField(SHORTEST, EXPECTED);

const patterns = optional(z.array(named("Pattern of a topic.")).min(1).max(MAX_PATTERNS));

const topics = z.strictObject({ publish: patterns, subscribe: patterns, presence: patterns })
  .superRefine((rights, context) => {
    const problem = patternsProblem(Object.values(rights).flatMap((list) => list ?? []));
    if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
    if (Object.values(rights).every((list) => list === undefined)) {
      context.addIssue({ code: "custom", message: "must name a topic at least for publish, subscribe or presence" });
    }
  });

export const topicToken = defineRoute({
  method: "POST",
  path: "/v1/pubsub/token",
  summary: "Make a token for some topics alone",
  description:
    "For a client that is to take part in some topics and to do nothing else. The token has no more rights than the caller's " +
    "credential and dies with it: where that is revoked or ends, at once. In a pattern, `*` stands for any run of characters and " +
    "everything else for itself: `orders.*`, `room/*/chat`, `*`. " +
    `A token has at most ${MAX_PATTERNS} patterns, of ${MAX_PATTERN_BYTES} bytes together; it cannot make another one.`,
  tag: "Pub/sub",
  access: { kind: "authenticated" },
  body: z.object({
    topics: topics.meta({
      minProperties: 1,
      description: "The rights, and patterns of the topics for which each holds.",
    }),
    ttl: optional(ttl).describe(
      "How long it lives: milliseconds, or a duration such as `15m`. Absent: as long as one may.",
    ),
    member_id: optional(named("The only member id under which its holder may be present. Absent: any.")),
  }),
  output: z.object({ token: z.string(), expires_at: z.string() }),
  errors: ["FORBIDDEN", "INSUFFICIENT_SCOPE", "UNAVAILABLE"],
  async handle(call, { topicTokens }) {
    const { topics, ttl, member_id: memberId } = call.body;
    const { token, expiresAt } = await topicTokens.issue({ topics, ttl, memberId }, call.principal);
    return json(200, { token, expires_at: rfc3339(expiresAt) }, NO_STORE);
  },
});
