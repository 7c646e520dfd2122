import { z } from "zod";
import { parseYaml, toPlain } from "../yaml.ts";
import type { Kind } from "./kind.ts";

/** A list. In a variable or flag: YAML (`[a, b]`), or separated by commas; an empty text is the empty list. */
export function list<T>(item: Kind<T>): Kind<T[]> {
  const expected = `a list, each item ${item.expected}`;
  return {
    name: `list of ${item.name}`,
    expected,
    ...(item.unit && { unit: item.unit }),
    schema: z.array(item.schema, { error: expected }),
    fromText(text) {
      if (/^\s*(\[|- )/.test(text)) return fromYaml(text);
      return text.split(",").map((part) => part.trim()).filter((part) => part !== "").map((part) =>
        item.fromText(part)
      );
    },
    toYaml: (value) => value.map((one) => item.toYaml(one)),
  };
}

/** A map from keys of the operator's choice. In a variable or flag: YAML (`{a: b}`). */
export function mapOf<T>(
  key: { readonly name: string; readonly expected: string; readonly pattern: RegExp },
  item: Kind<T>,
): Kind<Record<string, T>> {
  const expected = `a map from ${key.expected} to ${item.expected}`;
  const error = ({ code }: { readonly code?: string }) =>
    code === "invalid_key" ? `${key.expected} as the key` : expected;
  return {
    name: `map of ${key.name} to ${item.name}`,
    expected,
    schema: z.record(z.string().regex(key.pattern), item.schema, { error }),
    fromText: fromYaml,
    toYaml: (value) => Object.fromEntries(Object.entries(value).map(([name, one]) => [name, item.toYaml(one)])),
  };
}

/** A map with these keys and no other; all are needed. In a variable or flag: YAML. */
export function record<Kinds extends Readonly<Record<string, Kind<unknown>>>>(
  kinds: Kinds,
): Kind<{ [Name in keyof Kinds]: Kinds[Name] extends Kind<infer T> ? T : never }> {
  const names = Object.keys(kinds);
  const expected = `a map with ${names.join(" and ")}`;
  const shape = Object.fromEntries(Object.entries(kinds).map(([name, kind]) => [name, kind.schema]));
  type Value = { [Name in keyof Kinds]: Kinds[Name] extends Kind<infer T> ? T : never };
  return {
    name: `{${names.join(", ")}}`,
    expected,
    schema: z.strictObject(shape, { error: expected }) as unknown as z.ZodType<Value>,
    fromText: fromYaml,
    toYaml: (value) => Object.fromEntries(names.map((name) => [name, kinds[name]!.toYaml(value[name])])),
  };
}

/** Text that is no YAML stays the text it is, which the schema then refuses. */
function fromYaml(text: string): unknown {
  const { root, problems } = parseYaml(text);
  return root === undefined || problems.length > 0 ? text : toPlain(root);
}
