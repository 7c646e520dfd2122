import { LRUCache } from "lru-cache";
import type { LimitDecision, LimitKind, RateLimits } from "../../src/contracts/rate_limits.ts";

/** One limit: so many requests a second on average, so many at once. A rate of 0 switches it off. */
export interface Limit {
  /** Requests per second. */
  readonly rate: number;
  /** Requests that pass at once after a pause. */
  readonly burst: number;
}

/** How many keys and addresses of one kind are remembered; the least recently seen are forgotten, which forgives them. */
const REMEMBERED = 50_000;

/**
 * Limits by the generic cell rate algorithm (ITU-T I.371): one number per client, no windows at whose edge the double
 * would pass. Counts within this gateway only.
 */
export class GcraLimits implements RateLimits {
  readonly #limits: Readonly<Record<LimitKind, Bucket | undefined>>;

  /** @param now milliseconds that never run backwards */
  constructor(limits: Readonly<Record<LimitKind, Limit>>, private readonly now: () => number) {
    const bucket = (limit: Limit) => limit.rate > 0 ? new Bucket(limit) : undefined;
    this.#limits = {
      key: bucket(limits.key),
      address: bucket(limits.address),
      credentials: bucket(limits.credentials),
    };
  }

  take(kind: LimitKind, id: string): LimitDecision | undefined {
    return this.#limits[kind]?.take(id, this.now());
  }

  policy(kind: LimitKind): string {
    return this.#limits[kind]?.policyOf(kind) ?? "";
  }
}

class Bucket {
  /** Milliseconds that one request uses up. */
  readonly #interval: number;
  /** Milliseconds that may be used up in advance. */
  readonly #window: number;
  readonly #burst: number;
  /** Per client, the moment at which everything it used is paid for ("theoretical arrival time"). */
  readonly #paidUntil = new LRUCache<string, number>({ max: REMEMBERED });

  constructor({ rate, burst }: Limit) {
    this.#burst = Math.max(1, burst);
    this.#interval = 1000 / rate;
    this.#window = this.#interval * this.#burst;
  }

  policyOf(kind: LimitKind): string {
    return `"${kind}";q=${this.#burst};w=${Math.ceil(this.#window / 1000)}`;
  }

  take(id: string, now: number): LimitDecision {
    const before = Math.max(this.#paidUntil.get(id) ?? now, now);
    const after = before + this.#interval;
    const over = after - now - this.#window;
    if (over > 1e-6) {
      return { allowed: false, remaining: 0, reset: Math.ceil((before - now) / 1000), retryAfter: over / 1000 };
    }
    this.#paidUntil.set(id, after);
    const used = after - now;
    return {
      allowed: true,
      remaining: Math.floor((this.#window - used) / this.#interval + 1e-6),
      reset: Math.ceil(used / 1000),
      retryAfter: 0,
    };
  }
}
