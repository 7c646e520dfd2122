/** How an operation ended for whoever asked for it. Of an unknown one nobody said whether it happened, or when. */
export type Outcome = "ok" | "refused" | "unknown";

/** An operation on one key, as its caller saw it. */
export interface Happening<Operation, Result> {
  /** When it was asked for, in milliseconds of one clock. */
  readonly begin: number;
  /** When the answer was there. Means nothing for an unknown one: it may happen at any time after its begin, or never. */
  readonly end: number;
  readonly op: Operation;
  readonly outcome: Outcome;
  /** What the caller was told; `undefined` where it was told nothing. */
  readonly result: Result | undefined;
}

/** What a key does when its operations happen one after the other. */
export interface Model<State, Operation, Result> {
  readonly initial: State;
  /** What is there after an operation; `undefined` where it cannot happen there with this outcome and result, or changes nothing unseen. */
  step(state: State, one: Happening<Operation, Result>): State | undefined;
  /** The same for equal states alone. */
  textOf(state: State): string;
  /** The same for operations of one outcome that do the same and were told the same, whichever happens first. `undefined`: like no other. */
  kindOf?(one: Happening<Operation, Result>): string | undefined;
  /** Whether it changes nothing, in whatever state. Such a one can as well happen as soon as it fits. */
  isRead?(one: Happening<Operation, Result>): boolean;
  /** The text of the only state in which it can happen, if that state never comes back once it is left. */
  needs?(one: Happening<Operation, Result>): string | undefined;
}

/** Configurations that are looked at before it is given up. Histories of hundreds of operations take some thousands. */
const MOST = 2_000_000;

/**
 * Whether operations on one key can have happened one after the other, each at a moment between its begin and its end, so that all
 * were told the truth. Searches as Wing and Gong do, and never twice through the same configuration (Lowe).
 * @returns `undefined` if they can; otherwise how far they can, and what then does not fit
 * @throws Error when that was not found out
 */
export function whyNotLinearisable<State, Operation, Result>(
  model: Model<State, Operation, Result>,
  history: readonly Happening<Operation, Result>[],
  most = MOST,
): string | undefined {
  return new Search(model, history).run(most);
}

/** An operation whose answer is known, by its index; or the next of a kind of unknown ones, by -1 - its index. */
type Move = number;

interface Frame<State> {
  readonly state: State;
  readonly moves: readonly Move[];
  at: number;
  /** What led here. */
  readonly by: Move;
}

class Search<State, Operation, Result> {
  /** By their begin. */
  readonly #known: readonly Happening<Operation, Result>[];
  readonly #taken: boolean[];
  readonly #kindOfKnown: readonly (string | undefined)[];
  readonly #needs: readonly (string | undefined)[];
  /** How many that are not taken need a state, by its text. */
  readonly #needed = new Map<string, number>();
  readonly #kinds: readonly { readonly all: readonly Happening<Operation, Result>[]; used: number }[];
  /** Before it, all known ones are taken. */
  #first = 0;
  #count = 0;
  #farthest: { readonly count: number; readonly state: string; readonly stuck: readonly number[] } = {
    count: -1,
    state: "",
    stuck: [],
  };

  constructor(
    private readonly model: Model<State, Operation, Result>,
    history: readonly Happening<Operation, Result>[],
  ) {
    const sorted = history.toSorted((a, b) => a.begin - b.begin);
    this.#known = sorted.filter(({ outcome }) => outcome !== "unknown");
    this.#taken = this.#known.map(() => false);
    this.#kindOfKnown = this.#known.map((one) => {
      const kind = model.kindOf?.(one);
      return kind && `${one.outcome} ${kind}`;
    });
    this.#needs = this.#known.map((one) => model.needs?.(one));
    for (const need of this.#needs) this.#need(need, 1);
    const unknown = sorted.filter(({ outcome }) => outcome === "unknown");
    // Of those that do the same, the earlier one could happen in place of the later.
    const kinds = Map.groupBy(unknown, (one) => model.kindOf?.(one) ?? one);
    this.#kinds = [...kinds.values()].map((all) => ({ all, used: 0 }));
  }

  run(most: number): string | undefined {
    if (this.#known.length === 0) return undefined;
    const { initial } = this.model;
    const seen = new Set<string>();
    const frames: Frame<State>[] = [{ state: initial, moves: this.#look(initial).moves, at: 0, by: 0 }];
    for (let frame = frames.at(-1); frame !== undefined; frame = frames.at(-1)) {
      if (frame.at === frame.moves.length) {
        frames.pop();
        if (frames.length > 0) this.#undo(frame.by);
        continue;
      }
      const by = frame.moves[frame.at++]!;
      const state = this.model.step(frame.state, this.#happening(by));
      if (state === undefined) continue;
      this.#do(by);
      if (this.#first === this.#known.length) return undefined;
      if (this.#leavesWhatIsNeeded(frame.state, state)) {
        this.#undo(by);
        continue;
      }
      const { moves, text } = this.#look(state);
      if (seen.has(text)) {
        this.#undo(by);
        continue;
      }
      seen.add(text);
      if (seen.size > most) throw new Error(`undecided after ${most} configurations; ${this.#story()}`);
      frames.push({ state, moves, at: 0, by });
    }
    return this.#story();
  }

  /** What may happen next, and a text that no other configuration has. */
  #look(state: State): { readonly moves: readonly Move[]; readonly text: string } {
    const { model } = this;
    const stateText = model.textOf(state);
    const able: number[] = [], beyond: number[] = [];
    let soonest = Infinity;
    for (let i = this.#first; i < this.#known.length && this.#known[i]!.begin <= soonest; i++) {
      if (this.#taken[i]) beyond.push(i);
      else {
        able.push(i);
        soonest = Math.min(soonest, this.#known[i]!.end);
      }
    }
    const next = able.filter((i) => this.#known[i]!.begin <= soonest);
    const used = this.#kinds.flatMap((kind, i) => kind.used > 0 ? [`${i}:${kind.used}`] : []);
    const text = `${this.#first} ${beyond} ${used} ${stateText}`;
    if (this.#count > this.#farthest.count) this.#farthest = { count: this.#count, state: stateText, stuck: next };
    const read = next.find((i) => model.isRead?.(this.#known[i]!) && model.step(state, this.#known[i]!) !== undefined);
    if (read !== undefined) return { moves: [read], text };
    // Of those that do the same, whichever has to happen sooner can happen first.
    const sooner = next.toSorted((a, b) => this.#known[a]!.end - this.#known[b]!.end);
    const kinds = new Set<string>();
    const moves: Move[] = sooner.filter((i) => {
      const kind = this.#kindOfKnown[i];
      if (kind === undefined) return true;
      const isFirst = !kinds.has(kind);
      kinds.add(kind);
      return isFirst;
    });
    for (const [i, { all, used }] of this.#kinds.entries()) {
      if (used < all.length && all[used]!.begin <= soonest) moves.push(-1 - i);
    }
    return { moves, text };
  }

  #leavesWhatIsNeeded(before: State, after: State): boolean {
    if (this.#needed.size === 0) return false;
    const text = this.model.textOf(before);
    return (this.#needed.get(text) ?? 0) > 0 && this.model.textOf(after) !== text;
  }

  #need(text: string | undefined, by: 1 | -1): void {
    if (text !== undefined) this.#needed.set(text, (this.#needed.get(text) ?? 0) + by);
  }

  #happening(move: Move): Happening<Operation, Result> {
    if (move >= 0) return this.#known[move]!;
    const { all, used } = this.#kinds[-1 - move]!;
    return all[used]!;
  }

  #do(move: Move): void {
    if (move < 0) this.#kinds[-1 - move]!.used++;
    else {
      this.#taken[move] = true;
      this.#need(this.#needs[move], -1);
      this.#count++;
      while (this.#taken[this.#first]) this.#first++;
    }
  }

  #undo(move: Move): void {
    if (move < 0) this.#kinds[-1 - move]!.used--;
    else {
      this.#taken[move] = false;
      this.#need(this.#needs[move], 1);
      this.#count--;
      this.#first = Math.min(this.#first, move);
    }
  }

  #story(): string {
    const { count, state, stuck } = this.#farthest;
    const next = stuck.map((i) => JSON.stringify(this.#known[i])).join("\n");
    return `${count} of ${this.#known.length} can have happened, up to ${state}; then one of these does not fit:\n${next}`;
  }
}
