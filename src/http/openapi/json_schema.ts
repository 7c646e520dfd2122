import { z, type ZodType } from "zod";

/** A JSON Schema of draft 2020-12, which is that of OpenAPI 3.1. */
export type JsonSchema = Record<string, unknown>;

/** Schemas that are referred to by name: those with an `id` of their own and those that contain themselves. */
export type SharedSchemas = Record<string, JsonSchema>;

/** Which side of a schema is described: what a client may send, or what the gateway answers. */
export type Side = "input" | "output";

type Override = NonNullable<NonNullable<Parameters<typeof z.toJSONSchema>[1]>["override"]>;
type Visited = Parameters<Override>[0];

/**
 * Writes a zod schema as JSON Schema.
 * @param name what parts of it that contain themselves are called after; unique in the document
 * @param shared receives the parts that are referred to by name, for `components.schemas`
 */
export function jsonSchemaOf(schema: ZodType, side: Side, name: string, shared: SharedSchemas): JsonSchema {
  const override = (visited: Visited) => correct(visited, side);
  const written = z.toJSONSchema(schema, { io: side, unrepresentable: "any", override });
  const { $schema: _, $defs = {}, ...root } = written;
  const nameOf = (def: string) =>
    def.startsWith("__") ? `${name}${def.slice(2)}` : side === "input" ? `${def}Input` : def;
  const located = (part: unknown): JsonSchema =>
    JSON.parse(JSON.stringify(part), (key, value) => {
      if (key !== "$ref" || typeof value !== "string") return value;
      return refTo(value === "#" ? name : nameOf(value.slice("#/$defs/".length)));
    });
  for (const [def, part] of Object.entries($defs)) shared[nameOf(def)] = located(part);
  const whole = located(root);
  if (!JSON.stringify(written).includes('"$ref":"#"')) return whole;
  shared[name] = whole;
  return { $ref: refTo(name) };
}

const refTo = (name: string) => `#/components/schemas/${name}`;

/** Says what zod's own writer leaves out or cannot know. */
function correct({ zodSchema, jsonSchema }: Visited, side: Side): void {
  const { def } = zodSchema._zod;
  const written: JsonSchema = jsonSchema;
  switch (def.type) {
    case "bigint":
      written["type"] = "integer";
      break;
    case "date":
      Object.assign(written, { type: "string", format: "date-time" });
      break;
    case "object":
      // Answers may gain members; a client that refuses those it does not know would break then.
      if (side === "output" && def.catchall === undefined) delete written["additionalProperties"];
      break;
    case "string":
      if (side === "input" && written["pattern"] === undefined && refusesBlank(zodSchema, written["minLength"])) {
        written["pattern"] = "\\S";
      }
      break;
    case "pipe":
      if (side === "input") Object.assign(written, spellings(def.in, def.out));
      break;
  }
}

/** Whether a text is trimmed before its length is measured. */
const refusesBlank = (schema: z.core.$ZodType, minLength: unknown): boolean =>
  typeof minLength === "number" && minLength > 0 && !z.safeParse(schema, " ".repeat(minLength)).success;

/** For a text that is put into form and then compared with fixed values: the pattern of all that is taken. */
function spellings(before: z.core.$ZodType, after: z.core.$ZodType): JsonSchema {
  if (before._zod.def.type !== "string" || !(after instanceof z.core.$ZodEnum)) return {};
  const values = Object.values(after._zod.def.entries).map(String);
  const becomes = (given: string, value: string) => z.safeParse(before, given).data === value;
  const anyCase = values.every((value) => becomes(value.toLowerCase(), value) && becomes(value.toUpperCase(), value));
  const trims = values.every((value) => becomes(` ${value} `, value));
  const letter = (char: string) => {
    const lower = char.toLowerCase(), upper = char.toUpperCase();
    return anyCase && lower !== upper ? `[${lower}${upper}]` : char.replace(/[\^$\\.*+?()[\]{}|/]/, "\\$&");
  };
  const texts = values.map((value) => [...value].map(letter).join("")).join("|");
  return { pattern: trims ? `^\\s*(?:${texts})\\s*$` : `^(?:${texts})$` };
}
