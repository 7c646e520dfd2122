import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import { isDeeper } from "../../src/contracts/json_text.ts";
import { memberName, topicName } from "../../src/http/live/names.ts";
import { payloadMembers } from "../../src/http/live/payload.ts";
import { check } from "../../src/http/problems.ts";

/** The subprotocol that stands for what is here. */
export const PROTOCOL = "orama.v1";

/** Characters of a position; one names every gateway of the cluster. */
const MAX_POSITION = 16_384;
/** Characters of a credential. */
const MAX_CREDENTIAL = 16_384;
/** Messages of one command, or of one answer. */
const MAX_MESSAGES = 1_000;
/** Members of one answer. */
export const MAX_MEMBERS = 1_000;
/** How deep arrays and objects of a command may nest. */
const MAX_DEPTH = 64;

const id = z.union([z.int().min(1), z.string().min(1).max(64)])
  .describe("Names the command: its answer has the same. Without one, only a failure is answered.");

const command = <Name extends string, Shape extends z.ZodRawShape>(name: Name, summary: string, shape: Shape) =>
  z.object({ type: z.literal(name), id: id.optional(), ...shape }).describe(summary);

const credential = z.string().min(1).max(MAX_CREDENTIAL);
const since = z.string().min(1).max(MAX_POSITION);
const position = z.string().optional().describe("Where the reader stands. Opaque; absent where nothing is kept.");

/** What a member says of itself. */
const meta = z.record(z.string(), z.unknown());

/** What clients send: each command by its type. */
export const COMMANDS = {
  connect: command("connect", "Says who is there. Needed first where the address had no credential.", {
    token: credential.optional().describe("An API key, or a token."),
  }),
  subscribe: command("subscribe", "Wants what is published in a topic.", {
    topic: topicName,
    since: since.optional().describe("Where the reader stood: what it missed since comes first."),
    presence: z.boolean().optional().describe("Whether to hear who comes and leaves. Default false."),
    member: z.object({
      id: memberName,
      meta: meta.optional().describe("Whatever others are to know of the member."),
    }).optional().describe("As whom to be present while the subscription holds."),
  }),
  unsubscribe: command("unsubscribe", "Wants it no more.", { topic: topicName }),
  publish: command("publish", "Publishes one message or several, in their order.", {
    topic: topicName,
    ...payloadMembers,
    messages: z.array(z.object(payloadMembers)).min(1).max(MAX_MESSAGES).optional()
      .describe("Several, in place of `data` and `data_base64`."),
    idempotency_key: z.string().min(1).max(255).optional()
      .describe("The same key a second time publishes nothing. Of one caller, for 5 minutes."),
    after: z.int().min(1).optional().describe(
      "Number of an earlier command. Where that, or one with a higher number, was to publish in this topic and was refused " +
        "with RATE_LIMITED, this is refused as well: sent again together, they keep their order.",
    ),
  }),
  presence: command("presence", "Asks who is in a topic.", {
    topic: topicName,
    after: z.string().min(1).max(512).optional().describe("`next` or `members_next` of the answer before."),
    limit: z.int().min(1).max(MAX_MEMBERS).optional().describe(`Members, at most. Default ${MAX_MEMBERS}.`),
  }),
  history: command("history", "Asks for what is kept of a topic.", {
    topic: topicName,
    since: since.optional().describe("Behind this position. Default: from the oldest."),
    limit: z.int().min(1).max(MAX_MESSAGES).optional().describe("Messages, at most. Default 100."),
  }),
  ping: command("ping", "Asks for a sign of life.", {}),
  refresh: command("refresh", "Gives another credential of the same namespace, before the one there is ends.", {
    token: credential.describe("An API key, or a token."),
  }),
} as const;

/** The name of a command. */
export type CommandName = keyof typeof COMMANDS;
/** A command that was checked. */
export type Command<Name extends CommandName = CommandName> = {
  [One in Name]: z.output<(typeof COMMANDS)[One]>;
}[Name];

const message = {
  topic: z.string(),
  data: z.unknown().optional().describe("JSON, as it was published."),
  data_base64: z.string().optional().describe("Bytes, in place of `data`."),
  at: z.int().describe("When a gateway took it: Unix milliseconds."),
  position,
};

const member = z.object({
  id: z.string(),
  meta: meta.optional(),
  joined_at: z.int().describe("Unix milliseconds."),
  connections: z.int().describe("How many it has, on all gateways that can be seen."),
});

const push = <Name extends string, Shape extends z.ZodRawShape>(name: Name, summary: string, shape: Shape) =>
  z.object({ type: z.literal(name), ...shape }).describe(summary);

const presence = { topic: z.string(), member, at: z.int().describe("Unix milliseconds.") };

/** What the gateway sends of itself. */
export const PUSHES = {
  message: push("message", "A message of a topic.", message),
  join: push("join", "Somebody came: once, however many connections they have.", presence),
  leave: push("leave", "Somebody left with their last connection.", presence),
  gap: push("gap", "Something is missing before what follows, or may be.", {
    topic: z.string(),
    reason: z.enum(["gateway_lost", "expired", "slow"]),
    position,
  }),
  unsubscribed: push("unsubscribed", "A subscription has ended.", {
    topic: z.string(),
    reason: z.enum(["ended", "right_lost"]).describe(
      "`ended`: there is no such namespace any more, or the gateway stops. `right_lost`: the credential has no right to it now.",
    ),
  }),
  expiring: push("expiring", "The credential dies soon: `refresh` it.", {
    expires_at: z.int().describe("Unix milliseconds."),
  }),
} as const;

const messages = z.array(z.object({ type: z.literal("message"), ...message }));

/** What a command is answered, beside `id` and `type: "ok"`. */
export const ANSWERS = {
  connect: z.object({
    client: z.string().describe("Names the connection, in the gateway's log too."),
    namespace: z.string(),
    expires_at: z.int().optional().describe("When the credential dies: Unix milliseconds."),
    ping_interval: z.int().describe("Milliseconds of silence after which a client should ask for a sign of life."),
    max_frame_bytes: z.int().describe("Bytes of a frame that the gateway takes."),
    max_frame_commands: z.int().describe("Commands in a frame, at most."),
    commands_per_second: z.number().optional().describe(
      "Commands that are taken, on average. Absent: as many as come. Beyond, they are refused with `RATE_LIMITED`, and whoever " +
        "goes on all the same is closed.",
    ),
    commands_burst: z.int().optional().describe("Commands that are taken at once after a pause."),
    large_command: z.int().optional().describe("Characters of a command for each of which it counts as one more."),
  }),
  subscribe: z.object({
    topic: z.string(),
    position,
    recovered: z.boolean().optional().describe("Whether what came since is told exactly. Only with `since`."),
    unrecovered: z.enum(["expired", "gateway_lost", "unreachable", "no_history", "too_much"]).optional()
      .describe("Why not."),
    missed: messages.describe("What came since, or the first of it: as much as goes in some 64 KiB."),
    missed_count: z.int().optional().describe(
      "How many came since. Those that are not in `missed` follow as pushes, in their order and before whatever is new in the " +
        "topic; `position` is behind the last of `missed`.",
    ),
    members: z.array(member).optional().describe(
      "With `presence`: those who came first, as many as go in some 64 KiB.",
    ),
    members_next: z.string().optional().describe("There are more: ask `presence` with it as `after`."),
  }),
  unsubscribe: z.object({ topic: z.string() }),
  publish: z.object({ position, repeated: z.boolean().describe("Whether it had been published before.") }),
  presence: z.object({
    topic: z.string(),
    members: z.array(member).describe(
      "As many as were asked for, or as go in some 64 KiB; those who came first in front.",
    ),
    count: z.int().describe("How many there are in the topic, whatever is in this answer."),
    next: z.string().optional().describe("Where to go on: `after` of the next. Absent behind the last."),
  }),
  history: z.object({
    topic: z.string(),
    messages: messages.describe("As many as were asked for, or as go in some 64 KiB; one at least where there is any."),
    position,
    more: z.boolean().describe("Whether there are more behind `position`."),
    complete: z.boolean().optional().describe("Whether nothing is missing behind `since`."),
  }),
  ping: z.object({}),
  refresh: z.object({ expires_at: z.int().optional() }),
} as const satisfies Record<CommandName, z.ZodObject>;

/** What a command that failed is answered; without an `id` where the command had none. */
export const FAILURE = z.object({
  type: z.literal("error"),
  id: id.optional(),
  code: z.string().describe("Stable, as in answers to HTTP requests."),
  error: z.string().describe("One sentence."),
  details: z.unknown().optional().describe("Particulars, such as a list of `{field, problem}`."),
  retry_after: z.number().optional().describe("Seconds after which another try may succeed."),
}).describe("A command failed.");

/** A frame that is none: the socket ends with 4400 and this reason. */
export class InvalidFrame extends Error {
  override readonly name = "InvalidFrame";
}

/** A line of a frame, parsed: an object with the type of a command. */
export interface Line {
  readonly text: string;
  readonly name: CommandName;
  readonly value: Readonly<Record<string, unknown>>;
  /** A member in which arrays and objects nest too deep; it is not in `value`. */
  readonly deep: string | undefined;
}

/**
 * The lines of a frame, none of them checked beyond what they are.
 * @throws InvalidFrame for what is none, or has too many
 */
export function linesIn(frame: string, most: number): Line[] {
  const all = frame.split("\n", most + 2);
  const lines = all.filter((line) => line.trim() !== "");
  // The last line may have an end as well.
  if (lines.length > most || all.length > most + 1) throw new InvalidFrame(`a frame has at most ${most} commands`);
  if (lines.length === 0) throw new InvalidFrame("a frame has a command at least");
  return lines.map(lineOf);
}

function lineOf(text: string): Line {
  let value: unknown;
  try {
    // Numbers that it cannot hold are found again in the text.
    value = JSON.parse(text);
  } catch {
    throw new InvalidFrame("a line is no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new InvalidFrame("a line is no object");
  }
  const { type } = value as { readonly type?: unknown };
  if (typeof type !== "string" || !Object.hasOwn(COMMANDS, type)) throw new InvalidFrame("a line has no known type");
  const line = { text, name: type as CommandName, value: value as Record<string, unknown>, deep: undefined };
  if (text.length <= 2 * MAX_DEPTH || !isDeeper(value, MAX_DEPTH)) return line;
  const members = Object.entries(line.value);
  const isDeep = ([, member]: (typeof members)[number]) => isDeeper(member, MAX_DEPTH - 1);
  return {
    ...line,
    value: Object.fromEntries(members.filter((member) => !isDeep(member))),
    deep: members.find(isDeep)?.[0] ?? "",
  };
}

/** The id of a line, as far as it is one. */
export function idOf({ value }: Line): string | number | undefined {
  const { success, data } = id.safeParse(value["id"]);
  return success ? data : undefined;
}

/** What a command that failed is answered. */
export function failureOf(
  line: Line,
  { code, message, status, extra }: GatewayError,
): Readonly<Record<string, unknown>> {
  const retryAfter = extra.retryAfter ?? (status === 503 ? 1 : undefined);
  return {
    id: idOf(line),
    type: "error",
    code,
    error: message,
    details: extra.details,
    retry_after: retryAfter === undefined ? undefined : Math.ceil(retryAfter * 1000) / 1000,
  };
}

/** A line as the command that it is. @throws GatewayError `INVALID_REQUEST` that names each field */
export function commandOf({ name, value, deep }: Line): Command {
  if (deep === undefined) return check(COMMANDS[name], value) as Command;
  // A name that somebody made up may be as long as the frame.
  const field = deep.slice(0, 64), problem = `nests deeper than a command may, which is ${MAX_DEPTH} levels`;
  throw new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
}
