import { z } from "zod";
import type { Leaf } from "./catalogue.ts";
import { type Origin, originText } from "./origin.ts";
import { type ConfigProblem, found, nearestOf } from "./problems.ts";

/** One value that one source gives to one setting. */
export interface Assignment {
  readonly leaf: Leaf;
  /** As the source gave it; the setting's schema judges it. */
  readonly raw: unknown;
  readonly origin: Origin;
  /** The line of a part of the value, for sources that have lines. */
  readonly lineAt?: (path: readonly PropertyKey[]) => number;
}

/** What a source has to say. */
export interface Reading {
  /** In the order in which they were said: a later one of the same setting wins. */
  readonly assignments: readonly Assignment[];
  readonly problems: readonly ConfigProblem[];
  readonly notes?: readonly string[];
}

/** The place of a problem: as its origin says, or at the line of the part that is wrong. */
export function placeOf(
  { origin, lineAt }: Pick<Assignment, "origin" | "lineAt">,
  path: readonly PropertyKey[] = [],
): Pick<ConfigProblem, "source" | "file" | "line"> {
  if (origin.kind !== "file") return { source: originText(origin) };
  const line = lineAt?.(path) ?? origin.line;
  return { source: originText({ ...origin, line }), file: origin.file, line };
}

/** What is wrong with a value by itself: nothing, or one problem for each wrong part. */
export function judge(assignment: Assignment): ConfigProblem[] {
  const { leaf, raw } = assignment;
  const { success, error } = leaf.schema.safeParse(raw);
  if (success && raw !== undefined && raw !== null) return [];
  const issues = error?.issues ?? [{ code: "custom" as const, path: [], message: leaf.meta.kind.expected }];
  const problems = issues.flatMap((issue): ConfigProblem[] => {
    if (issue.code === "unrecognized_keys") return issue.keys.map((name) => unknownPart(assignment, issue.path, name));
    // What stands in the place of a key may have been meant to be the value.
    const inside = issue.code === "invalid_key" && leaf.meta.secret ? issue.path.slice(0, -1) : issue.path;
    const instead = issue.code === "invalid_key" ? "" : `; found ${foundAt(assignment, issue.path)}`;
    return [{
      ...placeOf(assignment, issue.path),
      key: [leaf.path, ...inside].join("."),
      problem: `expected ${issue.message}${instead}`,
      expected: issue.message,
    }];
  });
  // Two rules of one value that are both broken say the same thing.
  return problems.filter(({ key }, i) => problems.findIndex((other) => other.key === key) === i);
}

function unknownPart(assignment: Assignment, path: readonly PropertyKey[], name: string): ConfigProblem {
  const known = keysAt(assignment.leaf.meta.kind.schema, path);
  const nearest = nearestOf(name, known);
  const expected = `one of the keys ${known.join(", ")}`;
  return {
    ...placeOf(assignment, [...path, name]),
    key: [assignment.leaf.path, ...path, name].join("."),
    problem: "unknown key",
    expected,
    ...(nearest !== undefined && { nearest }),
  };
}

function foundAt({ leaf, raw, origin }: Assignment, path: readonly PropertyKey[]): string {
  const value = valueAt(raw, path);
  const looksOtherwise = leaf.meta.kind.name === "text" && (typeof value === "number" || typeof value === "boolean");
  const hint = looksOtherwise && origin.kind === "file" ? " (put it in quotes)" : "";
  return found(value, leaf.meta.secret ?? false) + hint;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (here, step) =>
      typeof here === "object" && here !== null && Object.hasOwn(here, step) ? Reflect.get(here, step) : undefined,
    value,
  );
}

/** The keys of the map at a path inside a kind's schema. */
function keysAt(schema: unknown, path: readonly PropertyKey[]): string[] {
  const [step, ...rest] = path;
  if (schema instanceof z.ZodArray) return keysAt(schema.element, rest);
  if (!(schema instanceof z.ZodObject)) return [];
  return step === undefined ? Object.keys(schema.shape) : keysAt(schema.shape[String(step)], rest);
}
