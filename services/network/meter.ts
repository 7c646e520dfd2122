/** What may come over one connection. */
export interface MeterLimits {
  /** Bytes per second, over a while; a frame counts as at least {@link frameCost} of them. */
  readonly bytesPerSecond: number;
  readonly frameCost: number;
  /** Bytes of one yamux frame: no more than the window of a stream. */
  readonly maxFrame: number;
  /** Streams that the other side may open in a second. */
  readonly streamsPerSecond: number;
}

/** What is wrong with what came. */
export class MeterError extends Error {
  override readonly name = "MeterError";
}

const HEADER = 12, DATA = 0, WINDOW_UPDATE = 1, SYN = 1;

/**
 * Reads along what comes over a yamux connection, header by header (https://github.com/hashicorp/yamux/blob/master/spec.md): how
 * much it costs, and that no frame announces more than a stream may send. The muxer itself would gather up to 4 GiB of one.
 */
export class FrameMeter {
  readonly #header = new Uint8Array(HEADER);
  #filled = 0;
  /** Bytes of the frame's data that are still to come. */
  #rest = 0;
  #opened = 0;

  constructor(private readonly limits: MeterLimits) {}

  /** @returns what it costs, in bytes @throws MeterError for a frame that is too long */
  read(bytes: Uint8Array): number {
    let cost = 0;
    for (let at = 0; at < bytes.length;) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, bytes.length - at);
        this.#rest -= skipped;
        cost += skipped;
        at += skipped;
        continue;
      }
      const taken = Math.min(HEADER - this.#filled, bytes.length - at);
      this.#header.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled < HEADER) break;
      this.#filled = 0;
      cost += this.limits.frameCost;
      if ((this.#header[3]! & SYN) !== 0 && this.#header[1]! <= WINDOW_UPDATE) this.#opened++;
      if (this.#header[1] === DATA) this.#rest = this.#length();
      if (this.#rest > this.limits.maxFrame) throw new MeterError(`a frame of ${this.#rest} bytes`);
    }
    return cost;
  }

  /** How many streams were opened since it was last asked. */
  opened(): number {
    const opened = this.#opened;
    this.#opened = 0;
    return opened;
  }

  #length(): number {
    return new DataView(this.#header.buffer).getUint32(8);
  }
}

/** An allowance that fills again with time. May be overdrawn once: what came has come. */
export class Allowance {
  #left: number;
  #at: number;

  /**
   * @param rate what comes again in a second; as much is there at first, and at most
   * @param monotonic milliseconds on a clock that never jumps
   */
  constructor(private readonly rate: number, private readonly monotonic: () => number) {
    this.#left = rate;
    this.#at = monotonic();
  }

  /** Takes some. @returns milliseconds until something is there again; 0: there is */
  take(amount: number): number {
    const now = this.monotonic();
    this.#left = Math.min(this.rate, this.#left + (now - this.#at) * this.rate / 1_000) - amount;
    this.#at = now;
    return this.#left > 0 ? 0 : Math.ceil(-this.#left * 1_000 / this.rate) + 1;
  }
}
