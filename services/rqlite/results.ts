import type { RqliteResult } from "./wire.ts";

/** The statement that made a transaction fail, and SQLite's words; `undefined` when all of them succeeded. */
export function firstFailure(results: readonly RqliteResult[]): { index: number; error: string } | undefined {
  const index = results.findIndex((result) => result.kind === "error" && result.rolledBack === undefined);
  const culprit = results[index];
  return culprit?.kind === "error" ? { index, error: culprit.error } : undefined;
}

/** rqlite lets the results of statements that it undid look like successes; here they do not. */
export function undone(count: number, { index, error }: { index: number; error: string }): RqliteResult[] {
  return Array.from({ length: count }, (_, i) => (
    i === index ? { kind: "error", error } : { kind: "error", error: "rolled back", rolledBack: true }
  ));
}
