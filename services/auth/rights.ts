import { type Role, type Scope, SCOPES } from "../../src/contracts/identity.ts";

/** What a key may do that was made without scopes: everything but running the namespace. */
export const DEFAULT_SCOPES: readonly Scope[] = SCOPES.filter((scope) => scope !== "namespace:admin");

const READ_ONLY: readonly Scope[] = SCOPES.filter((scope) => scope.endsWith(":read") || scope === "pubsub:subscribe");

/** What a wallet may do by its part in the namespace. */
export const SCOPES_OF_ROLE: Readonly<Record<Role, readonly Scope[]>> = {
  owner: SCOPES,
  admin: SCOPES,
  member: DEFAULT_SCOPES,
  viewer: READ_ONLY,
};

/** What remains of a list when the role behind it may do less. */
export function withinRole(scopes: readonly Scope[], role: Role): readonly Scope[] {
  const allowed = new Set(SCOPES_OF_ROLE[role]);
  return scopes.filter((scope) => allowed.has(scope));
}
