import { stringify } from "yaml";
import { type Catalogue, type Group, type Leaf } from "./catalogue.ts";
import { CATALOGUE, type Loaded } from "./load.ts";
import { type Origin, originText } from "./origin.ts";
import { printable } from "./problems.ts";

/**
 * The configuration as YAML, each setting with its origin as a comment; secrets as `[secret]`. Without secrets, the text
 * is a configuration file that says the same.
 */
export const printConfig = (loaded: Loaded): string => print(CATALOGUE, loaded);

/** The same for any sections. */
export const print = ({ root }: Catalogue, loaded: Loaded<Record<string, unknown>>): string =>
  linesOf(root, loaded, loaded.config, 0).join("\n") + "\n";

function linesOf(group: Group, loaded: Loaded<Record<string, unknown>>, values: unknown, depth: number): string[] {
  const indent = "  ".repeat(depth);
  return [...group.children].flatMap(([name, child]) => {
    if (child.type === "leaf" && child.contentOf) return [];
    const value = (values as Readonly<Record<string, unknown>>)[name];
    if (child.type === "group") return [`${indent}${name}:`, ...linesOf(child, loaded, value, depth + 1)];
    const origin = loaded.origins.get(child.path) ?? { kind: "default" };
    if (value === undefined) return [`${indent}# ${name}:  # not set`];
    return [`${indent}${name}: ${valueText(child, value, origin)}  # ${originText(origin)}`];
  });
}

function valueText({ meta: { kind, secret } }: Leaf, value: unknown, origin: Origin): string {
  const isEmpty = typeof value === "object" && value !== null && Object.keys(value).length === 0;
  // What everybody can read in the reference is nobody's secret.
  const isKnown = isEmpty || origin.kind === "default" && origin.preset === undefined;
  return secret && !isKnown ? '"[secret]"' : inlineYaml(kind.toYaml(value));
}

/** A value as YAML on one line. */
export function inlineYaml(value: unknown): string {
  const text = stringify(value, {
    collectionStyle: "flow",
    lineWidth: 0,
    singleQuote: false,
    flowCollectionPadding: false,
  }).trim();
  // JSON is YAML, and never breaks a line.
  return printable(text) === text ? text : printable(JSON.stringify(value));
}
