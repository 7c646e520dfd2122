import { distance } from "fastest-levenshtein";
import { z, type ZodType } from "zod";

/** A name as long as this is no typing error, and nothing to repeat in an answer. */
const LONGEST = 64;

/** The known name that a mistyped one most likely means; `undefined` when none is close. */
export function nearestName(name: string, known: readonly string[]): string | undefined {
  if (name.length > LONGEST) return undefined;
  const scored = known.map((candidate) => ({
    candidate,
    score: distance(name.toLowerCase(), candidate.toLowerCase()),
  }));
  const [best] = scored.sort((a, b) => a.score - b.score);
  return best && best.score <= Math.max(2, Math.floor(best.candidate.length / 3)) ? best.candidate : undefined;
}

/** What to tell of a member that a schema does not know. @param path of the object that has it */
export function unknownMember(
  schema: ZodType,
  path: readonly PropertyKey[],
  name: string,
): { readonly field: string; readonly problem: string } {
  const known = namesAt(schema, path);
  const nearest = nearestName(name, known);
  const shown = name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
  return {
    field: [...path, shown].join("."),
    problem: nearest === undefined
      ? `unknown; expected one of ${known.join(", ")}`
      : `unknown; did you mean ${nearest}?`,
  };
}

/** The names of the members of the object at a path inside a schema. */
function namesAt(schema: unknown, path: readonly PropertyKey[]): string[] {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return namesAt(schema.unwrap(), path);
  const [step, ...rest] = path;
  if (schema instanceof z.ZodArray) return namesAt(schema.element, rest);
  if (!(schema instanceof z.ZodObject)) return [];
  return step === undefined ? Object.keys(schema.shape) : namesAt(schema.shape[String(step)], rest);
}
