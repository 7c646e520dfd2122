import type { Cluster, Heads, View } from "./cluster/cluster.ts";
import type { Placed } from "./order.ts";
import { positionText } from "./position.ts";

/** Where somebody stands in a topic. Its text is made when somebody wants it, which is not for every message. */
export interface Place {
  /** The position; `undefined` where there is none. */
  readonly text: string | undefined;
}

/** Whether somebody who stands at a view has a message. */
export function covers({ heads, known }: View, epoch: number, offset: number): boolean {
  const head = heads.get(epoch);
  return head === undefined ? epoch <= known : offset <= head;
}

/** In a topic that keeps nothing, or where epochs are not known. */
export const NOWHERE: Place = { text: undefined };

/** A place that a view says. */
export class ViewPlace implements Place {
  #text: string | undefined;

  /** @param sum of the topic */
  constructor(private readonly sum: number, private readonly view: View) {}

  get text(): string | undefined {
    return this.#text ??= positionText(this.sum, this.view);
  }
}

/** A place as things are now. What it is given must never change, since its text may be made later. */
export class LivePlace implements Place {
  #text: string | undefined;

  /**
   * @param sum of the topic
   * @param view of the cluster
   * @param heads of all epochs but the next one
   * @param epoch of the last message, 0 for none
   * @param offset of the last message
   */
  constructor(
    private readonly sum: number,
    private readonly view: Cluster["view"],
    private readonly heads: Heads,
    private readonly epoch: number,
    private readonly offset: number,
  ) {}

  get text(): string | undefined {
    return this.#text ??= positionText(this.sum, this.says());
  }

  /** What the position says. */
  says(): View {
    const { open, known } = this.view;
    const heads = new Map<number, number>();
    for (const epoch of open) heads.set(epoch, epoch === this.epoch ? this.offset : this.heads.get(epoch) ?? 0);
    // One that is newer than all that is known would be taken for unread, and any other for ended and told.
    if (this.epoch > known) heads.set(this.epoch, this.offset);
    return { heads, known };
  }
}

/** Where somebody stands who has both what one place says and what a view says. */
export class JointPlace implements Place {
  #text: string | undefined;

  /** @param sum of the topic */
  constructor(private readonly sum: number, private readonly view: View, private readonly place: LivePlace) {}

  get text(): string | undefined {
    return this.#text ??= positionText(this.sum, this.#says());
  }

  #says(): View {
    const { heads: live, known } = this.place.says();
    const heads = new Map(this.view.heads);
    for (const [epoch, head] of live) heads.set(epoch, Math.max(head, heads.get(epoch) ?? 0));
    return { heads, known: Math.max(known, this.view.known) };
  }
}

/**
 * Places behind each of several messages that are handed over together. They are nearly always asked for in order: then each is one
 * step from the one before.
 */
export class Walk {
  #heads: Map<number, number>;
  #next = 0;

  /**
   * @param sum of the topic
   * @param start where its holder stands before the first
   * @param end where its holder stands behind the last
   * @param steps in the order in which they are handed over
   */
  constructor(
    private readonly sum: number,
    private readonly start: View,
    private readonly end: View,
    private readonly steps: readonly Placed[],
  ) {
    this.#heads = this.#beginning();
  }

  /** Behind the message with this number. */
  place(step: number): Place {
    return new StepPlace(this, step);
  }

  /** @returns the position behind the message with this number */
  textBehind(step: number): string | undefined {
    if (step === this.steps.length - 1) return positionText(this.sum, this.end);
    if (step + 1 < this.#next) {
      this.#heads = this.#beginning();
      this.#next = 0;
    }
    for (; this.#next <= step; this.#next++) {
      const { epoch, offset } = this.steps[this.#next]!;
      this.#heads.set(epoch, offset);
    }
    return positionText(this.sum, { heads: this.#heads, known: this.end.known });
  }

  /** Epochs that began meanwhile are unread, and have to be named: all that are not named had been read to their end. */
  #beginning(): Map<number, number> {
    const heads = new Map<number, number>();
    for (const epoch of this.end.heads.keys()) heads.set(epoch, 0);
    for (const { epoch } of this.steps) heads.set(epoch, 0);
    for (const [epoch, offset] of this.start.heads) heads.set(epoch, offset);
    return heads;
  }
}

class StepPlace implements Place {
  constructor(private readonly walk: Walk, private readonly step: number) {}

  get text(): string | undefined {
    return this.walk.textBehind(this.step);
  }
}
