import type { Authenticator, Principal } from "../src/contracts/identity.ts";
import type { Call, Middleware } from "../src/http/call.ts";
import { credentialsOf } from "../src/http/credentials.ts";

/** Who knows credentials, and what guards the looking up. */
export interface AuthenticateOptions {
  readonly authenticator: Authenticator;
  /** Called before a credential is looked up in the control plane or its signature is checked; may refuse by throwing. */
  readonly beforeLookup: (call: Call) => void;
}

/**
 * Finds out who is calling. It refuses nobody: whether a caller is needed is the route's to say. A token that is not good
 * gives way to a key, if one came as well.
 */
export function authenticate({ authenticator, beforeLookup }: AuthenticateOptions): Middleware {
  return function authenticate(call) {
    const { access } = call.route;
    if (access.kind === "public" && !access.identify) return;
    const inQuery = access.kind !== "public" || access.identify === true;
    const { token, key } = credentialsOf(call.incoming, inQuery ? call.http.req.raw.url : "");
    if (token === undefined && key === undefined) return;
    const guard = () => beforeLookup(call);
    if (token !== undefined) {
      const found = authenticator.identifyToken(token, guard);
      if (found instanceof Promise) {
        return found.then((principal) => settle(call, principal) ? undefined : tryKey(call, key, guard));
      }
      if (settle(call, found)) return;
    }
    return tryKey(call, key, guard);
  };

  function tryKey(call: Call, key: string | undefined, guard: () => void): void | Promise<void> {
    if (key === undefined) return;
    const found = authenticator.identifyKey(key, guard);
    // A warm credential answers without a promise, which saves a turn of the event loop on every request.
    if (found instanceof Promise) return found.then((principal) => void settle(call, principal));
    settle(call, found);
  }
}

function settle(call: Call, principal: Principal | undefined): boolean {
  call.caller = principal;
  call.credentialRefused = principal === undefined;
  return principal !== undefined;
}
