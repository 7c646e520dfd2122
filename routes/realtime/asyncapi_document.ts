import { z, type ZodObject } from "zod";
import { jsonSchemaOf, type SharedSchemas, type Side } from "../../src/http/openapi/json_schema.ts";
import { COMMON_ERRORS, ERRORS } from "./errors.ts";
import { ANSWERS, type CommandName, COMMANDS, FAILURE, PROTOCOL, PUSHES } from "./frames.ts";

type Json = Readonly<Record<string, unknown>>;

/** An AsyncAPI 3.0 document, as far as its readers here look into it. */
export interface AsyncApiDocument extends Json {
  readonly asyncapi: string;
  readonly channels: Readonly<Record<string, Json>>;
  readonly operations: Readonly<Record<string, Json>>;
  readonly components: Readonly<Record<"messages" | "schemas", Json>>;
}

const CHANNELS = { realtime: "/v1/realtime", topic: "/v1/pubsub/ws" } as const;
type Channel = keyof typeof CHANNELS;

/**
 * Describes the sockets (AsyncAPI 3.0): each command with its answer, and what the gateway sends of itself.
 * @param version of the gateway
 */
export function asyncApiDocument(version: string): AsyncApiDocument {
  const schemas: SharedSchemas = {};
  const messages: Record<string, Json> = {};
  const channels = { realtime: new Set<string>(), topic: new Set<string>() };
  const add = (channel: Channel, name: string, summary: string, payload: Json, type = "application/json") => {
    messages[name] = { name, summary, contentType: type, payload };
    channels[channel].add(name);
    return name;
  };
  const ofSchema = (channel: Channel, name: string, schema: ZodObject, side: Side) => {
    const { description = "", ...payload } = jsonSchemaOf(schema, side, name, schemas);
    return add(channel, name, String(description), payload);
  };

  const failure = ofSchema("realtime", "failure", FAILURE, "output");
  const commands = Object.keys(COMMANDS).map((name) => {
    const command = name as CommandName;
    const asked = ofSchema("realtime", command, COMMANDS[command], "input");
    const answered = ofSchema("realtime", `${command}Ok`, answerOf(command), "output");
    const codes = [...COMMON_ERRORS, ...ERRORS[command]].map((code) => `\`${code}\``).join(", ");
    const described = operation("receive", "realtime", [asked], [answered, failure]);
    return [command, { ...described, description: `Codes of its failures: ${codes}.` }] as const;
  });
  const pushed = Object.entries(PUSHES).map(([name, schema]) => ofSchema("realtime", `${name}Push`, schema, "output"));
  add("topic", "publication", "Published as it is, text or bytes.", {}, "application/octet-stream");
  add("topic", "envelope", "What happened in the topic: a message, or who came or left.", ENVELOPE);
  add("topic", "refusal", "Something was not published.", REFUSAL);
  return {
    asyncapi: "3.0.0",
    info: { title: "orama-gateway: sockets", version, description: DESCRIPTION },
    defaultContentType: "application/json",
    channels: {
      realtime: channel("realtime", "Any number of topics of one namespace.", channels.realtime, {}),
      topic: channel("topic", "One topic, as older clients know it.", channels.topic, TOPIC_QUERY),
    },
    operations: {
      ...Object.fromEntries(commands),
      deliver: operation("send", "realtime", pushed),
      publishToTopic: operation("receive", "topic", ["publication"]),
      deliverTopic: operation("send", "topic", ["envelope", "refusal"]),
    },
    components: { messages, schemas },
  };
}

const answerOf = (name: CommandName): ZodObject =>
  z.object({ id: FAILURE.shape.id, type: z.literal("ok"), ...ANSWERS[name].shape }).describe(
    `The command \`${name}\` was carried out.`,
  );

const channel = (name: Channel, summary: string, messages: ReadonlySet<string>, query: Json): Json => ({
  address: CHANNELS[name],
  summary,
  messages: Object.fromEntries([...messages].map((one) => [one, { $ref: `#/components/messages/${one}` }])),
  bindings: {
    ws: { method: "GET", query: { type: "object", properties: { ...CREDENTIAL, ...query } }, bindingVersion: "0.1.0" },
  },
});

const operation = (action: "send" | "receive", on: Channel, names: readonly string[], replies?: readonly string[]) => {
  const channel = { $ref: `#/channels/${on}` };
  const messagesOf = (all: readonly string[]) => all.map((name) => ({ $ref: `#/channels/${on}/messages/${name}` }));
  return {
    action,
    channel,
    messages: messagesOf(names),
    ...(replies && { reply: { channel, messages: messagesOf(replies) } }),
  };
};

const text = (description: string) => ({ type: "string", description });

const CREDENTIAL = {
  api_key: text("An API key, where no header can be set. Addresses end up in logs: prefer a header, or `connect`."),
  token: text("An access token, in the same way."),
};

const TOPIC_QUERY = {
  topic: text("The topic. Required."),
  presence: text("`true`: present while the socket is open."),
  member_id: text("Under which name."),
  member_meta: text("A JSON object that others see."),
  gaps: text("`true`: where something is missing, a frame says so."),
};

const ENVELOPE = {
  type: "object",
  required: ["data", "timestamp", "topic"],
  properties: {
    data: text("Base64: the message, or a JSON object that says what happened."),
    timestamp: { type: "integer", description: "Unix milliseconds." },
    topic: { type: "string" },
    type: { enum: ["presence.join", "presence.leave", "gap"], description: "Absent for a message." },
    member_id: text("Who came or left."),
    meta: { type: "object", description: "What the member says of itself." },
    reason: text("Why something is missing."),
  },
};

const REFUSAL = {
  type: "object",
  required: ["type", "code", "error", "topic"],
  properties: {
    type: { const: "error" },
    code: text("Stable, as in answers to HTTP requests."),
    error: text("One sentence."),
    retry_after: { type: "number", description: "Seconds." },
    topic: { type: "string" },
  },
};

const DESCRIPTION = `
Live messages over WebSockets. Requests that need no socket are described by \`/openapi.json\`.

A frame of \`${CHANNELS.realtime}\` is text: one or more JSON objects, one per line, in both directions. A command with an \`id\` is
answered once, with the same \`id\`; one without is answered only when it fails. Commands about one topic are carried out in their
order, those about several side by side. The subprotocol is \`${PROTOCOL}\`. Moments are Unix milliseconds, \`expires_at\` too, which
is RFC 3339 in answers to HTTP requests; durations that members call \`retry_after\` are seconds.

The answer to \`connect\` tells what the gateway takes. Whoever keeps to it is never refused for that. A command that is refused with
\`RATE_LIMITED\` did nothing, and may be sent again after \`retry_after\`; whoever goes on all the same is closed with 4429. Close codes
may be lost where the client still sends (browsers then tell 1006, others 0).

What was missed, and history, come in parts of some 64 KiB, so that a reader on a slow line gets on with each frame. The answer to
\`subscribe\` has the first part; where \`missed_count\` is more, the rest follows as ordinary \`message\` pushes, in order, and before
anything new of the topic. Each has its \`position\`: after a break it goes on behind the last that came.

| close code | meaning |
|---|---|
| 1001 | The gateway stops, or the socket was silent for too long. |
| 1009 | A frame was too large. |
| 4400 | A frame was none: no JSON, an unknown type, too many commands. |
| 4401 | The credential is missing, not good, or has expired. |
| 4403 | The credential was revoked, or may not be used here. |
| 4408 | What was sent was not taken for too long. |
| 4409 | What was sent was not read, and the namespace has such sockets closed. |
| 4429 | Too many commands, for long after the first was refused. |
| 4430 | Too many sockets; or others needed the room, and no credential had come yet. |
| 4503 | The credential could not be checked for too long. |
`.trim();
