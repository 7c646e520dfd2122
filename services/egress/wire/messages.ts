import type { HeaderPairs } from "../../../src/contracts/egress.ts";
import { type Hop, HopFailure, type HopFailureCode, type HopResponse, type SocksProxy } from "../parts.ts";
import { BadFrame } from "./frames.ts";

/** How a process is to serve: what {@link FRAME.start} holds. */
export interface StartMessage {
  /** Where it listens: a Unix socket that is not there yet. */
  readonly path: string;
  /** Which way alone it may take. */
  readonly kind: "direct" | "anonymous";
  /** Whether it may connect to IPv6 addresses. */
  readonly ipv6: boolean;
  /** Certificates in PEM that are trusted beside those of the system, where the process was not started with them. */
  readonly ca: readonly string[];
}

/** A hop, whose body follows: what {@link FRAME.open} holds. */
export interface OpenMessage extends Omit<Hop, "body" | "length"> {
  /** Bytes of the body, `stream` when nobody knows; `none` for a request that has no body. */
  readonly body: number | "stream" | "none";
}

/** What {@link FRAME.probe} holds. */
export interface ProbeMessage {
  readonly proxy: SocksProxy;
  readonly username: string;
  readonly password: string;
}

/** What {@link FRAME.head} holds. */
export type HeadMessage = Omit<HopResponse, "body">;

/** What {@link FRAME.fail} holds. */
export interface FailMessage {
  readonly code: HopFailureCode;
  readonly message: string;
  /** For the log. */
  readonly cause: string;
}

/** The one byte that the process writes to standard output, when it listens. */
export const READY = 0x2b;

/** How many headers a response may have. */
export const MAX_HEADERS = 1_000;

/** RFC 9110, 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
/** RFC 9110, 5.5, each byte as one character: no CR, LF or NUL, nor any other control character but a tab. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

const CODES: Readonly<Record<HopFailureCode, true>> = {
  EGRESS_ADDRESS_REFUSED: true,
  EGRESS_PROXY_UNAVAILABLE: true,
  EGRESS_UNAVAILABLE: true,
  EGRESS_UNREACHABLE: true,
  EGRESS_TLS_FAILED: true,
  EGRESS_RESPONSE_INVALID: true,
  EGRESS_TIMEOUT: true,
};
/** Characters of a sentence that a process may tell, and of what goes into the log. */
const MAX_SENTENCE = 300, MAX_CAUSE = 1_000;

/** What is wrong with a status or headers; `undefined` for nothing. Completes the sentence "The server's response …". */
export function problemOfHead(status: unknown, headers: unknown): string | undefined {
  if (!Number.isInteger(status) || Number(status) < 200 || Number(status) > 599) return "has no status of HTTP";
  if (!isPairs(headers)) return "has headers that are none";
  if (headers.length > MAX_HEADERS) return `has more than ${MAX_HEADERS} headers`;
  if (headers.some(([name, value]) => !TOKEN.test(name) || !FIELD_VALUE.test(value))) {
    return "has a header with characters that headers do not have";
  }
}

/**
 * A head as a process reports it, who might not be sound.
 * @param headBytes which the names and values together may have
 * @throws BadFrame
 */
export function headOf(message: unknown, headBytes: number): HeadMessage {
  const { status, headers } = membersOf(message);
  const problem = problemOfHead(status, headers);
  if (problem !== undefined) throw new BadFrame(`a response that ${problem}`);
  const pairs = headers as HeaderPairs;
  const bytes = pairs.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
  if (bytes > headBytes) throw new BadFrame(`a head of ${bytes} bytes`);
  return { status: Number(status), headers: pairs };
}

/** A failure as a process reports it, who might not be sound. @throws BadFrame */
export function failureOf(message: unknown): HopFailure {
  const { code, message: sentence, cause } = membersOf(message);
  if (typeof code !== "string" || !Object.hasOwn(CODES, code)) throw new BadFrame("a failure without a code");
  if (!isText(sentence, MAX_SENTENCE) || !isText(cause, MAX_CAUSE)) throw new BadFrame("a failure without a sentence");
  return new HopFailure(code as HopFailureCode, sentence, cause === "" ? undefined : cause);
}

/** Milliseconds of a handshake as a process reports them, who might not be sound. @throws BadFrame */
export function latencyOf(message: unknown): number {
  const { latency } = membersOf(message);
  if (typeof latency !== "number" || !Number.isFinite(latency) || latency < 0) throw new BadFrame("no latency");
  return latency;
}

/** How a failure goes over the wire. */
export function failMessageOf({ code, message, cause }: HopFailure): FailMessage {
  const why = cause instanceof Error ? `${cause.name}: ${cause.message}` : cause === undefined ? "" : String(cause);
  return { code, message: message.slice(0, MAX_SENTENCE), cause: printable(why).slice(0, MAX_CAUSE) };
}

/** Without characters that would be lines, or nothing, in a log. */
const printable = (text: string): string => text.replaceAll(/[^\x20-\x7e]/g, "?");

function membersOf(message: unknown): Readonly<Record<string, unknown>> {
  if (typeof message !== "object" || message === null) throw new BadFrame("a message that is no object");
  return message as Readonly<Record<string, unknown>>;
}

const isText = (value: unknown, max: number): value is string =>
  typeof value === "string" && value.length <= max && printable(value) === value;

const isPairs = (value: unknown): value is HeaderPairs =>
  Array.isArray(value) &&
  value.every((pair: unknown) =>
    Array.isArray(pair) && pair.length === 2 && typeof pair[0] === "string" && typeof pair[1] === "string"
  );
