import type { CallOptions, ClientRequest } from "../http.ts";
import type { Duration } from "../durations.ts";

/** What goes with a write that can be sent again. */
export interface RepeatOptions extends CallOptions {
  /**
   * Repeats it like a read, also where nobody knows whether the last try was applied. For what is as good twice: what somebody else
   * wrote between two tries is gone after the second. Default: it is sent once.
   */
  readonly repeat?: boolean | undefined;
}

/** How long values of a write live. */
export interface LifeOptions {
  /** Default, and with 0: until it is deleted or has to make room. The time of a value before is never kept. */
  readonly ttl?: Duration | undefined;
}

/** When a write happens: only one of these. Otherwise it is `PRECONDITION_FAILED`, and nothing is changed. */
export interface ConditionOptions {
  /** Only if nothing is there. */
  readonly nx?: boolean | undefined;
  /** Only if something is there. */
  readonly xx?: boolean | undefined;
  /** Only if this version is there. */
  readonly ifVersion?: string | undefined;
}

/** What goes with a write of one value. */
export interface CachePutOptions extends RepeatOptions, LifeOptions, ConditionOptions {
  /** Whether the answer tells the version, also without `ifVersion`. On Olric that costs two trips more. */
  readonly versioned?: boolean | undefined;
}

/** What goes with a write of several values. */
export interface CacheManyOptions extends RepeatOptions, LifeOptions {}

/** What goes with a write that gives the value before. */
export interface CacheSwapOptions extends CallOptions, LifeOptions {}

/** What goes with a deletion. */
export interface CacheDeleteOptions extends RepeatOptions, Pick<ConditionOptions, "ifVersion"> {}

/** How a counter counts. */
export interface CacheIncrOptions extends CallOptions {
  /** What is added. Default 1. */
  readonly by?: number | undefined;
  /** What a counter that is not there counts from. Default 0. */
  readonly initial?: number | undefined;
  /** How long a counter lives that begins now; one that is there keeps its time. */
  readonly ttl?: Duration | undefined;
}

/** Which keys of a map are wanted. */
export interface CacheScanOptions extends CallOptions {
  /** A regular expression in RE2 syntax, found anywhere in the key. Default: every key. */
  readonly match?: string | undefined;
  /** Keys in one page, at most. Default 1,000; the gateway gives no more than the limit of the namespace. */
  readonly limit?: number | undefined;
}

/** The parts of a request that say how a call runs. */
export const callOptions = ({ signal, requestTimeout }: CallOptions): CallOptions => ({ signal, requestTimeout });

/**
 * The parts of a request that say how a write runs.
 * @param settled codes that count whatever became of an earlier try
 */
export const writeOptions = (
  { repeat, ...options }: RepeatOptions,
  settled: readonly string[] = [],
): Pick<ClientRequest, "effect" | "repeatable" | "unavailableIsUnknown" | "signal" | "requestTimeout"> => ({
  effect: "write",
  unavailableIsUnknown: true,
  repeatable: repeat ? settled : undefined,
  ...callOptions(options),
});

/** @throws TypeError for more than one condition, and for a version that no gateway tells */
export function checkCondition({ nx, xx, ifVersion }: ConditionOptions): void {
  if ([nx, xx, ifVersion !== undefined].filter(Boolean).length > 1) {
    throw new TypeError("give only one of nx, xx and ifVersion");
  }
  if (ifVersion !== undefined) checkVersion(ifVersion, "ifVersion");
}

/** @param option what the error calls it @throws TypeError for a version that no gateway tells, and that no header could hold */
export function checkVersion(version: string, option: string): void {
  if (!/^[\x21\x23-\x7e]{1,255}$/.test(version)) throw new TypeError(`${option} must be a version that an answer told`);
}
