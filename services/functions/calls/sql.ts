import type { ClientStatement, Database, StepResult, TransactionStep } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import {
  execMembers,
  MAX_ARGUMENTS,
  MAX_STEPS,
  rowTexts,
  sqlArgumentOf,
  SqlArgumentProblem,
} from "../../../src/contracts/sql_values.ts";
import type { CallScope } from "../parts.ts";
import { invalid, MAX_SQL } from "./arguments.ts";
import { jsonArgument } from "./json_argument.ts";
import { contextOf } from "./scope.ts";

/** A list of values, each of them perhaps an object of two members. */
const ARGS = { maxDepth: 2, maxValues: 3 * MAX_ARGUMENTS + 1 };
const TOO_MANY = `must be a JSON array of at most ${MAX_ARGUMENTS} values`;
/** A list of steps, with such a list in each. */
const STEPS = { maxDepth: 4, maxValues: 200_000 };
const MEMBERS = ["sql", "args", "kind"];
const KINDS = ["exec", "query"] as const;
const encoder = new TextEncoder();

/** The host calls `db_…`. */
export class SqlCalls {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A JSON array of the rows as objects, `null` where there are none. */
  async query(sql: string, args: string, scope: CallScope): Promise<Uint8Array> {
    const statement = { sql: sqlOf("sql", sql), args: argsOf("args", jsonArgument("args", args, ARGS, TOO_MANY)) };
    if (this.#database.classify(statement.sql).access !== "read") {
      const sentence = "db_query only reads: use db_execute, or db_transaction for the rows of a RETURNING clause";
      throw new GatewayError("SQL_NOT_ALLOWED", sentence);
    }
    const result = await this.#database.query(scope.namespace, statement, contextOf(scope));
    return encoder.encode(result.rows.length === 0 ? "null" : `[${rowTexts(result, "number").join(",")}]`);
  }

  /** How many rows it inserted, updated or deleted. */
  async execute(sql: string, args: string, scope: CallScope): Promise<number> {
    const statement = { sql: sqlOf("sql", sql), args: argsOf("args", jsonArgument("args", args, ARGS, TOO_MANY)) };
    const { rowsAffected } = await this.#database.execute(scope.namespace, statement, contextOf(scope));
    return rowsAffected;
  }

  /** A JSON array with what each step gave, as `POST /v1/rqlite/transaction` has it in `results`. */
  async transaction(text: string, scope: CallScope): Promise<Uint8Array> {
    const list = jsonArgument("steps", text, STEPS);
    if (!Array.isArray(list) || list.length === 0 || list.length > MAX_STEPS) {
      throw invalid("steps", `must be a JSON array of 1 to ${MAX_STEPS} steps`);
    }
    const steps = list.map((step: unknown, at) => this.#stepOf(`steps.${at}`, step));
    const result = await this.#database.transaction(scope.namespace, steps, contextOf(scope)).catch((error) => {
      throw error instanceof GatewayError ? placed(error) : error;
    });
    return encoder.encode(`[${result.steps.map(stepText).join(",")}]`);
  }

  #stepOf(field: string, step: unknown): TransactionStep {
    if (typeof step !== "object" || step === null || Array.isArray(step)) {
      throw invalid(field, "must be an object {sql, args?, kind?}");
    }
    const { sql, args, kind } = step as Readonly<Record<string, unknown>>;
    // One that is left away silently, such as a precondition, would make a transaction something else.
    const unknown = Object.keys(step).find((name) => !MEMBERS.includes(name));
    if (unknown !== undefined) throw invalid(field, "must have no members but sql, args and kind");
    const statement = { sql: sqlOf(`${field}.sql`, sql), args: argsOf(`${field}.args`, args) };
    return { ...statement, kind: this.#kindOf(field, kind, statement.sql) };
  }

  #kindOf(field: string, kind: unknown, sql: string): TransactionStep["kind"] {
    if (kind === undefined || kind === null) {
      const { access } = inPlace(`${field}.sql`, () => this.#database.classify(sql));
      return access === "read" ? "query" : "exec";
    }
    const known = KINDS.find((one) => one === kind);
    if (known === undefined) throw invalid(`${field}.kind`, "must be exec or query");
    return known;
  }
}

function sqlOf(field: string, sql: unknown): string {
  if (typeof sql !== "string" || sql.trim() === "") throw invalid(field, "must be an SQL statement");
  if (sql.length > MAX_SQL) throw invalid(field, `must have at most ${MAX_SQL} characters`);
  return sql.trim();
}

function argsOf(field: string, list: unknown): ClientStatement["args"] {
  if (list === undefined || list === null) return [];
  if (!Array.isArray(list) || list.length > MAX_ARGUMENTS) {
    throw invalid(field, TOO_MANY);
  }
  return list.map((value: unknown, at) => {
    const argument = sqlArgumentOf(value);
    if (argument instanceof SqlArgumentProblem) throw invalid(`${field}.${at}`, argument.problem);
    return argument;
  });
}

function stepText(step: StepResult): string {
  if (step.kind === "query") return step.result ? `[${rowTexts(step.result, "number").join(",")}]` : "null";
  return `{${execMembers(step.result, "number")}}`;
}

/** Begins the sentence with the step that it speaks of. */
function placed(error: GatewayError): GatewayError {
  const { details } = error.extra;
  if (typeof details !== "object" || details === null || !("step" in details)) return error;
  return at(`steps.${String(details.step)}`, error);
}

function inPlace<T>(field: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof GatewayError ? at(field, error) : error;
  }
}

const at = (field: string, { code, message, extra }: GatewayError) =>
  new GatewayError(code, `${field}: ${message}`, extra);
