import { invalidResponse, isObject } from "../errors.ts";
import { execResultOf, rowList, type StatementResult } from "./rows.ts";
import { argsToWire, type SqlArgument } from "./values.ts";

/** What a query of a batch must give, or nothing of the batch happens: 412 `PRECONDITION_FAILED`. */
export type Expectation =
  /** How many rows. */
  | { readonly rows: number }
  /** The rows themselves, in order, each a list of its values; NULL equals NULL. */
  | { readonly values: readonly (readonly SqlArgument[])[] };

/** One statement of a batch. */
export interface BatchStatement {
  readonly sql: string;
  readonly args?: readonly SqlArgument[];
  /** A `query` gives rows and must read, an `exec` changes. Told from the first word, where that is not `WITH`. */
  readonly kind?: "exec" | "query";
  /** Of a `query`: what it must give. */
  readonly expect?: Expectation;
}

/** What Kysely's `compile()` gives. */
export interface CompiledStatement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly query?: { readonly kind: string };
}

/** What can stand in a batch: text, a statement with arguments, or a query of Kysely, compiled or not. */
export type BatchItem = string | BatchStatement | CompiledStatement | { compile(): CompiledStatement };

/** A step of a transaction as the wire has it. */
export interface WireStep {
  readonly kind: "exec" | "query";
  readonly sql: string;
  readonly args: readonly unknown[];
  readonly expect?: unknown;
}

/** The first word behind white space and comments, in lower case. */
export const firstWord = (sql: string): string =>
  /^(?:\s+|--[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*([a-z]*)/i.exec(sql)?.[1]?.toLowerCase() ?? "";

const READS = ["select", "values", "explain", "pragma"];

/** A step of a batch for the wire. @param place what errors call it, such as `batch[2]` @throws TypeError for one that is unclear */
export function toStep(item: BatchItem, place: string): WireStep {
  if (typeof item === "string") return { kind: kindOf(item, place), sql: item, args: [] };
  if ("compile" in item) return toStep(item.compile(), place);
  if ("parameters" in item) {
    const { sql, parameters, query } = item;
    return {
      kind: compiledKind(item) ?? kindOf(sql, place, query),
      sql,
      args: argsToWire(parameters, `${place}.args`),
    };
  }
  const { sql, args = [], kind = kindOf(sql, place), expect } = item;
  if (expect !== undefined && kind !== "query") throw new TypeError(`${place}.expect is for a query`);
  return {
    kind,
    sql,
    args: argsToWire(args, `${place}.args`),
    ...(expect !== undefined && { expect: expectToWire(expect, place) }),
  };
}

/** How a query of Kysely's builder runs, or `undefined` for raw SQL. */
export function compiledKind({ query }: Pick<CompiledStatement, "query">): "exec" | "query" | undefined {
  if (query === undefined || query.kind === "RawNode") return undefined;
  return query.kind === "SelectQueryNode" ? "query" : "exec";
}

function kindOf(sql: string, place: string, node?: unknown): "exec" | "query" {
  const word = firstWord(sql);
  if (word !== "with") return READS.includes(word) ? "query" : "exec";
  const what = node === undefined ? "say kind: " : "give it as { sql, args, kind }: ";
  throw new TypeError(`${place} begins with WITH, which reads or writes; ${what}"query" or "exec"`);
}

const expectToWire = (expect: Expectation, place: string): unknown =>
  "rows" in expect
    ? expect
    : { values: expect.values.map((row, at) => argsToWire(row, `${place}.expect.values[${at}]`)) };

/** What a transaction answers, step by step. @throws OramaError `INVALID_RESPONSE` */
export function batchResultsOf(body: unknown, steps: readonly WireStep[]): StatementResult[] {
  const results = isObject(body) ? body.results : undefined;
  if (!isObject(body) || !Array.isArray(results) || results.length !== steps.length) {
    throw invalidResponse(`it has no results of ${steps.length} statements`);
  }
  const replayed = body.replayed === true;
  return results.map((result: unknown, at) =>
    steps[at]!.kind === "query"
      ? { rows: result === null ? [] : rowList(result, `results.${at}`), rowsAffected: 0, lastInsertId: 0, replayed }
      : { ...execResultOf(result), replayed }
  );
}
