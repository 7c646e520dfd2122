import { FrameWriter, type Order } from "./protocol.ts";

/**
 * How many batches of requests may be unanswered. What is asked meanwhile goes in the next one: under load a wakeup of the host, and
 * one of this process, is for many requests. Two, so that the host has work while this process reads its answers.
 */
const MAX_FLIGHTS = 2;
/** Milliseconds that the last write to a process may take which has ended. */
const LAST_WRITE = 50;

/** Orders on their way to a host. What is sent in one turn of the event loop, or while the pipe is full, goes in one write. */
export class Outbox {
  readonly #writer = new FrameWriter();
  /** What goes whatever is on its way. */
  readonly #urgent = new FrameWriter();
  /** Until what may go now is in the pipe. */
  #sending: Promise<void> | undefined;
  /** The last request of each batch that is on its way. */
  readonly #flights: number[] = [];
  /** The last request that waits for the next batch; 0 for none. */
  #gathered = 0;
  #delivered = 0;

  constructor(private readonly write: (bytes: Uint8Array) => Promise<void>) {}

  /** The last request that is in the pipe as a whole: of later ones the host has not read so much as can be understood. */
  get delivered(): number {
    return this.#delivered;
  }

  /** @param request the id of a request, whose answer {@link answered} is told of */
  send(order: Order, request = this.#gathered): void {
    this.#gathered = request;
    this.#writer.add(order);
    this.#wake();
  }

  /** Sends a reply, without which the host would not go on, ahead of the next batch. */
  reply(order: Order): void {
    this.#urgent.add(order);
    this.#wake();
  }

  /** A request has its answer. */
  answered(id: number): void {
    if (this.#flights[0] !== id) return;
    this.#flights.shift();
    if (this.#writer.length > 0) this.#wake();
  }

  /** Resolves when what may go now is in the pipe, or the pipe is broken. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  /**
   * Resolves when {@link delivered} is final, for a process that has ended: a write to it fails now, unless somebody whom it left behind
   * has the pipe open.
   */
  async lastWrite(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, LAST_WRITE);
    await Promise.race([this.#sending, promise]);
    clearTimeout(timer);
  }

  #wake(): void {
    if (this.#flights.length < MAX_FLIGHTS || this.#urgent.length > 0) this.#sending ??= this.#drain();
  }

  async #drain(): Promise<void> {
    await undefined;
    try {
      for (;;) {
        if (this.#urgent.length > 0) await this.write(this.#urgent.take());
        else if (this.#writer.length > 0 && this.#flights.length < MAX_FLIGHTS) {
          const last = this.#gathered;
          if (last > 0) this.#flights.push(last);
          this.#gathered = 0;
          await this.write(this.#writer.take());
          if (last > 0) this.#delivered = last;
        } else break;
      }
    } catch {
      // A broken pipe: the end of the output, which follows, tells everybody.
    } finally {
      this.#sending = undefined;
    }
  }
}
