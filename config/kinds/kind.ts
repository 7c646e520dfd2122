import { z } from "zod";

/** A kind of value: what it accepts, what it becomes, how it is written in words and in a file. */
export interface Kind<T> {
  /** The type's name in the reference: `duration`, `list of cidr`. */
  readonly name: string;
  /** Completes the sentence "expected …". */
  readonly expected: string;
  /** Unit of the value in {@link z.output}, which is also that of a bare number; for the reference. */
  readonly unit?: string;
  /** Takes what a file, a variable or a flag gave. Every message of its issues completes "expected …". */
  readonly schema: z.ZodType<T>;
  /** What a variable's or a flag's text stands for, ready for {@link schema}, which judges it. Never throws. */
  fromText(text: string): unknown;
  /** The value as a file would spell it; {@link schema} takes it back. */
  toYaml(value: T): unknown;
}

/** A kind of value that is one of zod's own. */
export function plainKind<T>(
  { name, expected, schema, fromText = (text: string): unknown => text }: {
    readonly name: string;
    readonly expected: string;
    readonly schema: z.ZodType<T>;
    readonly fromText?: (text: string) => unknown;
  },
): Kind<T> {
  return { name, expected, schema, fromText, toYaml: (value) => value };
}

/**
 * A kind of value with a notation of its own.
 * @param parse gives `undefined` for what it does not understand
 */
export function parsedKind<T>(
  { name, expected, unit, parse, toYaml }: {
    readonly name: string;
    readonly expected: string;
    readonly unit?: string;
    readonly parse: (raw: unknown) => T | undefined;
    readonly toYaml: (value: T) => unknown;
  },
): Kind<T> {
  const schema = z.unknown().transform((raw, context): T => {
    const value = parse(raw);
    if (value !== undefined) return value;
    context.issues.push({ code: "custom", message: expected, input: raw });
    return z.NEVER;
  });
  return { name, expected, ...(unit && { unit }), schema, fromText: (text) => text, toYaml };
}
