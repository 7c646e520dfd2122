import { type ErrorExtra, GatewayError } from "../../src/contracts/errors.ts";

/** Counts what runs at once, for each namespace by itself. */
export class InFlight {
  readonly #running = new Map<string, number>();

  /**
   * @param what is counted, in the plural: the error names it
   * @param extra goes with the error
   */
  constructor(private readonly what: string, private readonly extra: ErrorExtra = {}) {}

  /** One more; {@link end} goes with it. @throws GatewayError `TOO_MANY_STATEMENTS` when `most` run already */
  begin(namespace: string, most: number): void {
    const running = this.#running.get(namespace) ?? 0;
    if (running >= most) {
      const sentence = `${most} ${this.what} of this namespace run already; nothing was done`;
      throw new GatewayError("TOO_MANY_STATEMENTS", sentence, { retryAfter: 1, ...this.extra });
    }
    this.#running.set(namespace, running + 1);
  }

  /** One less. */
  end(namespace: string): void {
    const left = (this.#running.get(namespace) ?? 0) - 1;
    if (left > 0) this.#running.set(namespace, left);
    else this.#running.delete(namespace);
  }
}
