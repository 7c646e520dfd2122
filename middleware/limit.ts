import { GatewayError } from "../src/contracts/errors.ts";
import type { LimitDecision, LimitKind, RateLimits } from "../src/contracts/rate_limits.ts";
import type { Call, Middleware } from "../src/http/call.ts";
import { addressGroup } from "../src/http/client_address.ts";

/**
 * Counts the call against its credential, or against its address where it has none; routes that take credentials count
 * by address alone. Says so in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers).
 */
export function limit(limits: RateLimits): Middleware {
  return function limit(call) {
    const { caller, route } = call;
    if (route.limit === "none") return;
    if (route.limit === "credentials") count(call, limits, "credentials", addressGroup(call.clientAddress));
    else if (caller) count(call, limits, "key", caller.id);
    else count(call, limits, "address", addressGroup(call.clientAddress));
  };
}

/** Counts a credential that is not known yet against its address, so that guessing is bounded before it costs a look-up. */
export function limitLookups(limits: RateLimits): (call: Call) => void {
  return (call) => count(call, limits, "address", addressGroup(call.clientAddress));
}

function count(call: Call, limits: RateLimits, kind: LimitKind, id: string): void {
  const decision = limits.take(kind, id);
  if (!decision) return;
  call.headers = headersOf(kind, limits, decision);
  if (!decision.allowed) {
    throw new GatewayError("RATE_LIMITED", `too many requests; try again in ${Math.ceil(decision.retryAfter)} s`, {
      retryAfter: decision.retryAfter,
    });
  }
}

const headersOf = (kind: LimitKind, limits: RateLimits, { remaining, reset }: LimitDecision) => ({
  "ratelimit": `"${kind}";r=${remaining};t=${reset}`,
  "ratelimit-policy": limits.policy(kind),
});
