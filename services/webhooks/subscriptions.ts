import { LRUCache } from "lru-cache";
import type { EndpointRow } from "./endpoint_rows.ts";

/** What an endpoint wants to be told of. */
export interface Subscriber {
  readonly id: string;
  /** Patterns of types. */
  readonly events: readonly string[];
}

/** Where they come from. */
export interface SubscriptionsParts {
  /** @throws GatewayError `UNAVAILABLE` */
  readonly read: (namespace: string, signal: AbortSignal) => Promise<readonly EndpointRow[]>;
  /** @throws GatewayError `UNAVAILABLE` when nothing was heard of changes for so long that memory proves nothing */
  readonly assertFresh: () => void;
  /** Milliseconds that never run backwards or jump. */
  readonly monotonic: () => number;
}

/** Namespaces that are remembered, and milliseconds for which each is: whoever was cut off for long may have missed a change. */
const MOST = 10_000, LIFE = 10 * 60_000;
/** Milliseconds that reading has: several events may wait for it. */
const READING = 3_000;

/** Who wants to be told what, in memory: most events of most namespaces nobody wants. */
export class Subscriptions {
  readonly #known: LRUCache<string, readonly Subscriber[]>;
  readonly #underWay = new Map<string, Promise<readonly Subscriber[]>>();

  constructor(private readonly parts: SubscriptionsParts) {
    const perf = { now: parts.monotonic };
    this.#known = new LRUCache({ max: MOST, ttl: LIFE, ttlResolution: 0, perf });
  }

  /** Endpoints of a namespace that are enabled, at once where they are known. */
  of(namespace: string): readonly Subscriber[] | Promise<readonly Subscriber[]> {
    this.parts.assertFresh();
    return this.#known.get(namespace) ?? this.#underWay.get(namespace) ?? this.#read(namespace);
  }

  /** They changed, or the namespace is gone. */
  changed(namespace: string): void {
    this.#known.delete(namespace);
    this.#underWay.delete(namespace);
  }

  #read(namespace: string): Promise<readonly Subscriber[]> {
    // What is being read when a change is told of may be older than that, and is not kept.
    const isLatest = () => this.#underWay.get(namespace) === reading;
    const reading: Promise<readonly Subscriber[]> = this.parts.read(namespace, AbortSignal.timeout(READING))
      .then((rows) => {
        const found = rows.filter(({ enabled }) => enabled === 1)
          .map(({ id, events }) => ({ id, events: JSON.parse(events) as string[] }));
        if (isLatest()) this.#known.set(namespace, found);
        return found;
      }).finally(() => {
        if (isLatest()) this.#underWay.delete(namespace);
      });
    this.#underWay.set(namespace, reading);
    return reading;
  }
}
