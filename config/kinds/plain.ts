import { z } from "zod";
import { type Kind, plainKind } from "./kind.ts";

/** Bounds of a number, both inclusive. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
}

const NO_CONTROL_CHARACTERS = /^[^\p{Cc}]*$/u;

/**
 * A text on one line, not empty.
 * @param pattern what it must match; `expected` then says so in words
 */
export function text(
  { max = 1024, pattern, expected = `a text on one line, up to ${max} characters` }: {
    readonly max?: number;
    readonly pattern?: RegExp;
    readonly expected?: string;
  } = {},
): Kind<string> {
  const error = expected;
  const line = z.string({ error }).min(1, { error }).max(max, { error }).regex(NO_CONTROL_CHARACTERS, { error });
  return plainKind({ name: "text", expected, schema: pattern ? line.regex(pattern, { error }) : line });
}

/** The path of a file or folder. A relative one counts from the folder the gateway was started in. */
export const path: Kind<string> = { ...text({ max: 4096, expected: "the path of a file or folder" }), name: "path" };

/** `true` or `false`. */
export const flag: Kind<boolean> = plainKind({
  name: "true or false",
  expected: "true or false",
  schema: z.boolean({ error: "true or false" }),
  fromText: (text) => text === "true" ? true : text === "false" ? false : text,
});

/** A whole number. */
export function integer({ min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds = {}): Kind<number> {
  const error = `a whole number ${range({ min, max })}`;
  const schema = z.int({ error }).min(min, { error }).max(max, { error });
  return plainKind({ name: "integer", expected: error, schema, fromText: toNumber });
}

/** A number, with a fraction where that makes sense. */
export function number({ min = 0, max = Number.MAX_SAFE_INTEGER }: Bounds = {}): Kind<number> {
  const error = `a number ${range({ min, max })}`;
  const schema = z.number({ error }).min(min, { error }).max(max, { error });
  return plainKind({ name: "number", expected: error, schema, fromText: toNumber });
}

/** One of a few words. */
export function choice<const Word extends string>(words: readonly [Word, Word, ...Word[]]): Kind<Word> {
  const error = `one of ${words.join(", ")}`;
  return plainKind({ name: words.join(" | "), expected: error, schema: z.enum(words, { error }) as z.ZodType<Word> });
}

const range = ({ min, max }: Required<Bounds>) =>
  max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;

const toNumber = (text: string): unknown => /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
