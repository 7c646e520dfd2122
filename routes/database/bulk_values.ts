import type { SqlArgument } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { argument } from "./arguments.ts";

/** Rows of a load as the route hands them on. */
export type Rows = readonly (readonly SqlArgument[])[];

/** The error of a row. @param row from 1; @param column its name or place, where one value is the matter */
export function wrongRow(row: number, problem: string, column?: string): GatewayError {
  const place = column === undefined ? `row ${row}` : `row ${row}, ${column}`;
  const field = column === undefined ? `rows.${row - 1}` : `rows.${row - 1}.${column}`;
  return new GatewayError("INVALID_REQUEST", `${place}: ${problem}`, { details: [{ field, problem, row }] });
}

/** Makes rows of JSON values: lists, or objects whose members are columns. */
export class RowReader {
  readonly #columns: readonly string[] | undefined;
  readonly #places: ReadonlyMap<string, number> | undefined;
  #row = 0;

  /** @param columns in order; without them a row can only be a list */
  constructor(columns: readonly string[] | undefined) {
    this.#columns = columns;
    this.#places = columns && new Map(columns.map((name, at) => [name, at]));
  }

  /** The next row. A column that an object does not name is NULL. @throws GatewayError `INVALID_REQUEST` that names row and column */
  read(value: unknown): SqlArgument[] {
    const row = ++this.#row;
    if (Array.isArray(value)) {
      if (this.#columns && value.length !== this.#columns.length) {
        throw wrongRow(row, `it has ${value.length} values for ${this.#columns.length} columns`);
      }
      return value.map((item, at) => this.#value(item, row, at));
    }
    if (typeof value !== "object" || value === null || this.#places === undefined) {
      throw wrongRow(
        row,
        this.#places ? "must be a list of values, or an object of columns" : "must be a list of values",
      );
    }
    const values: SqlArgument[] = Array(this.#places.size).fill(null);
    for (const name of Object.keys(value)) {
      const at = this.#places.get(name);
      if (at === undefined) throw wrongRow(row, "is none of the columns of this load", name.slice(0, 100));
      values[at] = this.#value((value as Record<string, unknown>)[name], row, at);
    }
    return values;
  }

  #value(value: unknown, row: number, at: number): SqlArgument {
    // Most values are these; the schema, which decides over all others, takes longer.
    if (typeof value === "string" && !value.includes("\0")) return value;
    if (value === null || typeof value === "boolean") return value;
    if (typeof value === "number" && Number.isFinite(value)) return value;
    const result = argument.safeParse(value);
    const problem = result.success ? finiteProblem(result.data) : result.error.issues[0]?.message ?? "is wrong";
    if (problem === undefined) return result.data!;
    throw wrongRow(row, problem, this.#columns?.[at]?.slice(0, 100) ?? String(at));
  }
}

const finiteProblem = (value: SqlArgument | undefined) =>
  typeof value === "number" && !Number.isFinite(value) ? "the number is not finite" : undefined;

/** The columns of a load whose rows say them: those of the first row, if that is an object. */
export const columnsOf = (first: unknown): string[] | undefined =>
  typeof first === "object" && first !== null && !Array.isArray(first) ? Object.keys(first) : undefined;
