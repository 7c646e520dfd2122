import type { Lifecycle, NamespacedService } from "../../src/contracts/health.ts";
import type { ResultSet, SqlArgument } from "../../src/contracts/database.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { StatementFacts } from "./gate.ts";

/** A statement that passed the gate, with what the gate found. Plain data: a driver may run in another process. */
export interface GatedStatement {
  readonly sql: string;
  /** As many as the statement has placeholders. */
  readonly args: readonly SqlArgument[];
  readonly facts: StatementFacts;
}

/** What the service asks of a driver: plain data, one namespace, one way of running. */
export interface DriverRequest {
  readonly namespace: string;
  /**
   * `read`: each statement reads and is answered by itself. `write`: each stands alone, a failing one does not touch the
   * others. `atomic`: all of them or none, reads included, which see what the steps before them wrote.
   */
  readonly mode: "read" | "write" | "atomic";
  readonly statements: readonly GatedStatement[];
}

/** Why SQLite, or the engine around it, did not do what a statement asked. Nothing of that statement was applied. */
export interface SqlFault {
  /**
   * `invalid`: the statement itself; `constraint`; `not_allowed`: refused by an authorizer;
   * `too_big`: a value or result beyond a limit; `timeout`: it ran out of its own time.
   */
  readonly kind: "invalid" | "constraint" | "not_allowed" | "too_big" | "timeout";
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
 * give the same for the same table. `run` throws `GatewayError` `UNAVAILABLE` (nothing was applied) and `OUTCOME_UNKNOWN`
 * (a write that may have been applied) where there is no outcome to give.
 */
export interface SqlDriver extends Lifecycle, NamespacedService {
  run(request: DriverRequest, context: Pick<RequestContext, "signal">): Promise<DriverReply>;
}
