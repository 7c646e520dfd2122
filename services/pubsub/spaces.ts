import type { PubSubRules } from "../../src/contracts/settings.ts";
import type { Figures } from "./figures.ts";
import type { Retention } from "./retention.ts";
import { Space } from "./space.ts";

/** What a gateway has of each namespace. */
export class Spaces {
  readonly #spaces = new Map<string, Space>();

  /** @param made told when there is another one */
  constructor(
    private readonly figures: Figures,
    private readonly retention: Pick<Retention, "trim">,
    private readonly made: () => void,
  ) {}

  get size(): number {
    return this.#spaces.size;
  }

  [Symbol.iterator](): Iterator<Space> {
    return this.#spaces.values();
  }

  /** What there is of a namespace, with the rules that hold now. */
  of(namespace: string, rules: PubSubRules): Space {
    let space = this.#spaces.get(namespace);
    if (space === undefined) {
      this.#spaces.set(namespace, space = new Space(namespace, rules, this.figures));
      this.made();
    } else if (space.rules !== rules) {
      space.rules = rules;
      for (const topic of space.filled) this.retention.trim(topic);
    }
    return space;
  }

  /** What there is of a namespace, if anything is. */
  known(namespace: string): Space | undefined {
    return this.#spaces.get(namespace);
  }

  /** Forgets a namespace. */
  delete({ namespace }: Space): void {
    this.#spaces.delete(namespace);
  }
}
