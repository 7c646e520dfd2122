import { GatewayError } from "../../../src/contracts/errors.ts";

/** Somebody prepares what is to be done with a thing when its turn comes. */
export interface Preparation extends Disposable {
  /** Fires when the thing is removed: what was prepared is for nothing then. Its reason is a GatewayError `CONFLICT`. */
  readonly signal: AbortSignal;
}

/** Lets work on one thing wait for the work on it before; other things go on meanwhile. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();
  readonly #preparing = new Map<string, Set<AbortController>>();
  readonly #leaving = new Set<string>();

  /** Runs when everything that was asked for this key before has ended. @throws what `work` throws */
  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key);
    const mine = (async () => {
      await before;
      return await work();
    })();
    const settled = mine.catch(() => {});
    this.#last.set(key, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(key) === settled) this.#last.delete(key);
    }
  }

  /** Begins to prepare something. Whoever does looks at the signal once its turn has come. */
  prepare(key: string): Preparation {
    const gone = new AbortController();
    if (this.#leaving.has(key)) gone.abort(removed());
    const all = this.#preparing.get(key) ?? new Set();
    this.#preparing.set(key, all.add(gone));
    return {
      signal: gone.signal,
      [Symbol.dispose]: () => {
        if (all.delete(gone) && all.size === 0) this.#preparing.delete(key);
      },
    };
  }

  /**
   * As {@link run}, of work that removes the thing: what is being prepared for it now, or until this is over, will not be done.
   * Once at a time for a key.
   */
  async remove<T>(key: string, work: () => Promise<T>): Promise<T> {
    this.#leaving.add(key);
    for (const gone of this.#preparing.get(key) ?? []) gone.abort(removed());
    try {
      return await this.run(key, work);
    } finally {
      this.#leaving.delete(key);
    }
  }
}

const removed = () => new GatewayError("CONFLICT", "this namespace is being deleted; nothing was changed");
