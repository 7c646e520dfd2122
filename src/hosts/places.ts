/** There is no host for a key now; nothing was asked of any. */
export class NoHost extends Error {
  override readonly name = "NoHost";

  /** @param wait milliseconds after which the key may have one; `undefined` when nobody knows, or never */
  constructor(sentence: string, readonly wait?: number) {
    super(sentence);
  }
}

/** A bounded number of places, and who waits for one, first come first served. */
export class Places {
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  /**
   * @param max how many there are
   * @param patience milliseconds that anybody waits
   */
  constructor(private readonly max: number, private readonly patience: number) {}

  /** How many wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** How many are taken. */
  get taken(): number {
    return this.#taken;
  }

  /** @param wanted called when somebody must wait @throws NoHost after the patience */
  async take(wanted: () => void): Promise<void> {
    if (this.#taken < this.max) return void this.#taken++;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const timer = setTimeout(() => {
      const at = this.#waiting.indexOf(resolve);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(new NoHost("all hosts are busy with others"));
    }, this.patience);
    wanted();
    await promise.finally(() => clearTimeout(timer));
  }

  /** Gives a place back: whoever waits longest has it. */
  free(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#taken--;
  }

  /** Lets everybody in who waits: there is nothing to wait for. */
  open(): void {
    for (const enter of this.#waiting.splice(0)) {
      this.#taken++;
      enter();
    }
  }
}
