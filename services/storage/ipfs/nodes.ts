/** Milliseconds for which a node that failed is asked nothing, doubled each time up to the longest. */
const FIRST_REST = 500, LONGEST_REST = 8_000;

/** One of several that do the same. */
export interface Node {
  readonly url: string;
}

interface State<N> {
  readonly node: N;
  /** Until when it rests; 0: it is well. */
  until: number;
  rest: number;
  trying: boolean;
}

/** Nodes in the order in which to ask them: those that are well first, always in the same order, so that one sees all changes. */
export class Nodes<N extends Node> {
  readonly #states: readonly State<N>[];
  #next = 0;

  /** @param alive asks whether a node is well again; never throws */
  constructor(
    nodes: readonly N[],
    private readonly now: () => number,
    private readonly alive: (node: N) => Promise<boolean>,
  ) {
    this.#states = nodes.map((node) => ({ node, until: 0, rest: 0, trying: false }));
  }

  get all(): readonly N[] {
    return this.#states.map(({ node }) => node);
  }

  /** All of them. Those that rest come last: they are better than none. */
  order(): readonly N[] {
    const well = this.#states.filter((state) => this.#isWell(state));
    const others = this.#states.filter((state) => !well.includes(state));
    return [...well, ...others].map(({ node }) => node);
  }

  /** As {@link order}, with another one first each time. */
  rotated(): readonly N[] {
    const well = this.#states.filter((state) => this.#isWell(state));
    const others = this.#states.filter((state) => !well.includes(state));
    const first = this.#next++ % Math.max(1, well.length);
    return [...well.slice(first), ...well.slice(0, first), ...others].map(({ node }) => node);
  }

  /** It did not answer. */
  failed(node: N): void {
    const state = this.#of(node);
    if (state.until > this.now()) return;
    state.rest = Math.min(LONGEST_REST, Math.max(FIRST_REST, state.rest * 2));
    state.until = this.now() + state.rest;
  }

  /** It answered. */
  answered(node: N): void {
    const state = this.#of(node);
    state.until = state.rest = 0;
  }

  #of(node: N): State<N> {
    return this.#states.find((state) => state.node === node)!;
  }

  /** One that has rested is asked beside the traffic: it may be one that takes everything and answers nothing. */
  #isWell(state: State<N>): boolean {
    if (state.until === 0) return true;
    if (state.trying || this.now() < state.until) return false;
    state.trying = true;
    void this.alive(state.node).then((well) => {
      state.trying = false;
      if (well) this.answered(state.node);
      else this.failed(state.node);
    });
    return false;
  }
}
