import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { callerOf, mayUse } from "../../src/contracts/topic_rights.ts";
import { assertOrigin } from "../../src/http/live/admission.ts";
import { LiveContext } from "../../src/http/live/context.ts";
import { topicInQuery } from "../../src/http/live/names.ts";
import { assertMayUse, credentialOf } from "../../src/http/live/standing.ts";
import { switching } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { LIVE_ERRORS } from "./errors.ts";
import { flagInQuery, presenceInQuery } from "./fields.ts";
import { memberIn } from "./joining.ts";
import { TopicSocket } from "./topic_socket.ts";

export const topicSocket = defineRoute({
  method: "GET",
  path: "/v1/pubsub/ws",
  summary: "Open a socket for one topic",
  description: `
A WebSocket as older clients know it. Each frame of the client, text or bytes, is published as it is, but for a JSON object whose
\`type\` is \`ping\`. Each message comes as a text frame \`{"data","timestamp","topic"}\` with \`data\` in base64, those of the socket
itself too; who comes and leaves comes in the same form with \`type\`, \`member_id\` and \`meta\` beside it. It cannot go on where it
was: for that, and for more than one topic, there is \`/v1/realtime\`.`.trim(),
  tag: "Pub/sub",
  access: { kind: "namespace", scope: "pubsub:subscribe" },
  query: z.object({
    topic: topicInQuery,
    ...presenceInQuery,
    gaps: flagInQuery.describe("`true`: where something is missing, a frame with the type `gap` says so."),
  }),
  upgrades: true,
  status: 101,
  output: z.null(),
  errors: LIVE_ERRORS,
  async handle(call, services) {
    const { principal, query: { topic, gaps } } = call;
    const { pubsub, settings, connections } = services;
    const { namespace } = principal;
    assertMayUse(principal, "subscribe", topic);
    const context = new LiveContext(call);
    const { pubsub: rules } = await settings.rulesOf(namespace, context);
    assertOrigin(rules, call.incoming.get("origin") ?? undefined);
    const member = memberIn(call.query, [topic], principal, rules);
    const place = connections.enter("topic", principal, rules);
    const handler = new TopicSocket({
      services,
      topic,
      member: member?.id,
      principal,
      credential: credentialOf(call),
      rules,
      context,
      place,
      gaps: gaps === "true",
    });
    const lost = () => {
      handler.leave();
      place.release();
    };
    try {
      // Before the answer: what is published from then on reaches the client.
      const presence = mayUse(principal, "presence", topic);
      const caller = context.as(callerOf(principal));
      const subscription = await pubsub.subscribe(namespace, topic, handler, { presence, member }, caller);
      if (handler.over) subscription.close();
      else handler.subscription = subscription;
    } catch (error) {
      const ended = handler.over;
      lost();
      throw ended ? new GatewayError("UNAVAILABLE", "the subscription ended before it was made") : error;
    }
    return switching({
      idleTimeout: connections.settings.idleTimeout,
      opened: (socket, failed) => handler.opened(socket, failed),
      lost,
    });
  },
});
