import { GatewayError } from "../../../src/contracts/errors.ts";
import type { GuestCall, GuestCallName } from "../parts.ts";

const KIB = 1_024, MIB = 1_024 * KIB;

/** Bytes that one host call takes from a guest, and gives it, where nothing smaller is said: a guest's memory is no place for more. */
export const MAX_BYTES = 16 * MIB;
/** Characters of SQL text, which is SQLite's own bound (SQLITE_MAX_SQL_LENGTH). */
export const MAX_SQL = 1_000_000;
/** Characters of a text of JSON. */
const MAX_JSON = 4 * MIB;
/** Characters of the name of something; what names it has bounds of its own in bytes. */
const MAX_NAME = KIB;
/** Characters of the headers of a request, as JSON. */
const MAX_HEADERS = 64 * KIB;
/** Characters of a URL. */
const MAX_URL = 8 * KIB;

/** The error for something that a guest gave. @param problem the end of a sentence that begins with the field */
export const invalid = (field: string, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });

/** The error for something that is too large to be given to a guest. @param what begins the sentence */
export const tooLarge = (what: string): GatewayError =>
  new GatewayError("RESULT_TOO_LARGE", `${what} has more than ${MAX_BYTES} bytes, which no host call gives`);

/** @throws GatewayError `INVALID_REQUEST` for what it must not be */
type Check = (value: unknown) => void;

const text = (field: string, most: number): Check => (value) => {
  if (typeof value !== "string") throw invalid(field, "must be a text");
  if (value.length > most) throw invalid(field, `must have at most ${most} characters`);
  if (!value.isWellFormed()) throw invalid(field, "must be text that UTF-8 can hold");
};
const key: Check = (value) => {
  text("key", MAX_NAME)(value);
  if (value === "") throw invalid("key", "must not be empty");
};
const bytes = (field: string): Check => (value) => {
  if (!(value instanceof Uint8Array)) throw invalid(field, "must be bytes");
  if (value.length > MAX_BYTES) throw invalid(field, `must have at most ${MAX_BYTES} bytes`);
};
const seconds = (field: string): Check => (value) => {
  if (typeof value !== "number" || !(value >= 0) || !Number.isFinite(value)) {
    throw invalid(field, "must be 0 for none, or how many seconds");
  }
};
const safeInteger = (field: string): Check => (value) => {
  if (typeof value !== "bigint" || value !== BigInt.asIntN(54, value) || value === -(2n ** 53n)) {
    throw invalid(field, "must be a whole number within ±(2^53 − 1)");
  }
};

const PARAMETERS: { readonly [Name in GuestCallName]: readonly Check[] } = {
  db_query: [text("sql", MAX_SQL), text("args", MAX_JSON)],
  db_execute: [text("sql", MAX_SQL), text("args", MAX_JSON)],
  db_transaction: [text("steps", MAX_JSON)],
  cache_get: [key],
  cache_delete: [key],
  cache_set: [key, bytes("value"), seconds("ttl")],
  cache_incr: [key, safeInteger("by")],
  storage_put: [text("name", MAX_NAME), bytes("data")],
  storage_get: [text("cid", MAX_NAME)],
  pubsub_publish: [text("topic", MAX_NAME), bytes("data")],
  http_fetch: [text("method", MAX_NAME), text("url", MAX_URL), text("headers", MAX_HEADERS), bytes("body")],
  get_secret: [text("name", MAX_NAME)],
  function_invoke: [text("name", MAX_NAME), bytes("input")],
};

/**
 * What came from a host as a call, once it is one.
 * @throws GatewayError `INVALID_REQUEST` for anything else, whatever it is
 */
export function guestCallOf(message: unknown): GuestCall {
  const [name, ...values]: readonly unknown[] = Array.isArray(message) ? message : [];
  if (!isName(name)) throw invalid("call", "must be the name of a host function, and what it is given");
  const parameters = PARAMETERS[name];
  if (values.length !== parameters.length) throw invalid("call", `${name} takes ${parameters.length} arguments`);
  parameters.forEach((check, at) => check(values[at]));
  return message as unknown as GuestCall;
}

const isName = (name: unknown): name is GuestCallName => typeof name === "string" && Object.hasOwn(PARAMETERS, name);
