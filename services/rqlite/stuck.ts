/** How long a trivial request may take before the cluster counts as stuck, and while it is, in milliseconds. */
const FIRST_TRY = 1_500;
const LATER_TRY = 5_000;
/** Between two tries. */
const PAUSE = 1_000;

/** What {@link StuckWatch} needs. */
export interface StuckWatchOptions {
  /** Whether a trivial request that has to wait for the writes before it comes back within so many milliseconds; `undefined`: nobody was there to ask. */
  readonly comesBack: (timeout: number) => Promise<boolean | undefined>;
  /** @param seconds since it became so, when it no longer is */
  readonly onChange: (stuck: boolean, seconds: number) => void;
  /** Milliseconds that never run backwards. */
  readonly now: () => number;
}

/**
 * Tells a cluster that hangs in a statement from one that is slow. rqlite applies its log one entry after the other, and there
 * are statements that it cannot interrupt: then it lives, has a leader, answers reads, and never comes back to the writes.
 * Found by a trivial request through the log, which nothing but such a statement keeps.
 */
export class StuckWatch {
  #since: number | undefined;
  #looking = false;
  #closed = false;
  #endPause = () => {};

  constructor(private readonly options: StuckWatchOptions) {}

  /** Whether writes do not come back. */
  get stuck(): boolean {
    return this.#since !== undefined;
  }

  /** A write has not come back although its node lives. */
  suspect(): void {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    this.#look().finally(() => this.#looking = false);
  }

  /** Stops looking. */
  close(): void {
    this.#closed = true;
    this.#endPause();
  }

  async #look(): Promise<void> {
    const { comesBack, now, onChange } = this.options;
    while (!this.#closed) {
      const back = await comesBack(this.stuck ? LATER_TRY : FIRST_TRY);
      if (this.#closed) return;
      if (back === false && this.#since === undefined) {
        this.#since = now();
        onChange(true, 0);
      }
      if (back === true || this.#since === undefined) {
        const since = this.#since;
        this.#since = undefined;
        if (since !== undefined) onChange(false, (now() - since) / 1000);
        return;
      }
      await this.#wait();
    }
  }

  #wait(): Promise<void> {
    return new Promise((resolve) => {
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(this.#endPause, PAUSE);
    });
  }
}
