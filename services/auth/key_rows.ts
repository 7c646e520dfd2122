import type { Grant } from "../../src/contracts/identity.ts";
import type { KeyView, NewKey } from "../../src/contracts/wallet_auth.ts";
import type { ApiKeyTable } from "../control_plane/schema.ts";
import { hashKey } from "./crypto/api_key.ts";

/** What a key's row is made of. */
export interface RowParts {
  readonly id: string;
  readonly namespace: string;
  /** The key itself, of which the row keeps a hash. */
  readonly secret: string;
  readonly key: NewKey;
  readonly createdBy: string;
  /** Unix milliseconds. */
  readonly now: number;
  readonly operator?: boolean;
  /** Whose own key it is, and which one of that wallet's; absent for a named key. */
  readonly owner?: { readonly wallet: string; readonly serial: number };
}

/** The row of a new key. */
export const rowOf = ({ id, namespace, secret, key, createdBy, now, operator, owner }: RowParts): ApiKeyTable => ({
  id,
  namespace,
  hash: hashKey(secret),
  name: key.name,
  wallet: owner?.wallet ?? null,
  serial: owner?.serial ?? 0,
  scopes: key.scopes ? JSON.stringify(key.scopes) : null,
  operator: operator ? 1 : 0,
  created_at: now,
  created_by: createdBy,
  expires_at: key.expiresAt ?? null,
  revoked_at: null,
  last_used_at: null,
});

/** The rights that a key was made with; `null`: all but `namespace:admin`. */
export const scopesOf = ({ scopes }: ApiKeyTable): Grant[] | null => scopes === null ? null : JSON.parse(scopes);

/** A key as it may be shown. */
export const viewOf = (row: ApiKeyTable): KeyView => ({
  id: row.id,
  name: row.name,
  namespace: row.namespace,
  wallet: row.wallet,
  scopes: scopesOf(row),
  operator: row.operator === 1,
  createdAt: row.created_at,
  createdBy: row.created_by,
  expiresAt: row.expires_at,
  revokedAt: row.revoked_at,
  lastUsedAt: row.last_used_at,
});
