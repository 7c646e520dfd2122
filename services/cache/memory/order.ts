import type { Arena } from "./arena.ts";
import { FIELD } from "./header.ts";

/** Both ends of an order of use; 0: nothing is in it. */
export interface Ends {
  newest: number;
  oldest: number;
}

/** The orders in which entries were used last: of all, and of each namespace. */
export class UseOrder {
  readonly #arena: Arena;
  readonly #all: Ends = { newest: 0, oldest: 0 };

  constructor(arena: Arena) {
    this.#arena = arena;
  }

  /** The entry that was not used for the longest time; 0: there is none. */
  get oldest(): number {
    return this.#all.oldest;
  }

  /** Makes an entry the newest. It is in neither order. @param own of its namespace */
  join(id: number, own: Ends): void {
    this.#join(this.#all, id, FIELD.newer, FIELD.older);
    this.#join(own, id, FIELD.newerOwn, FIELD.olderOwn);
  }

  leave(id: number, own: Ends): void {
    this.#leave(this.#all, id, FIELD.newer, FIELD.older);
    this.#leave(own, id, FIELD.newerOwn, FIELD.olderOwn);
  }

  /** Makes an entry the newest that is in both. */
  use(id: number, own: Ends): void {
    if (this.#all.newest === id) return;
    this.leave(id, own);
    this.join(id, own);
  }

  #join(ends: Ends, id: number, newer: number, older: number): void {
    this.#arena.setWord(id, newer, 0);
    this.#arena.setWord(id, older, ends.newest);
    if (ends.newest === 0) ends.oldest = id;
    else this.#arena.setWord(ends.newest, newer, id);
    ends.newest = id;
  }

  #leave(ends: Ends, id: number, newer: number, older: number): void {
    const after = this.#arena.word(id, newer), before = this.#arena.word(id, older);
    if (after === 0) ends.newest = before;
    else this.#arena.setWord(after, older, before);
    if (before === 0) ends.oldest = after;
    else this.#arena.setWord(before, newer, after);
  }
}
