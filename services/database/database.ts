import { LRUCache } from "lru-cache";
import type {
  ClientStatement,
  Database,
  ExecResult,
  ResultSet,
  SchemaObject,
  SelectSpec,
  SqlArgument,
  StatementClass,
  StepResult,
  TransactionStep,
} from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { GatedStatement, SqlDriver, StatementResult } from "./driver.ts";
import { errorOf, WRITES_IN_QUERY } from "./faults.ts";
import { judge, type JudgedStatement } from "./gate.ts";
import { buildSelect } from "./select_builder.ts";
import { quoteName } from "./select_parts.ts";

const SCHEMA: JudgedStatement = {
  sql: `SELECT name, type, sql FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE '\\_orama\\_%' ESCAPE '\\' ORDER BY name`,
  facts: {
    access: "read",
    verb: "SELECT",
    placeholders: 0,
    returning: false,
    upserts: false,
    wildcard: false,
    asksConnection: false,
  },
};

/** SQL of the namespaces over one driver: the gate before it, the client's errors behind it. */
export class SqlDatabase implements Database {
  readonly #driver: SqlDriver;
  /** Judgements by text: what an application sends, it sends again. Bounded by the characters of the texts. */
  readonly #judged = new LRUCache<string, JudgedStatement>({
    maxSize: 4_000_000,
    sizeCalculation: (_judged, sql) => sql.length + 100,
    maxEntrySize: 20_000,
  });

  constructor(driver: SqlDriver) {
    this.#driver = driver;
  }

  classify(sql: string): StatementClass {
    const { facts: { access, returning } } = this.#judge(sql);
    return { access, returnsRows: returning || access === "read" };
  }

  async query(namespace: string, statement: ClientStatement, request: RequestContext): Promise<ResultSet> {
    return await this.#read(namespace, this.#gate(statement), request);
  }

  async execute(namespace: string, statement: ClientStatement, request: RequestContext): Promise<ExecResult> {
    const gated = this.#gate(statement);
    const mode = gated.facts.access === "read" ? "read" : "write";
    return execResult(gated, await this.#one(namespace, mode, gated, request));
  }

  async select(namespace: string, spec: SelectSpec, request: RequestContext): Promise<ResultSet> {
    return await this.query(namespace, buildSelect(spec), request);
  }

  async transaction(
    namespace: string,
    steps: readonly TransactionStep[],
    request: RequestContext,
  ): Promise<StepResult[]> {
    if (steps.length === 0) return [];
    const statements = steps.map((step, at) => atStep(at, () => this.#gateStep(step)));
    const reply = await this.#driver.run({ namespace, mode: "atomic", statements }, request);
    if (reply.kind === "rolled_back") throw withStep(errorOf(reply.fault), reply.step);
    return steps.map(({ kind }, at) =>
      atStep(at, () => stepResult(kind, statements[at]!, resultOf(reply.outcomes[at])))
    );
  }

  async schema(namespace: string, request: RequestContext): Promise<SchemaObject[]> {
    const { rows } = await this.#read(namespace, { ...SCHEMA, args: [] }, request);
    return rows.map(([name, type, sql]) => ({
      name: String(name),
      type: type === "view" ? "view" : "table",
      sql: String(sql),
    }));
  }

  async dropTable(namespace: string, table: string, request: RequestContext): Promise<void> {
    try {
      await this.execute(namespace, { sql: `DROP TABLE ${quoteName(table)}`, args: [] }, request);
    } catch (error) {
      if (!(error instanceof GatewayError) || !error.message.startsWith("no such table")) throw error;
      throw new GatewayError("NOT_FOUND", `no such table: ${table}`);
    }
  }

  purge(namespace: string, signal: AbortSignal): Promise<void> {
    return this.#driver.purge(namespace, signal);
  }

  usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    return this.#driver.usage(namespace, signal);
  }

  health(signal: AbortSignal): Promise<ServiceHealth> {
    return this.#driver.health(signal);
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  async #read(namespace: string, gated: GatedStatement, request: RequestContext): Promise<ResultSet> {
    if (gated.facts.access !== "read") throw new GatewayError("SQL_NOT_ALLOWED", WRITES_IN_QUERY);
    const { rows } = await this.#one(namespace, "read", gated, request);
    return rows ?? { columns: [], types: [], rows: [] };
  }

  async #one(
    namespace: string,
    mode: "read" | "write",
    gated: GatedStatement,
    request: RequestContext,
  ): Promise<StatementResult> {
    const reply = await this.#driver.run({ namespace, mode, statements: [gated] }, request);
    if (reply.kind === "rolled_back") throw errorOf(reply.fault);
    return resultOf(reply.outcomes[0]);
  }

  #gateStep(step: TransactionStep): GatedStatement {
    const gated = this.#gate(step);
    if (step.kind === "query" && gated.facts.access !== "read") {
      throw new GatewayError("SQL_NOT_ALLOWED", "this step writes: its kind must be exec");
    }
    return gated;
  }

  #gate({ sql, args }: ClientStatement): GatedStatement {
    const judged = this.#judge(sql);
    const { placeholders } = judged.facts;
    if (placeholders !== args.length) {
      throw new GatewayError(
        "SQL_INVALID",
        `the statement has ${placeholders} placeholders, and args has ${args.length} values`,
      );
    }
    args.forEach(checkArgument);
    return { ...judged, args };
  }

  #judge(sql: string): JudgedStatement {
    const known = this.#judged.get(sql);
    if (known) return known;
    const judged = judge(sql);
    this.#judged.set(sql, judged);
    return judged;
  }
}

const MAX_INTEGER = 2n ** 63n - 1n, MIN_INTEGER = -(2n ** 63n);

function checkArgument(arg: SqlArgument, at: number): void {
  const problem = problemOf(arg);
  if (problem) {
    throw new GatewayError("INVALID_REQUEST", `args.${at}: ${problem}`, {
      details: [{ field: `args.${at}`, problem }],
    });
  }
}

function problemOf(arg: SqlArgument): string | undefined {
  if (typeof arg === "string") {
    return arg.includes("\0") ? "text cannot hold U+0000; send it as a blob" : undefined;
  }
  if (typeof arg === "bigint") {
    return arg > MAX_INTEGER || arg < MIN_INTEGER ? "the integer does not fit into 64 bits" : undefined;
  }
  const number = typeof arg === "number"
    ? arg
    : arg !== null && typeof arg === "object" && "real" in arg
    ? arg.real
    : 0;
  return Number.isFinite(number) ? undefined : "the number is not finite";
}

function resultOf(
  outcome: { ok: true; result: StatementResult } | { ok: false; fault: Parameters<typeof errorOf>[0] } | undefined,
) {
  if (outcome === undefined) throw new Error("the driver gave no outcome for a statement");
  if (!outcome.ok) throw errorOf(outcome.fault);
  return outcome.result;
}

function execResult({ facts }: GatedStatement, { rows, rowsAffected, lastInsertId }: StatementResult): ExecResult {
  return { rowsAffected, lastInsertId, ...(facts.returning && rows && { returning: rows }) };
}

function stepResult(kind: TransactionStep["kind"], gated: GatedStatement, result: StatementResult): StepResult {
  return kind === "exec"
    ? { kind, result: execResult(gated, result) }
    : { kind, result: result.rows ?? { columns: [], types: [], rows: [] } };
}

function atStep<T>(step: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof GatewayError ? withStep(error, step) : error;
  }
}

/** The same error, with the step it belongs to. */
function withStep({ code, message, extra }: GatewayError, step: number): GatewayError {
  return new GatewayError(code, message, { ...extra, details: { step } });
}
