import { LRUCache } from "lru-cache";
import type { Maybe } from "../../../src/contracts/cache.ts";

interface Known {
  readonly value: string | undefined;
  readonly until: number;
}

/** Characters of values that are remembered at once, and milliseconds for which one is. */
const MOST = 4 * 2 ** 20, LIFE = 5_000;

/** Values of secrets that calls have asked for lately. Look-ups of one at the same time are one. */
export class RememberedSecrets {
  readonly #known = new LRUCache<string, Known>({
    maxSize: MOST,
    sizeCalculation: ({ value = "" }, key) => 100 + key.length + value.length,
  });
  readonly #underWay = new Map<string, Promise<string | undefined>>();

  /** @param monotonic milliseconds that never run backwards or jump */
  constructor(private readonly monotonic: () => number) {}

  /** @param read called where it is not known. A failure is not remembered */
  get(key: string, read: () => Promise<string | undefined>): Maybe<string | undefined> {
    const known = this.#known.get(key);
    if (known !== undefined && this.monotonic() < known.until) return known.value;
    this.#known.delete(key);
    return this.#underWay.get(key) ?? this.#read(key, read);
  }

  /** Forgets one: what is being read may be older than what is to be known. */
  drop(key: string): void {
    this.#known.delete(key);
    this.#underWay.delete(key);
  }

  /** Forgets all whose keys begin so. */
  dropAll(prefix: string): void {
    for (const held of [this.#known, this.#underWay]) {
      for (const key of [...held.keys()]) if (key.startsWith(prefix)) held.delete(key);
    }
  }

  #read(key: string, read: () => Promise<string | undefined>): Promise<string | undefined> {
    const isLatest = () => this.#underWay.get(key) === reading;
    const until = this.monotonic() + LIFE;
    const reading: Promise<string | undefined> = read().then((value) => {
      if (isLatest()) this.#known.set(key, { value, until });
      return value;
    }).finally(() => {
      if (isLatest()) this.#underWay.delete(key);
    });
    // Whoever waits for it is told, and perhaps nobody does.
    reading.catch(() => {});
    this.#underWay.set(key, reading);
    return reading;
  }
}
