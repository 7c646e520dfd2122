import type { Json } from "../cache/values.ts";
import { invalidResponse, isObject, OramaError } from "../errors.ts";
import { type ServerSentEvent, watched } from "../event_stream.ts";
import type { CallOptions, Client } from "../http.ts";
import { parseJson } from "../json.ts";
import { pause } from "../pause.ts";
import { canPass, type RetryPolicy } from "../retry.ts";
import type { GapReason, TopicEvent } from "./events.ts";
import { fullJitter, RECONNECT } from "./options.ts";
import type { SubscribeOptions } from "./subscription.ts";
import { memberIn, messageIn, textIn } from "./wire.ts";

/** How topics are read without a socket. */
export interface SubscribeEventsOptions extends CallOptions {
  /** Where the reader was: the `id` of an event, for the same topics. What came since comes first, or a `gap`. */
  readonly since?: string | undefined;
  /** Whether to be told who comes and leaves. Default false. */
  readonly presence?: boolean | undefined;
  /** As whom to be present in all of them. Default: as nobody. */
  readonly member?: SubscribeOptions["member"];
  /** How often in a row it is connected again, and after which pauses. Default: as a socket is. */
  readonly retry?: Partial<RetryPolicy> | undefined;
}

/** An event, and where its reader stands in all topics behind it. */
export type ServerEvent<T> = TopicEvent<T> & { readonly id: string | undefined };

const EVENT_STREAM = "text/event-stream";

/**
 * The same as subscriptions, as server-sent events over HTTP: for whoever has no sockets. A connection that breaks off is made again
 * where it was.
 * @param topics at least one, each once; a gateway takes 32
 * @throws OramaError the gateway's own, `NETWORK_ERROR` after `retry.attempts`; the signal's reason
 */
export async function* subscribeEvents<T = Json | Uint8Array>(
  client: Client,
  topics: readonly string[],
  options: SubscribeEventsOptions = {},
): AsyncGenerator<ServerEvent<T>, void, void> {
  const { signal, requestTimeout } = options;
  const policy = { ...RECONNECT, ...options.retry };
  const path = `/v1/pubsub/sse?${queryOf(topics, options)}`;
  let id = options.since;
  /** Topics of which something may be missing as soon as the connection breaks off. */
  const begun = new Set(id === undefined ? [] : topics);
  for (let failures = 0;;) {
    let failure = new OramaError("the stream has ended", { code: "NETWORK_ERROR" });
    try {
      const headers = { accept: EVENT_STREAM, ...(id !== undefined && { "last-event-id": id }) };
      const request = { method: "GET", path, effect: "read", once: true, headers, signal, requestTimeout } as const;
      const answer = await client.open(request, EVENT_STREAM);
      const unsaid = new Set(begun);
      try {
        for await (const event of watched(answer)) {
          failures = 0;
          id = event.id || id;
          // Why it ends, the answer to the next request says: another credential may be there by then.
          if (LAST.includes(event.event)) break;
          yield* eventsIn<T>(event, id, begun, unsaid);
        }
      } finally {
        answer.close();
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (!(error instanceof OramaError) || error.code !== "TIMEOUT" && !canPass(error)) throw error;
      failure = error;
    }
    const milliseconds = fullJitter(policy, ++failures, failure.retryAfter, Math.random());
    if (milliseconds === undefined) throw failure;
    await pause(milliseconds, signal);
  }
}

function queryOf(topics: readonly string[], { presence, member }: SubscribeEventsOptions): URLSearchParams {
  const query = new URLSearchParams(topics.map((topic) => ["topic", topic]));
  if (presence) query.set("events", "presence");
  if (member !== undefined) {
    query.set("presence", "true");
    query.set("member_id", member.id);
    if (member.meta !== undefined) query.set("member_meta", JSON.stringify(member.meta));
  }
  return query;
}

/** Behind these nothing comes. */
const LAST = ["failure", "overflow", "unsubscribed"];

function* eventsIn<T>(
  { event, data }: ServerSentEvent,
  id: string | undefined,
  begun: Set<string>,
  unsaid: Set<string>,
): Generator<ServerEvent<T>, void, void> {
  if (data === undefined || !KINDS.includes(event)) return;
  const told = parsed(data);
  if (!isObject(told) || typeof told.topic !== "string") throw invalidResponse("an event without its topic");
  const { topic } = told;
  switch (event) {
    case "message":
      return yield { ...messageIn<T>(topic, told), id };
    case "join":
    case "leave": {
      const at = typeof told.at === "number" ? told.at : undefined;
      return yield { kind: event, topic, member: memberIn(told.member), at, id };
    }
    case "gap":
      return yield gap(topic, textIn(told.reason) ?? "unknown", textIn(told.position), id);
    case "recovered":
      unsaid.delete(topic);
      if (told.recovered !== true) return yield* lost(topic, textIn(told.unrecovered) ?? "unknown", id);
      return yield { kind: "recovered", topic, recovered: true, reason: undefined, missed: undefined, id };
    case "subscribed":
      begun.add(topic);
      // Where it had no place, nobody says what came in between.
      if (unsaid.delete(topic)) yield* lost(topic, "no_history", id);
  }
}

const KINDS = ["message", "join", "leave", "gap", "recovered", "subscribed"];

/** Every loss is a gap, whatever else tells of it. */
function* lost<T>(topic: string, reason: GapReason, id: string | undefined): Generator<ServerEvent<T>, void, void> {
  yield { kind: "recovered", topic, recovered: false, reason, missed: undefined, id };
  yield gap(topic, reason, undefined, id);
}

const gap = (topic: string, reason: GapReason, position: string | undefined, id: string | undefined) =>
  ({ kind: "gap", topic, reason, since: undefined, position, id }) as const;

function parsed(data: string): unknown {
  try {
    return parseJson(data);
  } catch {
    throw invalidResponse("an event of it is no JSON");
  }
}
