import { setImmediate } from "node:timers";
import type { Clock } from "../../../../services/clock/clock.ts";

interface Event {
  readonly at: number;
  readonly number: number;
  readonly run: () => void;
}

/** Time that passes when it is told to, and what happens in it: in order of time, then of the asking. */
export class Time {
  now = 0;
  /** How much happened. */
  events = 0;
  /** A heap: none is before the one above it. */
  readonly #heap: Event[] = [];
  readonly #cancelled = new Set<number>();
  #numbers = 0;

  /** @returns what takes it back */
  after(ms: number, run: () => void): () => void {
    const number = ++this.#numbers;
    this.#push({ at: this.now + Math.max(0, ms), number, run });
    return () => this.#cancelled.add(number);
  }

  /** Lets so much of it pass. */
  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    await turn();
    while (this.#heap.length > 0 && this.#heap[0]!.at <= end) {
      const event = this.#pop();
      if (this.#cancelled.delete(event.number)) continue;
      this.now = event.at;
      this.events++;
      event.run();
      await turn();
    }
    this.now = end;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let i = heap.push(event) - 1;
    while (i > 0) {
      const up = (i - 1) >> 1;
      if (!isBefore(heap[i]!, heap[up]!)) return;
      [heap[i], heap[up]] = [heap[up]!, heap[i]!];
      i = up;
    }
  }

  #pop(): Event {
    const heap = this.#heap;
    const [top] = heap;
    const last = heap.pop()!;
    if (heap.length > 0) {
      heap[0] = last;
      for (let i = 0;;) {
        let least = i;
        for (const child of [2 * i + 1, 2 * i + 2]) {
          if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
        }
        if (least === i) break;
        [heap[i], heap[least]] = [heap[least]!, heap[i]!];
        i = least;
      }
    }
    return top!;
  }
}

const isBefore = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.number < b.number);

/** Everything that waits for nothing but promises goes on first. No time passes. */
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A clock of one process: a little fast or slow, of another opinion about the date, and silent once the process is gone. */
export class ProcessClock implements Clock {
  alive = true;
  readonly #begun: number;
  #late: (() => void)[] | undefined;

  /**
   * @param rate milliseconds of this clock in one of the simulation's
   * @param ahead milliseconds by which the date is wrong; may be changed at any time, as somebody sets a clock
   */
  constructor(private readonly time: Time, private readonly rate: number, public ahead: number) {
    this.#begun = time.now;
  }

  readonly now = (): number => Math.floor(1_760_000_000_000 + this.time.now + this.ahead);
  readonly monotonic = (): number => (this.time.now - this.#begun) * this.rate;

  after(ms: number, run: () => void): () => void {
    let isOver = false;
    const due = () => {
      if (!this.alive || isOver) return;
      if (this.#late === undefined) run();
      else this.#late.push(() => isOver || run());
    };
    const cancel = this.time.after(ms / this.rate, due);
    return () => {
      isOver = true;
      cancel();
    };
  }

  /** The process stands still: what is due happens afterwards. */
  pause(): { end(): void } {
    const late: (() => void)[] = this.#late = [];
    return {
      end: () => {
        this.#late = undefined;
        for (const run of late) run();
      },
    };
  }
}
