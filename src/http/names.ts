import { distance } from "fastest-levenshtein";
import { z, type ZodType } from "zod";
import type { FieldProblem } from "../contracts/errors.ts";

/** A name as long as this is no typing error, and nothing to repeat in an answer. */
const LONGEST = 64;
/** How many misspelt members of one value are told, and at how many unknown ones is looked: there may be as many as fit a body. */
const TOLD = 20, LOOKED_AT = 1_000;

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
export function unknownMember(schema: ZodType, path: readonly PropertyKey[], name: string): FieldProblem {
  const known = namesAt(schema, path);
  const nearest = nearestName(name, known);
  const shown = name.length > LONGEST ? `${name.slice(0, LONGEST)}…` : name;
  return {
    field: [...path, shown].join("."),
    problem: nearest === undefined ? `unknown; expected one of ${known.join(", ")}` : meant(nearest),
  };
}

/**
 * Members that no schema knows and that certainly are misspelt: each differs in case, in `_`, or in a letter or two from the
 * name of a member that is not there. All others are let pass: a client may send what only another gateway takes.
 * @param schema as it is given to `safeParse`
 */
export function misspellings(schema: ZodType, value: unknown): FieldProblem[] {
  const search: Search = { found: [], left: LOOKED_AT };
  lookInto(schema)?.(value, [], search);
  return search.found;
}

const meant = (name: string) => `unknown; did you mean ${name}?`;

interface Search {
  readonly found: FieldProblem[];
  /** At how many unknown members may still be looked. */
  left: number;
}

type Look = (value: unknown, path: readonly PropertyKey[], search: Search) => void;

/** Made once for each schema: a list of values, of which there may be many, is then not looked into. */
const looks = new WeakMap<object, Look | undefined>();

function lookInto(given: unknown): Look | undefined {
  // Finding out what kind of schema it is costs more than everything else here.
  if (looks.has(given as object)) return looks.get(given as object);
  const schema = bare(given);
  if (!(schema instanceof z.ZodArray || schema instanceof z.ZodObject)) return undefined;
  if (!looks.has(schema)) looks.set(schema, schema instanceof z.ZodArray ? intoList(schema) : intoObject(schema));
  return looks.get(schema);
}

function intoList({ element }: z.ZodArray): Look | undefined {
  const look = lookInto(element);
  return look && ((value, path, search) => {
    if (Array.isArray(value)) { for (const [i, item] of value.entries()) look(item, [...path, i], search); }
  });
}

function intoObject({ shape, def }: z.ZodObject): Look {
  const known = Object.keys(shape);
  const inner = known.flatMap((name) => {
    const look = lookInto(shape[name]);
    return look ? [[name, look] as const] : [];
  });
  return (value, path, search) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return;
    // A strict object tells of all members that it does not know, and another kind takes them.
    if (def.catchall === undefined) {
      for (const name in value) {
        if (Object.hasOwn(shape, name)) continue;
        if (search.left-- <= 0 || search.found.length === TOLD) return;
        const nearest = known.find((one) => !Object.hasOwn(value, one) && isMisspelt(name, one));
        if (nearest !== undefined) search.found.push({ field: [...path, name].join("."), problem: meant(nearest) });
      }
    }
    for (const [name, look] of inner) {
      if (Object.hasOwn(value, name)) look((value as Record<string, unknown>)[name], [...path, name], search);
    }
  };
}

/** Whether somebody who wrote one name meant the other. Stricter than {@link nearestName}: nothing is refused for a resemblance. */
function isMisspelt(name: string, known: string): boolean {
  if (name.length > LONGEST || Math.min(name.length, known.length) < 3) return false;
  const [given, wanted] = [bareName(name), bareName(known)];
  return distance(given, wanted) <= Math.max(1, Math.floor(wanted.length / 4)) || sorted(given) === sorted(wanted);
}

const bareName = (name: string) => name.toLowerCase().replaceAll(/[_-]/g, "");
const sorted = (name: string) => [...name].sort().join("");

/** The names of the members of the object at a path inside a schema. */
function namesAt(given: unknown, path: readonly PropertyKey[]): string[] {
  const schema = bare(given);
  const [step, ...rest] = path;
  if (schema instanceof z.ZodArray) return namesAt(schema.element, rest);
  if (!(schema instanceof z.ZodObject)) return [];
  return step === undefined ? Object.keys(schema.shape) : namesAt(schema.shape[String(step)], rest);
}

/** What a schema holds a client's value against first: without `optional`, defaults and what becomes of it. */
function bare(schema: unknown): unknown {
  if (schema instanceof z.ZodPipe) return bare(schema.in);
  const isWrapped = schema instanceof z.ZodOptional || schema instanceof z.ZodNullable ||
    schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault;
  return isWrapped ? bare(schema.unwrap()) : schema;
}
