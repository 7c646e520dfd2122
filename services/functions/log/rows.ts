import { CompiledQuery } from "kysely";
import type { LoggedInvocation, LogLevel, LogLine, LogQuery } from "../../../src/contracts/function_logs.ts";
import type { InvocationTrigger } from "../../../src/contracts/function_invocations.ts";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import type { FunctionInvocationTable, FunctionLogTable } from "../../control_plane/function_log_tables.ts";

/** The tables of the log. */
export const LOG_TABLES = ["function_logs", "function_invocations"] as const;
/** One of the tables of the log. */
export type LogTable = typeof LOG_TABLES[number];

/** Which function's rows. */
export interface Logged {
  readonly namespace: string;
  /** A UUID. */
  readonly functionId: string;
}

/** Columns in the order in which {@link LogRows.insert} takes their values. */
const COLUMNS: Readonly<Record<LogTable, readonly string[]>> = {
  function_logs: ["namespace", "function_id", "id", "version", "at", "level", "request_id", "message"],
  function_invocations: [
    "namespace",
    "function_id",
    "id",
    "version",
    "request_id",
    "attempt",
    "trigger",
    "trigger_id",
    "caller",
    "started_at",
    "duration",
    "status",
    "input_bytes",
    "output_bytes",
    "memory_bytes",
    "host_calls",
    "cold_start",
    "error",
  ],
};

/** Values of one row, in JSON's types: namespace, the function's id and the row's id first. */
export type RowValues = readonly [string, string, string, ...(string | number | null)[]];

/** Rows among which one look searches for those that are wanted: on the embedded control plane nothing else runs meanwhile. */
const WINDOW = 2_000;

/** The log's rows in the control plane. Every method throws as {@link ControlDatabase} says. */
export class LogRows {
  readonly #insert: Readonly<Record<LogTable, string>>;

  constructor(private readonly control: ControlDatabase) {
    this.#insert = {
      function_logs: insertionOf("function_logs"),
      function_invocations: insertionOf("function_invocations"),
    };
  }

  /** Writes rows; those that are there already stay as they are, so that it may be done twice. Rows of functions that are gone are left out. */
  async insert(table: LogTable, rows: readonly RowValues[], signal: AbortSignal): Promise<void> {
    // One text for any number of rows, so that the statement stays prepared, and one value for RQLite to carry.
    await this.control.run(CompiledQuery.raw(this.#insert[table], [JSON.stringify(rows)]), signal);
  }

  /** Newest first. */
  async lines(of: Logged, query: LogQuery, signal: AbortSignal): Promise<LogLine[]> {
    return (await this.#newest<FunctionLogTable>("function_logs", of, query, signal)).map(lineOf);
  }

  /** Newest first. */
  async invocations(of: Logged, query: LogQuery, signal: AbortSignal): Promise<LoggedInvocation[]> {
    return (await this.#newest<FunctionInvocationTable>("function_invocations", of, query, signal)).map(invocationOf);
  }

  /** Lines behind an id, oldest first. */
  async linesAfter({ namespace, functionId }: Logged, id: string, limit: number, signal: AbortSignal): Promise<
    LogLine[]
  > {
    const { rows } = await this.control.run<FunctionLogTable>(
      this.control.db.selectFrom("function_logs").selectAll().where("namespace", "=", namespace)
        .where("function_id", "=", functionId).where("id", ">", id).orderBy("id").limit(limit),
      signal,
    );
    return rows.map(lineOf);
  }

  /** The first function behind another one that has rows, and whether it is still there; `undefined` behind the last. */
  async next(
    table: LogTable,
    after: Logged | undefined,
    signal: AbortSignal,
  ): Promise<Logged & { readonly lives: boolean } | undefined> {
    const sql = `SELECT namespace, function_id AS "functionId",
        EXISTS (SELECT 1 FROM functions WHERE id = function_id AND serving IS NOT NULL) AS lives
      FROM ${table} WHERE (namespace, function_id) > (?, ?) ORDER BY namespace, function_id LIMIT 1`;
    const { rows: [row] } = await this.control.run<Logged & { readonly lives: number }>(
      CompiledQuery.raw(sql, [after?.namespace ?? "", after?.functionId ?? ""]),
      signal,
    );
    return row && { ...row, lives: row.lives === 1 };
  }

  /** The id of the newest row behind which as many rows are as may be kept; `undefined` where there are not so many. */
  async beyond(table: LogTable, of: Logged, kept: number, signal: AbortSignal): Promise<string | undefined> {
    const { rows } = await this.control.run<{ id: string }>(
      CompiledQuery.raw(
        `SELECT id FROM ${table} WHERE namespace = ? AND function_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?`,
        [of.namespace, of.functionId, kept],
      ),
      signal,
    );
    return rows[0]?.id;
  }

  /** Deletes some rows of a function, up to an id, oldest first. @returns how many */
  async deleteUpTo(
    table: LogTable,
    { namespace, functionId }: Logged,
    id: string,
    limit: number,
    signal: AbortSignal,
  ): Promise<number> {
    const where = "namespace = ? AND function_id = ? AND id <= ?";
    return await this.#delete(table, where, [namespace, functionId, id], limit, signal);
  }

  /** Deletes some rows of a namespace, unless somebody else has its name by now. @returns how many */
  async deleteOf(table: LogTable, namespace: string, limit: number, signal: AbortSignal): Promise<number> {
    const where = "namespace = ? AND EXISTS (SELECT 1 FROM namespaces WHERE name = ? AND state = 'deleting')";
    return await this.#delete(table, where, [namespace, namespace], limit, signal);
  }

  async #delete(table: LogTable, where: string, values: readonly string[], limit: number, signal: AbortSignal) {
    const { changes } = await this.control.run(
      CompiledQuery.raw(
        `DELETE FROM ${table} WHERE rowid IN (
          SELECT rowid FROM ${table} WHERE ${where} ORDER BY namespace, function_id, id LIMIT ?)`,
        [...values, limit],
      ),
      signal,
    );
    return changes;
  }

  async #newest<Row extends { readonly id: string }>(
    table: LogTable,
    of: Logged,
    { limit, before, level, requestId }: LogQuery,
    signal: AbortSignal,
  ): Promise<Row[]> {
    const found: Row[] = [];
    const filters: readonly (readonly [string, string])[] = [
      ...(level === undefined ? [] : [["level", level]] as const),
      ...(requestId === undefined ? [] : [["request_id", requestId]] as const),
    ];
    const base = "namespace = ? AND function_id = ?", values = [of.namespace, of.functionId];
    const run = async <Found>(sql: string, args: readonly (string | number)[]) =>
      (await this.control.run<Found>(CompiledQuery.raw(sql, [...args]), signal)).rows;
    for (let upTo = before ?? LAST;;) {
      // Searched a piece at a time: of many rows perhaps none is wanted.
      const start = filters.length === 0 ? undefined : (await run<{ id: string }>(
        `SELECT id FROM ${table} WHERE ${base} AND id < ? ORDER BY id DESC LIMIT 1 OFFSET ?`,
        [...values, upTo, WINDOW],
      ))[0]?.id;
      found.push(
        ...await run<Row>(
          `SELECT * FROM ${table} WHERE ${base} AND id < ? AND id >= ?${
            filters.map(([column]) => ` AND ${column} = ?`).join("")
          } ORDER BY id DESC LIMIT ?`,
          [...values, upTo, start ?? "", ...filters.map(([, value]) => value), limit - found.length],
        ),
      );
      if (start === undefined || found.length >= limit) return found;
      upTo = start;
      await new Promise((resolve) => setTimeout(resolve));
      signal.throwIfAborted();
    }
  }
}

/** Behind every id. */
const LAST = "g";

function insertionOf(table: LogTable): string {
  const columns = COLUMNS[table];
  return `INSERT OR IGNORE INTO ${table} (${columns.join(", ")})
    SELECT ${columns.map((_, i) => `value ->> ${i}`).join(", ")} FROM json_each(?)
    WHERE EXISTS (SELECT 1 FROM functions WHERE functions.id = value ->> 1 AND serving IS NOT NULL)`;
}

const lineOf = ({ id, at, level, message, request_id, version }: FunctionLogTable): LogLine => ({
  id,
  at,
  level: level as LogLevel,
  message,
  requestId: request_id,
  version,
});

const invocationOf = (row: FunctionInvocationTable): LoggedInvocation => ({
  id: row.id,
  requestId: row.request_id,
  version: row.version,
  attempt: row.attempt,
  trigger: row.trigger as InvocationTrigger,
  triggerId: row.trigger_id ?? undefined,
  caller: row.caller ?? undefined,
  startedAt: row.started_at,
  duration: row.duration,
  status: row.status as LoggedInvocation["status"],
  error: row.error ?? undefined,
  inputBytes: row.input_bytes,
  outputBytes: row.output_bytes,
  memoryBytes: row.memory_bytes,
  hostCalls: row.host_calls,
  coldStart: row.cold_start === 1,
});
