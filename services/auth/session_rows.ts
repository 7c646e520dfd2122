import type { Role } from "../../src/contracts/identity.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";

/** A session, and the role of now of its wallet. */
export interface SessionRow {
  readonly id: string;
  readonly namespace: string;
  readonly wallet: string;
  readonly subject: string;
  readonly expires_at: number;
  readonly revoked_at: number | null;
  /** `null`: the wallet is no member any more. */
  readonly role: Role | null;
}

/** Begins a query for sessions as {@link SessionRow}; the table of sessions is `s` in it. */
export const selectSessions = ({ db }: ControlDatabase) =>
  db.selectFrom("sessions as s")
    .leftJoin(
      "members as m",
      (join) => join.onRef("m.namespace", "=", "s.namespace").onRef("m.wallet", "=", "s.wallet"),
    )
    .select(["s.id", "s.namespace", "s.wallet", "s.subject", "s.expires_at", "s.revoked_at", "m.role"]);
