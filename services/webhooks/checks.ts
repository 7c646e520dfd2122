import { GatewayError } from "../../src/contracts/errors.ts";
import type { WebhookWanted } from "../../src/contracts/webhooks.ts";
import { invalid } from "./failures.ts";

const TYPE = /^[a-z0-9_]+(\.[a-z0-9_]+)*$/, PATTERN = /^([a-z0-9_]+\.)*([a-z0-9_]+|\*)$/;
const EVENT_ID = /^[A-Za-z0-9_.:-]{1,128}$/;
const LONGEST_TYPE = 128, MOST_PATTERNS = 32, LONGEST_URL = 2_048, LONGEST_DESCRIPTION = 256;

/**
 * The shape of an address; whether anything may be sent there is asked each time when something is.
 * @returns the URL as it will be signed
 * @throws GatewayError `INVALID_REQUEST`
 */
export function checkedUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !text.isWellFormed()) throw invalid("url", "is no absolute URL");
  if (url.protocol !== "https:" && url.protocol !== "http:") {
    throw invalid("url", "must begin with https:// or http://");
  }
  if (url.username !== "" || url.password !== "") throw invalid("url", "must not hold a user or password");
  if (url.hash !== "" || text.includes("#")) throw invalid("url", "must not have a fragment: nobody is sent one");
  if (url.href.length > LONGEST_URL) throw invalid("url", `must have at most ${LONGEST_URL} characters`);
  return url.href;
}

/** @returns each pattern once @throws GatewayError `INVALID_REQUEST` */
export function checkedEvents(events: readonly string[]): readonly string[] {
  if (events.length === 0) throw invalid("events", 'must name an event; "*" stands for all');
  if (events.length > MOST_PATTERNS) throw invalid("events", `must be at most ${MOST_PATTERNS}`);
  for (const [at, pattern] of events.entries()) {
    if (pattern.length <= LONGEST_TYPE && PATTERN.test(pattern)) continue;
    throw invalid(
      `events.${at}`,
      `must be words of a-z, 0-9 and _ with dots between them, the last of which may be *, ${LONGEST_TYPE} characters at most`,
    );
  }
  return [...new Set(events)];
}

/** @throws GatewayError `INVALID_REQUEST` */
export function checkedDescription(text: string): string {
  if (!text.isWellFormed()) throw invalid("description", "holds half of a surrogate pair, which no UTF-8 can hold");
  if (text.length > LONGEST_DESCRIPTION) {
    throw invalid("description", `must have at most ${LONGEST_DESCRIPTION} characters`);
  }
  return text;
}

/** All of an endpoint that is said. @throws GatewayError `INVALID_REQUEST` */
export const checkedWanted = ({ url, events, description, enabled }: WebhookWanted): WebhookWanted => ({
  url: checkedUrl(url),
  events: checkedEvents(events),
  description: checkedDescription(description),
  enabled,
});

/** Whether an endpoint with this pattern is told of events of this type. */
export const isWanted = (pattern: string, type: string): boolean =>
  pattern === type || (pattern.endsWith("*") && type.startsWith(pattern.slice(0, -1)));

/** @throws GatewayError `INVALID_REQUEST` */
export function checkType(type: string): void {
  if (type.length <= LONGEST_TYPE && TYPE.test(type)) return;
  throw invalid(
    "type",
    `must be words of a-z, 0-9 and _ with dots between them, ${LONGEST_TYPE} characters at most`,
  );
}

/** @throws GatewayError `INVALID_REQUEST` */
export function checkEventId(id: string): void {
  if (!EVENT_ID.test(id)) throw invalid("id", "must be 1 to 128 letters, digits, '_', '.', ':' and '-'");
}

/** An event as it is sent. */
export interface EventBody {
  readonly text: string;
  /** In UTF-8. */
  readonly bytes: number;
}

/**
 * What receivers get.
 * @param at Unix milliseconds
 * @param most bytes
 * @throws GatewayError `INVALID_REQUEST`, `BODY_TOO_LARGE`
 */
export function bodyOf(
  { id, type, namespace, data }: {
    readonly id: string;
    readonly type: string;
    readonly namespace: string;
    readonly data: unknown;
  },
  at: number,
  most: number,
): EventBody {
  const text = textOf({ id, type, namespace, created_at: new Date(at).toISOString(), data: data ?? null });
  const bytes = new TextEncoder().encode(text).length;
  if (bytes <= most) return { text, bytes };
  throw new GatewayError("BODY_TOO_LARGE", `data: an event has at most ${most} bytes of JSON, and this one ${bytes}`, {
    details: { quota: "webhooks.event_bytes", limit: most },
  });
}

function textOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new GatewayError("INVALID_REQUEST", "data: is nothing that JSON can hold", {
      details: [{ field: "data", problem: "is nothing that JSON can hold" }],
      cause,
    });
  }
}
