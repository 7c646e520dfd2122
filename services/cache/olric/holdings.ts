import type { CacheHoldings, Maybe } from "../../../src/contracts/cache.ts";
import type { Maps } from "./maps.ts";

/** Milliseconds for which figures are good at least, and for which anybody waits for newer ones. */
const LIFE = 5_000, PATIENCE = 1_000;
/** How many times as long as the last figures took no others are asked for: each member writes down all its maps for them. */
const REST = 10;

/** What the whole cluster holds: asked so seldom that it is little work for the members, however often it is read. */
export class Holdings {
  #known: CacheHoldings | undefined;
  #goodUntil = -Infinity;
  #asking: Promise<void> | undefined;

  /** @param now milliseconds that never run backwards */
  constructor(private readonly maps: Pick<Maps, "total">, private readonly now: () => number) {}

  /** @returns `undefined` while nobody tells; what was known before where newer figures take long */
  read(): Maybe<CacheHoldings | undefined> {
    if (this.#asking === undefined && this.now() < this.#goodUntil) return this.#known;
    return this.#within(this.#asking ??= this.#ask());
  }

  async #within(asking: Promise<void>): Promise<CacheHoldings | undefined> {
    const { promise: patience, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, PATIENCE);
    await Promise.race([asking, patience]);
    clearTimeout(timer);
    return this.#known;
  }

  async #ask(): Promise<void> {
    const begun = this.now();
    this.#known = await this.maps.total().catch(() => undefined);
    const ended = this.now();
    this.#goodUntil = ended + Math.max(LIFE, REST * (ended - begun));
    this.#asking = undefined;
  }
}
