import type { Kysely } from "kysely";
import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";
import { firstFailure, type RqliteCluster, type RqliteResult } from "../rqlite/client.ts";
import { constraintViolation } from "./constraint.ts";
import type { ControlDatabase, ControlQuery, ControlResult } from "./control_database.ts";
import { controlBuilder, type PlainQuery, plainQuery } from "./query_builder.ts";
import type { Schema } from "./schema.ts";

/** The control plane on an rqlite cluster of its own. Nothing of a tenant may ever run there. */
export class RqliteControlDatabase implements ControlDatabase {
  readonly db: Kysely<Schema>;

  /** @param cluster closed together with this */
  constructor(private readonly cluster: Pick<RqliteCluster, "query" | "request" | "nodes" | "stuck" | "close">) {
    this.db = controlBuilder((query, signal) => this.run(query, signal));
  }

  async run<Row = Record<string, unknown>>(query: ControlQuery, signal?: AbortSignal): Promise<ControlResult<Row>> {
    const plain = plainQuery(query);
    const results = plain.reading
      ? await this.cluster.query([plain], { level: "weak", signal })
      : await this.#write([plain], false, signal);
    throwFailure(results);
    return controlResult(plain, results[0]) as ControlResult<Row>;
  }

  async atomically(queries: readonly ControlQuery[], signal?: AbortSignal): Promise<ControlResult[]> {
    const plain = queries.map(plainQuery);
    const results = await this.#write(plain, true, signal);
    throwFailure(results);
    return plain.map((query, i) => controlResult(query, results[i]));
  }

  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const driver = "rqlite";
    const start = performance.now();
    try {
      await this.cluster.query([{ sql: "SELECT 1", args: [] }], { level: "weak", signal });
      const latency_ms = performance.now() - start;
      const nodes = await this.cluster.nodes(signal);
      const reachable = nodes.filter((node) => node.reachable).length;
      const details = { nodes: nodes.length, reachable };
      // Not down: credentials are read, and SQL of the namespaces goes on.
      if (this.cluster.stuck) return { status: "degraded", driver, latency_ms, details, reason: STUCK };
      if (reachable === nodes.length) return { status: "ok", driver, latency_ms, details };
      return {
        status: "degraded",
        driver,
        latency_ms,
        details,
        reason: "some nodes of the control database do not answer",
      };
    } catch {
      return { status: "down", driver, reason: "the control database cannot be reached" };
    }
  }

  close(): Promise<void> {
    return this.cluster.close();
  }

  async #write(
    queries: readonly PlainQuery[],
    transaction: boolean,
    signal: AbortSignal | undefined,
  ): Promise<RqliteResult[]> {
    try {
      return await this.cluster.request(queries, { transaction, signal });
    } catch (cause) {
      // The cluster's own sentence is about the database of a namespace.
      if (!this.cluster.stuck || !hasCode(cause, "UNAVAILABLE")) throw cause;
      throw new GatewayError("UNAVAILABLE", `${STUCK}; nothing was changed`, { cause, retryAfter: 5 });
    }
  }
}

const STUCK = "the control database reads, and does not come back from an earlier change";

function throwFailure(results: readonly RqliteResult[]): void {
  const failure = firstFailure(results);
  if (failure === undefined) return;
  const cause = new Error(failure.error);
  throw constraintViolation(failure.error, cause) ??
    new GatewayError("INTERNAL", "a query of the control plane failed", { cause });
}

function controlResult({ changing, returning }: PlainQuery, result: RqliteResult | undefined): ControlResult {
  if (result?.kind !== "rows") {
    return { rows: [], changes: changing && result?.kind === "change" ? result.rowsAffected : 0 };
  }
  const { columns } = result;
  const rows = result.rows.map((values) => Object.fromEntries(columns.map((column, i) => [column, values[i]])));
  return { rows, changes: returning ? rows.length : 0 };
}
