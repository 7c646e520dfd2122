import { GatewayError } from "../../src/contracts/errors.ts";
import { type Principal, type Scope, TOPIC_RIGHTS, type TopicBounds } from "../../src/contracts/identity.ts";
import { grantsOf, mayGive } from "../../src/contracts/topic_rights.ts";
import type { TopicToken, TopicTokenRequest, TopicTokens } from "../../src/contracts/topic_tokens.ts";
import { isCredential, isSession } from "./ids.ts";
import type { Tokens } from "./tokens.ts";

/** What tokens that name topics are made with. */
export interface TopicTokensParts {
  readonly tokens: Tokens;
  /** The longest life of one, in milliseconds; no longer than signing keys verify that were replaced. */
  readonly maxTtl: number;
}

/**
 * Tokens that name topics, signed as access tokens are. They carry the rights themselves and what they were made from: its
 * revocation ends them on every gateway without a look into the control plane.
 */
export class SignedTopicTokens implements TopicTokens {
  constructor(private readonly parts: TopicTokensParts) {}

  async issue(request: TopicTokenRequest, caller: Principal): Promise<TopicToken> {
    const { tokens, maxTtl } = this.parts;
    const { memberId: member, ttl = maxTtl } = request;
    const { id: from, subject: sub, wallet, namespace, tokenId, asOf: rev, expiresAt: notAfter } = caller;
    // What hangs on a session or a key dies with it; a chain of tokens would have to be revoked link by link.
    if (caller.operator || !isCredential(from)) {
      throw new GatewayError("FORBIDDEN", "a token that names topics is made with an API key, or with an access token");
    }
    if (ttl > maxTtl) throw invalid("ttl", `at most ${maxTtl} ms, which is the limit of this gateway`);
    const { scopes, topics } = boundsOf(request.topics);
    assertGivable(scopes, topics, caller);
    // An access token that was made from a key can end before the key; one of a session ends with it alone.
    const via = isSession(from) ? undefined : tokenId;
    const rights = { sub, wallet, namespace, scopes, topics, member, from, via, rev };
    const { accessToken: token, expiresAt } = await tokens.issue(rights, notAfter, ttl);
    return { token, expiresAt };
  }
}

/** The rights that are named, with a pattern at least. */
function boundsOf(wanted: TopicBounds): { readonly scopes: readonly Scope[]; readonly topics: TopicBounds } {
  const rights = TOPIC_RIGHTS.filter((right) => wanted[right]?.length);
  if (rights.length === 0) throw invalid("topics", "must name a topic at least for publish, subscribe or presence");
  return {
    scopes: rights.map((right): Scope => `pubsub:${right}`),
    topics: Object.fromEntries(rights.map((right) => [right, wanted[right]])),
  };
}

/** Nobody gives a token more rights than the own credential has. */
function assertGivable(scopes: readonly Scope[], topics: TopicBounds, caller: Principal): void {
  const missing = grantsOf(scopes, topics).filter((grant) => !mayGive(caller, grant));
  if (missing.length === 0) return;
  throw new GatewayError("INSUFFICIENT_SCOPE", `topics: this credential cannot give away ${missing.join(", ")}`, {
    details: { missing_scopes: missing },
  });
}

const invalid = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });
