import { z } from "zod";
import type { Kind } from "./kinds/kind.ts";

/** What the author of a setting says about it. */
export interface FieldInfo {
  /** What it does for the operator, in whole sentences. Goes into the reference. */
  readonly description: string;
  /** Unit of a plain number. Durations and sizes bring theirs. */
  readonly unit?: string;
  /** Never printed, and may be given as the content of a file: a setting `x` gets a sibling `x_file`. */
  readonly secret?: boolean;
  /** May be given as the content of a file as well, although it is no secret. */
  readonly inFile?: boolean;
}

/** A setting's {@link FieldInfo} with its kind and default, as the loader, the printer and the reference read it. */
export interface FieldMeta extends FieldInfo {
  readonly kind: Kind<unknown>;
  /** As a file would spell it; `undefined` for a setting that may be absent. */
  readonly default?: unknown;
}

/** One broken rule between settings of a section. */
export interface RuleProblem {
  /** The setting at fault, from its section on: `rqlite.pool`. */
  readonly key: string;
  /** The setting that makes it so; names the line when `key` itself was not set. */
  readonly because?: string;
  /** Completes "expected …". */
  readonly expected: string;
}

/** One domain's settings. */
export interface Section<Shape extends z.ZodRawShape = z.ZodRawShape> {
  readonly description: string;
  readonly schema: z.ZodObject<Shape, z.core.$strict>;
  /** The rules between settings that a single one cannot tell. Sees defaults in place of what was wrong by itself. */
  check(value: z.output<z.ZodObject<Shape, z.core.$strict>>): readonly RuleProblem[];
}

/** Declares a setting that always has a value. `default` is spelled as a file would spell it. */
export function field<T>(kind: Kind<T>, info: FieldInfo & { readonly default: unknown }): z.ZodType<T>;
/** Declares a setting that may be absent. */
export function field<T>(kind: Kind<T>, info: FieldInfo): z.ZodOptional<z.ZodType<T>>;
export function field<T>(kind: Kind<T>, info: FieldInfo & { readonly default?: unknown }): z.ZodType<T | undefined> {
  const meta: FieldMeta = { ...info, kind: kind as Kind<unknown> };
  const schema: z.ZodType<T | undefined> = "default" in info
    ? kind.schema.prefault(info.default)
    : kind.schema.optional();
  return schema.meta({ description: info.description, setting: meta });
}

/** What {@link field} was told; `undefined` for a schema that it did not make. */
export const metaOf = (schema: z.ZodType): FieldMeta | undefined => schema.meta()?.["setting"] as FieldMeta | undefined;

/** Declares settings that belong together, under one key of a section. Unknown keys are refused. */
export const group = <Shape extends z.ZodRawShape>(fields: Shape): z.ZodObject<Shape, z.core.$strict> =>
  z.strictObject(fields);

/** Declares the settings of one domain. Its name is that of its export in `sections/index.ts`. */
export const section = <Shape extends z.ZodRawShape>(
  { description, fields, check = () => [] }: {
    readonly description: string;
    readonly fields: Shape;
    readonly check?: (value: z.output<z.ZodObject<Shape, z.core.$strict>>) => readonly RuleProblem[];
  },
): Section<Shape> => ({ description, schema: z.strictObject(fields), check });
