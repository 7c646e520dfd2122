import { sql } from "kysely";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import { MAY_FIRE, type TriggerRow } from "./rows.ts";

/** A tick that is to be claimed. */
export interface Tick {
  readonly row: TriggerRow;
  /** When it is due, Unix milliseconds, as the row has it. */
  readonly at: number;
  /** When the one after it is due; `undefined` for never. */
  readonly next: number | undefined;
  /** What its call is called: unique. */
  readonly run: string;
}

/** What became of a claim: `won`: this one runs it; `skipped`: it is this one's, and the call before still runs; `lost`: another's. */
export type Claim = "won" | "skipped" | "lost";

/** Milliseconds that the control plane has for one query. */
const PATIENCE = 5_000;
/** Milliseconds for which a call counts as running whose gateway says nothing. */
export const RUN_LEASE = 30_000;

/** Ticks of cron triggers as the control plane has them. */
export class CronRows {
  constructor(private readonly control: ControlDatabase) {}

  /** What is due by a moment, first ones first. */
  async due(until: number, limit: number): Promise<readonly TriggerRow[]> {
    const query = sql<TriggerRow>`SELECT * FROM function_triggers
      WHERE next_at IS NOT NULL AND next_at <= ${until} AND ${MAY_FIRE} ORDER BY next_at, id LIMIT ${limit}`;
    return (await this.control.run<TriggerRow>(query.compile(this.control.db), AbortSignal.timeout(PATIENCE))).rows;
  }

  /** All that wait for a time, by id. */
  async page(after: string, limit: number): Promise<readonly TriggerRow[]> {
    const query = this.control.db.selectFrom("function_triggers").selectAll().where("kind", "=", "cron")
      .where("enabled", "=", 1).where("next_at", "is not", null).where("id", ">", after).orderBy("id").limit(limit);
    return (await this.control.run<TriggerRow>(query, AbortSignal.timeout(PATIENCE))).rows;
  }

  /** Lets triggers fire sooner than they would. Those that have ticked meanwhile stay as they are. */
  async hasten(changes: readonly { readonly row: TriggerRow; readonly next: number }[]): Promise<void> {
    await this.control.atomically(
      changes.map(({ row, next }) =>
        this.control.db.updateTable("function_triggers").set({ next_at: next }).where("id", "=", row.id)
          .where("next_at", "=", row.next_at)
      ),
      AbortSignal.timeout(PATIENCE),
    );
  }

  /**
   * Claims ticks: each is given to the first who asks, of all gateways.
   * @throws GatewayError `UNAVAILABLE`: nobody has them; `OUTCOME_UNKNOWN`: ask {@link owned}
   */
  async claim(ticks: readonly Tick[], now: number): Promise<readonly Claim[]> {
    const results = await this.control.atomically(
      ticks.map(({ row, at, next, run }) => {
        const isFree = sql`(run_until IS NULL OR run_until < ${now})`;
        return sql`UPDATE function_triggers SET next_at = ${next ?? null}, ticked_at = ${at},
            run = CASE WHEN ${isFree} THEN ${run} ELSE run END,
            run_until = CASE WHEN ${isFree} THEN ${now + RUN_LEASE} ELSE run_until END
          WHERE id = ${row.id} AND next_at = ${at} AND ${MAY_FIRE} RETURNING run`.compile(this.control.db);
      }),
      AbortSignal.timeout(PATIENCE),
    );
    return results.map(({ rows: [row] }, at) =>
      row === undefined ? "lost" : row.run === ticks[at]!.run ? "won" : "skipped"
    );
  }

  /** As {@link claim}, where nobody knows what came of it. */
  async owned(ticks: readonly Tick[]): Promise<readonly Claim[]> {
    const runs = JSON.stringify(ticks.map(({ run }) => run)), ids = JSON.stringify(ticks.map(({ row }) => row.id));
    const query = sql<{ run: string }>`SELECT run FROM function_triggers
      WHERE id IN (SELECT value FROM json_each(${ids})) AND run IN (SELECT value FROM json_each(${runs}))`;
    const { rows } = await this.control.run<{ run: string }>(
      query.compile(this.control.db),
      AbortSignal.timeout(PATIENCE),
    );
    const mine = new Set(rows.map(({ run }) => run));
    return ticks.map(({ run }) => mine.has(run) ? "won" : "lost");
  }

  /** Whether a call is still this one's to make: its lease holds, and its trigger may fire. */
  async holds(id: string, run: string, now: number): Promise<boolean> {
    const query = sql`SELECT 1 FROM function_triggers WHERE id = ${id} AND run = ${run} AND run_until >= ${now}
      AND ${MAY_FIRE}`.compile(this.control.db);
    return (await this.control.run(query, AbortSignal.timeout(PATIENCE))).rows.length > 0;
  }

  /** Says that calls go on. @param runs by trigger */
  async renew(runs: ReadonlyMap<string, string>, until: number): Promise<void> {
    await this.#ofRuns(runs, sql`run_until = ${until}`);
  }

  /** Says that calls ended. */
  async ended(runs: ReadonlyMap<string, string>): Promise<void> {
    await this.#ofRuns(runs, sql`run = NULL, run_until = NULL`);
  }

  async #ofRuns(runs: ReadonlyMap<string, string>, change: ReturnType<typeof sql>): Promise<void> {
    const ids = JSON.stringify([...runs.keys()]), names = JSON.stringify([...runs.values()]);
    await this.control.run(
      sql`UPDATE function_triggers SET ${change} WHERE id IN (SELECT value FROM json_each(${ids}))
        AND run IN (SELECT value FROM json_each(${names}))`.compile(this.control.db),
      AbortSignal.timeout(PATIENCE),
    );
  }
}
