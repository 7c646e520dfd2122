import type { Entry } from "./cluster.ts";
import { weight } from "./fields.ts";

/** Entries of one epoch in one topic that wait for those before them, at most. */
const MAX_AHEAD = 1_000;

/** Bytes that may wait, of all streams together. */
export interface Room {
  left: number;
}

/** How far one epoch is in one topic, and what came too early of it. */
export class Stream {
  /** The offset that is taken next. */
  next: number;
  /** The highest offset that somebody said there is. */
  target: number;
  /** Whether it is being asked for. */
  fetching = false;
  /** By the monotonic clock: since when asking has brought nothing, while something waits. */
  stuckSince: number | undefined;
  readonly #ahead = new Map<number, Entry>();
  readonly #waiting: { readonly head: number; readonly arrived: () => void }[] = [];

  constructor(readonly key: string, readonly epoch: number, head: number, private readonly room: Room) {
    this.next = head + 1;
    this.target = head;
  }

  get behind(): boolean {
    return this.target >= this.next;
  }

  /** The lowest offset that came too early. */
  get earliest(): number | undefined {
    return this.#ahead.size === 0 ? undefined : Math.min(...this.#ahead.keys());
  }

  /** Goes on behind an offset. What is put aside before it is dropped. */
  begin(after: number): void {
    this.next = after + 1;
    this.target = Math.max(this.target, after);
    this.forget();
    this.moved();
  }

  /** Puts aside what is ahead. Beyond the bound it is dropped: that it exists is known, and it will be asked for. */
  putAside(offset: number, entry: Entry): void {
    this.target = Math.max(this.target, offset);
    const bytes = weight(entry);
    if (this.#ahead.has(offset) || this.#ahead.size >= MAX_AHEAD || this.room.left < bytes) return;
    this.#ahead.set(offset, entry);
    this.room.left -= bytes;
  }

  /** Takes out what now follows. The caller moves {@link next}. */
  following(from: number): Entry[] {
    const found: Entry[] = [];
    for (let offset = from;; offset++) {
      const entry = this.#ahead.get(offset);
      if (entry === undefined) return found;
      found.push(entry);
      this.#drop(offset);
    }
  }

  /** Drops what is put aside and was taken meanwhile. */
  forget(): void {
    for (const offset of this.#ahead.keys()) if (offset < this.next) this.#drop(offset);
  }

  /** Resolves once everything up to a head was taken, or was given up. */
  reach(head: number): Promise<void> {
    this.target = Math.max(this.target, head);
    if (this.next > head) return Promise.resolve();
    return new Promise((arrived) => this.#waiting.push({ head, arrived }));
  }

  /** Something was taken or given up. */
  moved(): void {
    this.stuckSince = undefined;
    this.#tell(this.next);
  }

  /** There will be no more of it. */
  end(): void {
    for (const offset of this.#ahead.keys()) this.#drop(offset);
    this.#tell(Infinity);
  }

  #tell(next: number): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (this.#waiting[i]!.head < next) this.#waiting.splice(i, 1)[0]!.arrived();
    }
  }

  #drop(offset: number): void {
    this.room.left += weight(this.#ahead.get(offset)!);
    this.#ahead.delete(offset);
  }
}
