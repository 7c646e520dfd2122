import type { Assignment, Reading } from "../assignment.ts";
import type { Catalogue } from "../catalogue.ts";
import type { Source } from "../origin.ts";
import { originText } from "../origin.ts";
import { type ConfigProblem, nearestOf } from "../problems.ts";

/** A setting that code gives: a flag of the command line, a default of a mode. */
export interface Given {
  /** `http.listen` */
  readonly path: string;
  /** A text is read as an environment variable's would be, `undefined` is nothing given, the rest is taken as a file's. */
  readonly value: unknown;
  readonly source: Source;
}

/** Reads settings that code gives. */
export function readGiven(catalogue: Catalogue, given: readonly Given[]): Reading {
  const assignments: Assignment[] = [];
  const problems: ConfigProblem[] = [];
  for (const { path, value, source } of given) {
    if (value === undefined) continue;
    const leaf = catalogue.byPath.get(path);
    if (leaf) {
      const raw = typeof value === "string" ? leaf.meta.kind.fromText(value) : value;
      assignments.push({ leaf, raw, origin: source });
      continue;
    }
    const nearest = nearestOf(path, catalogue.byPath.keys());
    problems.push({
      source: originText(source),
      key: path,
      problem: "unknown setting",
      expected: "the path of a setting",
      ...(nearest !== undefined && { nearest }),
    });
  }
  return { assignments, problems };
}
