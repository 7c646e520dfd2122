import { GatewayError } from "../src/contracts/errors.ts";
import { type Principal, ROLES } from "../src/contracts/identity.ts";
import type { Call, Middleware } from "../src/http/call.ts";
import type { NamespaceAccess } from "../src/http/route.ts";

/** Holds the caller against what the route declares. */
export const authorize: Middleware = function authorize(call) {
  const { caller, route: { access } } = call;
  if (access.kind === "public") return;
  if (!caller) throw call.credentialRefused ? refused() : missing();
  if (access.kind === "namespace") inNamespace(caller, access, call);
  else if (access.kind === "operator" && !caller.operator) {
    throw new GatewayError("FORBIDDEN", "this needs an operator's credential");
  }
};

function inNamespace(caller: Principal, { scope, param, role, operators }: NamespaceAccess, call: Call): void {
  if (caller.operator) {
    if (operators) return;
    throw new GatewayError(
      "FORBIDDEN",
      "an operator's credential has no namespace; use a key or token of the namespace",
    );
  }
  if (param !== undefined && call.http.req.param(param) !== caller.namespace) {
    throw new GatewayError("NAMESPACE_MISMATCH", "this credential belongs to another namespace");
  }
  if (!caller.scopes.has(scope)) {
    throw new GatewayError("INSUFFICIENT_SCOPE", `this credential lacks the scope ${scope}`, {
      details: { required_scope: scope },
      headers: { "www-authenticate": `Bearer error="insufficient_scope", scope="${scope}"` },
    });
  }
  if (role !== undefined && !(caller.role && ROLES.indexOf(caller.role) <= ROLES.indexOf(role))) {
    throw new GatewayError("FORBIDDEN", `this needs the role ${role} in the namespace`, {
      details: { required_role: role },
    });
  }
}

const missing = () =>
  new GatewayError("UNAUTHENTICATED", "missing API key", {
    headers: { "www-authenticate": 'Bearer realm="gateway", charset="UTF-8"' },
  });
const refused = () =>
  new GatewayError("INVALID_CREDENTIAL", "invalid API key or token", {
    headers: { "www-authenticate": 'Bearer error="invalid_token"' },
  });
