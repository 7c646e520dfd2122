import { z } from "zod";
import type { SqlArgument } from "../../src/contracts/database.ts";
import { TELLING } from "../../src/http/problems.ts";

const MAX_INTEGER = 2n ** 63n - 1n, MIN_INTEGER = -(2n ** 63n);
/** SQLite's own bound on the parameters of one statement (SQLITE_MAX_VARIABLE_NUMBER). */
const MAX_ARGUMENTS = 32_766;

/** Values with a type, in the notation of Hrana (github.com/tursodatabase/libsql, docs/HRANA_3_SPEC.md, "Values"). */
const typed = z.discriminatedUnion("type", [
  z.object({ type: z.literal("null") }),
  z.object({
    type: z.literal("integer"),
    value: z.union([z.string().regex(/^[+-]?\d{1,19}$/, "must be a decimal integer"), z.int(), z.bigint()]),
  }),
  z.object({ type: z.literal("float"), value: z.union([z.number(), z.bigint()]) }),
  z.object({ type: z.literal("text"), value: z.string() }),
  z.object({ type: z.literal("blob"), base64: z.string() }),
]);

const EXPECTED = "must be null, a boolean, a number, a string, or {type, value | base64}";

/** One value for a placeholder. A whole number is stored as INTEGER, whatever its size within 64 bits. */
export const argument = z.unknown().transform(toArgument).meta({
  description:
    "A JSON scalar, or a value with a type: `integer` (also as text, for all 64 bits), `float` (REAL also where it " +
    "is whole), `text`, `blob` (base64), `null`.",
  anyOf: [
    { type: ["null", "boolean", "number", "string"] },
    { type: "object", required: ["type"], properties: { type: { const: "null" } } },
    {
      type: "object",
      required: ["type", "value"],
      properties: { type: { const: "integer" }, value: { type: ["string", "integer"], pattern: "^[+-]?\\d{1,19}$" } },
    },
    {
      type: "object",
      required: ["type", "value"],
      properties: { type: { const: "float" }, value: { type: "number" } },
    },
    { type: "object", required: ["type", "value"], properties: { type: { const: "text" }, value: { type: "string" } } },
    {
      type: "object",
      required: ["type", "base64"],
      properties: { type: { const: "blob" }, base64: { type: "string", contentEncoding: "base64" } },
    },
  ],
});

/** The values of a statement's placeholders, in order. */
export const args = z.array(argument).max(MAX_ARGUMENTS).nullish().transform((list) => list ?? []);

function toArgument(value: unknown, context: z.RefinementCtx): SqlArgument {
  switch (typeof value) {
    case "string":
      return toText(value, context);
    case "boolean":
    case "number":
      return value;
    case "bigint":
      // A longer literal is a REAL to SQLite, and to rqlite.
      return value >= MIN_INTEGER && value <= MAX_INTEGER ? value : { real: Number(value) };
    case "object":
      return value === null ? null : toTyped(value, context);
    default:
      return refuse(context, EXPECTED);
  }
}

function toTyped(value: object, context: z.RefinementCtx): SqlArgument {
  const result = typed.safeParse(value, TELLING);
  if (!result.success) {
    const [issue] = result.error.issues;
    const path = issue?.path.join(".");
    return refuse(context, path && path !== "type" ? `${path}: ${issue?.message}` : EXPECTED);
  }
  const { data } = result;
  switch (data.type) {
    case "null":
      return null;
    case "integer":
      return toInteger(BigInt(data.value), context);
    case "float":
      // A long whole number arrives as an integer; as a float it is the nearest one.
      return { real: Number(data.value) };
    case "text":
      return toText(data.value, context);
    case "blob":
      return toBytes(data.base64, context);
  }
}

const toText = (value: string, context: z.RefinementCtx) =>
  value.includes("\0") ? refuse(context, "text cannot hold U+0000; send it as a blob") : value;

const toInteger = (value: bigint, context: z.RefinementCtx) =>
  value >= MIN_INTEGER && value <= MAX_INTEGER ? value : refuse(context, "value: does not fit into 64 bits");

function toBytes(base64: string, context: z.RefinementCtx): Uint8Array | null {
  try {
    return Uint8Array.fromBase64(base64);
  } catch {
    return refuse(context, "base64: must be base64");
  }
}

function refuse(context: z.RefinementCtx, message: string): null {
  context.addIssue({ code: "custom", message });
  return null;
}
