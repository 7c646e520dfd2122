import type { ContentDriver } from "../driver.ts";

/** Milliseconds for which addresses hold, and for which the lack of them does. */
const FRESH = 60_000, LACKING = 5_000;
/** Milliseconds that nodes have to tell them: a client waits. */
const PATIENCE = 2_000;

/** The addresses of the engine's nodes, as they were told lately. */
export class Delegates {
  #known: readonly string[] = [];
  #until = -Infinity;
  #asking: Promise<void> | undefined;

  /** @param monotonic milliseconds on a clock that never jumps */
  constructor(
    private readonly driver: Pick<ContentDriver, "delegates">,
    private readonly monotonic: () => number = () => performance.now(),
  ) {}

  /** Never fails: a client that has none is found in other ways, or finds the nodes itself. */
  async get(): Promise<readonly string[]> {
    if (this.monotonic() >= this.#until) await (this.#asking ??= this.#ask().finally(() => this.#asking = undefined));
    return this.#known;
  }

  async #ask(): Promise<void> {
    try {
      this.#known = await this.driver.delegates?.({ signal: AbortSignal.timeout(PATIENCE) }) ?? [];
      this.#until = this.monotonic() + FRESH;
    } catch {
      // What was known before is better than nothing.
      this.#until = this.monotonic() + LACKING;
    }
  }
}
