import { type Happening, type Model, whyNotLinearisable } from "./linearisable.ts";

/** What is done to a counter. */
export type CounterOperation = { readonly does: "incr"; readonly by: number } | { readonly does: "get" };
/** An operation on a counter, with the sum that it came to, or that was read. */
export type CounterHappening = Happening<CounterOperation, number>;

/** Why a counter cannot have answered so; `undefined`: it can. At first it is not there. Reads of one that is not there have no result. */
export function whyNotCounter(history: readonly CounterHappening[]): string | undefined {
  const onlyGrows = history.every(({ op }) => op.does === "get" || op.by > 0);
  const model: Model<number | null, CounterOperation, number> = {
    initial: null,
    step(state, { op, outcome, result = null }) {
      if (op.does === "get") return result === state ? state : undefined;
      if (outcome === "refused") return state;
      const sum = (state ?? 0) + op.by;
      return outcome === "unknown" || result === sum ? sum : undefined;
    },
    textOf: String,
    kindOf: ({ op, result }) => op.does === "incr" ? `incr ${op.by} ${result}` : undefined,
    isRead: ({ op }) => op.does === "get",
    needs({ op, outcome, result }) {
      if (!onlyGrows || outcome !== "ok" || result === undefined) return undefined;
      return String(op.does === "get" ? result : result - op.by || null);
    },
  };
  // Whether a read happened is all the same where nobody heard of it.
  return whyNotLinearisable(model, history.filter(({ op, outcome }) => op.does !== "get" || outcome === "ok"));
}

/** A value with its version. No two writes of a history have the same value, so it says who wrote it. */
export interface Seen {
  readonly value: string;
  readonly version: string;
}

/** What is done to an entry. `from`: only while it has this version. */
export type EntryOperation =
  | { readonly does: "get" }
  | { readonly does: "put" | "nx" | "xx" | "getset"; readonly value: string }
  | { readonly does: "cas"; readonly value: string; readonly from: string }
  | { readonly does: "delete"; readonly from?: string };

/** What its caller is told. */
export interface EntryAnswer {
  /** What was there: of `get`, `getset`. */
  readonly found?: Seen | undefined;
  /** What a write got, where it says so. */
  readonly version?: string | undefined;
  /** Whether something was deleted. */
  readonly existed?: boolean;
}
/** An operation on an entry. */
export type EntryHappening = Happening<EntryOperation, EntryAnswer>;

/** What is put up with because nobody promises otherwise, each by the reason for it. */
export interface EntryAllowances {
  /** Of two that delete at once, both hear that something was there. */
  readonly bothDeleted?: string;
  /** A writer is told another version than readers. */
  readonly versionOfNobody?: string;
}

/** Why an entry cannot have answered so; `undefined`: it can. At first nothing is there. @throws Error for a value that two write */
export function whyNotEntry(history: readonly EntryHappening[], allowed: EntryAllowances = {}): string | undefined {
  const values = history.flatMap(({ op }) => "value" in op ? [op.value] : []);
  if (new Set(values).size < values.length) throw new Error("two writes have the same value");
  const versions = new Versions();
  for (const { result } of history) {
    const wrong = result?.found && versions.note(result.found);
    if (wrong) return wrong;
  }
  for (const { op, outcome, result } of history) {
    if (outcome !== "ok" || result?.version === undefined || !("value" in op)) continue;
    const wrong = versions.note({ value: op.value, version: result.version });
    if (wrong && allowed.versionOfNobody === undefined) return wrong;
  }
  // Whether a read happened is all the same where nobody heard of it.
  return whyNotLinearisable(
    entryModel(versions, allowed),
    history.filter(({ op, outcome }) => !(outcome === "unknown" && op.does === "get")),
  );
}

/** Which value has which version. */
class Versions {
  readonly #versions = new Map<string, string>();
  readonly #values = new Map<string, string>();

  /** @returns what is wrong with it, if something is */
  note({ value, version }: Seen): string | undefined {
    const version2 = this.#versions.get(value) ?? version, value2 = this.#values.get(version) ?? value;
    if (version2 !== version) return `${value} has two versions: ${version2} and ${version}`;
    if (value2 !== value) return `two values have the version ${version}: ${value2} and ${value}`;
    this.#versions.set(value, version);
    this.#values.set(version, value);
    return undefined;
  }

  of(value: string): string | undefined {
    return this.#versions.get(value);
  }

  valueOf(version: string): string | undefined {
    return this.#values.get(version);
  }
}

const NOTHING = "nothing", UNSEEN = "what nobody saw";

function entryModel(
  versions: Versions,
  { bothDeleted }: EntryAllowances,
): Model<string, EntryOperation, EntryAnswer> {
  // What nobody saw is all the same, so that it need not be told apart.
  const name = (value: string) => versions.of(value) === undefined ? UNSEEN : value;
  const holds = (state: string, from: string) => versions.of(state) === from;
  const finds = (state: string, { found }: EntryAnswer) => state === (found === undefined ? NOTHING : found.value);
  return {
    initial: NOTHING,
    step(state, { op, outcome, result = {} }) {
      if (op.does === "get") return finds(state, result) ? state : undefined;
      if (op.does === "put") return outcome === "refused" ? state : name(op.value);
      if (op.does === "getset") return outcome === "unknown" || finds(state, result) ? name(op.value) : undefined;
      if (op.does === "delete" && (op.from === undefined || state === NOTHING)) {
        if (outcome === "refused") return undefined;
        const fits = outcome === "unknown" || result.existed === (state !== NOTHING) ||
          (bothDeleted !== undefined && result.existed === true && op.from === undefined);
        return fits ? NOTHING : undefined;
      }
      const may = op.does === "nx"
        ? state === NOTHING
        : op.does === "xx"
        ? state !== NOTHING
        : holds(state, fromOf(op));
      if (outcome === "refused") return may ? undefined : state;
      if (!may) return undefined;
      return op.does === "delete" ? result.existed === false ? undefined : NOTHING : name(op.value);
    },
    textOf: (state) => state,
    kindOf({ op, outcome, result }) {
      const isSeen = "value" in op && versions.of(op.value) !== undefined;
      const isUnlikeOthers = isSeen || (op.does === "getset" && outcome !== "unknown");
      return isUnlikeOthers ? undefined : `${op.does} ${fromOf(op)} ${result?.existed}`;
    },
    isRead: ({ op, outcome }) => op.does === "get" || outcome === "refused",
    needs({ op, outcome, result }) {
      if (outcome !== "ok" || result?.existed === false) return undefined;
      return op.does === "get" || op.does === "getset" ? result?.found?.value : versions.valueOf(fromOf(op));
    },
  };
}

const fromOf = (op: EntryOperation): string => "from" in op ? op.from ?? "" : "";

/** What is done to a lock. Leases in milliseconds. */
export type LockOperation =
  | { readonly does: "lock"; readonly lease: number }
  | { readonly does: "renew"; readonly token: string; readonly lease: number }
  | { readonly does: "unlock"; readonly token: string };

/** What whoever takes a lock is told. */
export interface LockAnswer {
  readonly token: string;
  readonly fencing: number;
}
/** An operation on a lock. */
export type LockHappening = Happening<LockOperation, LockAnswer>;

interface LockState {
  /** Of whoever has it. */
  readonly holder: string | undefined;
  /** Before this moment its lease cannot be over: as long after the last call that began or renewed it as it asked for. */
  readonly until: number;
  /** A moment that is past: what ended before it did not happen now. */
  readonly now: number;
  /** The largest number that was given. */
  readonly fencing: number;
}

/** Milliseconds by which a lease may end early: the engine keeps whole ones. */
const ROUNDED = 2;

/** What is put up with because nobody promises otherwise, each by the reason for it. */
export interface LockAllowances {
  /** Who wants the lock is refused though nobody has it. */
  readonly heldByNobody?: string;
  /** Who has the lock is told that it does not. */
  readonly lostEarly?: string;
}

/**
 * Why a lock cannot have answered so; `undefined`: it can. It has one holder at a time, until it is freed or its lease is over; a
 * number is larger than all before. That a lease ends is not looked at: a lock may be held for too long, but not for too short.
 */
export function whyNotLock(history: readonly LockHappening[], allowed: LockAllowances = {}): string | undefined {
  const freeIsRefused = allowed.heldByNobody !== undefined, heldIsLost = allowed.lostEarly !== undefined;
  const model: Model<LockState, LockOperation, LockAnswer> = {
    initial: { holder: undefined, until: 0, now: 0, fencing: 0 },
    step(state, { op, outcome, result, begin, end: told }) {
      const { holder } = state, end = outcome === "unknown" ? Infinity : told;
      if (end < state.now) return undefined;
      const over = holder !== undefined && end >= state.until
        ? { ...state, holder: undefined, now: Math.max(state.now, state.until) }
        : undefined;
      if (op.does === "lock") {
        if (outcome === "refused") return holder === undefined && !freeIsRefused ? undefined : state;
        const free = holder === undefined ? state : over;
        if (free === undefined || (result !== undefined && result.fencing <= state.fencing)) return undefined;
        const until = begin + op.lease - ROUNDED;
        // Whoever was not told its token has one all the same.
        return { ...free, holder: result?.token ?? `of ${begin}`, until, fencing: result?.fencing ?? state.fencing };
      }
      if (outcome === "refused") return holder !== op.token || heldIsLost ? state : over;
      if (holder !== op.token) return undefined;
      return op.does === "unlock" ? { ...state, holder: undefined } : { ...state, until: begin + op.lease - ROUNDED };
    },
    textOf: ({ holder, until, now, fencing }) => `${holder} until ${until}, ${now}, number ${fencing}`,
    isRead: ({ op, outcome }) => op.does === "lock" && outcome === "refused",
  };
  return whyNotLinearisable(model, history);
}
