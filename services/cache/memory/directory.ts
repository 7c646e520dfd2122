import type { Ends } from "./order.ts";

/**
 * What things take that lie in V8's heap, in bytes, apart from the names in them: measured, see `DESIGN.md`. Names count as
 * two bytes for each character, which is the most.
 */
export const COST = {
  /** A map with nothing in it. */
  map: 340,
  /** A namespace with nothing in it. */
  namespace: 280,
  /** A lock with its token and its places. */
  lock: 260,
} as const;

/** What a name takes, at most. */
export const nameCost = (name: string): number => 24 + 2 * name.length;

/** What a map takes by itself, with a namespace that has nothing else. */
export const costAround = (namespace: string, map: string): number =>
  COST.namespace + nameCost(namespace) + COST.map + nameCost(map);

/** The entries of a namespace. */
export class Space implements Ends {
  readonly maps = new Map<string, EntryMap>();
  newest = 0;
  oldest = 0;
  /** What it takes with all that it holds. */
  bytes: number;
  entries = 0;
  /** Whether nobody can find it any more. */
  dropped = false;

  constructor(readonly name: string) {
    this.bytes = this.cost;
  }

  /** What it takes by itself. */
  get cost(): number {
    return COST.namespace + nameCost(this.name);
  }

  /** Any entry of what is left in it; 0: nothing. */
  get last(): number {
    return this.oldest;
  }
}

/** The entries of one map. */
export class EntryMap {
  /**
   * Its entries, without gaps: the last one takes the place of one that goes. So an entry only ever moves towards the front,
   * and who reads from the back meets each one that is there all the while, whatever else comes and goes.
   */
  readonly list: number[] = [];
  /** What it takes with all that it holds. */
  bytes: number;
  /** Whether nobody can find it any more. */
  dropped = false;

  /** @param number that no other map has */
  constructor(readonly space: Space, readonly name: string, readonly number: number) {
    this.bytes = this.cost;
  }

  /** What it takes by itself. */
  get cost(): number {
    return COST.map + nameCost(this.name);
  }

  /** Any entry of what is left in it; 0: nothing. */
  get last(): number {
    return this.list.at(-1) ?? 0;
  }

  /** Whether its entries can be found. */
  get isFound(): boolean {
    return !this.dropped && !this.space.dropped;
  }
}

/** Which maps there are, and how much is in them. None is empty, but for one that was just made. */
export class Directory {
  readonly #spaces = new Map<string, Space>();
  /** By their numbers. */
  readonly #maps: (EntryMap | undefined)[] = [];
  readonly #freeNumbers: number[] = [];
  #bytes = 0;
  #entries = 0;

  /** What maps and namespaces take by themselves, dropped ones with them until the last entry is cleared away. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Entries that can be found. */
  get entries(): number {
    return this.#entries;
  }

  space(namespace: string): Space | undefined {
    return this.#spaces.get(namespace);
  }

  map(namespace: string, name: string): EntryMap | undefined {
    return this.#spaces.get(namespace)?.maps.get(name);
  }

  mapOf(number: number): EntryMap {
    return this.#maps[number]!;
  }

  /** A map, which is made if it is not there: the caller puts something in. */
  mapFor(namespace: string, name: string): EntryMap {
    let space = this.#spaces.get(namespace);
    if (space === undefined) {
      space = new Space(copyOf(namespace));
      this.#spaces.set(space.name, space);
      this.#bytes += space.cost;
    }
    let map = space.maps.get(name);
    if (map === undefined) {
      map = new EntryMap(space, copyOf(name), this.#freeNumbers.pop() ?? this.#maps.length);
      this.#maps[map.number] = map;
      space.maps.set(map.name, map);
      space.bytes += map.cost;
      this.#bytes += map.cost;
    }
    return map;
  }

  /** More or less came to be in a map. */
  count(map: EntryMap, bytes: number, entries: number): void {
    if (!map.isFound) return;
    map.bytes += bytes;
    map.space.bytes += bytes;
    map.space.entries += entries;
    this.#entries += entries;
  }

  /** A map has nothing in it any more. */
  remove(map: EntryMap): void {
    this.#maps[map.number] = undefined;
    this.#freeNumbers.push(map.number);
    this.#bytes -= map.cost;
    if (!map.dropped) this.#takeOut(map, map.cost);
  }

  /** Nobody finds a map any more. What is in it is left to the caller. */
  drop(namespace: string, name: string): EntryMap | undefined {
    const map = this.map(namespace, name);
    if (map === undefined) return undefined;
    this.count(map, 0, -map.list.length);
    map.dropped = true;
    this.#takeOut(map, map.bytes);
    return map;
  }

  /** Nobody finds anything of a namespace any more. What is in it is left to the caller. */
  dropAll(namespace: string): Space | undefined {
    const space = this.#spaces.get(namespace);
    if (space === undefined) return undefined;
    this.#entries -= space.entries;
    space.dropped = true;
    this.#spaces.delete(namespace);
    return space;
  }

  #takeOut({ name, space }: EntryMap, bytes: number): void {
    space.maps.delete(name);
    space.bytes -= bytes;
    if (space.maps.size > 0) return;
    this.#bytes -= space.cost;
    if (!space.dropped) this.#spaces.delete(space.name);
  }
}

/** A piece of a larger text is a view that keeps all of it alive, so what stays for long is copied. */
function copyOf(text: string): string {
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(text));
}
