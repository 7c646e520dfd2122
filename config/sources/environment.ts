import type { Assignment, Reading } from "../assignment.ts";
import { type Catalogue, PREFIX } from "../catalogue.ts";
import { type ConfigProblem, nearestOf } from "../problems.ts";

/** Reads the variables that begin with `ORAMA_`. One that is no setting is a problem: a slip must not go unseen. */
export function readEnvironment(catalogue: Catalogue, env: Readonly<Record<string, string | undefined>>): Reading {
  const assignments: Assignment[] = [];
  const problems: ConfigProblem[] = [];
  for (const [variable, value] of Object.entries(env)) {
    if (!variable.startsWith(PREFIX) || value === undefined) continue;
    const leaf = catalogue.byVariable.get(variable);
    if (leaf) {
      assignments.push({ leaf, raw: leaf.meta.kind.fromText(value), origin: { kind: "env", variable } });
    } else problems.push(unknown(variable, catalogue.byVariable.keys()));
  }
  return { assignments, problems };
}

function unknown(variable: string, known: Iterable<string>): ConfigProblem {
  const names = [...known];
  const inside = names.filter((name) => name.startsWith(`${variable}__`));
  const nearest = nearestOf(variable, names);
  return {
    source: `env ${variable}`,
    key: variable,
    problem: inside.length > 0 ? "names a group of settings, not one of them" : "unknown variable",
    expected: inside.length > 0 ? `one of ${inside.join(", ")}` : "the name of a setting",
    ...(inside.length === 0 && nearest !== undefined && { nearest }),
  };
}
