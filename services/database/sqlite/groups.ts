import type { GroupMember, SqliteConnection } from "./connection.ts";
import type { RunOrder } from "./messages.ts";

/** Statements of one transaction, and bytes of values in it, roughly. */
const MAX_STATEMENTS = 256, MAX_BYTES = 4 * 2 ** 20;
/** Statements of one request: the more there are, the less is a commit of its own beside them, and the more has to be proven. */
const MAX_EACH = 32;

/** A request, with whatever whoever asks knows of it. */
interface Run {
  readonly order: RunOrder;
}

/**
 * The requests from `start` on that may share a transaction; none, or one, when the first has to run alone. Their number is bounded
 * by how long they may take and hold what they read: nobody is answered before the commit, and the clock counts for the first.
 */
export function groupAt<R extends Run>(
  connection: Pick<SqliteConnection, "mayShare">,
  runs: readonly R[],
  start: number,
): (R & { readonly order: GroupMember })[] {
  const members: (R & { readonly order: GroupMember })[] = [];
  let statements = 0, bytes = 0;
  for (const run of runs.slice(start, start + MAX_STATEMENTS)) {
    const { order } = run;
    statements += order.statements.length;
    bytes += weightOf(order);
    if (order.statements.length > MAX_EACH || statements > MAX_STATEMENTS || bytes > MAX_BYTES) break;
    if (order.maxDatabaseBytes !== runs[start]!.order.maxDatabaseBytes) break;
    if (!mayShare(connection, run, members.length === 0)) break;
    members.push(run);
  }
  return members;
}

function mayShare<R extends Run>(
  connection: Pick<SqliteConnection, "mayShare">,
  run: R,
  isTurn: boolean,
): run is R & { readonly order: GroupMember } {
  return connection.mayShare(run.order, isTurn);
}

function weightOf({ statements }: RunOrder): number {
  let weight = 0;
  for (const { args } of statements) {
    for (const arg of args) {
      if (typeof arg === "string" || arg instanceof Uint8Array) weight += arg.length;
    }
  }
  return weight;
}
