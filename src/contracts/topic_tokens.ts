import type { Principal, TopicBounds } from "./identity.ts";

/** What a token that names topics is to be. */
export interface TopicTokenRequest {
  /** Patterns of the topics for each right that it has; of a right that is not named it has nothing. */
  readonly topics: TopicBounds;
  /** Milliseconds that it lives. Default: as long as one may. */
  readonly ttl?: number | undefined;
  /** The only member id under which its holder may be present. Absent: any. */
  readonly memberId?: string | undefined;
}

/** A token that names topics. Holds a secret. */
export interface TopicToken {
  readonly token: string;
  /** Unix milliseconds. */
  readonly expiresAt: number;
}

/** Tokens for whom a caller lets take part in some topics, and in nothing else. */
export interface TopicTokens {
  /**
   * Makes one, with no more rights than the caller's own. It dies with the caller's credential, also where that is revoked.
   * @throws GatewayError `INSUFFICIENT_SCOPE`, `FORBIDDEN` for a caller that cannot make any, `INVALID_REQUEST` for a life longer
   * than one may have, `UNAVAILABLE`
   */
  issue(request: TopicTokenRequest, caller: Principal): Promise<TopicToken>;
}
