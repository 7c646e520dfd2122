import type { Clock } from "../../clock/clock.ts";
import type { RotationResult } from "./rotation.ts";

/** What sealing anew in the background needs. */
export interface ResealingParts {
  /** As `Secrets.rotate`. */
  readonly rotate: (signal: AbortSignal) => Promise<RotationResult>;
  readonly clock: Clock;
  /** Milliseconds from {@link Resealing.start} to the first try. */
  readonly delay: number;
  /** Told once what it came to. */
  readonly onDone: (result: RotationResult) => void;
  /** Told of each try that failed; another one follows. */
  readonly onError: (error: unknown) => void;
}

/** Milliseconds to the next try: twice as long after each, up to the latter. */
const FIRST_PAUSE = 5_000, LONGEST_PAUSE = 10 * 60_000;

/**
 * Seals with the newest key what others sealed, once for each start of a gateway. It begins late: of gateways that are started one
 * after the other those that still run as before may not open what the new key sealed. It is tried until it succeeded, for an
 * operator removes the old key in the belief that it did.
 */
export class Resealing {
  readonly #stop = new AbortController();
  #cancel: (() => void) | undefined;
  #working: Promise<void> | undefined;
  #failures = 0;

  constructor(private readonly parts: ResealingParts) {}

  /** Begins to wait. The process may end meanwhile. */
  start(): void {
    this.#in(this.parts.delay);
  }

  /** Ends it between two statements; it is done with the next start. */
  async close(): Promise<void> {
    this.#stop.abort();
    this.#cancel?.();
    await this.#working;
  }

  #in(ms: number): void {
    if (this.#stop.signal.aborted) return;
    this.#cancel = this.parts.clock.after(ms, () => this.#working = this.#try(), true);
  }

  async #try(): Promise<void> {
    const { rotate, onDone, onError } = this.parts;
    try {
      onDone(await rotate(this.#stop.signal));
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      onError(error);
      this.#in(Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.#failures++));
    }
  }
}
