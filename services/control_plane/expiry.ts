import type { ControlDatabase } from "./control_database.ts";

/** Milliseconds for which what has expired is kept, so that clocks need not agree. */
const MARGIN = 5 * 60 * 1000;
/** Milliseconds for which an audit event is kept. */
const AUDIT_LIFE = 400 * 24 * 60 * 60 * 1000;

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
  ]);
}
