import type { StatementClass } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Principal, Scope } from "../../src/contracts/identity.ts";

const SCOPE_OF = { read: "sql:read", write: "sql:write", definition: "sql:admin" } as const;

/**
 * What a route's scope cannot say, because it hangs on the statement: definitions need `sql:admin` wherever they come from, a
 * write `sql:write`, and whoever gets rows, of a `RETURNING` clause too, may read.
 * @throws GatewayError `INSUFFICIENT_SCOPE`
 */
export function requireScopes({ scopes }: Principal, { access, returnsRows }: StatementClass): void {
  requireScope(scopes, SCOPE_OF[access]);
  if (returnsRows) requireScope(scopes, "sql:read");
}

/** @throws GatewayError `INSUFFICIENT_SCOPE` without this one */
export function requireScope(scopes: ReadonlySet<Scope>, scope: Scope): void {
  if (scopes.has(scope)) return;
  throw new GatewayError("INSUFFICIENT_SCOPE", `this statement needs the scope ${scope}, which the credential lacks`, {
    details: { required_scope: scope },
    headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"` },
  });
}
