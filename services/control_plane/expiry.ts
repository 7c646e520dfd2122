import { sql } from "kysely";
import type { ControlDatabase, ControlQuery } from "./control_database.ts";

/** Milliseconds for which what has expired is kept, so that clocks need not agree. */
const MARGIN = 5 * 60 * 1000;
/** Milliseconds for which an audit event is kept. */
const AUDIT_LIFE = 400 * 24 * 60 * 60 * 1000;
/** Milliseconds for which it is known how a gateway's life ended. */
const EPOCH_MEMORY = 7 * 24 * 60 * 60 * 1000;

/** Removes rows that can no longer mean anything. Several gateways may do so at once. */
export async function removeExpired(control: ControlDatabase, now: number): Promise<void> {
  const { db } = control;
  const before = now - MARGIN;
  await control.atomically([
    db.deleteFrom("consumed_nonces").where("expires_at", "<", before),
    db.deleteFrom("login_codes").where("expires_at", "<", before),
    db.deleteFrom("refresh_tokens").where("expires_at", "<", before),
    db.deleteFrom("sessions").where("expires_at", "<", before),
    db.deleteFrom("revocations").where("expires_at", "<", before),
    db.deleteFrom("signing_keys").where("retired_at", "<", before),
    db.deleteFrom("leases").where("expires_at", "<", before),
    db.deleteFrom("audit_events").where("at", "<", now - AUDIT_LIFE),
    ...forgetEpochs(control, now - EPOCH_MEMORY),
  ]);
}

/**
 * Forgets lives of gateways that ended long ago, but for the newest: that stays, as one that ended without a word. A position
 * from before it, whose holder may have missed any of them, is so never held for complete.
 */
function forgetEpochs({ db }: ControlDatabase, before: number): ControlQuery[] {
  const newest = sql<number>`(SELECT max(number) FROM gateway_epochs WHERE ended_at < ${before})`;
  return [
    sql`UPDATE gateway_epochs SET state = 'lost' WHERE number = ${newest} AND state = 'clean'
      AND EXISTS (SELECT 1 FROM gateway_epochs AS older WHERE older.ended_at < ${before} AND older.number < ${newest})`
      .compile(db),
    db.deleteFrom("gateway_epochs").where("ended_at", "<", before).where("number", "<", newest),
  ];
}
