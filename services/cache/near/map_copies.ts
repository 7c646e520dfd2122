import type { LRUCache } from "lru-cache";
import type { CacheEntry, Maybe } from "../../../src/contracts/cache.ts";
import type { Clock } from "../../clock/clock.ts";

/** An entry as it was read. */
export interface Copy {
  readonly entry: CacheEntry;
  /** When the reading began, by the clock that never jumps: from then on somebody may have written another. */
  readonly since: number;
}

/** What the copies of a map are made of. */
export interface MapCopiesOptions {
  /** Of this map alone. */
  readonly number: number;
  /** Milliseconds for which a copy is answered. */
  readonly ttl: number;
  /** Copies of all maps. */
  readonly held: LRUCache<string, Copy>;
  readonly clock: Pick<Clock, "now" | "monotonic">;
  /** Counted up. */
  readonly reads: { hits: number; misses: number };
}

type Found = CacheEntry | undefined;

/** A read that is under way. What it brings becomes a copy unless it is out of {@link MapCopies} by then. */
interface Reading {
  readonly begun: number;
  /** For others who want the same; absent for one of many that are read together. */
  readonly answer?: Promise<Found>;
}

/** Bytes that a copy takes beside its key and value, and those that bytes take more than text: measured, see `DESIGN.md`. */
const OVERHEAD = 350, OF_BYTES = 200;

/** Copies of the entries of one map. */
export class MapCopies {
  /** The reads whose answers may become copies: one for each key. */
  readonly #readings = new Map<string, Reading>();

  constructor(private readonly options: MapCopiesOptions) {}

  /** The copy of an entry, if it may still be answered. */
  find(key: string): Found {
    const { ttl, held, clock, reads } = this.options;
    const id = this.#idOf(key);
    const copy = held.get(id);
    if (copy !== undefined) {
      const { since, entry } = copy;
      if (clock.monotonic() - since < ttl && (entry.expiresAt === undefined || clock.now() < entry.expiresAt)) {
        reads.hits++;
        return withOwnBytes(entry);
      }
      held.delete(id);
    }
    reads.misses++;
    return undefined;
  }

  /** Reads an entry of which there is no copy, together with whoever wants the same at the moment, and makes one. */
  read(key: string, ask: () => Maybe<Found>): Maybe<Found> {
    const begun = this.options.clock.monotonic();
    const other = this.#readings.get(key);
    if (other?.answer !== undefined && this.#isRecent(other, begun)) return other.answer.then(withOwnBytes);
    const found = ask();
    if (!(found instanceof Promise)) {
      this.#hold(key, found, begun);
      return found;
    }
    const reading: Reading = {
      begun,
      answer: found.then((entry) => {
        this.#end(key, reading, entry);
        return entry;
      }, (error) => {
        this.#giveUp(key, reading);
        throw error;
      }),
    };
    this.#readings.set(key, reading);
    return reading.answer!;
  }

  /** Reads several, and makes copies of them. */
  readMany(keys: readonly string[], ask: () => Maybe<readonly Found[]>): Maybe<readonly Found[]> {
    const begun = this.options.clock.monotonic();
    const found = ask();
    if (!(found instanceof Promise)) {
      for (const [i, key] of keys.entries()) this.#hold(key, found[i], begun);
      return found;
    }
    const reading: Reading = { begun };
    for (const key of keys) {
      const other = this.#readings.get(key);
      // One that is replaced leaves no copy: of reads that come thick and fast none would.
      if (other === undefined || !this.#isRecent(other, begun)) this.#readings.set(key, reading);
    }
    return found.then((entries) => {
      for (const [i, key] of keys.entries()) this.#end(key, reading, entries[i]);
      return entries;
    }, (error) => {
      for (const key of keys) this.#giveUp(key, reading);
      throw error;
    });
  }

  /** Throws a copy out, and keeps one from coming in that is being read. */
  drop(key: string): void {
    this.#readings.delete(key);
    this.options.held.delete(this.#idOf(key));
  }

  #end(key: string, reading: Reading, entry: Found): void {
    if (this.#giveUp(key, reading)) this.#hold(key, entry, reading.begun);
  }

  /** @returns whether it might have left a copy until now */
  #giveUp(key: string, reading: Reading): boolean {
    return this.#readings.get(key) === reading && this.#readings.delete(key);
  }

  /** Whether what a read brings is no older than a copy may be. */
  #isRecent({ begun }: Reading, now: number): boolean {
    return now - begun < this.options.ttl;
  }

  #hold(key: string, entry: Found, since: number): void {
    // What is not there now may be there the next moment, written by anybody.
    if (entry === undefined) return;
    const id = this.#idOf(key);
    this.options.held.set(id, { entry: withOwnBytes(entry), since }, { size: sizeOf(id, entry) });
  }

  #idOf(key: string): string {
    return `${this.options.number}:${key}`;
  }
}

/** The same for somebody else: whoever gets bytes may do with them as they like. */
function withOwnBytes<E extends Found>(entry: E): E {
  if (entry === undefined || "json" in entry.value) return entry;
  const { bytes, type } = entry.value;
  return { ...entry, value: { bytes: bytes.slice(), type } };
}

/** Bytes that a copy takes, roughly. */
function sizeOf(id: string, { value }: CacheEntry): number {
  const size = "json" in value ? sizeOfText(value.json) : OF_BYTES + value.bytes.byteLength;
  return OVERHEAD + sizeOfText(id) + size;
}

/** A text with a single wide character has two bytes for each. */
const sizeOfText = (text: string) => /[^\0-\xff]/.test(text) ? 2 * text.length : text.length;
