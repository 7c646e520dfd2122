import { LogRate, type RateBounds } from "./rate.ts";
import type { Logged, LogTable, RowValues } from "./rows.ts";

/** A row that is to be written. */
export interface BufferedRow extends Logged {
  readonly values: RowValues;
  /** What it takes in memory, roughly. */
  readonly bytes: number;
}

/** How much may wait, in bytes, and how fast it may come. */
export interface BufferBounds {
  /** Of all namespaces. */
  readonly bytes: number;
  /** Of one of them, so that a loud one does not cost the others their lines. */
  readonly bytesEach: number;
  /** Of one of them, over a while: rows that are written soon never fill what may wait. */
  readonly rateEach: RateBounds;
}

/** Rows of one table that wait to be written, oldest first. */
export class LogBuffer {
  #rows: BufferedRow[] = [];
  #underWay: BufferedRow[] = [];
  #bytes = 0;
  readonly #bytesOf = new Map<string, number>();

  readonly #rate: LogRate;

  /** @param monotonic milliseconds that never run backwards or jump */
  constructor(readonly table: LogTable, private readonly bounds: BufferBounds, monotonic: () => number) {
    this.#rate = new LogRate(bounds.rateEach, monotonic);
  }

  /** Rows that wait, those included that are being written. */
  get length(): number {
    return this.#rows.length + this.#underWay.length;
  }

  /**
   * Takes a row.
   * @param isNotice whether it says of others that they were dropped: such a one is never too fast
   * @returns whether there was room for it
   */
  add(row: BufferedRow, isNotice = false): boolean {
    const each = (this.#bytesOf.get(row.namespace) ?? 0) + row.bytes;
    if (each > this.bounds.bytesEach || this.#bytes + row.bytes > this.bounds.bytes) return false;
    if (!isNotice && !this.#rate.take(row.namespace, row.bytes)) return false;
    this.#bytesOf.set(row.namespace, each);
    this.#bytes += row.bytes;
    this.#rows.push(row);
    return true;
  }

  /** Whether something of a function waits. */
  has(functionId: string): boolean {
    const isOf = (row: BufferedRow) => row.functionId === functionId;
    return this.#underWay.some(isOf) || this.#rows.some(isOf);
  }

  /** Takes out the oldest rows; they count until {@link written} or {@link failed}, one of which must follow. */
  take(rows: number, bytes: number): readonly BufferedRow[] {
    let count = 0, sum = 0;
    while (count < this.#rows.length && count < rows && (count === 0 || sum + this.#rows[count]!.bytes <= bytes)) {
      sum += this.#rows[count++]!.bytes;
    }
    return this.#underWay = this.#rows.splice(0, count);
  }

  /** What was taken out is written, or can never be. */
  written(): void {
    for (const row of this.#underWay) this.#uncount(row);
    this.#underWay = [];
  }

  /** What was taken out is to be taken again. */
  failed(): void {
    this.#rows = [...this.#underWay, ...this.#rows];
    this.#underWay = [];
  }

  /** Forgets rows that nobody will read. */
  drop(isGone: (row: Logged) => boolean): void {
    const keep = (row: BufferedRow) => {
      if (!isGone(row)) return true;
      this.#uncount(row);
      return false;
    };
    this.#rows = this.#rows.filter(keep);
    this.#underWay = this.#underWay.filter(keep);
  }

  #uncount({ namespace, bytes }: BufferedRow): void {
    this.#bytes -= bytes;
    const each = this.#bytesOf.get(namespace)! - bytes;
    if (each === 0) this.#bytesOf.delete(namespace);
    else this.#bytesOf.set(namespace, each);
  }
}
