import type { ExecResult, ResultSet, StepResult, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { DriverReply, GatedStatement, StatementOutcome, StatementResult } from "./driver.ts";
import { errorOf } from "./faults.ts";

/** What a read gives that has nothing to give. */
export const NO_ROWS: ResultSet = { columns: [], types: [], rows: [] };

/** The result of the one statement there was. @throws GatewayError for its fault */
export function onlyResult(reply: DriverReply): StatementResult {
  if (reply.kind === "rolled_back") throw errorOf(reply.fault);
  return resultOf(reply.outcomes[0]);
}

/** @throws GatewayError for a fault */
export function resultOf(outcome: StatementOutcome | undefined): StatementResult {
  if (outcome === undefined) throw new Error("the driver gave no outcome for a statement");
  if (!outcome.ok) throw errorOf(outcome.fault);
  return outcome.result;
}

/** The figures alone. */
export const figuresOf = ({ rowsAffected, lastInsertId }: StatementResult) => ({ rowsAffected, lastInsertId });

/** As the client gets it that asked for figures. */
export function execResult({ facts }: GatedStatement, result: StatementResult): ExecResult {
  return { ...figuresOf(result), ...(facts.returning && result.rows && { returning: result.rows }) };
}

/** As the client gets it that asked for a step of this kind. */
export function stepResult(kind: TransactionStep["kind"], gated: GatedStatement, result: StatementResult): StepResult {
  return kind === "exec" ? { kind, result: execResult(gated, result) } : { kind, result: result.rows ?? NO_ROWS };
}

/** As the client gets it whose key was known: figures were kept, rows were not. */
export function replayedStep(kind: TransactionStep["kind"], result: StatementResult): StepResult {
  return kind === "exec" ? { kind, result: figuresOf(result) } : { kind, result: null };
}

/** Gives an error of `run` the step it belongs to. */
export function atStep<T>(step: number, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw error instanceof GatewayError ? withStep(error, step) : error;
  }
}

/** The same error, with the step it belongs to. */
export function withStep({ code, message, extra }: GatewayError, step: number): GatewayError {
  const known = typeof extra.details === "object" && !Array.isArray(extra.details) ? extra.details : {};
  return new GatewayError(code, message, { ...extra, details: { ...known, step } });
}
