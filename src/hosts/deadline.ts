/**
 * The clock of whatever runs now. It is started and stopped once per request, so a timer is set only when none is due early
 * enough: one that fires too soon looks at the clock and waits for the rest.
 */
export class Deadline {
  #due = Infinity;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** When the timer fires; `Infinity` for none. */
  #fires = Infinity;
  #excused = false;

  constructor(private readonly expired: () => void) {}

  /** Begins anew with so many milliseconds. */
  start(timeout: number): void {
    this.#due = performance.now() + timeout;
    this.#excused = false;
    if (this.#fires > this.#due) this.#arm();
  }

  /** Nothing runs. */
  stop(): void {
    this.#due = Infinity;
  }

  /** Nothing will run any more. */
  close(): void {
    this.#due = this.#fires = Infinity;
    clearTimeout(this.#timer);
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const wait = Math.min(Math.max(0, Math.ceil(this.#due - performance.now())), LONGEST);
    this.#fires = performance.now() + wait;
    this.#timer = setTimeout(() => this.#look(), wait);
    // Whoever waits for an answer holds the pipe, and with it the process; the timer must not.
    Deno.unrefTimer(Number(this.#timer));
  }

  #look(): void {
    this.#fires = Infinity;
    if (this.#due === Infinity) return;
    const late = performance.now() - this.#due;
    if (late > STALLED && !this.#excused) {
      // This process did nothing for a while: what it was to hear in time may lie here unread.
      this.#excused = true;
      this.#due = performance.now() + EXCUSE;
      this.#arm();
    } else if (late >= 0) {
      this.#due = Infinity;
      this.expired();
    } else this.#arm();
  }
}

const LONGEST = 2 ** 31 - 1;
/** Milliseconds of being late, and of waiting then for what has come meanwhile. */
const STALLED = 20, EXCUSE = 2;
