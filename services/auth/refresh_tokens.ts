import type { SelectQueryBuilder } from "kysely";
import type { Role } from "../../src/contracts/identity.ts";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import type { Schema } from "../control_plane/schema.ts";
import type { Random } from "./ids.ts";

/** A refresh token with its session, its wallet's role of now, and what became of the token given in exchange. */
export interface RefreshRow {
  readonly session_id: string;
  readonly expires_at: number;
  readonly used_at: number | null;
  readonly replaced_by: string | null;
  readonly namespace: string;
  readonly wallet: string;
  readonly subject: string;
  readonly revoked_at: number | null;
  /** `null`: the wallet is no member any more. */
  readonly role: Role | null;
  readonly successor_used_at: number | null;
}

/** 43 characters of base64url: 32 random bytes, as older clients expect. */
export const newRefreshToken = (random: Random): string =>
  random(32).toBase64({ alphabet: "base64url", omitPadding: true });

/** Marks a refresh token that was superseded in the grace: any use of it, however soon, is a reuse. */
const SUPERSEDED = 0;

type TokenQuery = SelectQueryBuilder<Schema, "refresh_tokens", Record<never, never>>;

/** The queries of refresh tokens. Tokens are named by their hashes, moments are Unix milliseconds. */
export class RefreshTokens {
  /** @param ttl milliseconds that a token is good */
  constructor(private readonly control: ControlDatabase, private readonly ttl: number) {}

  /** What is known of a token. */
  async find(hash: string, signal: AbortSignal): Promise<RefreshRow | undefined> {
    const query = this.control.db.selectFrom("refresh_tokens as t")
      .innerJoin("sessions as s", "s.id", "t.session_id")
      .leftJoin(
        "members as m",
        (join) => join.onRef("m.namespace", "=", "s.namespace").onRef("m.wallet", "=", "s.wallet"),
      )
      .leftJoin("refresh_tokens as n", "n.hash", "t.replaced_by")
      .select(["t.session_id", "t.expires_at", "t.used_at", "t.replaced_by"])
      .select(["s.namespace", "s.wallet", "s.subject", "s.revoked_at", "m.role", "n.used_at as successor_used_at"])
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

  /** First use: the old token is marked and the new one made, both only if nobody was faster. The last query tells. */
  exchange(hash: string, row: RefreshRow, next: string, now: number): ControlQuery[] {
    const { db } = this.control;
    const stillUnused = db.selectFrom("refresh_tokens").where("hash", "=", hash).where("used_at", "is", null);
    return [
      this.#insertIf(stillUnused, next, row, now),
      db.updateTable("sessions").set({ last_used_at: now, expires_at: now + this.ttl }).where(
        "id",
        "=",
        row.session_id,
      ),
      db.updateTable("refresh_tokens").set({ used_at: now, replaced_by: next })
        .where("hash", "=", hash).where("used_at", "is", null),
    ];
  }

  /** Second use in the grace: the token given out first is superseded by another one, unless it was used meanwhile. */
  supersede(hash: string, row: RefreshRow, next: string, now: number): ControlQuery[] {
    const { db } = this.control;
    const before = row.replaced_by!;
    const stillUnused = db.selectFrom("refresh_tokens").where("hash", "=", before).where("used_at", "is", null);
    return [
      this.#insertIf(stillUnused, next, row, now),
      db.updateTable("refresh_tokens").set({ replaced_by: next })
        .where("hash", "=", hash).where("replaced_by", "=", before)
        .where((where) => where.exists(stillUnused.select("hash"))),
      db.updateTable("refresh_tokens").set({ used_at: SUPERSEDED })
        .where("hash", "=", before).where("used_at", "is", null),
    ];
  }

  #insertIf(condition: TokenQuery, hash: string, { session_id }: RefreshRow, now: number): ControlQuery {
    return this.control.db.insertInto("refresh_tokens")
      .columns(["hash", "session_id", "created_at", "expires_at", "used_at", "replaced_by"])
      .expression(
        condition.select(({ val }) => [
          val(hash).as("hash"),
          val(session_id).as("session_id"),
          val(now).as("created_at"),
          val(now + this.ttl).as("expires_at"),
          val<number | null>(null).as("used_at"),
          val<string | null>(null).as("replaced_by"),
        ]),
      );
  }
}
