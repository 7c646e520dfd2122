import type { Clock } from "../../clock/clock.ts";
import { pause } from "../../clock/waiting.ts";
import { backoff } from "./backoff.ts";
import type { CronRows, Tick } from "./cron_rows.ts";
import { sentenceOf } from "./failures.ts";
import type { Fired, Firing } from "./firing.ts";
import type { LastNotes } from "./notes.ts";
import { sourceOf } from "./rows.ts";

/** What calls for ticks need. */
export interface CronCallParts {
  readonly rows: Pick<CronRows, "holds">;
  readonly firing: Pick<Firing, "fire">;
  readonly notes: LastNotes;
  readonly clock: Clock;
  readonly random: (n: number) => Uint8Array;
  /** Fires when no further try is to begin. */
  readonly stopping: AbortSignal;
  /** Fires when a call that runs is to be broken off. */
  readonly breakOff: AbortSignal;
}

/** Milliseconds between two tries of a call for which there was no place. */
const RETRY = { first: 1_000, most: 30_000 };
/** Milliseconds for which a tick is tried where the next one comes later than that. */
const LONGEST = 10 * 60_000;

/**
 * Calls the function of a tick that this gateway claimed. Where there is no place for the call, or something cannot be reached, it is
 * tried again until the next tick is due, for ten minutes at most, and as long as the tick is this gateway's and its trigger may fire.
 * @returns how the last try ended; `undefined` where the call is not this gateway's to make any more. Never rejects
 */
export async function callForTick(parts: CronCallParts, tick: Tick): Promise<Fired | undefined> {
  const { firing, notes, clock, random, stopping, breakOff } = parts;
  const input = inputOf(tick), begun = clock.monotonic();
  for (let tries = 0;; tries++) {
    const problem = tries === 0 ? undefined : await problemOf(parts, tick);
    if (problem === "lost") return undefined;
    const fired = problem ?? await firing.fire(tick.row, input, breakOff);
    if (fired.kind !== "later") return fired;
    notes.note(tick.row.id, fired.error);
    const ms = backoff(tries, RETRY, random(1)[0]! / 256);
    const untilNext = (tick.next ?? Infinity) - clock.now();
    if (ms >= Math.min(untilNext, begun + LONGEST - clock.monotonic())) return fired;
    try {
      await pause(clock, ms, stopping);
    } catch {
      return fired;
    }
  }
}

/** What stands against another try now. */
async function problemOf(
  { rows, clock, stopping }: CronCallParts,
  { row, run }: Tick,
): Promise<Fired | "lost" | undefined> {
  try {
    const isOurs = await rows.holds(row.id, run, clock.now());
    if (stopping.aborted) return { kind: "broken_off", error: undefined };
    return isOurs ? undefined : "lost";
  } catch (error) {
    return { kind: "later", error: sentenceOf(error) };
  }
}

function inputOf({ row, at }: Tick): Uint8Array {
  const source = sourceOf(row);
  return new TextEncoder().encode(JSON.stringify({
    trigger: "cron",
    id: row.id,
    expression: source.kind === "cron" ? source.expression : "",
    scheduled_at: new Date(at).toISOString(),
  }));
}
