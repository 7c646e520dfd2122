import { EgressFailure, type EgressRoom } from "../../src/contracts/egress.ts";

/** Who has how many requests under way: of all namespaces, and of each, no more than may be. Nobody waits. */
export class Slots {
  readonly #of = new Map<string, number>();
  #all = 0;

  /** @param max of all namespaces together */
  constructor(private readonly max: number) {}

  /** Requests that are under way. */
  get count(): number {
    return this.#all;
  }

  /**
   * Takes a place.
   * @param most that the namespace may have
   * @returns gives it back; to be called again does nothing
   * @throws EgressFailure `EGRESS_BUSY`
   */
  enter(namespace: string, most: number): () => void {
    const own = this.#of.get(namespace) ?? 0;
    if (own >= most) {
      throw new EgressFailure("EGRESS_BUSY", `${most} outbound requests of this namespace are under way; wait for one`);
    }
    if (this.#all >= this.max) throw new EgressFailure("EGRESS_BUSY", "too many outbound requests are under way");
    this.#all++;
    this.#of.set(namespace, own + 1);
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#all--;
      const rest = this.#of.get(namespace)! - 1;
      if (rest === 0) this.#of.delete(namespace);
      else this.#of.set(namespace, rest);
    };
  }
}

/** What there is of memory for bodies that are held whole. */
export interface RoomBounds {
  /** Bytes of all namespaces together. */
  readonly all: number;
  /** Bytes of each. */
  readonly each: number;
}

/** Who holds how many bytes: of all namespaces, and of each, no more than may be. Nobody waits, so that nobody holds on and waits. */
export class Rooms {
  readonly #of = new Map<string, number>();
  #all = 0;

  constructor(private readonly bounds: RoomBounds) {}

  /** Bytes that are held. */
  get held(): number {
    return this.#all;
  }

  /** @param least bytes that are taken at once @throws EgressFailure `EGRESS_BUSY` */
  enter(namespace: string, least: number): EgressRoom {
    if (!this.#take(namespace, least)) {
      throw new EgressFailure(
        "EGRESS_BUSY",
        "as many bodies are held in memory as may be; wait, or stream by /v1/proxy/anon/stream, where none is",
      );
    }
    let own = least, left = false;
    const give = (bytes: number) => {
      const given = Math.min(bytes, own);
      own -= given;
      this.#give(namespace, given);
    };
    return {
      take: (bytes) => {
        if (left || !this.#take(namespace, bytes)) return false;
        own += bytes;
        return true;
      },
      give,
      leave() {
        left = true;
        give(own);
      },
    };
  }

  #take(namespace: string, bytes: number): boolean {
    const own = (this.#of.get(namespace) ?? 0) + bytes;
    if (own > this.bounds.each || this.#all + bytes > this.bounds.all) return false;
    this.#all += bytes;
    this.#of.set(namespace, own);
    return true;
  }

  #give(namespace: string, bytes: number): void {
    if (bytes === 0) return;
    this.#all -= bytes;
    const rest = this.#of.get(namespace)! - bytes;
    if (rest === 0) this.#of.delete(namespace);
    else this.#of.set(namespace, rest);
  }
}
