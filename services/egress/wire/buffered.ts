/** What a {@link Buffered} assumes; by default what holds outside of tests. */
export interface BufferedOptions {
  /** Bytes a second at which a way that works moves on at least. Default 16 KiB. */
  readonly rate?: number;
  /** Bytes that lie between the two ends at most. Default 16 MiB. */
  readonly most?: number;
}

const RATE = 16 * 1024;
/** Linux lets a socket hold 4 MiB to send and 6 MiB that came (tcp(7), tcp_wmem and tcp_rmem), and a proxy has two of them. */
const MOST = 16 * 1024 * 1024;

/**
 * How long it may take until what was sent has arrived. The system takes megabytes at once, and says that there is room again when much
 * of them is gone; what of them the other side has nobody tells. So all that a slow way could not have moved yet counts as under way.
 */
export class Buffered {
  readonly #rate: number;
  readonly #longest: number;
  /** When the last byte has arrived, in milliseconds of this process's clock. */
  #arrived = 0;

  constructor({ rate = RATE, most = MOST }: BufferedOptions = {}) {
    this.#rate = rate / 1_000;
    this.#longest = most / this.#rate;
  }

  /** So many bytes were sent now. */
  sent(bytes: number): void {
    const now = performance.now();
    this.#arrived = Math.min(Math.max(this.#arrived, now) + this.timeFor(bytes), now + this.#longest);
  }

  /** Milliseconds until all of it has arrived at the latest. */
  get ms(): number {
    return Math.max(0, this.#arrived - performance.now());
  }

  /** Milliseconds that so many bytes take at the most. */
  timeFor(bytes: number): number {
    return bytes / this.#rate;
  }
}
