import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { Role } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { SessionOrigin, Sessions, SessionView } from "../../src/contracts/wallet_auth.ts";
import type { ControlAuditLog } from "../control_plane/audit.ts";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import type { SessionTable } from "../control_plane/schema.ts";
import { hashKey } from "./crypto/api_key.ts";
import { newId, type Random } from "./ids.ts";
import { newRefreshToken, type RefreshRow, RefreshTokens, successorOf } from "./refresh_tokens.ts";
import { selectSessions, type SessionRow } from "./session_rows.ts";

/** What sessions need of the rest, and how long they live. */
export interface SessionsParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  readonly now: () => number;
  readonly random: Random;
  /** 32 bytes that refresh tokens are derived with, each from the one before it; from the root key. */
  readonly derivation: Uint8Array;
  /** Milliseconds that a session lives without being refreshed. */
  readonly refreshTtl: number;
  /** Milliseconds in which a used refresh token is taken again: an answer was lost, or two tabs of a browser share it. */
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

/** A session that has neither ended nor expired. */
export interface LiveSession extends SessionOwner {
  readonly id: string;
  readonly role: Role;
  /** Unix milliseconds; a refresh moves it on. */
  readonly expiresAt: number;
}

/** A session that was opened or refreshed. Holds a secret. */
export interface RefreshedSession extends LiveSession {
  readonly refreshToken: string;
}

/** A look that finds a token unused, and is then too late to use it, finds it used the next time. */
const LOOKS = 3;

/**
 * Sessions and their refresh tokens, each of which is good once (RFC 9700, 4.14.2). All tokens of a session are one
 * family: when a token is used twice, somebody has a copy, and the family dies.
 */
export class WalletSessions implements Sessions {
  readonly #tokens: RefreshTokens;

  constructor(private readonly parts: SessionsParts) {
    this.#tokens = new RefreshTokens(parts.control, parts.refreshTtl);
  }

  async open(
    owner: SessionOwner,
    role: Role,
    origin: SessionOrigin,
    context: RequestContext,
  ): Promise<RefreshedSession> {
    const { control, now, random, audit, refreshTtl } = this.parts;
    const { namespace, wallet, subject } = owner;
    const id = newId("ses", random);
    const at = now();
    const refreshToken = newRefreshToken(random);
    const expiresAt = at + refreshTtl;
    await control.atomically([
      control.db.insertInto("sessions").values({
        id,
        namespace,
        wallet,
        subject,
        created_at: at,
        last_used_at: at,
        expires_at: expiresAt,
        revoked_at: null,
        address: context.clientAddress,
        user_agent: origin.userAgent.slice(0, 256),
      }),
      this.#tokens.first(hashKey(refreshToken), id, at),
      audit.entry({ namespace, actor: wallet, action: "session.opened", resource: id }, context),
    ], context.signal);
    return { ...owner, id, role, expiresAt, refreshToken };
  }

  /**
   * Exchanges a refresh token. The same use repeated within the grace has the same answer.
   * @throws GatewayError `INVALID_CREDENTIAL` for a token that is unknown, expired, revoked, of another namespace or reused
   */
  async refresh(token: string, namespace: string | undefined, context: RequestContext): Promise<RefreshedSession> {
    const { now, derivation, refreshTtl } = this.parts;
    const hash = hashKey(token);
    const refreshToken = successorOf(token, derivation);
    const next = hashKey(refreshToken);
    for (let look = 0; look < LOOKS; look++) {
      const at = now();
      const row = await this.#tokens.find(hash, context.signal);
      const session = row && liveSession(row);
      if (!row || !session || row.token_expires_at <= at || (namespace ?? row.namespace) !== row.namespace) {
        throw refused();
      }
      if (row.used_at !== null) {
        if (this.#isRepetition(row, next, at)) return { ...session, refreshToken };
        await this.#reused(row, context);
        throw refused();
      }
      if (await this.#apply(this.#tokens.exchange(hash, row.id, next, at), context)) {
        return { ...session, expiresAt: at + refreshTtl, refreshToken };
      }
    }
    throw new GatewayError("UNAVAILABLE", "this session is being refreshed elsewhere; repeat the request");
  }

  /** A session as it is now; `undefined` when it has ended, or its wallet is no member any more. */
  async find(id: string): Promise<LiveSession | undefined> {
    const { control, now } = this.parts;
    const query = selectSessions(control).where("s.id", "=", id).where("s.expires_at", ">", now());
    const { rows: [row] } = await control.run<SessionRow>(query);
    return row && liveSession(row);
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
    const row = await this.#tokens.find(hashKey(token), context.signal);
    if (!row || row.revoked_at !== null) return;
    const { id, namespace, wallet } = row;
    await this.end([id], { namespace, actor: wallet, action: "session.revoked" }, context);
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

  /** Whether the use of a used token may be its first use once more, by a client that did not go on yet. */
  #isRepetition({ used_at, replaced_by, successor_used_at }: RefreshRow, next: string, now: number): boolean {
    return now - used_at! <= this.parts.grace && replaced_by === next && successor_used_at === null;
  }

  /** @returns whether this exchange was the one that happened */
  async #apply(queries: readonly ControlQuery[], { signal }: RequestContext): Promise<boolean> {
    try {
      const results = await this.parts.control.atomically(queries, signal);
      return results.at(-1)!.changes === 1;
    } catch (error) {
      // Repeating a refresh is safe within the grace, so an unknown outcome need not end the client's session.
      if (hasCode(error, "OUTCOME_UNKNOWN")) {
        throw new GatewayError("UNAVAILABLE", "the session could not be refreshed; repeat the request", {
          cause: error,
        });
      }
      throw error;
    }
  }

  async #reused({ id, namespace, wallet }: RefreshRow, context: RequestContext): Promise<void> {
    await this.end([id], { namespace, actor: wallet, action: "session.reuse_detected" }, context);
  }
}

/** @returns `undefined` for a session that was ended, or whose wallet is no member any more */
function liveSession(row: SessionRow): LiveSession | undefined {
  const { id, namespace, wallet, subject, role, expires_at: expiresAt, revoked_at } = row;
  return revoked_at === null && role !== null ? { id, namespace, wallet, subject, role, expiresAt } : undefined;
}

const refused = () => new GatewayError("INVALID_CREDENTIAL", "invalid or expired refresh token");
