import type { Lifecycle, NamespacedService } from "../../src/contracts/health.ts";
import type { ReadLevel, ResultSet, RowStream, SqlArgument } from "../../src/contracts/database.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { StatementFacts } from "./gate/gate.ts";

export type { DriverEvent } from "../../src/contracts/observation.ts";

/** A statement that passed the gate, with what the gate found. Plain data: a driver may run in another process. */
export interface GatedStatement {
  readonly sql: string;
  /** As many as the statement has placeholders. */
  readonly args: readonly SqlArgument[];
  readonly facts: StatementFacts;
  /** The gateway's own, with no text of a client's in it: it may touch the tables `_orama_*`, and nobody judges it. */
  readonly own?: true;
}

/** What every request to a driver says. */
interface Bounds {
  readonly namespace: string;
  /** Milliseconds that all of it may run. What runs longer is stopped: the fault `timeout`. */
  readonly timeout: number;
  /** What reads must see. */
  readonly level: ReadLevel;
  /** Milliseconds by which an answer of level `none` may lag behind the leader. */
  readonly freshness?: number | undefined;
}

/** What the service asks of a driver: plain data, one namespace, one way of running. */
export interface DriverRequest extends Bounds {
  /**
   * `read`: each statement reads and is answered by itself. `write`: each stands alone, a failing one does not touch the
   * others. `atomic`: all of them or none, reads included, which see what the steps before them wrote.
   */
  readonly mode: "read" | "write" | "atomic";
  readonly statements: readonly GatedStatement[];
  /** Bounds of one statement's rows; beyond them it is the fault `too_big`. `bytes` are those of the values, roughly as JSON. */
  readonly ceiling: { readonly rows: number; readonly bytes: number };
  /** Bytes that the database may have: what would make it larger is the fault `quota`. 0 for no bound. */
  readonly maxDatabaseBytes: number;
}

/** A single statement that reads, whose rows are wanted as they come. */
export interface StreamRequest extends Bounds {
  readonly statement: GatedStatement;
}

/** Why SQLite, or the engine around it, did not do what a statement asked. Nothing of that statement was applied. */
export interface SqlFault {
  /**
   * `invalid`: the statement itself; `constraint`; `not_allowed`: refused by an authorizer;
   * `too_big`: a value or result beyond a limit; `timeout`: it ran out of its own time; `quota`: the database may not grow.
   */
  readonly kind: "invalid" | "constraint" | "not_allowed" | "too_big" | "timeout" | "quota";
  /** SQLite's own sentence, fit for the client: it is about the client's own SQL. */
  readonly message: string;
}

/** What one statement gave. `rows` is there when it returns rows, also none. */
export interface StatementResult {
  readonly rows?: ResultSet;
  /** As in `ExecResult`. */
  readonly rowsAffected: number;
  readonly lastInsertId: number | bigint;
}

/** One statement's outcome. */
export type StatementOutcome =
  | { readonly ok: true; readonly result: StatementResult }
  | { readonly ok: false; readonly fault: SqlFault };

/** What a driver answers: one outcome per statement, or, of an `atomic` request that came to nothing, why. */
export type DriverReply =
  | { readonly kind: "done"; readonly outcomes: readonly StatementOutcome[] }
  | {
    readonly kind: "rolled_back";
    readonly fault: SqlFault;
    /** Which statement failed; the last one where a constraint was deferred to the end. */
    readonly step: number;
  };

/**
 * Runs gated statements on the databases of namespaces, and presents values by the rules in `values.ts`, so that two drivers
 * give the same for the same table. `run` and `stream` throw `GatewayError` `UNAVAILABLE` (nothing was applied) and
 * `OUTCOME_UNKNOWN` (a write that may have been applied) where there is no outcome to give.
 */
export interface SqlDriver extends Lifecycle, NamespacedService {
  run(request: DriverRequest, context: Pick<RequestContext, "signal">): Promise<DriverReply>;
  /** Rows as they come, at the reader's pace. @throws GatewayError also for the statement's own faults, and while rows come */
  stream(request: StreamRequest, context: Pick<RequestContext, "signal">): Promise<RowStream>;
}
