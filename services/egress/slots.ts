import { EgressFailure } from "../../src/contracts/egress.ts";

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
