import type { ResultSet, Statement } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../src/contracts/health.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { firstFailure, type ReadLevel, type RqliteCluster, type RqliteResult } from "../rqlite/client.ts";
import type { DriverReply, DriverRequest, GatedStatement, SqlDriver, SqlFault, StatementOutcome } from "./driver.ts";
import { faultOf } from "./faults.ts";
import { emptyDatabaseFile } from "./node_sqlite.ts";
import { LAST_INSERT_ID, MARKING, NO_ROW, NOTICE_SCHEMA, rqliteStatement } from "./rqlite_statements.ts";

/** The pool of clusters, and how statements are sent to them. */
export interface RqliteDriverOptions {
  /** The clusters of the pool by name, one database each. They are closed with the driver. */
  readonly clusters: ReadonlyMap<string, RqliteCluster>;
  /** Which cluster a namespace has claimed. @throws GatewayError when it has none */
  readonly clusterOf: (namespace: string, request: Waiter) => Promise<string>;
  /** What reads must see. Default `weak`. */
  readonly level?: ReadLevel;
  /** Milliseconds after which rqlite stops a statement. Default 10,000. */
  readonly statementTimeout?: number;
}

/** Whoever waits for an answer. Its signal is left alone until something takes long. */
type Waiter = Pick<RequestContext, "signal">;

/** What one statement of the client's becomes at rqlite, and how to read what that gave. */
interface Plan {
  readonly statements: readonly Statement[];
  /** @param results as many as there are statements, the client's own without failure */
  readonly read: (results: readonly RqliteResult[]) => StatementOutcome;
}

/** RQLite, one cluster per namespace. */
export class RqliteDriver implements SqlDriver {
  readonly #options: RqliteDriverOptions;
  readonly #level: ReadLevel;
  readonly #dbTimeout: number;

  constructor(options: RqliteDriverOptions) {
    this.#options = options;
    this.#level = options.level ?? "weak";
    this.#dbTimeout = options.statementTimeout ?? 10_000;
  }

  async run(request: DriverRequest, waiter: Waiter): Promise<DriverReply> {
    const { mode, statements } = request;
    const cluster = await this.#cluster(request.namespace, waiter);
    const call = { waiter, dbTimeout: this.#dbTimeout };
    if (mode === "read") {
      const before = statements.some(({ facts }) => facts.wildcard) ? [NOTICE_SCHEMA] : [];
      const all = [...before, ...statements.map(rqliteStatement)];
      const results = await cluster.query(all, { ...call, level: this.#level });
      return { kind: "done", outcomes: results.slice(before.length).map(readOutcome) };
    }
    const transaction = mode === "atomic";
    // A mark would be seen by a statement that asks for the row id or the changes of the one before it.
    const asked = transaction && statements.some(({ facts }) => facts.asksConnection);
    const plans = statements.map((statement) => planOf(statement, !asked && !statement.facts.asksConnection));
    const all = plans.flatMap((plan) => plan.statements);
    const results = await cluster.request(all, { ...call, transaction, level: this.#level });
    return (transaction && rolledBack(plans, results)) || { kind: "done", outcomes: read(plans, results) };
  }

  /** Puts an empty database in the place of the namespace's, and looks whether it is empty. */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    const cluster = await this.#cluster(namespace, { signal });
    await cluster.load(emptyDatabaseFile(), signal);
    const left = await one(cluster, "SELECT count(*) FROM sqlite_schema", "strong", signal);
    if (left !== 0) throw new Error(`${String(left)} objects are left in cluster ${cluster.name} after it was emptied`);
  }

  async usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    const cluster = await this.#cluster(namespace, { signal });
    const sql = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()";
    return { database_bytes: Number(await one(cluster, sql, "none", signal)) };
  }

  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const start = performance.now();
    const ready = await Promise.all([...this.#options.clusters.values()].map((cluster) => cluster.ready(signal)));
    const up = ready.filter(Boolean).length;
    const known = {
      driver: "rqlite",
      latency_ms: performance.now() - start,
      details: { clusters: ready.length, ready: up },
    };
    if (up === ready.length) return { status: "ok", ...known };
    return {
      status: up > 0 ? "degraded" : "down",
      ...known,
      reason: `${up} of ${ready.length} database clusters serve`,
    };
  }

  async close(): Promise<void> {
    await Promise.all([...this.#options.clusters.values()].map((cluster) => cluster.close()));
  }

  async #cluster(namespace: string, waiter: Waiter): Promise<RqliteCluster> {
    const name = await this.#options.clusterOf(namespace, waiter);
    const cluster = this.#options.clusters.get(name);
    if (cluster) return cluster;
    const cause = new Error(`the pool has no cluster named ${name}, which namespace ${namespace} has claimed`);
    throw new GatewayError("UNAVAILABLE", "the database of this namespace is not configured here", { cause });
  }
}

/** The client's statement, and around it what tells the row id: only a mark shows whether an upsert inserted. */
function planOf(statement: GatedStatement, mayMark: boolean): Plan {
  const { access, returning, upserts } = statement.facts;
  const own = rqliteStatement(statement);
  if (access === "read") return { statements: [own], read: ([result]) => readOutcome(result) };
  const inserts = isInsert(statement);
  const before = inserts && (upserts || returning) && mayMark ? MARKING : [];
  const after = inserts && returning ? [LAST_INSERT_ID] : [];
  return {
    statements: [...before, own, ...after],
    read: (results) => {
      const result = results[before.length];
      return outcome(statement, result, lastIdOf(result, results[before.length + 1]));
    },
  };
}

function lastIdOf(result: RqliteResult | undefined, asked: RqliteResult | undefined): number | bigint {
  if (result?.kind === "change") return result.lastInsertId;
  const id = asked?.kind === "rows" ? asked.rows[0]?.[0] : 0;
  return typeof id === "number" || typeof id === "bigint" ? id : 0;
}

const isInsert = ({ facts: { verb } }: GatedStatement) => verb === "INSERT" || verb === "REPLACE";

function outcome(
  statement: GatedStatement,
  result: RqliteResult | undefined,
  lastId: number | bigint,
): StatementOutcome {
  if (result === undefined || result.kind === "error") return { ok: false, fault: fault(result?.error) };
  // rqlite repeats the figures of the statement before a definition.
  if (statement.facts.access === "definition") return { ok: true, result: { rowsAffected: 0, lastInsertId: 0 } };
  const rowsAffected = result.kind === "rows" ? result.rows.length : result.rowsAffected;
  const lastInsertId = isInsert(statement) && rowsAffected > 0 && lastId !== NO_ROW ? lastId : 0;
  const rows = result.kind === "rows" ? { rows: resultSet(result) } : {};
  return { ok: true, result: { ...rows, rowsAffected, lastInsertId } };
}

function readOutcome(result: RqliteResult | undefined): StatementOutcome {
  if (result?.kind !== "rows") return { ok: false, fault: fault(result?.kind === "error" ? result.error : undefined) };
  return { ok: true, result: { rows: resultSet(result), rowsAffected: 0, lastInsertId: 0 } };
}

const resultSet = ({ columns, types, rows }: ResultSet): ResultSet => ({ columns, types, rows });

function fault(sentence: string | undefined): SqlFault {
  const found = sentence === undefined ? undefined : faultOf(sentence);
  if (found) return found;
  const cause = new Error(`rqlite gave for a statement: ${sentence ?? "no result"}`);
  throw new GatewayError("UNAVAILABLE", "the database of this namespace cannot be used now", { cause });
}

function rolledBack(plans: readonly Plan[], results: readonly RqliteResult[]): DriverReply | undefined {
  const failure = firstFailure(results);
  if (!failure) return undefined;
  let end = 0;
  const step = plans.findIndex(({ statements }) => failure.index < (end += statements.length));
  return { kind: "rolled_back", fault: fault(failure.error), step };
}

function read(plans: readonly Plan[], results: readonly RqliteResult[]): StatementOutcome[] {
  let start = 0;
  return plans.map((plan) => plan.read(results.slice(start, start += plan.statements.length)));
}

/** The one value of a query of the driver's own. */
async function one(cluster: RqliteCluster, sql: string, level: ReadLevel, signal: AbortSignal): Promise<unknown> {
  const [result] = await cluster.query([{ sql, args: [] }], { level, signal });
  if (result?.kind !== "rows") {
    throw new Error(`rqlite gave for "${sql}": ${result?.kind === "error" ? result.error : "no rows"}`);
  }
  return result.rows[0]?.[0];
}
