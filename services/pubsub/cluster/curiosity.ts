import type { Clock } from "../../clock/clock.ts";
import type { Membership } from "./membership.ts";

/** Milliseconds between two looks at the control plane because somebody spoke of what it has not told of. */
const PAUSE = 500;

/** Looks at the control plane when somebody speaks of a life that it has not told of yet: soon, and seldom. */
export class Curiosity {
  #pausing = false;
  #wanted = false;

  constructor(private readonly membership: Membership, private readonly clock: Clock) {}

  /** An epoch is spoken of. @returns whether the control plane has not told of it yet; it is asked then */
  isNews(epoch: number): boolean {
    if (epoch <= this.membership.known || this.membership.isOwn(epoch)) return false;
    if (this.#pausing) this.#wanted = true;
    else this.#look();
    return true;
  }

  #look(): void {
    this.#pausing = true;
    this.#wanted = false;
    if (this.membership.epoch !== undefined) this.membership.look().catch(() => {});
    this.clock.after(PAUSE, () => {
      this.#pausing = false;
      // What was spoken of meanwhile may have begun behind that look.
      if (this.#wanted) this.#look();
    });
  }
}
