import {
  type AbortableOperationOptions,
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { SqlInput } from "../../src/contracts/database.ts";
import type { ControlQuery, ControlResult } from "./control_database.ts";
import type { Schema } from "./schema.ts";

/** A query in the form both drivers take. */
export interface PlainQuery {
  readonly sql: string;
  readonly args: readonly SqlInput[];
  /** It changes nothing, so it may be repeated. */
  readonly reading: boolean;
  /** It inserts, updates or deletes: after anything else SQLite repeats the number of rows that an earlier query changed. */
  readonly changing: boolean;
  /** It gives rows of what it changed. */
  readonly returning: boolean;
}

/**
 * Compiles a query of the builder, and checks the values of its placeholders.
 * @throws TypeError for a value that SQL has no form for, such as `undefined`
 */
export function plainQuery(query: ControlQuery): PlainQuery {
  const { sql, parameters } = "compile" in query ? query.compile() : query;
  return {
    sql,
    args: parameters.map(sqlInput),
    reading: /^\s*(select|values)\b/i.test(sql),
    changing: /^\s*(insert|update|delete|replace|with)\b/i.test(sql),
    returning: /\breturning\b/i.test(sql),
  };
}

function sqlInput(value: unknown): SqlInput {
  switch (typeof value) {
    case "string":
    case "number":
    case "bigint":
    case "boolean":
      return value;
    default:
      if (value === null || value instanceof Uint8Array) return value;
      throw new TypeError(
        `a parameter of a query is ${value === undefined ? "undefined" : "of a type that SQL has no form for"}`,
      );
  }
}

/** Answers what Kysely wants to know by `run`, whichever driver that belongs to. */
type Run = (query: CompiledQuery, signal?: AbortSignal) => Promise<ControlResult>;

/** The builder for the tables of the control plane. Its `execute…` methods go through `run`; it knows no transactions. */
export function controlBuilder(run: Run): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createDriver: () => new DelegatingDriver(run),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

class DelegatingDriver implements Driver {
  readonly #connection: DatabaseConnection;

  constructor(run: Run) {
    this.#connection = {
      async executeQuery<R>(query: CompiledQuery, options?: AbortableOperationOptions): Promise<QueryResult<R>> {
        const { rows, changes } = await run(query, options?.signal);
        return { rows: rows as R[], numAffectedRows: BigInt(changes) };
      },
      streamQuery: () => {
        throw unsupported("queries are not streamed");
      },
    };
  }

  init = () => Promise.resolve();
  acquireConnection = () => Promise.resolve(this.#connection);
  releaseConnection = () => Promise.resolve();
  destroy = () => Promise.resolve();
  beginTransaction = () =>
    Promise.reject(unsupported("transactions of the builder are not supported: use atomically()"));
  commitTransaction = () => Promise.resolve();
  rollbackTransaction = () => Promise.resolve();
}

const unsupported = (message: string) => new GatewayError("INTERNAL", message);
