import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal } from "../../src/contracts/identity.ts";
import { callerOf, nameProblem } from "../../src/contracts/topic_rights.ts";
import { EVENT_STREAM, eventStream } from "../../src/http/event_stream.ts";
import { assertOrigin } from "../../src/http/live/admission.ts";
import { LiveContext } from "../../src/http/live/context.ts";
import { topicInQuery } from "../../src/http/live/names.ts";
import { assertMayUse, assertMember } from "../../src/http/live/standing.ts";
import { valuesOf } from "../../src/http/query.ts";
import { defineRoute } from "../../src/http/route.ts";
import { LIVE_ERRORS } from "./errors.ts";
import { flagInQuery, presenceInQuery, sinceInQuery } from "./fields.ts";
import { memberIn } from "./joining.ts";
import { NOWHERE, TopicStream } from "./topic_stream.ts";

/** Topics of one stream: the position in each stands in every event. */
const MAX_TOPICS = 32;

export const topicEvents = defineRoute({
  method: "GET",
  path: "/v1/pubsub/sse",
  summary: "Receive the messages of topics, as server-sent events",
  description: `
What is published in the topics, \`topic=a&topic=b\` (up to ${MAX_TOPICS}), for those who cannot hold a socket. The id of an event says
where its reader stands in all of them: with it as \`Last-Event-ID\`, as a browser's \`EventSource\` sends it when it comes back, or as
\`since\`, the stream goes on behind it. The data are JSON objects as \`/v1/realtime\` has them (\`/asyncapi.json\`).

| event | meaning |
|---|---|
| \`message\` | A message. |
| \`subscribed\` | \`{topic}\`: it has begun, and what was missed has come. |
| \`recovered\` | First, for each topic of one who comes back: \`{topic, recovered, unrecovered}\`. What was missed follows, or cannot be had. |
| \`join\`, \`leave\` | Somebody came or left. With \`presence=true\`, or \`events=presence\`. |
| \`gap\` | Something is missing before what follows, or may be. |
| \`unsubscribed\` | \`{topic, reason}\`: no more comes of a topic. \`right_lost\`, or \`ended\`. |
| \`overflow\` | The last one: what was sent was not read. Come back with the last id. |
| \`failure\` | The last one: \`{code, error}\`. |`.trim(),
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:subscribe" },
  query: z.object({
    topic: topicInQuery,
    since: sinceInQuery.describe("The id of an event, or one position where there is one topic."),
    ...presenceInQuery,
    events: flagInQuery.describe("`presence`: tell who comes and leaves, without being present."),
  }),
  produces: EVENT_STREAM,
  output: z.string().describe("Events, see above."),
  errors: LIVE_ERRORS,
  async handle(call, services) {
    const { principal, query } = call;
    const { pubsub, settings, connections } = services;
    const topics = topicsIn(call.http.req.raw.url);
    for (const topic of topics) assertMayUse(principal, "subscribe", topic);
    const { pubsub: rules } = await settings.rulesOf(principal.namespace, call);
    assertOrigin(rules, call.incoming.get("origin") ?? undefined);
    const member = memberIn(query, topics, principal, rules);
    const presence = member !== undefined || query.events === "presence";
    const assertMay = (topic: string, who: Principal) => {
      assertMayUse(who, "subscribe", topic);
      if (presence) assertMayUse(who, "presence", topic);
      if (member !== undefined) assertMember(who, member.id);
    };
    for (const topic of topics) assertMay(topic, principal);
    const since = positionsIn(call.incoming.get("last-event-id")?.trim() || query.since, topics.length);
    const place = connections.enter("events", principal, rules);
    const stream = new TopicStream(topics, new LiveContext(call), place);
    // A stream that nobody begins to read has no other end.
    call.signal.addEventListener("abort", () => stream.close(), { once: true });
    try {
      await stream.subscribe(pubsub, principal.namespace, since, { member, presence }, callerOf(principal));
    } catch (error) {
      stream.close();
      throw error;
    }
    const options = {
      position: () => stream.position,
      maxWaiting: rules.maxQueueBytes,
      changed: (now: Principal) => stream.keep((topic) => assertMay(topic, now)),
    };
    return eventStream(call, services, options, (events) => stream.tell(events));
  },
});

/** The topics of an address, each once. @throws GatewayError `INVALID_REQUEST` */
function topicsIn(url: string): string[] {
  const topics = valuesOf(url, "topic");
  const problem = topics.length > MAX_TOPICS
    ? `must not be there more than ${MAX_TOPICS} times`
    : topics.map(nameProblem).find((one) => one !== undefined);
  if (problem !== undefined) throw refused("topic", problem);
  return topics;
}

/** The positions of an id, in the order of the topics; none for one who was not here. @throws GatewayError `INVALID_REQUEST` */
function positionsIn(id: string | undefined, topics: number): readonly string[] {
  if (id === undefined) return [];
  // Nobody was given an empty place: whoever has one was here, and has lost where it stood.
  const positions = id.split(",").map((position) => position || NOWHERE);
  if (positions.length === topics) return positions;
  throw refused("since", "must be the id of an event of a stream of the same topics, in the same order");
}

const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
