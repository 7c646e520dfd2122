/** Entries for which there is room at first. A power of two, as all sizes are. */
const SMALLEST = 64;

/**
 * Names that are remembered for a time, each with a slot for what is known of it: columns of numbers and references take a fraction of
 * what as many objects would. Those who came first go first, since all are remembered for as long.
 */
export class RecentNames {
  readonly #places = new Map<string, number>();
  readonly #columns: Column<unknown>[] = [];
  readonly #names = this.column<string | undefined>(undefined);
  readonly #until = this.numbers();
  #first = 0;
  #next = 0;
  #size = SMALLEST;

  /**
   * @param most names
   * @param life milliseconds
   * @param forgot told of each that is forgotten before its time, since too many came
   */
  constructor(private readonly most: number, private readonly life: number, private readonly forgot: () => void) {}

  /** A column for references. @param nothing what stands in an empty slot */
  column<Value>(nothing: Value): Column<Value> {
    return this.#add(new Column<Value>((size) => new Array<Value>(size).fill(nothing), nothing));
  }

  /** A column for numbers. */
  numbers(): Column<number> {
    return this.#add(new Column<number>((size) => new Float64Array(size), 0));
  }

  /** How many are known, those included whose time is over since the last one came. */
  get count(): number {
    return this.#next - this.#first;
  }

  /** When the last of them may be forgotten. */
  get until(): number {
    return this.#next === this.#first ? -Infinity : this.#until.at(this.#slot(this.#next - 1));
  }

  /** The slot of a name; `undefined` when it is not known any more. */
  find(name: string, now: number): number | undefined {
    const place = this.#places.get(name);
    if (place === undefined) return undefined;
    const slot = this.#slot(place);
    return this.#until.at(slot) > now ? slot : undefined;
  }

  /** Remembers a name that is not known. @returns its slot, which holds until the next one comes */
  add(name: string, now: number): number {
    while (this.#next > this.#first && this.#until.at(this.#slot(this.#first)) <= now) this.#dropFirst();
    if (this.count >= this.most) {
      this.forgot();
      this.#dropFirst();
    }
    if (this.count === 0) this.#resize(SMALLEST);
    else if (this.count === this.#size) this.#resize(2 * this.#size);
    const slot = this.#slot(this.#next);
    this.#places.set(name, this.#next++);
    this.#names.put(slot, name);
    this.#until.put(slot, now + this.life);
    return slot;
  }

  #slot(place: number): number {
    return place % this.#size;
  }

  #dropFirst(): void {
    const slot = this.#slot(this.#first++);
    this.#places.delete(this.#names.at(slot)!);
    for (const column of this.#columns) column.clear(slot);
  }

  #resize(size: number): void {
    if (size === this.#size) return;
    for (const column of this.#columns) column.resize(size, this.#first, this.#next);
    this.#size = size;
  }

  #add<Value>(column: Column<Value>): Column<Value> {
    this.#columns.push(column as Column<unknown>);
    return column;
  }
}

/** One thing that is known of each name. */
export class Column<Value> {
  #cells: { [slot: number]: Value; readonly length: number };

  constructor(
    private readonly make: (size: number) => { [slot: number]: Value; readonly length: number },
    private readonly nothing: Value,
  ) {
    this.#cells = make(SMALLEST);
  }

  at(slot: number): Value {
    return this.#cells[slot]!;
  }

  put(slot: number, value: Value): void {
    this.#cells[slot] = value;
  }

  clear(slot: number): void {
    this.#cells[slot] = this.nothing;
  }

  /** Makes room for another number of names. @param first place that is in use, and `next` the first behind that is not */
  resize(size: number, first: number, next: number): void {
    const before = this.#cells, cells = this.make(size);
    for (let place = first; place < next; place++) cells[place % size] = before[place % before.length]!;
    this.#cells = cells;
  }
}
