import type { SqlRules } from "../../../src/contracts/settings.ts";
import { own } from "../own.ts";
import type { OwnCalls, Waiter } from "./own_calls.ts";

/** Rows that one statement deletes, and statements of one sweep: a database is not held up for long. */
const BATCH = 2_000;
const BATCHES = 1_000;
/** Into how many steps the longest age is divided: so exact it is. */
export const AGE_STEPS = 24;

/** How much is kept of a namespace's changes. */
export type Retention = Pick<SqlRules, "retainedChanges" | "changeRetention">;

/**
 * Deletes what is too much or too old, but never the last change: its number tells the next one's.
 * @param now Unix milliseconds
 * @returns when to look again though nothing is written: at the next sweep, when time has gone by, or never
 */
export async function sweep(
  calls: OwnCalls,
  namespace: string,
  { retainedChanges: maxChanges, changeRetention: maxAge }: Retention,
  now: number,
  waiter: Waiter,
): Promise<"soon" | "later" | "never"> {
  const question = own(
    `SELECT (SELECT min(id) FROM _orama_changes), (SELECT max(id) FROM _orama_changes),
(SELECT max(id) FROM _orama_feed_marks WHERE at <= ?), (SELECT max(at) FROM _orama_feed_marks), (SELECT max(id) FROM _orama_feed_marks)`,
    now - maxAge,
  );
  const [[row] = []] = await calls.read(namespace, [question], waiter) ?? [];
  const [low, top, aged, markedAt, marked] = (row ?? []).map((value) => Number(value ?? 0));
  if (!top) return "never";
  const end = Math.min(Math.max(top - maxChanges, aged!), top - 1);
  let next = low!;
  for (let batch = 0; next <= end && batch < BATCHES; batch++) {
    next = Math.min(next + BATCH, end + 1);
    await calls.write(namespace, [own("DELETE FROM _orama_changes WHERE id < ?", next)], waiter);
  }
  if (top > marked! && now - markedAt! >= maxAge / AGE_STEPS) {
    await calls.write(namespace, [
      own("DELETE FROM _orama_feed_marks WHERE id < ?", next),
      own("INSERT OR IGNORE INTO _orama_feed_marks (at, id) SELECT ?, max(id) FROM _orama_changes", now),
    ], waiter);
  }
  return next <= end ? "soon" : next < top ? "later" : "never";
}
