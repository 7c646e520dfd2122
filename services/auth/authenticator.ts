import type { Authenticator, Grant, Principal, Role } from "../../src/contracts/identity.ts";
import { grantsOf, rightsOf } from "../../src/contracts/topic_rights.ts";
import { type ControlDatabase, lookUpDeadline } from "../control_plane/control_database.ts";
import type { Revocation, RevocationFeed } from "../control_plane/revocations.ts";
import { hashKey, isWellFormedKey, maskKey } from "./crypto/api_key.ts";
import { isSession } from "./ids.ts";
import { type Identified, PrincipalCache, type PrincipalCacheOptions } from "./principal_cache.ts";
import { DEFAULT_SCOPES, withinRole } from "./rights.ts";
import { isTokenSized, type TokenClaims, type Tokens } from "./tokens.ts";

/** What telling credentials apart needs of the rest. */
export interface AuthenticatorParts {
  readonly control: ControlDatabase;
  readonly revocations: RevocationFeed;
  readonly tokens: Tokens;
  /** Told of each use of a key; aggregated, never written per request. */
  readonly used: (keyId: string) => void;
  readonly cache: PrincipalCacheOptions;
}

interface KeyRow {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly wallet: string | null;
  readonly scopes: string | null;
  readonly operator: number;
  readonly expires_at: number | null;
  readonly revoked_at: number | null;
  readonly state: string | null;
  readonly role: string | null;
  /** Number of the last revocation that there is. */
  readonly revocations: number | null;
}

/** Number of the last revocation that what was found out about a credential has in it. */
interface View {
  seq: number;
}

/** Says who holds a credential. Warm credentials cost no trip; a revocation heard of empties their place. */
export class CredentialAuthenticator implements Authenticator {
  readonly #cache: PrincipalCache;

  constructor(private readonly parts: AuthenticatorParts) {
    this.#cache = new PrincipalCache(parts.cache);
    parts.revocations.onRevoked(({ kind, id }: Revocation) => this.#cache.evict(`${kind}:${id}`));
  }

  identifyKey(key: string, beforeLookup?: () => void): Principal | undefined | Promise<Principal | undefined> {
    const found = this.#identify(
      "api_key",
      key,
      beforeLookup,
      () => isWellFormedKey(key),
      (view) => this.#lookUpKey(key, view),
    );
    if (found && !(found instanceof Promise)) this.parts.used(found.id);
    return found;
  }

  identifyToken(token: string, beforeLookup?: () => void): Principal | undefined | Promise<Principal | undefined> {
    return this.#identify(
      "jwt",
      token,
      beforeLookup,
      () => isTokenSized(token),
      (view) => this.#verifyToken(token, view),
    );
  }

  #identify(
    kind: Principal["kind"],
    credential: string,
    beforeLookup: (() => void) | undefined,
    wellFormed: () => boolean,
    lookUp: (view: View) => Promise<Identified | undefined>,
  ): Principal | undefined | Promise<Principal | undefined> {
    const { revocations } = this.parts;
    const known = this.#cache.peek(credential);
    if (known === null) return undefined;
    if (known !== undefined) {
      // A token that somebody sends as a key is none, though it is known: what a key may be exchanged for, it may not.
      if (known.kind !== kind) return undefined;
      revocations.assertFresh();
      return known;
    }
    if (!wellFormed()) return undefined;
    beforeLookup?.();
    const view: View = { seq: revocations.seq };
    return this.#cache.resolve(credential, () => lookUp(view), () => revocations.seq <= view.seq);
  }

  async #lookUpKey(key: string, view: View): Promise<Identified | undefined> {
    const asOf = view.seq;
    const { db } = this.parts.control;
    const { rows: [row] } = await this.parts.control.run<KeyRow>(
      db.selectFrom("api_keys as k")
        .leftJoin("namespaces as n", "n.name", "k.namespace")
        .leftJoin(
          "members as m",
          (join) => join.onRef("m.namespace", "=", "k.namespace").onRef("m.wallet", "=", "k.wallet"),
        )
        .select(["k.id", "k.namespace", "k.name", "k.wallet", "k.scopes", "k.operator", "k.expires_at", "k.revoked_at"])
        .select([
          "n.state",
          "m.role",
          db.selectFrom("revocations").select(db.fn.max("seq").as("seq")).as("revocations"),
        ])
        .where("k.hash", "=", hashKey(key)),
      lookUpDeadline(),
    );
    const principal = row && principalOfKey(row, key, asOf);
    if (!principal) return undefined;
    view.seq = Math.max(view.seq, row.revocations ?? 0);
    await this.#hear(view.seq);
    this.parts.used(row.id);
    return {
      principal,
      bonds: [
        `key:${row.id}`,
        `namespace:${row.namespace}`,
        ...(row.wallet ? [`member:${row.namespace}/${row.wallet}`] : []),
      ],
    };
  }

  /**
   * Hears of revocations up to one that a credential was made, or read, after. One of them may have freed the name of its
   * namespace: what gateways remember of the one before has to be forgotten first.
   */
  async #hear(seq: number): Promise<void> {
    if (seq > this.parts.revocations.seq) await this.parts.revocations.pull();
  }

  async #verifyToken(token: string, view: View): Promise<Identified | undefined> {
    const { revocations, tokens } = this.parts;
    const claims = await tokens.verify(token);
    if (!claims) return undefined;
    // A token is believed without asking the control plane, so only for as long as revocations are being heard.
    revocations.assertFresh();
    await this.#hear(claims.rev);
    view.seq = revocations.seq;
    const bonds = bondsOf(claims);
    if (
      bonds.some(([kind, id, final]) => {
        const revocation = revocations.find(kind, id);
        return revocation && (final || revocation.seq > claims.rev);
      })
    ) return undefined;
    return {
      principal: principalOfToken(claims),
      bonds: bonds.map(([kind, id]) => `${kind}:${id}`),
    };
  }
}

function principalOfKey(row: KeyRow, key: string, asOf: number): Principal | undefined {
  if (row.revoked_at !== null) return undefined;
  const operator = row.operator === 1;
  if (!operator && row.state !== "active") return undefined;
  const own = rightsOf(row.scopes === null ? DEFAULT_SCOPES : JSON.parse(row.scopes) as Grant[]);
  const role = row.role as Role | null;
  // A wallet's key ends with its membership and does no more than its role.
  if (row.wallet !== null && role === null) return undefined;
  const scopes = operator ? [] : row.wallet !== null && role !== null ? withinRole(own.scopes, role) : own.scopes;
  return {
    kind: "api_key",
    id: row.id,
    subject: row.wallet ?? `key:${row.id}`,
    ...(row.wallet !== null && { wallet: row.wallet }),
    ...(row.wallet !== null && role !== null && { role }),
    namespace: operator ? "" : row.namespace,
    scopes: new Set(scopes),
    ...(own.topics && { topics: own.topics }),
    operator,
    ...(row.expires_at !== null && { expiresAt: row.expires_at }),
    asOf,
    describe: {
      authenticated: true,
      method: "api_key",
      api_key: maskKey(key),
      key_id: row.id,
      key_name: row.name,
      namespace: operator ? "" : row.namespace,
      scopes: grantsOf(scopes, own.topics),
      ...(operator && { operator }),
    },
  };
}

function principalOfToken(claims: TokenClaims): Principal {
  const { sub, wallet, namespace, role, sid, key, from, topics, member } = claims;
  const scopes = role ? withinRole(claims.scopes, role) : claims.scopes;
  return {
    kind: "jwt",
    id: sid ?? key ?? claims.jti,
    subject: wallet ?? sub,
    // A token that names topics is not its wallet: it has none of what a wallet has beside its scopes, such as sessions.
    ...(wallet !== undefined && from === undefined && { wallet }),
    ...(role !== undefined && { role }),
    namespace,
    scopes: new Set(scopes),
    ...(topics && { topics }),
    ...(member !== undefined && { memberId: member }),
    operator: false,
    expiresAt: claims.exp * 1000,
    tokenId: claims.jti,
    asOf: claims.rev,
    describe: {
      authenticated: true,
      method: "jwt",
      subject: sub,
      issuer: claims.iss,
      audience: claims.aud,
      issued_at: claims.iat,
      not_before: claims.nbf,
      expires_at: claims.exp,
      namespace,
      scopes: grantsOf(scopes, topics),
      ...(role && { role }),
      ...(sid && { session_id: sid }),
      ...(key && { key_id: key }),
      ...(member !== undefined && { member_id: member }),
    },
  };
}

type Bond = readonly [kind: Revocation["kind"], id: string, final: boolean];

/** What kills a token. What is not `final` kills only tokens whose rights were read before it: a member may come back. */
function bondsOf({ jti, sid, key, from, via, wallet, namespace }: TokenClaims): readonly Bond[] {
  const bonds: Bond[] = [["token", jti, true], ["namespace", namespace, false]];
  if (sid) bonds.push(["session", sid, true]);
  if (key) bonds.push(["key", key, true]);
  if (from) bonds.push([isSession(from) ? "session" : "key", from, true]);
  if (via) bonds.push(["token", via, true]);
  if (wallet) bonds.push(["member", `${namespace}/${wallet}`, false]);
  return bonds;
}
