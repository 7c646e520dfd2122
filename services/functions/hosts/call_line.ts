/** What stands in a line. */
export interface InLine {
  /** Of two with one, the second never goes before the first. */
  readonly lane: string;
  /** Bytes that it holds while it waits. */
  readonly bytes: number;
}

/**
 * Who waits, first come first served, but for lanes that are held up: those who wait in others go past them. Leaving costs nothing
 * much, however many wait.
 */
export class CallLine<T extends InLine> {
  readonly #lanes = new Map<string, Map<T, number>>();
  #size = 0;
  #bytes = 0;
  #last = 0;
  #first = 0;

  /** How many wait. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that those hold who wait. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Goes to the end. */
  join(item: T): void {
    const lane = this.#lanes.get(item.lane);
    if (lane) lane.set(item, ++this.#last);
    else this.#lanes.set(item.lane, new Map([[item, ++this.#last]]));
    this.#size++;
    this.#bytes += item.bytes;
  }

  /** Goes to the front: it had its turn, which came to nothing. */
  rejoin(item: T): void {
    this.#lanes.set(item.lane, new Map([[item, --this.#first], ...this.#lanes.get(item.lane) ?? []]));
    this.#size++;
    this.#bytes += item.bytes;
  }

  /** @returns whether it was there */
  leave(item: T): boolean {
    const lane = this.#lanes.get(item.lane);
    if (!lane?.delete(item)) return false;
    if (lane.size === 0) this.#lanes.delete(item.lane);
    this.#size--;
    this.#bytes -= item.bytes;
    return true;
  }

  /** Whose turn it is, among the firsts of lanes that may go; it stays in line. */
  next(mayGo: (item: T) => boolean): T | undefined {
    let next: T | undefined, least = Infinity;
    for (const lane of this.#lanes.values()) {
      const [first] = lane;
      if (first && first[1] < least && mayGo(first[0])) [next, least] = first;
    }
    return next;
  }

  /** Everybody leaves. */
  clear(): T[] {
    const all = [...this.#lanes.values()].flatMap((lane) => [...lane.keys()]);
    this.#lanes.clear();
    this.#size = 0;
    this.#bytes = 0;
    return all;
  }
}
