/** Which limit counts a request: one credential's, one address's, or the strict one of routes that take credentials. */
export type LimitKind = "key" | "address" | "credentials";

/** What one request met at its limit. */
export interface LimitDecision {
  readonly allowed: boolean;
  /** Requests that would still pass at once. */
  readonly remaining: number;
  /** Seconds until the full quota is there again. */
  readonly reset: number;
  /** Seconds until one more request passes; 0 when allowed. */
  readonly retryAfter: number;
}

/** Counts requests of one gateway. */
export interface RateLimits {
  /**
   * Counts one request.
   * @param id whom it is counted against: a credential's public id, or an address
   * @returns `undefined` when this kind of limit is switched off
   */
  take(kind: LimitKind, id: string): LimitDecision | undefined;
  /** The `RateLimit-Policy` header of a kind. */
  policy(kind: LimitKind): string;
}
