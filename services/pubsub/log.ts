import type { Entry, Range } from "./cluster/cluster.ts";

/** Bytes that an entry takes in memory beside its data and its id, about. */
const ENTRY_COST = 320;
/** Dropped entries at the front of a list, from which on it is made anew without them. */
const SLACK = 32;

/** What an entry costs in memory, in bytes. */
export const costOf = ({ data, id }: Entry): number => ENTRY_COST + data.byteLength + (id?.length ?? 0);

/** The end of what one epoch published in a topic: consecutive entries, the last of which is the epoch's head. */
class EpochLog {
  /** Offset of the oldest that is kept; where none is, one more than the head. */
  first: number;
  #entries: Entry[] = [];
  /** When each was taken, in milliseconds of this gateway's monotonic clock: how old it is must not rest on another's clock. */
  #taken: number[] = [];
  #start = 0;

  constructor(readonly epoch: number, after: number) {
    this.first = after + 1;
  }

  get size(): number {
    return this.#entries.length - this.#start;
  }

  get head(): number {
    return this.first + this.size - 1;
  }

  /** When the oldest was taken; `Infinity` where there is none. */
  get oldest(): number {
    return this.#taken[this.#start] ?? Infinity;
  }

  push(entry: Entry, now: number): void {
    this.#entries.push(entry);
    this.#taken.push(now);
  }

  /** Drops the oldest, which must be there. */
  shift(): Entry {
    const entry = this.#entries[this.#start]!;
    this.first++;
    this.#start++;
    if (this.#start > SLACK && this.#start * 2 > this.#entries.length || this.#start === this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#taken = this.#taken.slice(this.#start);
      this.#start = 0;
    } else {
      // What it held is free at once.
      this.#entries[this.#start - 1] = NOTHING;
    }
    return entry;
  }

  behind(after: number, maxBytes: number): Entry[] {
    const from = this.#start + after + 1 - this.first;
    let end = from, bytes = 0;
    while (end < this.#entries.length) {
      bytes += costOf(this.#entries[end]!);
      if (bytes > maxBytes && end > from) break;
      end++;
    }
    return this.#entries.slice(from, end);
  }
}

const NOTHING: Entry = { data: new Uint8Array(0), json: false, at: 0, id: undefined };

/** What is kept of one topic, by epoch. How much, its owner says. */
export class TopicLog {
  readonly #epochs = new Map<number, EpochLog>();
  #bytes = 0;
  #messages = 0;

  /** What it costs in memory: more than the messages have. */
  get bytes(): number {
    return this.#bytes;
  }

  get messages(): number {
    return this.#messages;
  }

  /** Takes entries that follow on the epoch's head. @param now milliseconds that never run backwards */
  append({ epoch, entries }: Pick<Range, "epoch" | "entries">, now: number): void {
    const log = this.#of(epoch);
    for (const entry of entries) {
      log.push(entry, now);
      this.#bytes += costOf(entry);
    }
    this.#messages += entries.length;
  }

  /** An epoch goes on behind `after`; nothing of it is kept. */
  begin(epoch: number, after: number): void {
    const log = this.#epochs.get(epoch);
    while (log !== undefined && log.size > 0) this.#drop(log);
    this.#epochs.set(epoch, new EpochLog(epoch, after));
  }

  /** How far an epoch is; 0 for one of which nothing is known. */
  head(epoch: number): number {
    return this.#epochs.get(epoch)?.head ?? 0;
  }

  /** How far each epoch is that is known here. */
  heads(): Map<number, number> {
    const heads = new Map<number, number>();
    for (const log of this.#epochs.values()) heads.set(log.epoch, log.head);
    return heads;
  }

  /** Offset of the oldest entry of an epoch; one more than its head where there is none. */
  first(epoch: number): number {
    return this.#epochs.get(epoch)?.first ?? 1;
  }

  /**
   * Entries of an epoch behind an offset, at least one where there is one, and as many more as cost so much.
   * @returns `undefined` where the one behind it is not kept any more, and for an offset that was not given yet
   */
  range(epoch: number, after: number, maxBytes: number): Range | undefined {
    const log = this.#epochs.get(epoch);
    const first = log?.first ?? 1, head = log?.head ?? 0;
    if (after + 1 < first || after > head) return undefined;
    return { epoch, from: after + 1, entries: log?.behind(after, maxBytes) ?? [] };
  }

  /** Everything. */
  kept(): Range[] {
    const logs = [...this.#epochs.values()].filter(({ size }) => size > 0);
    return logs.map(({ epoch, first }) => this.range(epoch, first - 1, Infinity)!);
  }

  /** Drops the oldest beyond so many, and those that were not taken after a time. */
  trim(most: number, after: number): void {
    while (this.#messages > 0) {
      const oldest = this.#oldest();
      if (this.#messages <= most && oldest.oldest > after) return;
      this.#drop(oldest);
    }
  }

  /** Drops the oldest, which must be there. */
  dropOldest(): void {
    this.#drop(this.#oldest());
  }

  /** Forgets the heads of epochs that nobody asks for any more: of which nothing is kept. */
  prune(isNeeded: (epoch: number) => boolean): void {
    for (const { epoch, size } of this.#epochs.values()) {
      if (size === 0 && !isNeeded(epoch)) this.#epochs.delete(epoch);
    }
  }

  #of(epoch: number): EpochLog {
    let log = this.#epochs.get(epoch);
    if (log === undefined) this.#epochs.set(epoch, log = new EpochLog(epoch, 0));
    return log;
  }

  /** That of whose entries the first was taken before all others. */
  #oldest(): EpochLog {
    let found: EpochLog | undefined;
    for (const log of this.#epochs.values()) if (log.oldest < (found?.oldest ?? Infinity)) found = log;
    return found!;
  }

  #drop(log: EpochLog): void {
    this.#bytes -= costOf(log.shift());
    this.#messages--;
  }
}
