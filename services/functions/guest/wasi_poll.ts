import type { Call } from "./call.ts";
import type { Surroundings } from "./surroundings.ts";
import { remaining, streamOf } from "./wasi_streams.ts";
import { CLOCK, ERRNO, EVENT, LAYOUT } from "./wasi_types.ts";

/** What one call waits for at most. */
const MAX_SUBSCRIPTIONS = 1_024;
/** The flag of a clock's subscription that names a time, not a duration. */
const AT_TIME = 1;

interface Subscription {
  readonly userdata: bigint;
  readonly kind: number;
  /** Milliseconds of the clock that nobody sets, at which a clock is due; 0 for what is ready at once. */
  readonly due: number;
  readonly error: number;
  /** Bytes that can be read. */
  readonly length: number;
}

/** Nanoseconds of a clock of WASI; `undefined` for one that there is not. */
export function timeOf(clock: number, call: Call, { now, monotonic }: Surroundings): bigint | undefined {
  if (clock === CLOCK.REALTIME) return nanoseconds(now());
  // A process's age would tell of the calls before this one.
  const known = clock === CLOCK.MONOTONIC || clock === CLOCK.PROCESS || clock === CLOCK.THREAD;
  return known ? nanoseconds(monotonic() - call.started + BEGINNING) : undefined;
}

/** What the clock says, in milliseconds, when a call begins: Go does not start where it is 0. */
const BEGINNING = 1_000;

/** By whole microseconds, which is what a number holds of the time of day. */
const nanoseconds = (ms: number): bigint => BigInt(Math.max(0, Math.round(ms * 1e3))) * 1_000n;

/**
 * `poll_oneoff`. It sleeps as long as it is told: the parent ends the process at the call's deadline, asleep or not. The three
 * streams are always ready.
 */
export function poll(call: Call, from: number, to: number, count: number, result: number, here: Surroundings): number {
  if (count === 0 || count >>> 0 > MAX_SUBSCRIPTIONS) return ERRNO.INVAL;
  const { memory } = call;
  const source = memory.place(from, count * LAYOUT.subscription.size);
  const target = memory.place(to, count * LAYOUT.event.size);
  const end = memory.place(result, 4);
  if (source === undefined || target === undefined || end === undefined) return ERRNO.FAULT;
  const view = memory.view(), waiting: Subscription[] = [];
  for (let at = 0; at < count; at++) {
    const wanted = subscriptionAt(call, view, source + at * LAYOUT.subscription.size, here);
    if (!wanted) return ERRNO.INVAL;
    waiting.push(wanted);
  }
  const first = waiting.reduce((least, { due }) => Math.min(least, due), Infinity);
  let now = here.monotonic();
  if (first > now) call.flush();
  for (; first > now; now = here.monotonic()) here.sleep(first - now);
  const ready = waiting.filter(({ due }) => due <= now);
  ready.forEach((event, at) => writeEvent(view, target + at * LAYOUT.event.size, event));
  view.setUint32(end, ready.length, true);
  return ERRNO.SUCCESS;
}

function subscriptionAt(call: Call, view: DataView, at: number, here: Surroundings): Subscription | undefined {
  const { kind: kindAt, clock, descriptor, timeout, flags } = LAYOUT.subscription;
  const userdata = view.getBigUint64(at, true), kind = view.getUint8(at + kindAt);
  if (kind === EVENT.CLOCK) {
    const time = timeOf(view.getUint32(at + clock, true), call, here);
    if (time === undefined) return { userdata, kind, due: 0, error: ERRNO.INVAL, length: 0 };
    const until = view.getBigUint64(at + timeout, true);
    const duration = view.getUint16(at + flags, true) & AT_TIME ? until - time : until;
    return { userdata, kind, due: here.monotonic() + Number(duration) / 1e6, error: 0, length: 0 };
  }
  if (kind !== EVENT.READ && kind !== EVENT.WRITE) return undefined;
  const stream = streamOf(call, view.getUint32(at + descriptor, true));
  const fits = stream !== undefined && (stream === 0) === (kind === EVENT.READ);
  const length = fits && stream === 0 ? remaining(call).length : 0;
  return { userdata, kind, due: 0, error: fits ? ERRNO.SUCCESS : ERRNO.BADF, length };
}

function writeEvent(view: DataView, at: number, { userdata, error, kind, length }: Subscription): void {
  view.setBigUint64(at, userdata, true);
  view.setUint16(at + LAYOUT.event.error, error, true);
  view.setUint32(at + LAYOUT.event.kind, kind, true);
  view.setBigUint64(at + LAYOUT.event.length, BigInt(length), true);
  view.setBigUint64(at + LAYOUT.event.length + 8, 0n, true);
}
