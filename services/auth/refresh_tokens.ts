import { createHmac } from "node:crypto";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import { framed } from "./crypto/framed.ts";
import type { Random } from "./ids.ts";
import { selectSessions, type SessionRow } from "./session_rows.ts";

/** A refresh token with its session, and what became of the token given in exchange. */
export interface RefreshRow extends SessionRow {
  /** When this token dies, not its session. */
  readonly token_expires_at: number;
  readonly used_at: number | null;
  readonly replaced_by: string | null;
  readonly successor_used_at: number | null;
}

/** The first token of a session: 43 characters of base64url, 32 random bytes, as older clients expect. */
export const newRefreshToken = (random: Random): string =>
  random(32).toBase64({ alphabet: "base64url", omitPadding: true });

/**
 * The token given in exchange for another one: always the same, so that it can be given again although only its hash is
 * stored, and known to nobody who has no more than the token before it.
 * @param subkey 32 bytes derived from the root key for this one use
 */
export const successorOf = (token: string, subkey: Uint8Array): string =>
  createHmac("sha256", subkey).update(framed("refresh-token", token)).digest("base64url");

/** The queries of refresh tokens. Tokens are named by their hashes, moments are Unix milliseconds. */
export class RefreshTokens {
  /** @param ttl milliseconds that a token is good */
  constructor(private readonly control: ControlDatabase, private readonly ttl: number) {}

  /** What is known of a token. */
  async find(hash: string, signal: AbortSignal): Promise<RefreshRow | undefined> {
    const query = selectSessions(this.control)
      .innerJoin("refresh_tokens as t", "t.session_id", "s.id")
      .leftJoin("refresh_tokens as n", "n.hash", "t.replaced_by")
      .select(["t.expires_at as token_expires_at", "t.used_at", "t.replaced_by", "n.used_at as successor_used_at"])
      .where("t.hash", "=", hash);
    return (await this.control.run<RefreshRow>(query, signal)).rows[0];
  }

  /** Makes the first token of a session. */
  first(hash: string, session_id: string, now: number): ControlQuery {
    return this.control.db.insertInto("refresh_tokens").values({
      hash,
      session_id,
      created_at: now,
      expires_at: now + this.ttl,
      used_at: null,
      replaced_by: null,
    });
  }

  /** First use: the old token is marked and the next one made, both only if nobody was faster. The last query tells. */
  exchange(hash: string, session_id: string, next: string, now: number): ControlQuery[] {
    const { db } = this.control;
    const expires_at = now + this.ttl;
    return [
      db.insertInto("refresh_tokens")
        .columns(["hash", "session_id", "created_at", "expires_at", "used_at", "replaced_by"])
        .expression(
          db.selectFrom("refresh_tokens").where("hash", "=", hash).where("used_at", "is", null).select(({ val }) => [
            val(next).as("hash"),
            val(session_id).as("session_id"),
            val(now).as("created_at"),
            val(expires_at).as("expires_at"),
            val<number | null>(null).as("used_at"),
            val<string | null>(null).as("replaced_by"),
          ]),
        ),
      db.updateTable("sessions").set({ last_used_at: now, expires_at }).where("id", "=", session_id),
      db.updateTable("refresh_tokens").set({ used_at: now, replaced_by: next })
        .where("hash", "=", hash).where("used_at", "is", null),
    ];
  }
}
