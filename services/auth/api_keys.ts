import { sql } from "kysely";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Grant, Principal } from "../../src/contracts/identity.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import { mayGive } from "../../src/contracts/topic_rights.ts";
import type { ApiKeys, KeyView, NewKey } from "../../src/contracts/wallet_auth.ts";
import type { AuditContext, ControlAuditLog } from "../control_plane/audit.ts";
import { ConstraintViolation, type ControlDatabase, type ControlQuery } from "../control_plane/control_database.ts";
import type { RevocationFeed } from "../control_plane/revocations.ts";
import type { ApiKeyTable } from "../control_plane/schema.ts";
import { deriveWalletKey, hashKey, randomKey } from "./crypto/api_key.ts";
import { newId, type Random } from "./ids.ts";
import { rowOf, scopesOf, viewOf } from "./key_rows.ts";
import { DEFAULT_SCOPES } from "./rights.ts";

/** What keys need of the rest. */
export interface ApiKeysParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly audit: ControlAuditLog;
  /** Derives wallets' keys; from the root key. */
  readonly derivation: Uint8Array;
  readonly now: () => number;
  readonly random: Random;
}

/** The name in an operator's key where others have their namespace. No namespace can be called so. */
export const OPERATOR_NAMESPACE = "_operator";

type KeyRow = ApiKeyTable;
type CreatedKey = KeyView & { readonly key: string };
/** Whoever acts: a principal, or the command line on the node itself. */
type Actor = Pick<Principal, "subject">;

/** API keys: made, listed, revoked and exchanged. Only hashes are stored. */
export class ControlApiKeys implements ApiKeys {
  constructor(private readonly parts: ApiKeysParts) {}

  async create(namespace: string, key: NewKey, actor: Principal, context: RequestContext): Promise<CreatedKey> {
    assertOwned(key.scopes ?? DEFAULT_SCOPES, actor);
    return await this.createBySystem(namespace, key, actor, context);
  }

  /** The same for the command line on the node, which may give any right. */
  async createBySystem(namespace: string, key: NewKey, actor: Actor, context: RequestContext): Promise<CreatedKey> {
    const { created, queries } = this.#prepare(namespace, key, actor, context, false);
    try {
      await this.parts.control.atomically(queries, context.signal);
    } catch (error) {
      throw endedMeanwhile(error);
    }
    return created;
  }

  /** A key for who runs the node. Only the command line makes one. */
  async createOperator(key: NewKey, actor: Actor, context: AuditContext): Promise<CreatedKey> {
    const { created, queries } = this.#prepare(OPERATOR_NAMESPACE, key, actor, context, true);
    await this.parts.control.atomically(queries);
    return created;
  }

  async list(
    namespace: string,
    { limit, after }: { limit: number; after?: string | undefined },
    { signal }: Pick<RequestContext, "signal">,
  ): Promise<KeyView[]> {
    const { db } = this.parts.control;
    let query = db.selectFrom("api_keys").selectAll().where("namespace", "=", namespace)
      .orderBy("created_at").orderBy("id").limit(limit);
    if (after !== undefined) {
      const last = db.selectFrom("api_keys").where("id", "=", after).where("namespace", "=", namespace);
      query = query.where(({ eb, refTuple }) =>
        eb(refTuple("created_at", "id"), ">", last.select(["created_at", "id"]).$asTuple("created_at", "id"))
      );
    }
    return (await this.parts.control.run<KeyRow>(query, signal)).rows.map(viewOf);
  }

  async revoke(namespace: string, id: string, actor: Actor, context: RequestContext): Promise<void> {
    const row = await this.#find(namespace, id, context);
    if (row.revoked_at === null) {
      await this.parts.control.atomically(this.#revocation(row, actor, context), context.signal);
    }
    await this.parts.revocations.pull();
  }

  async rotate(namespace: string, id: string, actor: Principal, context: RequestContext): Promise<CreatedKey> {
    const row = await this.#find(namespace, id, context);
    if (row.wallet !== null && row.wallet !== actor.wallet) {
      throw new GatewayError("FORBIDDEN", "a wallet's key is given to that wallet alone; revoke it instead");
    }
    assertOwned(scopesOf(row) ?? DEFAULT_SCOPES, actor);
    if (row.revoked_at !== null) throw revokedAlready();
    if (row.wallet !== null) {
      const key = await this.#rotateWalletKey(row, actor, context);
      await this.parts.revocations.pull();
      return key;
    }
    const { name, expires_at } = row;
    const scopes = scopesOf(row) ?? undefined;
    const next = { name, scopes, ...(expires_at !== null && { expiresAt: expires_at }) };
    const { created, queries } = this.#prepare(namespace, next, actor, context, row.operator === 1);
    await this.#replace(row, [...queries, ...this.#revocation(row, actor, context)], context);
    await this.parts.revocations.pull();
    return created;
  }

  /**
   * The key of a wallet in a namespace: the same one each time until it is revoked.
   * @param wallet canonical
   * @param made what it is called and may do where it has to be made
   */
  async ofWallet(
    namespace: string,
    wallet: string,
    context: RequestContext,
    { name, scopes }: NewKey = { name: "wallet" },
  ): Promise<string> {
    const { control, now } = this.parts;
    for (let attempt = 0; attempt < 3; attempt++) {
      const { rows: [latest] } = await control.run<KeyRow>(
        control.db.selectFrom("api_keys").selectAll().where("namespace", "=", namespace).where("wallet", "=", wallet)
          .orderBy("serial", "desc").limit(1),
        context.signal,
      );
      if (latest && latest.revoked_at === null && (latest.expires_at ?? Infinity) > now()) {
        const key = deriveWalletKey(this.parts.derivation, { namespace, wallet, serial: latest.serial });
        // Another hash means another root key: the old key cannot be given again, so it gives way to a new one.
        if (hashKey(key) === latest.hash) return key;
      }
      try {
        return (await this.#issueWalletKey({ namespace, wallet, name, scopes, after: latest?.serial }, context)).key;
      } catch (error) {
        // Two first sign-ins at once: the other one made the key.
        if (!(error instanceof ConstraintViolation)) throw error;
      }
    }
    throw new GatewayError("CONFLICT", "the key of this wallet is being made elsewhere; try again");
  }

  #prepare(namespace: string, key: NewKey, actor: Actor, context: AuditContext, operator: boolean) {
    const { control, now, random, audit } = this.parts;
    const secret = randomKey(namespace, random);
    const id = newId("key", random);
    const row = rowOf({ id, namespace, secret, key, createdBy: actor.subject, now: now(), operator });
    const queries = [
      control.db.insertInto("api_keys").values(operator ? row : { ...row, namespace: ifActive(namespace) }),
      audit.entry({
        namespace,
        actor: actor.subject,
        action: "key.created",
        resource: row.id,
        details: { name: key.name, scopes: key.scopes ?? null, operator },
      }, context),
    ];
    return { created: { ...viewOf(row), key: secret }, queries };
  }

  async #issueWalletKey(
    { namespace, wallet, name, scopes, after }: WalletKeyRequest,
    context: RequestContext,
  ): Promise<CreatedKey> {
    const { control, now, random, audit, derivation } = this.parts;
    // The serial is a time, so that a namespace that is deleted and made again never derives its old keys.
    const at = now();
    const serial = Math.max(at, (after ?? 0) + 1);
    const secret = deriveWalletKey(derivation, { namespace, wallet, serial });
    const row = rowOf({
      id: newId("key", random),
      namespace,
      secret,
      key: { name, scopes },
      createdBy: wallet,
      now: at,
      owner: { wallet, serial },
    });
    await control.atomically([
      control.db.insertInto("api_keys").values({ ...row, hash: unlessNewer(row, after) }),
      audit.entry({ namespace, actor: wallet, action: "key.created", resource: row.id, details: { name } }, context),
    ], context.signal);
    return { ...viewOf(row), key: secret };
  }

  async #rotateWalletKey(row: KeyRow, actor: Actor, context: RequestContext): Promise<CreatedKey> {
    await this.#replace(row, this.#revocation(row, actor, context), context);
    const { namespace, wallet, name, serial } = row;
    const scopes = scopesOf(row) ?? undefined;
    try {
      return await this.#issueWalletKey({ namespace, wallet: wallet!, name, scopes, after: serial }, context);
    } catch (error) {
      if (!(error instanceof ConstraintViolation)) throw error;
      throw new GatewayError("CONFLICT", "the old key is revoked, and a sign-in made the new one; sign in to get it", {
        cause: error,
      });
    }
  }

  /** Runs the queries of a rotation; none of them if the key was revoked meanwhile: two rotations at once give one key. */
  async #replace({ id }: KeyRow, queries: readonly ControlQuery[], { signal }: RequestContext): Promise<void> {
    const { control } = this.parts;
    const unlessRevoked = sql`UPDATE api_keys SET hash = CASE WHEN revoked_at IS NULL THEN hash END WHERE id = ${id}`
      .compile(control.db);
    try {
      await control.atomically([unlessRevoked, ...queries], signal);
    } catch (error) {
      if (error instanceof ConstraintViolation && error.subject === "api_keys.hash") throw revokedAlready(error);
      throw endedMeanwhile(error);
    }
  }

  #revocation({ id, namespace, name }: KeyRow, actor: Actor, context: AuditContext) {
    const { control, now, revocations, audit } = this.parts;
    return [
      control.db.updateTable("api_keys").set({ revoked_at: now() }).where("id", "=", id).where(
        "revoked_at",
        "is",
        null,
      ),
      revocations.entry("key", id),
      audit.entry({ namespace, actor: actor.subject, action: "key.revoked", resource: id, details: { name } }, context),
    ];
  }

  async #find(namespace: string, id: string, { signal }: RequestContext): Promise<KeyRow> {
    const { control } = this.parts;
    const { rows: [row] } = await control.run<KeyRow>(
      control.db.selectFrom("api_keys").selectAll().where("id", "=", id).where("namespace", "=", namespace),
      signal,
    );
    if (!row) throw new GatewayError("NOT_FOUND", "no such key in this namespace");
    return row;
  }
}

/** The hash of a wallet's key, or NULL, which is refused, if another sign-in of the wallet made a key meanwhile. */
const unlessNewer = ({ hash, namespace, wallet }: KeyRow, after = -1) =>
  sql<string>`CASE WHEN NOT EXISTS (
    SELECT 1 FROM api_keys WHERE namespace = ${namespace} AND wallet = ${wallet} AND serial > ${after}
  ) THEN ${hash} END`;

/**
 * The namespace's name, or NULL, which is refused, if it is no more: a request that was let in before the end must not leave
 * a key to whoever owns the name next.
 */
const ifActive = (namespace: string) =>
  sql<string>`(SELECT name FROM namespaces WHERE name = ${namespace} AND state = 'active')`;

const endedMeanwhile = (error: unknown): unknown =>
  error instanceof ConstraintViolation && error.subject === "api_keys.namespace"
    ? new GatewayError("CONFLICT", "this namespace is being deleted, or was", { cause: error })
    : error;

const revokedAlready = (cause?: unknown) =>
  new GatewayError("CONFLICT", "this key is revoked already; create a new one", { cause });

/** Nobody gives a key more rights than the own credential has. */
function assertOwned(scopes: readonly Grant[], holder: Principal): void {
  const missing = scopes.filter((scope) => !mayGive(holder, scope));
  if (missing.length === 0) return;
  throw new GatewayError("INSUFFICIENT_SCOPE", `scopes: this credential cannot give away ${missing.join(", ")}`, {
    details: { missing_scopes: missing },
  });
}

interface WalletKeyRequest {
  readonly namespace: string;
  readonly wallet: string;
  readonly name: string;
  readonly scopes?: readonly Grant[] | undefined;
  /** Serial of the key before it. */
  readonly after?: number | undefined;
}
