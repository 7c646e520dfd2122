import type { CacheValue } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { Arena, BLOCK_COST } from "./arena.ts";
import { Codec, sizeOf } from "./codec.ts";
import { costAround, Directory, type EntryMap, type Space } from "./directory.ts";
import { DueHeap } from "./due_heap.ts";
import { type Hash, hashWith } from "./hash.ts";
import { FIELD, NUMBER } from "./header.ts";
import { Index } from "./index.ts";
import { UseOrder } from "./order.ts";

/** What the store is made of. */
export interface StoreOptions {
  /** Bytes that everything may take together. */
  readonly maxBytes: number;
  /** Unix milliseconds. */
  readonly now: () => number;
  /** Bytes that cannot be guessed. */
  readonly random: (n: number) => Uint8Array;
}

/** An entry, as long as nothing is removed or written: others get its number then. */
export type EntryId = number;

/** Where an entry is to be, and what is to be in it. */
export interface Written {
  readonly namespace: string;
  readonly map: string;
  readonly key: string;
  readonly value: CacheValue;
  /** Unix milliseconds at which it ends; `undefined`: at no time. */
  readonly due: number | undefined;
  /** Bytes that the namespace may hold. */
  readonly quota: number;
}

/** An entry's places in the index, in the list of its map, and among those that end. */
const PLACES = 20;
/** How much of what is over one write clears away before anything has to make room for it. */
const CLEARED = 256;

/**
 * Entries of all namespaces. They leave when their time is over, and, the least recently used one first, when there are too
 * many: those of a namespace that has more than its quota, and of everybody when all together take too much.
 */
export class Store {
  readonly #options: StoreOptions;
  readonly #hash: Hash;
  readonly #arena = new Arena();
  readonly #codec = new Codec(this.#arena);
  readonly #index = new Index(this.#arena);
  readonly #order = new UseOrder(this.#arena);
  readonly #directory = new Directory();
  readonly #ends = new DueHeap<EntryId>({
    dueOf: (id) => this.#arena.number(id, NUMBER.due),
    placeOf: (id) => this.#arena.word(id, FIELD.place),
    setPlace: (id, place) => this.#arena.setWord(id, FIELD.place, place),
  });
  /** Dropped maps and namespaces, which are taken apart piece by piece: a million entries at once would hold up everybody. */
  readonly #garbage: (Space | EntryMap)[] = [];
  /** What the entries themselves take. */
  #taken = 0;
  #reserved = 0;
  #evictions = 0;
  #version = 0;

  constructor(options: StoreOptions) {
    this.#options = options;
    this.#hash = hashWith(options.random(8));
  }

  /** What all of it takes, with what is reserved. */
  get bytes(): number {
    return this.#taken + this.#directory.bytes + this.#reserved;
  }

  get entries(): number {
    return this.#directory.entries;
  }

  /** Entries that had to make room. */
  get evictions(): number {
    return this.#evictions;
  }

  /** Whether time alone will leave something to clear away. */
  get changing(): boolean {
    return this.#ends.size > 0 || this.#garbage.length > 0;
  }

  space(namespace: string): Space | undefined {
    return this.#directory.space(namespace);
  }

  /** An entry whose time is not over. */
  find(namespace: string, name: string, key: string): EntryId | undefined {
    const map = this.#directory.map(namespace, name);
    if (map === undefined) return undefined;
    const bytes = this.#codec.keyBytes(key), hash = this.#hash(map.number, bytes);
    for (let id = this.#index.first(hash); id !== 0; id = this.#arena.word(id, FIELD.nextInBucket)) {
      if (this.#arena.word(id, FIELD.hash) !== hash || this.#arena.word(id, FIELD.map) !== map.number) continue;
      if (!this.#codec.hasKey(id, bytes)) continue;
      if (!this.isOver(id)) return id;
      this.remove(id);
      return undefined;
    }
    return undefined;
  }

  isOver(id: EntryId): boolean {
    const due = this.#arena.number(id, NUMBER.due);
    return due !== 0 && due <= this.#options.now();
  }

  key(id: EntryId): string {
    return this.#codec.key(id);
  }

  value(id: EntryId): CacheValue {
    return this.#codec.value(id);
  }

  /** A number that no other write of any entry has. */
  version(id: EntryId): number {
    return this.#arena.number(id, NUMBER.version);
  }

  /** Unix milliseconds; `undefined`: it does not end. */
  due(id: EntryId): number | undefined {
    return this.#arena.number(id, NUMBER.due) || undefined;
  }

  /** Makes an entry the most recently used. */
  use(id: EntryId): void {
    this.#order.use(id, this.#mapOf(id).space);
  }

  /** Writes, and makes room for it. @param found what is there @throws GatewayError `BODY_TOO_LARGE`, and nothing is written */
  write(found: EntryId | undefined, { namespace, map: name, key, value, due, quota }: Written): EntryId {
    const keyBytes = this.#codec.keyBytes(key), content = this.#codec.content(value);
    const size = sizeOf(keyBytes, content), bytes = bytesOf(size), around = costAround(namespace, name);
    this.#assertFits(bytes + around, quota);
    let id = found;
    if (id === undefined) {
      this.#makeRoom(bytes + around, namespace, quota);
      id = this.#add(this.#directory.mapFor(namespace, name), keyBytes, size);
    } else {
      this.use(id);
      // Its time may be over while room is made.
      this.#ends.remove(id);
      this.#makeRoom(bytes - bytesOf(this.#codec.sizeOf(id)), namespace, quota);
      this.#resize(id, size);
    }
    this.#codec.put(id, keyBytes, content);
    this.expire(id, due);
    return id;
  }

  /** Gives an entry another end, and another version with it. @param due Unix milliseconds; `undefined`: none */
  expire(id: EntryId, due: number | undefined): void {
    this.#arena.setNumber(id, NUMBER.version, ++this.#version);
    this.#ends.remove(id);
    this.#arena.setNumber(id, NUMBER.due, due ?? 0);
    if (due !== undefined) this.#ends.add(id);
  }

  remove(id: EntryId): void {
    const map = this.#mapOf(id), { list, space } = map;
    this.#ends.remove(id);
    this.#index.remove(id);
    this.#order.leave(id, space);
    const last = list.pop()!;
    if (last !== id) {
      const slot = this.#arena.word(id, FIELD.slot);
      list[slot] = last;
      this.#arena.setWord(last, FIELD.slot, slot);
    }
    this.#count(map, -bytesOf(this.#codec.sizeOf(id)), -1);
    this.#arena.free(id);
    if (list.length === 0) this.#directory.remove(map);
  }

  /** Deletes a map. What it took is free in time. */
  drop(namespace: string, name: string): void {
    const map = this.#directory.drop(namespace, name);
    if (map !== undefined) this.#garbage.push(map);
  }

  /** Deletes everything of a namespace. What it took is free in time. */
  purge(namespace: string): void {
    const space = this.#directory.dropAll(namespace);
    if (space !== undefined) this.#garbage.push(space);
  }

  /** Counts bytes that something else takes or, below 0, gives back. Entries make room for it. */
  reserve(bytes: number): void {
    if (bytes > 0) this.#makeRoom(bytes);
    this.#reserved += bytes;
  }

  /**
   * Clears away entries whose time is over and what is left of dropped maps.
   * @param most how many entries
   * @returns whether there may be more
   */
  clear(most: number): boolean {
    for (let left = most; left > 0; left--) {
      const { first } = this.#ends;
      if (first !== undefined && this.isOver(first)) this.remove(first);
      else if (!this.#clearGarbage()) return false;
    }
    return true;
  }

  #mapOf(id: EntryId): EntryMap {
    return this.#directory.mapOf(this.#arena.word(id, FIELD.map));
  }

  #add(map: EntryMap, key: Uint8Array, size: number): EntryId {
    const id = this.#arena.allocate(size);
    this.#arena.setWord(id, FIELD.map, map.number);
    this.#arena.setWord(id, FIELD.slot, map.list.push(id) - 1);
    this.#arena.setWord(id, FIELD.place, 0);
    this.#arena.setWord(id, FIELD.hash, this.#hash(map.number, key));
    this.#index.add(id);
    this.#order.join(id, map.space);
    this.#count(map, bytesOf(size), 1);
    return id;
  }

  #resize(id: EntryId, size: number): void {
    const more = bytesOf(size) - bytesOf(this.#codec.sizeOf(id));
    if (more === 0) return;
    this.#arena.resize(id, size);
    this.#count(this.#mapOf(id), more, 0);
  }

  #count(map: EntryMap, bytes: number, entries: number): void {
    this.#taken += bytes;
    this.#directory.count(map, bytes, entries);
  }

  #assertFits(bytes: number, quota: number): void {
    const most = Math.min(quota, this.#options.maxBytes - this.#reserved);
    if (bytes <= most) return;
    const sentence = `this entry takes ${bytes} bytes of memory; the cache has ${most} for it`;
    throw new GatewayError("BODY_TOO_LARGE", sentence, { details: { limit: most } });
  }

  /** @param bytes that are about to be taken @param namespace by whom */
  #makeRoom(bytes: number, namespace = "", quota = Infinity): void {
    const { maxBytes } = this.#options;
    const own = () => this.#directory.space(namespace)?.bytes ?? 0;
    if (this.bytes + bytes <= maxBytes && own() + bytes <= quota) return;
    this.clear(CLEARED);
    while (own() > 0 && own() + bytes > quota) this.#evict(this.#directory.space(namespace)!.oldest);
    while (this.bytes + bytes > maxBytes && this.#clearGarbage());
    while (this.bytes + bytes > maxBytes && this.#order.oldest !== 0) this.#evict(this.#order.oldest);
  }

  #evict(id: EntryId): void {
    if (this.#mapOf(id).isFound) this.#evictions++;
    this.remove(id);
  }

  #clearGarbage(): boolean {
    for (let item = this.#garbage.at(-1); item !== undefined; item = this.#garbage.at(-1)) {
      if (item.last !== 0) {
        this.remove(item.last);
        return true;
      }
      this.#garbage.pop();
    }
    return false;
  }
}

const bytesOf = (size: number) => Arena.blocksOf(size) * BLOCK_COST + PLACES;
