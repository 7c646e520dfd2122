import type { SelectQueryBuilder } from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Role } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { SessionOrigin, Sessions, SessionView } from "../../src/contracts/wallet_auth.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import type { Schema, SessionTable } from "../control_plane/schema.ts";
import { hashKey } from "./crypto/api_key.ts";
import { newId, type Random } from "./ids.ts";

/** What sessions need of the rest, and how long they live. */
export interface SessionsParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  readonly now: () => number;
  readonly random: Random;
  /** Milliseconds that a session lives without being refreshed. */
  readonly refreshTtl: number;
  /** Milliseconds in which a used refresh token is taken again, because the answer to its first use may have been lost. */
  readonly grace: number;
}

/** Who a session belongs to. */
export interface SessionOwner {
  readonly namespace: string;
  /** Canonical. */
  readonly wallet: string;
  /** As the client spells it. */
  readonly subject: string;
}

/** A session that was opened or refreshed. Holds a secret. */
export interface LiveSession extends SessionOwner {
  readonly id: string;
  readonly role: Role;
  readonly refreshToken: string;
}

interface RefreshRow {
  readonly session_id: string;
  readonly expires_at: number;
  readonly used_at: number | null;
  readonly replaced_by: string | null;
  readonly namespace: string;
  readonly wallet: string;
  readonly subject: string;
  readonly revoked_at: number | null;
  readonly role: Role | null;
  readonly successor_used_at: number | null;
}

/** Marks a refresh token that was superseded in the grace: any use of it, however soon, is a reuse. */
const SUPERSEDED = 0;

/**
 * Sessions and their refresh tokens, each of which is good once (RFC 9700, 4.14.2). All tokens of a session are one
 * family: when a token is used twice, somebody has a copy, and the family dies.
 */
export class WalletSessions implements Sessions {
  constructor(private readonly parts: SessionsParts) {}

  async open(owner: SessionOwner, role: Role, origin: SessionOrigin, context: RequestContext): Promise<LiveSession> {
    const { control, now, random, audit, refreshTtl } = this.parts;
    const { namespace, wallet, subject } = owner;
    const id = newId("ses", random);
    const at = now();
    const token = newRefreshToken(random);
    const expires_at = at + refreshTtl;
    await control.atomically([
      control.db.insertInto("sessions").values({
        id,
        namespace,
        wallet,
        subject,
        created_at: at,
        last_used_at: at,
        expires_at,
        revoked_at: null,
        address: context.clientAddress,
        user_agent: origin.userAgent.slice(0, 256),
      }),
      control.db.insertInto("refresh_tokens")
        .values({ hash: hashKey(token), session_id: id, created_at: at, expires_at, used_at: null, replaced_by: null }),
      audit.entry({ namespace, actor: wallet, action: "session.opened", resource: id }, context),
    ], context.signal);
    return { ...owner, id, role, refreshToken: token };
  }

  /** @throws GatewayError `INVALID_CREDENTIAL` for a token that is unknown, expired, revoked, of another namespace or reused */
  async refresh(token: string, namespace: string | undefined, context: RequestContext): Promise<LiveSession> {
    const hash = hashKey(token);
    const now = this.parts.now();
    const row = await this.#find(hash, context);
    if (
      !row || row.expires_at <= now || row.revoked_at !== null || row.role === null ||
      (namespace !== undefined && namespace !== row.namespace)
    ) throw refused();
    const next = newRefreshToken(this.parts.random);
    const exchange = row.used_at === null
      ? this.#exchange(hash, row, hashKey(next), now)
      : this.#isLostAnswer(row, now)
      ? this.#supersede(hash, row, hashKey(next), now)
      : undefined;
    if (!exchange) {
      await this.#reused(row, context);
      throw refused();
    }
    const won = await this.#apply(exchange, context);
    // Somebody else exchanged the same token in between; looked at again, it is a used one.
    if (!won) return await this.refresh(token, namespace, context);
    return {
      id: row.session_id,
      namespace: row.namespace,
      wallet: row.wallet,
      subject: row.subject,
      role: row.role,
      refreshToken: next,
    };
  }

  async list(namespace: string, wallet: string, { signal }: RequestContext): Promise<SessionView[]> {
    const { control, now } = this.parts;
    const { rows } = await control.run<SessionTable>(
      control.db.selectFrom("sessions").selectAll().where("namespace", "=", namespace).where("wallet", "=", wallet)
        .where("revoked_at", "is", null).where("expires_at", ">", now()).orderBy("created_at", "desc").limit(1000),
      signal,
    );
    return rows.map((row) => ({
      id: row.id,
      wallet: row.wallet,
      createdAt: row.created_at,
      lastUsedAt: row.last_used_at,
      expiresAt: row.expires_at,
      address: row.address,
      userAgent: row.user_agent,
    }));
  }

  async revoke(namespace: string, wallet: string, id: string, context: RequestContext): Promise<void> {
    const { control } = this.parts;
    const { rows } = await control.run(
      control.db.selectFrom("sessions").select("id").where("id", "=", id).where("namespace", "=", namespace)
        .where("wallet", "=", wallet).where("revoked_at", "is", null),
      context.signal,
    );
    if (rows.length === 0) throw new GatewayError("NOT_FOUND", "no such session of this wallet");
    await this.end([id], { namespace, actor: wallet, action: "session.revoked" }, context);
  }

  /** Whether a session has neither ended nor expired. */
  async lives(id: string): Promise<boolean> {
    const { control, now } = this.parts;
    const { rows } = await control.run(
      control.db.selectFrom("sessions").select("id").where("id", "=", id).where("revoked_at", "is", null)
        .where("expires_at", ">", now()),
    );
    return rows.length > 0;
  }

  /** Ends every session of a wallet in a namespace. */
  async revokeAll(namespace: string, wallet: string, context: RequestContext): Promise<void> {
    for (;;) {
      const sessions = await this.list(namespace, wallet, context);
      if (sessions.length === 0) return;
      await this.end(sessions.map(({ id }) => id), { namespace, actor: wallet, action: "session.revoked" }, context);
    }
  }

  /** Ends the session that a refresh token belongs to; of an unknown one nothing. */
  async revokeByToken(token: string, context: RequestContext): Promise<void> {
    const row = await this.#find(hashKey(token), context);
    if (!row || row.revoked_at !== null) return;
    const { namespace, wallet, session_id } = row;
    await this.end([session_id], { namespace, actor: wallet, action: "session.revoked" }, context);
  }

  /** Ends sessions by their ids, on every gateway. */
  async end(
    ids: readonly string[],
    act: { readonly namespace: string; readonly actor: string; readonly action: string },
    context: RequestContext,
  ): Promise<void> {
    const { control, now, revocations, audit } = this.parts;
    const queries = ids.flatMap((id) => [
      control.db.updateTable("sessions").set({ revoked_at: now() }).where("id", "=", id).where(
        "revoked_at",
        "is",
        null,
      ),
      revocations.entry("session", id),
      audit.entry({ ...act, resource: id }, context),
    ]);
    if (queries.length > 0) await control.atomically(queries);
    await revocations.pull();
  }

  async #find(hash: string, { signal }: RequestContext): Promise<RefreshRow | undefined> {
    const { control } = this.parts;
    const query = control.db.selectFrom("refresh_tokens as t")
      .innerJoin("sessions as s", "s.id", "t.session_id")
      .leftJoin(
        "members as m",
        (join) => join.onRef("m.namespace", "=", "s.namespace").onRef("m.wallet", "=", "s.wallet"),
      )
      .leftJoin("refresh_tokens as n", "n.hash", "t.replaced_by")
      .select(["t.session_id", "t.expires_at", "t.used_at", "t.replaced_by"])
      .select(["s.namespace", "s.wallet", "s.subject", "s.revoked_at", "m.role", "n.used_at as successor_used_at"])
      .where("t.hash", "=", hash);
    return (await control.run<RefreshRow>(query, signal)).rows[0];
  }

  #isLostAnswer({ used_at, successor_used_at }: RefreshRow, now: number): boolean {
    return used_at !== null && now - used_at <= this.parts.grace && successor_used_at === null;
  }

  /** First use: the old token is marked and the new one made, both only if nobody was faster. The last query tells. */
  #exchange(hash: string, row: RefreshRow, next: string, now: number): ControlQuery[] {
    const { db } = this.parts.control;
    const stillUnused = db.selectFrom("refresh_tokens").where("hash", "=", hash).where("used_at", "is", null);
    return [
      this.#insertIf(stillUnused, next, row, now),
      this.#touch(row, now),
      db.updateTable("refresh_tokens").set({ used_at: now, replaced_by: next })
        .where("hash", "=", hash).where("used_at", "is", null),
    ];
  }

  /** Second use in the grace: the token given out first is superseded by another one, unless it was used meanwhile. */
  #supersede(hash: string, row: RefreshRow, next: string, now: number): ControlQuery[] {
    const { db } = this.parts.control;
    const before = row.replaced_by!;
    const stillUnused = db.selectFrom("refresh_tokens").where("hash", "=", before).where("used_at", "is", null);
    return [
      this.#insertIf(stillUnused, next, row, now),
      db.updateTable("refresh_tokens").set({ replaced_by: next }).where("hash", "=", hash).where(
        "replaced_by",
        "=",
        before,
      )
        .where((where) => where.exists(stillUnused.select("hash"))),
      db.updateTable("refresh_tokens").set({ used_at: SUPERSEDED }).where("hash", "=", before).where(
        "used_at",
        "is",
        null,
      ),
    ];
  }

  #insertIf(condition: TokenQuery, hash: string, { session_id }: RefreshRow, now: number): ControlQuery {
    const { db } = this.parts.control;
    return db.insertInto("refresh_tokens")
      .columns(["hash", "session_id", "created_at", "expires_at", "used_at", "replaced_by"])
      .expression(
        condition.select(({ val }) => [
          val(hash).as("hash"),
          val(session_id).as("session_id"),
          val(now).as("created_at"),
          val(now + this.parts.refreshTtl).as("expires_at"),
          val<number | null>(null).as("used_at"),
          val<string | null>(null).as("replaced_by"),
        ]),
      );
  }

  #touch({ session_id }: RefreshRow, now: number): ControlQuery {
    return this.parts.control.db.updateTable("sessions")
      .set({ last_used_at: now, expires_at: now + this.parts.refreshTtl }).where("id", "=", session_id);
  }

  /** @returns whether this exchange was the one that happened */
  async #apply(queries: readonly ControlQuery[], { signal }: RequestContext): Promise<boolean> {
    try {
      const results = await this.parts.control.atomically(queries, signal);
      return results.at(-1)!.changes === 1;
    } catch (error) {
      // Repeating a refresh is safe within the grace, so an unknown outcome need not end the client's session.
      if (error instanceof GatewayError && error.code === "OUTCOME_UNKNOWN") {
        throw new GatewayError("UNAVAILABLE", "the session could not be refreshed; repeat the request", {
          cause: error,
        });
      }
      throw error;
    }
  }

  async #reused({ namespace, wallet, session_id }: RefreshRow, context: RequestContext): Promise<void> {
    await this.end([session_id], { namespace, actor: wallet, action: "session.reuse_detected" }, context);
  }
}

type TokenQuery = SelectQueryBuilder<Schema, "refresh_tokens", Record<never, never>>;

/** 43 characters of base64url: 32 random bytes, as older clients expect. */
const newRefreshToken = (random: Random): string => random(32).toBase64({ alphabet: "base64url", omitPadding: true });

const refused = () => new GatewayError("INVALID_CREDENTIAL", "invalid or expired refresh token");
