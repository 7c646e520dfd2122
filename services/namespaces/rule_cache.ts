import { LRUCache } from "lru-cache";
import type { NamespaceRules } from "../../src/contracts/settings.ts";

/** What the control plane says of a namespace. */
export interface FoundRules {
  readonly rules: NamespaceRules;
  /** Whether they may be remembered: a name that is about to be free may come back with other rules. */
  readonly lasting: boolean;
}

/** What the cache is made of. */
export interface RuleCacheOptions {
  /** Namespaces remembered; the least recently used leave. */
  readonly size: number;
  /** Milliseconds that never run backwards or jump. */
  readonly monotonic: () => number;
  readonly lookUp: (namespace: string) => Promise<FoundRules>;
  /** What holds where nothing is known and nobody can be asked. */
  readonly fallback: NamespaceRules;
  readonly onError: (namespace: string, error: unknown) => void;
}

interface Known {
  readonly rules: NamespaceRules;
  /** When to look again. */
  readonly until: number;
  /** Whether they were never read, only assumed. */
  readonly assumed: boolean;
}

/** Milliseconds after which rules are read again though nobody said that they changed. */
const LIFE = 10 * 60_000;
/** Milliseconds between two tries while they cannot be read. */
const RETRY = 1_000;

/**
 * Rules of namespaces without a trip to the control plane. Once they were read they are answered at once, and read anew in
 * the background; look-ups of one namespace at the same time are one.
 */
export class RuleCache {
  readonly #known: LRUCache<string, Known>;
  readonly #underWay = new Map<string, Promise<NamespaceRules>>();

  constructor(private readonly options: RuleCacheOptions) {
    this.#known = new LRUCache({ max: options.size });
  }

  /** The rules of a namespace, without a promise where they are known. Never rejects. */
  get(namespace: string): NamespaceRules | Promise<NamespaceRules> {
    const known = this.#known.get(namespace);
    if (known === undefined) return this.#underWay.get(namespace) ?? this.#read(namespace);
    if (this.options.monotonic() < known.until) return known.rules;
    const reading = this.#underWay.get(namespace) ?? this.#read(namespace);
    return known.assumed ? reading : known.rules;
  }

  /** Reads the rules of a namespace again, if they are known here. What is being read already may be older than the change. */
  async changed(namespace: string): Promise<void> {
    this.#underWay.delete(namespace);
    if (this.#known.has(namespace)) await this.#read(namespace);
  }

  /** Forgets a namespace. */
  gone(namespace: string): void {
    this.#underWay.delete(namespace);
    this.#known.delete(namespace);
  }

  #read(namespace: string): Promise<NamespaceRules> {
    const { monotonic, lookUp, fallback, onError } = this.options;
    const isLatest = () => this.#underWay.get(namespace) === reading;
    const reading: Promise<NamespaceRules> = lookUp(namespace).then(({ rules, lasting }) => {
      if (isLatest()) {
        if (lasting) this.#known.set(namespace, { rules, until: monotonic() + LIFE, assumed: false });
        else this.#known.delete(namespace);
      }
      return rules;
    }, (error) => {
      onError(namespace, error);
      const { rules, assumed } = this.#known.get(namespace) ?? { rules: fallback, assumed: true };
      if (isLatest()) this.#known.set(namespace, { rules, until: monotonic() + RETRY, assumed });
      return rules;
    }).finally(() => {
      if (isLatest()) this.#underWay.delete(namespace);
    });
    this.#underWay.set(namespace, reading);
    return reading;
  }
}
