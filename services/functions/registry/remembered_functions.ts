import { LRUCache } from "lru-cache";
import type { Maybe } from "../../../src/contracts/cache.ts";
import { abortable } from "../../clock/abortable.ts";
import { keyOf } from "./names.ts";
import type { FunctionState } from "./state.ts";

/** What remembering functions needs. */
export interface RememberedFunctionsOptions {
  /** Milliseconds that never run backwards or jump. */
  readonly monotonic: () => number;
  /** @returns `undefined` where there is no such function */
  readonly read: (namespace: string, name: string, signal: AbortSignal) => Promise<FunctionState | undefined>;
  /**
   * Milliseconds for which credentials are believed while the control plane cannot be asked: what is remembered here is answered no
   * longer, for it says who may call. Default and at most a minute.
   */
  readonly maxStale?: number | undefined;
}

interface Known {
  readonly state: FunctionState | undefined;
  /** When it was read. */
  readonly readAt: number;
  /** Until when nobody tries to read it anew, because that failed just now. */
  restsUntil: number;
}

/** Bytes that functions may take which are remembered, roughly; and how many names that nothing has. */
const MOST_BYTES = 64 * 2 ** 20, MOST_ABSENT = 10_000;
/** What a version takes beside its variables, roughly. */
const VERSION_BYTES = 1_000;
/** Milliseconds from which on what is remembered is read anew while it is answered, and from which on nobody is answered before. */
const REFRESH = 4_000, LIFE = 5_000;
/** Milliseconds for which it is answered all the same where the control plane cannot be asked, at most. */
const BEARABLE = 60_000;
/** Milliseconds for one reading, for which somebody waits who could do with what is remembered, and between two that fail. */
const READING = 5_000, PATIENCE = 1_000, REST = 1_000;

/**
 * Functions as they were read last, without a promise where they are known. What gateways tell each other drops them at once; in any
 * case they are read anew after some seconds. Look-ups of one function at the same time are one.
 */
export class RememberedFunctions {
  readonly #known = new LRUCache<string, Known>({ maxSize: MOST_BYTES, sizeCalculation: bytesOf });
  readonly #absent = new LRUCache<string, Known>({ max: MOST_ABSENT });
  readonly #underWay = new Map<string, Promise<FunctionState | undefined>>();

  readonly #bearable: number;

  constructor(private readonly options: RememberedFunctionsOptions) {
    this.#bearable = Math.min(BEARABLE, options.maxStale ?? BEARABLE);
  }

  /** @throws GatewayError `UNAVAILABLE`; the reason of the signal */
  get(namespace: string, name: string, signal: AbortSignal): Maybe<FunctionState | undefined> {
    const key = keyOf(namespace, name);
    const known = this.#known.get(key) ?? this.#absent.get(key);
    if (known === undefined) return abortable(this.#reading(key, namespace, name), signal);
    const now = this.options.monotonic(), age = now - known.readAt;
    const rests = now < known.restsUntil;
    if (age < REFRESH || (rests && age < this.#bearable)) return known.state;
    const reading = this.#reading(key, namespace, name);
    if (age < LIFE) return known.state;
    return abortable(age < this.#bearable ? this.#orKnown(key, known, reading) : reading, signal);
  }

  /** Forgets a function: what is being read of it may be older than what is to be known. */
  drop(namespace: string, name: string): void {
    this.#drop(keyOf(namespace, name));
  }

  /** Forgets all functions of a namespace. */
  dropNamespace(namespace: string): void {
    const prefix = keyOf(namespace, "");
    for (const held of [this.#known, this.#absent, this.#underWay]) {
      for (const key of [...held.keys()]) if (key.startsWith(prefix)) this.#drop(key);
    }
  }

  #drop(key: string): void {
    this.#known.delete(key);
    this.#absent.delete(key);
    this.#underWay.delete(key);
  }

  async #orKnown(
    key: string,
    known: Known,
    reading: Promise<FunctionState | undefined>,
  ): Promise<FunctionState | undefined> {
    const { promise: late, resolve } = Promise.withResolvers<FunctionState | undefined>();
    // What was dropped meanwhile is not to be answered any more.
    const isHeld = () => this.#known.peek(key) === known || this.#absent.peek(key) === known;
    const timer = setTimeout(() => {
      if (!isHeld()) return;
      // Nobody else need wait as long for the same answer.
      known.restsUntil = this.options.monotonic() + READING;
      resolve(known.state);
    }, PATIENCE);
    try {
      return await Promise.race([reading, late]);
    } catch (error) {
      if (!isHeld()) throw error;
      return known.state;
    } finally {
      clearTimeout(timer);
    }
  }

  #reading(key: string, namespace: string, name: string): Promise<FunctionState | undefined> {
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const { monotonic, read } = this.options;
    const readAt = monotonic();
    const isLatest = () => this.#underWay.get(key) === reading;
    const reading: Promise<FunctionState | undefined> = read(namespace, name, AbortSignal.timeout(READING)).then(
      (state) => {
        if (isLatest()) this.#keep(key, { state, readAt, restsUntil: -Infinity });
        return state;
      },
      (error) => {
        const known = this.#known.peek(key) ?? this.#absent.peek(key);
        if (known !== undefined && isLatest()) known.restsUntil = monotonic() + REST;
        throw error;
      },
    ).finally(() => {
      if (isLatest()) this.#underWay.delete(key);
    });
    // Whoever waits for it is told, and perhaps nobody does.
    reading.catch(() => {});
    this.#underWay.set(key, reading);
    return reading;
  }

  #keep(key: string, known: Known): void {
    const [in_, out] = known.state === undefined ? [this.#absent, this.#known] : [this.#known, this.#absent];
    in_.set(key, known);
    out.delete(key);
  }
}

function bytesOf({ state }: Known): number {
  const variables = (state?.versions ?? []).flatMap(({ shown }) => Object.entries(shown.env).flat());
  return VERSION_BYTES * (1 + (state?.versions.length ?? 0)) +
    2 * variables.reduce((sum, text) => sum + text.length, 0);
}
