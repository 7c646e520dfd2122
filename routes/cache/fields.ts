import { z } from "zod";
import { parseGoDuration } from "../../src/http/go_duration.ts";

/** Members of bodies. Their mistakes have the sentences that older clients know, with the field and its problem in `details`. */

/** Bytes of UTF-8 that the name of a map or of an entry may have. */
const MAX_NAME_BYTES = 255;
/** How many keys, or entries, one request may name. */
const MAX_KEYS = 10_000;
/** A hundred years. */
const MAX_TTL = 100 * 365 * 24 * 3_600_000;

const WRONG_TYPE = "invalid json body";
const scratch = new Uint8Array(3 * MAX_NAME_BYTES);
const encoder = new TextEncoder();

/** What a schema found: the value, or what is wrong with it, and the sentence that says so. */
type Found<T> = { readonly value: T } | { readonly problem: string; readonly sentence?: string };

/** What is wrong with a name: nothing, or the problem, and whether it is missing. */
export function nameProblem(name: unknown): { readonly problem: string; readonly missing: boolean } | undefined {
  if (typeof name !== "string") {
    const missing = name === undefined || name === null;
    return { problem: missing ? "is missing; it must be a string" : "must be a string", missing };
  }
  if (name.trim() === "") return { problem: "must not be blank", missing: true };
  if (name.length > MAX_NAME_BYTES || 3 * name.length > MAX_NAME_BYTES && bytesOf(name) > MAX_NAME_BYTES) {
    return { problem: `must have at most ${MAX_NAME_BYTES} bytes`, missing: false };
  }
  return name.isWellFormed() ? undefined : { problem: "must be text that UTF-8 can hold", missing: false };
}

const bytesOf = (text: string) => encoder.encodeInto(text, scratch).written;

/** A schema of JSON that is looked at by hand. @param described its JSON Schema */
function member<T>(look: (value: unknown) => Found<T>, described: Readonly<Record<string, unknown>>) {
  return z.unknown().transform((value, context): T => {
    const found = look(value);
    if ("value" in found) return found.value;
    const { problem, sentence } = found;
    context.addIssue({ code: "custom", message: problem, ...(sentence !== undefined && { params: { sentence } }) });
    return z.NEVER;
  }).meta(described);
}

const NAME = { type: "string", minLength: 1, maxLength: MAX_NAME_BYTES, pattern: "\\S" } as const;

/** @param sentence for one that is missing or blank */
const name = (field: string, sentence: string, description: string) =>
  member((value): Found<string> => {
    const wrong = nameProblem(value);
    if (wrong === undefined) return { value: value as string };
    const { problem, missing } = wrong;
    if (missing) return { problem, sentence };
    return { problem, ...(typeof value !== "string" && { sentence: `${WRONG_TYPE}: ${field}: ${problem}` }) };
  }, { ...NAME, description });

/** The sentence for an address of which a part is missing. */
export const ADDRESS_REQUIRED = "dmap and key are required";
const MAP = "The map. 1 to 255 bytes of UTF-8, any characters.";

/** The map and key that most operations are about. */
export const address = {
  dmap: name("dmap", ADDRESS_REQUIRED, MAP),
  key: name("key", ADDRESS_REQUIRED, "The key in the map. 1 to 255 bytes of UTF-8, any characters."),
};

/** The map, where no key goes with it. */
export const dmap = name("dmap", "dmap is required", MAP);

/** A key within a list of entries. */
export const entryKey = name("key", "key is required", "1 to 255 bytes of UTF-8, any characters.");

/** Several keys of one map. */
export const keys = z.unknown().transform((value, context): readonly string[] => {
  const refuse = (message: string, sentence?: string, path: readonly number[] = []): never => {
    const params = sentence === undefined ? {} : { params: { sentence } };
    context.addIssue({ code: "custom", message, path: [...path], ...params });
    return z.NEVER;
  };
  const missing = "keys array is required and cannot be empty";
  if (value === undefined || value === null) return refuse("is missing; it must be a list", missing);
  if (!Array.isArray(value)) return refuse("must be a list", `${WRONG_TYPE}: keys: must be a list`);
  if (value.length === 0) return refuse("must not be empty", missing);
  if (value.length > MAX_KEYS) return refuse(`must have at most ${MAX_KEYS} items`);
  for (const [i, key] of value.entries()) {
    const wrong = nameProblem(key);
    if (wrong) return refuse(wrong.problem, undefined, [i]);
  }
  return value;
}).meta({ type: "array", items: NAME, minItems: 1, maxItems: MAX_KEYS, description: "Keys of the map." });

/** What is to be stored. Its text is taken from the body as it came, by `JsonSource`. */
export const value = member(
  (given): Found<unknown> =>
    given === undefined || given === null
      ? { problem: "is required; null is no value", sentence: "value is required" }
      : { value: given },
  {
    type: ["string", "number", "boolean", "array", "object"],
    description: "Any JSON but `null`. It comes back as it was sent, numbers with all their digits.",
  },
);

/** Entries of one map. */
export const entries = z.array(z.object({ key: entryKey, value })).min(1).max(MAX_KEYS);

const EXAMPLES = "a duration such as 30s, 5m or 1h30m";
const PATTERN = "((\\d+(\\.\\d*)?|\\.\\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+";
const patternOf = (least: 0 | 1) => `^\\+?${least === 0 ? `(0|${PATTERN})` : PATTERN}$`;

/** Whole milliseconds of a span of time as Go writes it. @param least what it must be at least */
function milliseconds(field: string, text: string, least: 0 | 1): Found<number> {
  const given = parseGoDuration(text);
  const refuse = (problem: string) => ({ problem, sentence: `invalid ${field} format: it ${problem}` });
  if (given === undefined) return refuse(`must be ${EXAMPLES}`);
  if (given < 0) return refuse("must not be negative");
  if (given > MAX_TTL) return refuse("must be at most 100 years, which is 876000h");
  if (given === 0) return least === 0 ? { value: 0 } : refuse("must be more than 0");
  return { value: Math.max(1, Math.round(given)) };
}

/** A span of time that may be missing. It comes out in milliseconds; `undefined` where it is missing. */
const span = (field: string, description: string, type: string | readonly string[] = ["string", "null"]) =>
  member((value): Found<number | undefined> => {
    if (value === undefined || value === null) return { value: undefined };
    if (typeof value === "string") return milliseconds(field, value, 0);
    const problem = `must be a string, ${EXAMPLES}`;
    return { problem, sentence: `${WRONG_TYPE}: ${field}: ${problem}` };
  }, { type, pattern: patternOf(0), maxLength: 64, description }).optional();

/** The same for one that must be there. @param least what it must be at least */
const requiredSpan = (field: string, least: 0 | 1, description: string) =>
  member((value): Found<number> => {
    if (typeof value === "string") return milliseconds(field, value, least);
    const missing = value === undefined || value === null;
    const problem = `${missing ? "is missing; it " : ""}must be a string, ${EXAMPLES}`;
    return { problem, sentence: missing ? `${field} is required` : `${WRONG_TYPE}: ${field}: ${problem}` };
  }, { type: "string", pattern: patternOf(least), maxLength: 64, description });

const TTL =
  "How long it lives: a duration as Go writes it, such as `30s`, `5m` or `1h30m`, up to 100 years. `0`: until it is " +
  "deleted or has to make room";

/** How long an entry lives; 0 and `undefined` are for ever. */
export const ttl = span("ttl", `${TTL}, as without it.`);
/** The same in the query of an address. */
export const ttlInQuery = span("ttl", `${TTL}, as without it.`, "string");
/** The same where it must be said. */
export const requiredTtl = requiredSpan("ttl", 0, `${TTL}.`);
/** How long a lock is held. */
export const lease = requiredSpan(
  "lease",
  1,
  "How long it is held unless it is renewed, such as `30s`. At least `100ms`.",
);
/** How long to wait for a lock. */
export const wait = span("wait", "How long to wait for it, such as `5s`. Without it: not at all.");

/** Milliseconds to live, from what {@link ttl} became. */
export const lifeOf = (ttl: number | undefined): number | undefined => ttl === 0 ? undefined : ttl;
