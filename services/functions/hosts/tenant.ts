import { CallLine } from "./call_line.ts";
import type { PendingCall } from "./pending_call.ts";
import type { Seat } from "./seat.ts";

/** How much the newest call counts for the mean. */
const NEWEST = 0.1;
/** Seconds that anybody is told to wait. */
const MAX_RETRY_AFTER = 60;
/** Bytes of input that calls may hold while they wait, of all namespaces and of one: that one leaves room to the others. */
const MAX_BYTES = 256 * 1024 * 1024, MAX_BYTES_EACH = MAX_BYTES / 4;

/** A namespace that has hosts, or calls. */
export class Tenant {
  readonly line = new CallLine<PendingCall>();
  /** All that are there, also those that leave. */
  readonly seats = new Set<Seat>();
  /** Those that nothing runs on, the one used last at the end. */
  readonly idle: Seat[] = [];
  /** When it was given a place last; greater is later. */
  served = 0;
  #running = 0;
  readonly #byFunction = new Map<string, number>();
  /** Milliseconds that its calls take. */
  #mean = 0;

  constructor(readonly namespace: string) {}

  /** Calls that have a place. */
  get running(): number {
    return this.#running;
  }

  /** Whether nothing of it is here. */
  get isEmpty(): boolean {
    return this.seats.size === 0 && this.line.size === 0 && this.#running === 0;
  }

  /** Whether so many of its calls run that this one waits. */
  hasRoom({ work: { concurrency, functionId, depth } }: PendingCall): boolean {
    return this.#running < concurrency.namespace + depth &&
      (this.#byFunction.get(functionId) ?? 0) < (concurrency.function ?? Infinity) + depth;
  }

  /** Why a call that came last must not wait here, where that is so. @param bytes that calls of all namespaces hold which wait */
  excess({ bytes: own, work: { concurrency } }: PendingCall, bytes: number): string | undefined {
    // Those that are about to run, as far as their namespace is concerned, do not count as waiting.
    const room = Math.max(0, concurrency.namespace - this.#running);
    if (this.line.size > concurrency.waiting + room) return "too many calls of the namespace wait";
    const tooLarge = own > 0 && (bytes > MAX_BYTES || this.line.bytes > MAX_BYTES_EACH);
    return tooLarge ? "the inputs of calls that wait take too much memory" : undefined;
  }

  /** A call has its place. */
  begin({ work: { functionId } }: PendingCall): void {
    this.#running++;
    this.#byFunction.set(functionId, (this.#byFunction.get(functionId) ?? 0) + 1);
  }

  /** A call gives its place back. @param took milliseconds */
  finish({ work: { functionId } }: PendingCall, took: number): void {
    this.#running--;
    const left = (this.#byFunction.get(functionId) ?? 0) - 1;
    if (left > 0) this.#byFunction.set(functionId, left);
    else this.#byFunction.delete(functionId);
    this.#mean = this.#mean === 0 ? took : this.#mean + (took - this.#mean) * NEWEST;
  }

  /** A host that nothing runs on, if it can be one that knows the module. */
  takeIdle(moduleKey: string): Seat | undefined {
    let at = this.idle.length - 1;
    if (at > 0 && !this.idle[at]!.modules.has(moduleKey)) {
      const knowing = this.idle.findLastIndex(({ modules }) => modules.has(moduleKey));
      if (knowing >= 0) at = knowing;
    }
    return this.idle.splice(at, 1)[0];
  }

  /** Nothing more runs on it. */
  lose(seat: Seat): void {
    const at = this.idle.indexOf(seat);
    if (at >= 0) this.idle.splice(at, 1);
  }

  /** Whole seconds after which what waits now has probably run. */
  get retryAfter(): number {
    const seconds = this.line.size * this.#mean / Math.max(1, this.seats.size) / 1_000;
    return Math.min(MAX_RETRY_AFTER, Math.max(1, Math.ceil(seconds)));
  }
}
