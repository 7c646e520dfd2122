import { fromBase64, toBase64 } from "../base64.ts";
import { toJson } from "../cache/values.ts";
import { errorOfBody, invalidResponse, isObject, OramaError } from "../errors.ts";
import { parseJson } from "../json.ts";
import type { TopicMember, TopicMessage } from "./events.ts";
import type { PaceLimits } from "./pace.ts";

/** One object of a frame. */
export type Told = Readonly<Record<string, unknown>> & { readonly type: string };

/** Characters of a frame; a gateway's are smaller by far. */
const LONGEST_FRAME = 64 * 1024 * 1024;

/** The objects of a frame, one in each line. @throws OramaError `INVALID_RESPONSE` as soon as a line is none */
export function* toldIn(data: unknown): Generator<Told, void, void> {
  if (typeof data !== "string") throw invalidResponse("a frame of it is no text");
  if (data.length > LONGEST_FRAME) throw invalidResponse("a frame of it has no end");
  for (const line of data.split("\n")) {
    if (line === "") continue;
    const told = parsed(line);
    if (!isObject(told) || typeof told.type !== "string") throw invalidResponse("a frame of it has no type");
    yield told as Told;
  }
}

function parsed(line: string): unknown {
  try {
    return parseJson(line);
  } catch {
    throw invalidResponse("a frame of it is no JSON");
  }
}

/** What a connection was granted. */
export interface Granted {
  /** Under which the gateway knows the connection. */
  readonly client: string | undefined;
  readonly namespace: string | undefined;
  /** Unix milliseconds at which the credential dies. */
  readonly expiresAt: number | undefined;
  /** Milliseconds after which the gateway wants a sign of life. */
  readonly pingInterval: number;
  readonly maxFrameBytes: number;
  readonly maxFrameCommands: number;
  readonly pace: PaceLimits;
}

const PING_INTERVAL = 25_000, SHORTEST_INTERVAL = 1_000, MAX_FRAME = 1024 * 1024, MAX_COMMANDS = 64;
/** Slower than that is no gateway that means it. */
const SLOWEST = 0.001, SMALLEST_LARGE = 1024, LARGE_COMMAND = 64 * 1024;

/** What an answer to `connect` grants. */
export function grantedIn(told: Told): Granted {
  const maxFrameBytes = Math.max(numberIn(told.max_frame_bytes) ?? MAX_FRAME, 1024);
  const perSecond = numberIn(told.commands_per_second) ?? 0;
  return {
    client: textIn(told.client),
    namespace: textIn(told.namespace),
    expiresAt: numberIn(told.expires_at),
    pingInterval: Math.min(
      Math.max(numberIn(told.ping_interval) ?? PING_INTERVAL, SHORTEST_INTERVAL),
      10 * PING_INTERVAL,
    ),
    maxFrameBytes,
    maxFrameCommands: Math.max(numberIn(told.max_frame_commands) ?? MAX_COMMANDS, 1),
    pace: {
      perSecond: perSecond > 0 ? Math.max(perSecond, SLOWEST) : 0,
      burst: Math.max(numberIn(told.commands_burst) ?? perSecond, 1),
      large: Math.max(numberIn(told.large_command) ?? LARGE_COMMAND, SMALLEST_LARGE),
      // A gateway lets four frames of the largest size wait.
      unanswered: 2 * maxFrameBytes,
    },
  };
}

/** A message. @throws OramaError `INVALID_RESPONSE` */
export function messageIn<T>(topic: string, told: unknown): TopicMessage<T> {
  if (!isObject(told) || typeof told.at !== "number") throw invalidResponse("a message without its time");
  const { data, data_base64: bytes, at, position } = told;
  if (bytes === undefined && data === undefined) throw invalidResponse("a message without its data");
  const value = bytes === undefined ? data : bytesIn(bytes);
  return { kind: "message", topic, data: value as T, at, position: textIn(position) };
}

/** The messages of an answer. @throws OramaError `INVALID_RESPONSE` */
export function messagesIn<T>(topic: string, told: unknown): TopicMessage<T>[] {
  if (Array.isArray(told)) return told.map((message: unknown) => messageIn<T>(topic, message));
  throw invalidResponse("it has no messages");
}

/** Somebody in a topic. @throws OramaError `INVALID_RESPONSE` */
export function memberIn(told: unknown): TopicMember {
  if (!isObject(told) || typeof told.id !== "string") throw invalidResponse("a member without its id");
  const { id, meta, joined_at: joinedAt, connections } = told;
  return {
    id,
    meta: isObject(meta) ? meta : undefined,
    joinedAt: numberIn(joinedAt),
    connections: numberIn(connections) ?? 1,
  };
}

/** The members of an answer. @throws OramaError `INVALID_RESPONSE` */
export function membersIn(told: unknown): TopicMember[] {
  if (Array.isArray(told)) return told.map(memberIn);
  throw invalidResponse("it has no members");
}

/** Why a command failed. */
export function errorIn(told: Told): OramaError {
  const retryAfter = numberIn(told.retry_after);
  return errorOfBody(told, { retryAfter }) ?? invalidResponse("an error without its code", { retryAfter });
}

/** Text, or nothing. */
export const textIn = (value: unknown): string | undefined => typeof value === "string" ? value : undefined;

/** A number, or nothing. */
export const numberIn = (value: unknown): number | undefined => typeof value === "number" ? value : undefined;

/**
 * The member that holds what is published: `"data":1`.
 * @throws TypeError, RangeError for what JSON has no form for
 */
export function dataMember(data: unknown, place: string): string {
  if (data instanceof Uint8Array) return `"data_base64":"${toBase64(data)}"`;
  return `"data":${data === null ? "null" : toJson(data, place)}`;
}

function bytesIn(text: unknown): Uint8Array {
  try {
    if (typeof text === "string") return fromBase64(text);
  } catch {
    // It is told below.
  }
  throw invalidResponse("bytes of it are no base64");
}

/** What came of a connection that ended. */
export interface LinkEnd {
  readonly error: OramaError;
  /**
   * `again`: it is worth another try. `token`: only with another credential. `stop`: the gateway does not understand this client, so
   * it would end in the same way.
   */
  readonly verdict: "again" | "token" | "stop";
}

/** Close codes that say why; all others are breaks. */
const CLOSED: Readonly<Record<number, readonly [code: string, sentence: string, verdict: LinkEnd["verdict"]]>> = {
  1009: ["BODY_TOO_LARGE", "a frame was larger than the gateway takes", "again"],
  4400: ["INVALID_REQUEST", "the gateway does not understand this client", "stop"],
  4401: ["UNAUTHENTICATED", "the credential is missing, or has expired", "token"],
  4403: ["FORBIDDEN", "the credential was revoked, or has lost a right", "token"],
  4429: ["RATE_LIMITED", "there were too many commands", "again"],
  4430: ["TOO_MANY_SOCKETS", "the namespace has too many sockets", "again"],
  4503: ["UNAVAILABLE", "the gateway could not check the credential", "again"],
};

/** What a close says. */
export function endOfClose(code: number | undefined, reason: string | undefined): LinkEnd {
  const [name, sentence, verdict] = CLOSED[code ?? 0] ??
    ["NETWORK_ERROR", "the connection failed, or broke off", "again"] as const;
  const details = { close_code: code, reason: reason || undefined };
  return { error: new OramaError(sentence, { code: name, details }), verdict };
}

/** What a refused `connect` says. */
export const endOfRefusal = (error: OramaError): LinkEnd => ({
  error,
  verdict: REFUSALS.includes(error.code) ? "token" : error.code === "INVALID_REQUEST" ? "stop" : "again",
});

const REFUSALS = [
  "UNAUTHENTICATED",
  "INVALID_CREDENTIAL",
  "FORBIDDEN",
  "INSUFFICIENT_SCOPE",
  "NAMESPACE_MISMATCH",
];
