import { BadFrame, WINDOW } from "../wire/frames.ts";

/** The body of a request on its way through the process: a few pieces at most, because the gateway sends no more than it may. */
export class RequestBody {
  readonly #pieces: Uint8Array[] = [];
  #ended = false;
  #wake: (() => void) | undefined;

  /** @param taken called when a piece has been passed on, and another one may come */
  constructor(private readonly taken: () => void) {}

  /** One more piece came. @throws BadFrame for one too many, or one after the end */
  push(piece: Uint8Array): void {
    if (this.#ended || this.#pieces.length >= WINDOW) throw new BadFrame("a piece of a body that may not come");
    this.#pieces.push(piece);
    this.#wake?.();
  }

  /** Nothing more comes. @throws BadFrame the second time */
  end(): void {
    if (this.#ended) throw new BadFrame("a second end of a body");
    this.#ended = true;
    this.#wake?.();
  }

  /** The next piece, `undefined` after the last. One caller at a time. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#pieces.length === 0) {
      if (this.#ended) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    return this.#pieces.shift();
  }

  /** What {@link next} gave has been passed on. */
  passedOn(): void {
    this.taken();
  }
}
