/** Lets work on one thing wait for the work on it before; other things go on meanwhile. */
export class Turns {
  readonly #last = new Map<string, Promise<unknown>>();

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
}
