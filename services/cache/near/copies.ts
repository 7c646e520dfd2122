import { LRUCache } from "lru-cache";
import type { CacheNearStatistics } from "../../../src/contracts/cache.ts";
import type { Clock } from "../../clock/clock.ts";
import { type Copy, MapCopies } from "./map_copies.ts";

/** What copies are made of. */
export interface CopiesOptions {
  /** Bytes that those of all namespaces take together. */
  readonly maxBytes: number;
  readonly clock: Pick<Clock, "now" | "monotonic">;
}

/** Namespaces of which copies are held at once. */
const MAX_NAMESPACES = 10_000;

/** The maps of a namespace, for as long as the same lives hold there. */
interface Maps {
  readonly lives: ReadonlyMap<string, number>;
  readonly byName: Map<string, MapCopies>;
}

/**
 * Copies of entries, for a while: what was unused for longest leaves first. Whatever is dropped is out of reach at once; its
 * memory is given back when it is its turn to leave.
 */
export class Copies {
  readonly #clock: CopiesOptions["clock"];
  readonly #held: LRUCache<string, Copy>;
  readonly #namespaces = new LRUCache<string, Maps>({ max: MAX_NAMESPACES });
  readonly #reads = { hits: 0, misses: 0 };
  #maps = 0;

  constructor({ maxBytes, clock }: CopiesOptions) {
    this.#clock = clock;
    this.#held = new LRUCache({ maxSize: maxBytes });
  }

  /**
   * Those of one map, to be read; `undefined` where it has none.
   * @param lives milliseconds for each map that has some. Another object than the last time: other rules, and nothing is held
   */
  of(namespace: string, map: string, lives: ReadonlyMap<string, number>): MapCopies | undefined {
    const ttl = lives.get(map);
    if (ttl === undefined) return undefined;
    let maps = this.#namespaces.get(namespace);
    if (maps?.lives !== lives) this.#namespaces.set(namespace, maps = { lives, byName: new Map() });
    let copies = maps.byName.get(map);
    if (copies === undefined) {
      // No other map ever has this number, not even one of the same name: what is held for one cannot be found for another.
      const number = ++this.#maps;
      copies = new MapCopies({ number, ttl, held: this.#held, clock: this.#clock, reads: this.#reads });
      maps.byName.set(map, copies);
    }
    return copies;
  }

  /** Throws the copies of some entries out, and keeps those from coming in that are being read. */
  dropKeys(namespace: string, map: string, keys: Iterable<string>): void {
    const copies = this.#namespaces.peek(namespace)?.byName.get(map);
    if (copies !== undefined) { for (const key of keys) copies.drop(key); }
  }

  /** The same for all of a map. */
  dropMap(namespace: string, map: string): void {
    this.#namespaces.peek(namespace)?.byName.delete(map);
  }

  /** The same for all of a namespace. */
  dropNamespace(namespace: string): void {
    this.#namespaces.delete(namespace);
  }

  statistics(): CacheNearStatistics {
    return { ...this.#reads, entries: this.#held.size, bytes: this.#held.calculatedSize };
  }
}
