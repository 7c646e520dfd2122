import { type Kind, parsedKind } from "./kind.ts";

/** A port, or ports from one to another with both ends. A number is taken too. Becomes its only spelling, a text: `443`, `8000-8999`. */
export const ports: Kind<string> = parsedKind({
  name: "ports",
  expected: "a port from 1 to 65535, or a range of them such as 8000-8999",
  parse: (raw) => parsePorts(typeof raw === "number" ? String(raw) : raw),
  toYaml: (value) => value,
});

function parsePorts(raw: unknown): string | undefined {
  if (typeof raw !== "string") return undefined;
  const [, first, last = first] = /^([1-9]\d{0,4})(?:-([1-9]\d{0,4}))?$/.exec(raw) ?? [];
  if (Number(first) > Number(last) || !(Number(last) <= 65_535)) return undefined;
  return first === last ? first : raw;
}
