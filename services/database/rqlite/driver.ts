import type { RowStream } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { RqliteCluster, RqliteResult } from "../../rqlite/client.ts";
import type {
  DriverReply,
  DriverRequest,
  GatedStatement,
  SqlDriver,
  SqlFault,
  StatementOutcome,
  StreamRequest,
} from "../driver.ts";
import type { Judge } from "./judge.ts";
import type { Verdict } from "./mirror.ts";
import { emptyDatabaseFile } from "../sqlite/node_sqlite.ts";
import { outcomesOf, planOf, readOutcome, rolledBack, writeOutcome } from "./outcomes.ts";
import { type Place, placeOf, rowsOf } from "./place.ts";
import { mayKeepAPart, NOTICE_SCHEMA, plainArgs, rqliteStatement } from "./statements.ts";
import { rowStream } from "./stream.ts";

/** The pool of clusters, and how statements are sent to them. */
export interface RqliteDriverOptions {
  /** The clusters of the pool by name, one database each. They are closed with the driver. */
  readonly clusters: ReadonlyMap<string, RqliteCluster>;
  /** Which cluster a namespace has claimed. @throws GatewayError when it has none */
  readonly clusterOf: (namespace: string, request: Waiter) => Promise<string>;
  /** Closed with the driver. Without one nothing is judged but by the lexical gate, and every statement goes alone. */
  readonly judge?: Judge;
}

/** Whoever waits for an answer. Its signal is left alone until something takes long. */
type Waiter = Pick<RequestContext, "signal">;

/** RQLite, one cluster per namespace. Short statements of different callers share requests; all others go alone. */
export class RqliteDriver implements SqlDriver {
  readonly #options: RqliteDriverOptions;
  readonly #places = new Map<string, Place>();

  constructor(options: RqliteDriverOptions) {
    this.#options = options;
  }

  async run(request: DriverRequest, waiter: Waiter): Promise<DriverReply> {
    const { statements, mode } = request;
    const place = await this.#place(request.namespace, waiter);
    if (mode === "atomic") return await this.#atomic(place, request, waiter);
    if (statements.length === 1) {
      return { kind: "done", outcomes: [await this.#one(place, statements[0]!, request, waiter)] };
    }
    return { kind: "done", outcomes: await this.#several(place, request, waiter) };
  }

  async stream(request: StreamRequest, waiter: Waiter): Promise<RowStream> {
    const place = await this.#place(request.namespace, waiter);
    const verdict = await this.#verdict(place, request.statement);
    return await rowStream(place.cluster, request, verdict?.fault, waiter);
  }

  /** Puts an empty database in the place of the namespace's, and looks whether it is empty. */
  async purge(namespace: string, signal: AbortSignal): Promise<void> {
    const { cluster } = await this.#place(namespace, { signal });
    this.#places.delete(namespace);
    await cluster.load(emptyDatabaseFile(), signal);
    const count = { sql: "SELECT count(*) FROM sqlite_schema", args: [] };
    const left = (await rowsOf(cluster, [count], "strong", signal))[0]![0]?.[0];
    if (left !== 0) throw new Error(`${String(left)} objects are left in cluster ${cluster.name} after it was emptied`);
  }

  async usage(namespace: string, signal: AbortSignal): Promise<Usage> {
    const { cluster } = await this.#place(namespace, { signal });
    const size = { sql: "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", args: [] };
    return { database_bytes: Number((await rowsOf(cluster, [size], "none", signal))[0]![0]?.[0]) };
  }

  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const start = performance.now();
    const clusters = [...this.#options.clusters.values()];
    const ready = await Promise.all(clusters.map((cluster) => cluster.ready(signal)));
    const stuck = clusters.filter((cluster) => cluster.stuck).map(({ name }) => name);
    const up = clusters.filter((cluster, i) => ready[i] && !cluster.stuck).length;
    const known = {
      driver: "rqlite",
      latency_ms: performance.now() - start,
      details: { clusters: ready.length, ready: up, ...(stuck.length > 0 && { stuck: stuck.length }) },
    };
    if (up === ready.length) return { status: "ok", ...known };
    const writes = stuck.length > 0 ? `; in ${stuck.length} a statement does not come to an end` : "";
    return {
      status: up > 0 || stuck.length > 0 ? "degraded" : "down",
      ...known,
      reason: `${up} of ${ready.length} database clusters serve${writes}`,
    };
  }

  async close(): Promise<void> {
    const clusters = [...this.#options.clusters.values()].map((cluster) => cluster.close());
    await Promise.all([...clusters, this.#options.judge?.close()]);
  }

  async #one(
    place: Place,
    statement: GatedStatement,
    request: DriverRequest,
    waiter: Waiter,
  ): Promise<StatementOutcome> {
    const found = this.#verdict(place, statement);
    const verdict = found instanceof Promise ? await found : found;
    const full = request.maxDatabaseBytes > 0 && request.mode === "write"
      ? await place.size.refuses([statement], request.maxDatabaseBytes)
      : undefined;
    const fault = verdict?.fault ?? full?.fault;
    if (fault) return { ok: false, fault };
    const together = verdict?.shared === undefined
      ? undefined
      : shared(place, verdict.shared, statement, request, waiter);
    const result = together && await together;
    if (result) {
      const outcome = request.mode === "read" ? readOutcome(result) : writeOutcome(statement, result);
      return bounded(outcome, request, sizeOf(outcome));
    }
    return await this.#alone(place, statement, request, waiter);
  }

  /** In their order; those that may share a request do not wait for one another. */
  async #several(place: Place, request: DriverRequest, waiter: Waiter): Promise<StatementOutcome[]> {
    const outcomes: Promise<StatementOutcome>[] = [];
    for (const statement of request.statements) {
      const verdict = await this.#verdict(place, statement);
      const outcome = this.#one(place, statement, request, waiter);
      // Whoever waits for all of them hears of it.
      outcome.catch(() => {});
      outcomes.push(outcome);
      if (request.mode === "write" && verdict?.shared === undefined) await Promise.all(outcomes);
    }
    return await Promise.all(outcomes);
  }

  async #alone(
    { cluster, mirror }: Place,
    statement: GatedStatement,
    request: DriverRequest,
    waiter: Waiter,
  ): Promise<StatementOutcome> {
    const { timeout: dbTimeout, level, freshness, ceiling } = request;
    try {
      if (request.mode === "read") {
        const before = statement.facts.wildcard ? [NOTICE_SCHEMA] : [];
        const sent = [...before, rqliteStatement(statement)];
        const maxBytes = ceiling.bytes + OVERHEAD;
        const results = await cluster.query(sent, { waiter, dbTimeout, level, freshness, maxBytes });
        return bounded(readOutcome(results[before.length]), request);
      }
      const plan = planOf(statement, !statement.facts.asksConnection);
      const transaction = mayKeepAPart(statement);
      const results = await cluster.request(plan.statements, { waiter, dbTimeout, level, transaction });
      const failed = transaction ? rolledBack([plan], results) : undefined;
      return failed?.kind === "rolled_back" ? { ok: false, fault: failed.fault } : plan.read(results);
    } catch (error) {
      return { ok: false, fault: faultOf(error) };
    } finally {
      if (statement.facts.access === "definition") mirror?.changed();
    }
  }

  async #atomic(place: Place, request: DriverRequest, waiter: Waiter): Promise<DriverReply> {
    const { statements, timeout: dbTimeout, level, ceiling, maxDatabaseBytes } = request;
    const refused = await place.mirror?.transaction(statements) ??
      (maxDatabaseBytes > 0 ? await place.size.refuses(statements, maxDatabaseBytes) : undefined);
    if (refused) return { kind: "rolled_back", ...refused };
    // A mark would be seen by a statement that asks for the row id or the changes of the one before it.
    const asked = statements.some(({ facts }) => facts.asksConnection);
    const plans = statements.map((statement) => planOf(statement, !asked));
    const all = plans.flatMap((plan) => plan.statements);
    const reads = statements.every(({ facts }) => facts.access === "read");
    const maxBytes = reads ? ceiling.bytes * statements.length + OVERHEAD : undefined;
    try {
      const results = await place.cluster.request(all, { waiter, dbTimeout, level, maxBytes, transaction: true });
      const failed = rolledBack(plans, results);
      if (failed) return failed;
      const outcomes = outcomesOf(plans, results);
      return { kind: "done", outcomes: reads ? outcomes.map((outcome) => bounded(outcome, request)) : outcomes };
    } catch (error) {
      return { kind: "rolled_back", fault: faultOf(error), step: statements.length - 1 };
    } finally {
      if (statements.some(({ facts }) => facts.access === "definition")) place.mirror?.changed();
    }
  }

  #verdict({ mirror }: Place, statement: GatedStatement): Verdict | undefined | Promise<Verdict> {
    if (mirror === undefined || statement.own === true) return undefined;
    return mirror.known(statement.sql) ?? mirror.verdict(statement);
  }

  async #place(namespace: string, waiter: Waiter): Promise<Place> {
    const name = await this.#options.clusterOf(namespace, waiter);
    const known = this.#places.get(namespace);
    if (known?.cluster.name === name) return known;
    const cluster = this.#options.clusters.get(name);
    if (!cluster) {
      const cause = new Error(`the pool has no cluster named ${name}, which namespace ${namespace} has claimed`);
      throw new GatewayError("UNAVAILABLE", "the database of this namespace is not configured here", { cause });
    }
    const place = placeOf(namespace, cluster, this.#options.judge);
    this.#places.set(namespace, place);
    return place;
  }
}

/** What an answer has beside its values, at most. */
const OVERHEAD = 64 * 1024;

/** Sends it together with others; `undefined` when its arguments need a text of its own. */
function shared(
  { cluster }: Place,
  text: string,
  { args: given, facts: { wildcard } }: GatedStatement,
  { mode, timeout, level, freshness }: DriverRequest,
  waiter: Waiter,
): Promise<RqliteResult | undefined> | undefined {
  const args = plainArgs(given);
  if (args === undefined) return undefined;
  const grouped = { text, args, timeout, waiter, wildcard };
  return mode === "read" ? cluster.readGrouped(grouped, { level, freshness }) : cluster.writeGrouped(grouped);
}

const TOO_BIG: SqlFault = {
  kind: "too_big",
  message: "the result is larger than one answer may be: ask for it as a stream, with the header " +
    "Accept: application/x-ndjson, or for less of it",
};

/** @param bytes of its values, where they are not bounded otherwise */
function bounded(outcome: StatementOutcome, { ceiling }: DriverRequest, bytes = 0): StatementOutcome {
  const rows = outcome.ok ? outcome.result.rows?.rows.length ?? 0 : 0;
  return rows > ceiling.rows || bytes > ceiling.bytes ? { ok: false, fault: TOO_BIG } : outcome;
}

/** Bytes of a few rows, roughly as JSON. */
function sizeOf(outcome: StatementOutcome): number {
  let size = 0;
  for (const row of (outcome.ok && outcome.result.rows?.rows) || []) {
    for (const value of row) size += typeof value === "string" || value instanceof Uint8Array ? value.length : 8;
  }
  return size;
}

/** Faults of a statement that the client of the cluster throws. @throws whatever else it is */
function faultOf(error: unknown): SqlFault {
  if (!(error instanceof GatewayError)) throw error;
  if (error.code === "RESULT_TOO_LARGE") return TOO_BIG;
  if (error.code === "STATEMENT_TIMEOUT") return { kind: "timeout", message: error.message };
  throw error;
}
