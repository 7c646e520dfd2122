/** When things end, and where that is written down. */
export interface DueItems<Item> {
  /** When it ends. Does not change while the item is in the heap, but by {@link DueHeap.add} of one that was removed. */
  dueOf(item: Item): number;
  /** Its place in the heap, from 1 on; 0: none. */
  placeOf(item: Item): number;
  setPlace(item: Item, place: number): void;
}

/** What ends, the next one first: a binary heap out of which anything can be taken. */
export class DueHeap<Item> {
  /** From place 1 on; what stands at 0 is never looked at. */
  readonly #heap: Item[] = [];
  readonly #items: DueItems<Item>;

  constructor(items: DueItems<Item>) {
    this.#items = items;
  }

  get size(): number {
    return this.#heap.length;
  }

  /** Whatever ends next. */
  get first(): Item | undefined {
    return this.#heap[0];
  }

  /** Takes something in that is in no heap. */
  add(item: Item): void {
    this.#heap.push(item);
    this.#rise(item, this.#heap.length);
  }

  /** Takes something out, if it is in. */
  remove(item: Item): void {
    const place = this.#items.placeOf(item);
    if (place === 0) return;
    this.#items.setPlace(item, 0);
    const last = this.#heap.pop()!;
    if (last === item) return;
    this.#sink(last, place);
    this.#rise(last, this.#items.placeOf(last));
  }

  #rise(item: Item, from: number): void {
    const due = this.#items.dueOf(item);
    let place = from;
    while (place > 1) {
      const above = this.#heap[(place >> 1) - 1]!;
      if (this.#items.dueOf(above) <= due) break;
      this.#put(above, place);
      place >>= 1;
    }
    this.#put(item, place);
  }

  #sink(item: Item, from: number): void {
    const due = this.#items.dueOf(item), size = this.#heap.length;
    let place = from;
    for (let below = 2 * place; below <= size; below = 2 * place) {
      if (below < size && this.#dueAt(below + 1) < this.#dueAt(below)) below++;
      if (this.#dueAt(below) >= due) break;
      this.#put(this.#heap[below - 1]!, place);
      place = below;
    }
    this.#put(item, place);
  }

  #dueAt(place: number): number {
    return this.#items.dueOf(this.#heap[place - 1]!);
  }

  #put(item: Item, place: number): void {
    this.#heap[place - 1] = item;
    this.#items.setPlace(item, place);
  }
}
