import { z } from "zod";
import type { SqlArgument } from "../../src/contracts/database.ts";
import { MAX_ARGUMENTS, sqlArgumentOf, SqlArgumentProblem } from "../../src/contracts/sql_values.ts";

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
  const read = sqlArgumentOf(value);
  if (!(read instanceof SqlArgumentProblem)) return read;
  context.addIssue({ code: "custom", message: read.problem });
  return null;
}
