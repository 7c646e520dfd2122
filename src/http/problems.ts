import type { z, ZodType } from "zod";
import { type FieldProblem, GatewayError } from "../contracts/errors.ts";
import { misspellings, unknownMember } from "./names.ts";

/** How many problems of one request are told. */
const TOLD = 20;

/** What a request says beside its schema. */
export interface CheckOptions {
  /** Begins the sentence, before the first field. */
  readonly prefix?: string | undefined;
  /** Whether an `Idempotency-Key` is taken: then a member that means it is refused, not ignored. */
  readonly idempotent?: boolean | undefined;
}

/**
 * Holds what a client sent against a schema. Unknown members are let pass, as older clients may send them; one that is nearly
 * the name of a member that is not there is a mistake, and told.
 * @throws GatewayError `INVALID_REQUEST` that names each field, and what it must be
 */
export function check<Schema extends ZodType>(
  schema: Schema,
  value: unknown,
  { prefix = "", idempotent = false }: CheckOptions = {},
): z.output<Schema> {
  const result = schema.safeParse(value, TELLING);
  const unknown = [...(idempotent ? keysIn(value) : []), ...misspellings(schema, value)];
  if (result.success && unknown.length === 0) return result.data;
  const issues = onePerField(result.error?.issues ?? []);
  const details = [...unknown, ...issues.flatMap((issue) => told(schema, issue))].slice(0, TOLD);
  const [first] = details;
  const sentence = unknown.length === 0 ? sentenceOf(issues[0]) : undefined;
  throw new GatewayError("INVALID_REQUEST", sentence ?? `${prefix}${first?.field}: ${first?.problem}`, { details });
}

/** The sentence that a schema has of its own, as older clients know it: `params.sentence` of its issue. */
function sentenceOf(issue: z.core.$ZodIssue | undefined): string | undefined {
  const sentence: unknown = issue?.code === "custom" ? issue.params?.["sentence"] : undefined;
  return typeof sentence === "string" ? sentence : undefined;
}

/** Of a text in place of a list zod also says that it is too long, and of a number beyond every bound, that it is beyond each. */
function onePerField(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  const kept = new Map<string, z.core.$ZodIssue>();
  for (const issue of issues) {
    const field = issue.path.join(".");
    const first = kept.get(field);
    if (first === undefined || first.code === issue.code) kept.set(field, issue);
    if (kept.size === TOLD) break;
  }
  return [...kept.values()];
}

function told(schema: ZodType, issue: z.core.$ZodIssue): FieldProblem[] {
  const { path } = issue;
  if (issue.code !== "unrecognized_keys") return [{ field: path.join(".") || "body", problem: issue.message }];
  return issue.keys.slice(0, TOLD).map((name) => unknownMember(schema, path, name));
}

/** Whoever writes it into the body believes that repeating is safe. */
function keysIn(value: unknown): FieldProblem[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.keys(value).filter((name) => /^idempotency[-_]?key$/i.test(name)).map((field) => ({
    field,
    problem: "is no member of the body: send it as the header Idempotency-Key",
  }));
}

/** Ends the sentence that a field begins: `must be a string`. zod's own words are about types of the language (`int`, `undefined`). */
export function problemOf(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return typeProblem(isWhole(issue.inst) ? "int" : issue.expected, issue.input);
    case "invalid_value":
      return `must be ${listed(issue.values)}`;
    case "too_small":
      return sizeProblem(issue.origin, "at least", Number(issue.minimum), issue.inclusive);
    case "too_big":
      return sizeProblem(issue.origin, "at most", Number(issue.maximum), issue.inclusive);
    case "invalid_union":
      return unionProblem(issue.errors);
    case "invalid_format":
      return issue.format === "datetime"
        ? "must be a time of RFC 3339, such as 2026-01-31T12:00:00Z"
        : "is not written as the reference says";
    case "not_multiple_of":
      return `must be a multiple of ${issue.divisor}`;
    default:
      return undefined;
  }
}

/** For `safeParse`: problems in the words of {@link problemOf}, where the schema has none of its own. */
export const TELLING = { error: problemOf } as const;

const NAMES: Readonly<Record<string, string>> = {
  string: "a string",
  number: "a number",
  int: "a whole number",
  bigint: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
  record: "an object",
  null: "null",
};

const isWhole = (raisedBy: z.core.$ZodRawIssue["inst"]) => {
  const def = raisedBy?._zod.def;
  return def !== undefined && "format" in def && def.format === "safeint";
};

function typeProblem(expected: string, input: unknown): string {
  const name = NAMES[expected] ?? expected;
  if (input === undefined) return `is missing; it must be ${name}`;
  // Numbers of JSON that no number here can hold.
  const isBeyond = typeof input === "bigint" || input === Infinity || input === -Infinity;
  return isBeyond && (expected === "number" || expected === "int") ? "is too large a number" : `must be ${name}`;
}

const UNITS: Readonly<Record<string, readonly [one: string, many: string]>> = {
  string: ["character", "characters"],
  array: ["item", "items"],
};

function sizeProblem(origin: string, relation: string, bound: number, inclusive = true): string {
  const units = UNITS[origin];
  if (units === undefined) {
    return `must be ${inclusive ? relation : relation === "at least" ? "more than" : "less than"} ${bound}`;
  }
  return relation === "at least" && bound === 1
    ? "must not be empty"
    : `must have ${relation} ${bound} ${units[bound === 1 ? 0 : 1]}`;
}

const listed = (values: readonly unknown[]) =>
  (values.length > 1 ? "one of " : "") + values.map((value) => value === "" ? "nothing" : String(value)).join(", ");

/** What each form would have the value be; `undefined` where the matter lies deeper in one of them. */
function unionProblem(forms: readonly (readonly z.core.$ZodIssue[])[] = []): string {
  const problems = forms.map(([first]) => first?.path.length === 0 ? first.message : undefined);
  const wanted = problems.every((problem) => problem?.startsWith("must be "))
    ? new Set(problems.map((problem) => problem!.slice("must be ".length)))
    : new Set<string>();
  return wanted.size === 0 ? "has none of the forms that the reference shows" : `must be ${[...wanted].join(" or ")}`;
}
