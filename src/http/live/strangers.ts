/** What somebody who is not known yet holds of a gateway's room. */
export interface Stranger {
  /** Tells when others need the room more; at once where they do already. Told once. */
  whenCrowded(end: () => void): void;
  /** It has begun to say who it is: it is not asked for room until that is decided. @returns to be called when it is */
  speaks(): () => void;
  /** It waits no more: it is known, or on its way out. */
  leave(): void;
  /** It is gone. */
  free(): void;
}

/** Of one address: those that wait, in the order in which they came, and how many are not gone. */
interface Address {
  readonly name: string;
  readonly silent: Set<Waiting>;
  here: number;
}

interface Waiting {
  readonly address: Address;
  /** By the order in which they came. One that spoke in vain has had its turn: it goes before all others. */
  readonly since: number;
  readonly crowded: () => void;
}

/** Strangers of one address that may wait: many clients may share one, and each needs its room for a moment only. */
const SILENT_PER_ADDRESS = 32;
/** Those of one address that may be there at all, with those that speak and those that do not let go. */
const HERE_PER_ADDRESS = 8 * SILENT_PER_ADDRESS;

/**
 * The room of those who have not said yet who they are. Each client is one of them for a moment, so there is always room for the next:
 * where there is none, whoever has been silent for longest leaves, of the address that has most of them. So those who open many and say
 * nothing push out each other. Somebody who says at once who it is loses only where as many come within that moment as there is room for.
 */
export class Strangers {
  readonly #addresses = new Map<string, Address>();
  #silent = 0;
  #speaking = 0;
  #came = 0;

  /** @param most that may wait */
  constructor(private readonly most: number) {}

  /** How many are there who are not known. */
  get count(): number {
    return this.#silent + this.#speaking;
  }

  /** @returns `undefined` where too many of the address do not let go */
  enter(name: string): Stranger | undefined {
    const address = this.#addresses.get(name) ?? { name, silent: new Set(), here: 0 };
    if (address.here >= HERE_PER_ADDRESS) return undefined;
    if (address.silent.size >= SILENT_PER_ADDRESS) this.#crowdOut(address);
    else if (this.#silent >= this.most) this.#crowdOut(this.#largest(address));
    address.here++;
    this.#addresses.set(name, address);
    return this.#stranger(address);
  }

  #stranger(address: Address): Stranger {
    let state: "silent" | "speaking" | "over" | "crowded" = "silent", isHere = true;
    let end = () => {};
    const waitsSince = (since: number): Waiting => ({
      address,
      since,
      crowded() {
        state = "crowded";
        end();
      },
    });
    let waiting = this.#add(waitsSince(++this.#came));
    const leave = () => {
      if (state === "silent") this.#remove(waiting);
      else if (state === "speaking") this.#speaking--;
      if (state !== "crowded") state = "over";
    };
    return {
      whenCrowded(told) {
        if (state === "crowded") told();
        else end = told;
      },
      speaks: () => {
        if (state !== "silent") return () => {};
        state = "speaking";
        this.#remove(waiting);
        this.#speaking++;
        return () => {
          if (state !== "speaking") return;
          state = "silent";
          this.#speaking--;
          waiting = this.#add(waitsSince(-Infinity));
        };
      },
      leave,
      free: () => {
        leave();
        if (!isHere) return;
        isHere = false;
        if (--address.here === 0) this.#addresses.delete(address.name);
      },
    };
  }

  #add(waiting: Waiting): Waiting {
    waiting.address.silent.add(waiting);
    this.#silent++;
    return waiting;
  }

  #remove(waiting: Waiting): void {
    waiting.address.silent.delete(waiting);
    this.#silent--;
  }

  #crowdOut(address: Address | undefined): void {
    const first = address && firstOf(address);
    if (first === undefined) return;
    this.#remove(first);
    first.crowded();
  }

  /** The address of which most wait; among equals the one that asks, else the one that has waited longest. */
  #largest(asking: Address): Address | undefined {
    let largest: Address | undefined = asking.silent.size > 0 ? asking : undefined;
    for (const address of this.#addresses.values()) {
      const more = address.silent.size - (largest?.silent.size ?? 0);
      const longer = () => largest !== asking && largest !== undefined && sinceOf(address) < sinceOf(largest);
      if (more > 0 || more === 0 && address.silent.size > 0 && longer()) largest = address;
    }
    return largest;
  }
}

/** The one that has waited longest. */
function firstOf({ silent }: Address): Waiting | undefined {
  let first: Waiting | undefined;
  for (const one of silent) if (first === undefined || one.since < first.since) first = one;
  return first;
}

const sinceOf = (address: Address): number => firstOf(address)?.since ?? Infinity;
