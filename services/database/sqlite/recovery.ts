import { GatewayError } from "../../../src/contracts/errors.ts";
import type { HostEnded } from "../../../src/hosts/host.ts";
import type { DriverReply, SqlFault } from "../driver.ts";
import { outcomesOf } from "./commits.ts";
import type { CommitRecord, CommittedOutcome, RunOrder } from "./messages.ts";

/** Where the outcome of a write may be found. */
export interface Afterwards {
  /** Stands for this gateway. */
  readonly instance: string;
  /** What the next host found, which is what the last transaction wrote down. */
  readonly next: () => Promise<{ readonly opened: { readonly commits: CommitRecord | undefined } }>;
  /** How many hosts have ended by themselves while it ran. Once may be anybody's fault. */
  readonly crashes: number;
}

/**
 * Tells what became of a request whose host ended before it answered. Nothing else has committed since: every write of the
 * namespace waits for the next host, as this does.
 * @returns the reply that was lost or is due; `undefined` when nothing of it was applied and it may be asked again
 * @throws GatewayError `UNAVAILABLE` when it may be what ended the host and was not applied, `OUTCOME_UNKNOWN` when it was applied
 *   and its rows are lost, or there is no next host that could tell
 */
export async function afterTheEnd(
  end: HostEnded,
  { write, mode, statements }: Pick<RunOrder, "write" | "mode" | "statements">,
  { instance, next, crashes }: Afterwards,
): Promise<DriverReply | undefined> {
  const outcome = write === undefined ? "nothing" : await committedOutcome(next, write, instance);
  if (outcome === "rows") throw new GatewayError("OUTCOME_UNKNOWN", ROWS_LOST, { cause: end });
  if (outcome !== "nothing") return { kind: "done", outcomes: outcomesOf(outcome) };
  if (!end.running || crashes === 1) return undefined;
  if (end.reason !== "deadline") {
    throw new GatewayError("UNAVAILABLE", "the process that ran this statement ended; nothing was applied", {
      cause: end,
    });
  }
  const fault: SqlFault = { kind: "timeout", message: OUT_OF_TIME };
  // Which step it was nobody knows; the last one stands for the end of the time, as it does for the end of the transaction.
  if (mode === "atomic") return { kind: "rolled_back", fault, step: statements.length - 1 };
  return { kind: "done", outcomes: statements.map(() => ({ ok: false, fault })) };
}

async function committedOutcome(
  next: Afterwards["next"],
  write: number,
  instance: string,
): Promise<CommittedOutcome> {
  try {
    const { opened: { commits } } = await next();
    if (commits?.instance !== instance) return "nothing";
    return commits.requests.find(([number]) => number === write)?.[1] ?? "nothing";
  } catch (cause) {
    throw new GatewayError("OUTCOME_UNKNOWN", UNKNOWN, { cause });
  }
}

/** What a client is told whose statement ran longer than it may. */
export const OUT_OF_TIME = "the statement ran longer than it may, and was stopped; nothing of it was applied";
const ROWS_LOST = "the write was applied, but its process ended before the rows it returned were handed over";
const UNKNOWN = "the process that ran this write ended, and the database cannot tell now whether it was applied";
