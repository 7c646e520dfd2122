import { sql } from "kysely";
import type { ControlDatabase } from "../../control_plane/control_database.ts";
import { leaseOf, MAY_FIRE, type TriggerRow } from "./rows.ts";

/** Milliseconds for which one gateway alone follows what a trigger is for, after it said so last. */
export const LEASE = 30_000;
const PATIENCE = 5_000;

const LEASE_NAME = sql<string>`'function-trigger/' || function_triggers.id`;

/** Who follows what for which trigger, as the control plane has it. */
export class LeaseRows {
  /** @param holder names this gateway among all */
  constructor(private readonly control: ControlDatabase, private readonly holder: string) {}

  /** Takes some triggers that nobody follows. @param held those that this gateway follows anyway */
  async take(held: readonly string[], now: number, limit: number): Promise<readonly TriggerRow[]> {
    const { control, holder } = this;
    const free = sql<TriggerRow>`SELECT * FROM function_triggers
      WHERE enabled = 1 AND kind IN ('topic', 'database') AND ${MAY_FIRE}
        AND NOT EXISTS (SELECT 1 FROM leases l WHERE l.name = ${LEASE_NAME} AND l.expires_at >= ${now}
          AND l.holder <> ${holder})
        AND id NOT IN (SELECT value FROM json_each(${JSON.stringify(held)})) ORDER BY id LIMIT ${limit}`;
    const found = (await control.run<TriggerRow>(free.compile(control.db), AbortSignal.timeout(PATIENCE))).rows;
    if (found.length === 0) return [];
    const ids = JSON.stringify(found.map(({ id }) => id));
    const claim = sql<{ name: string }>`INSERT INTO leases (name, holder, expires_at)
      SELECT ${LEASE_NAME}, ${holder}, ${now + LEASE} FROM function_triggers
      WHERE id IN (SELECT value FROM json_each(${ids})) AND ${MAY_FIRE}
      ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
        WHERE leases.expires_at < ${now} OR leases.holder = excluded.holder
      RETURNING name`;
    const { rows } = await control.run<{ name: string }>(claim.compile(control.db), AbortSignal.timeout(PATIENCE));
    const taken = new Set(rows.map(({ name }) => name));
    return found.filter(({ id }) => taken.has(leaseOf(id)));
  }

  /** Says that this gateway goes on. @returns those of which it may: they are its own, and may fire */
  async renew(ids: readonly string[], now: number): Promise<ReadonlySet<string>> {
    const { control, holder } = this;
    const query = sql<{ name: string }>`UPDATE leases SET expires_at = ${now + LEASE} WHERE holder = ${holder}
      AND name IN (SELECT ${LEASE_NAME} FROM function_triggers
        WHERE id IN (SELECT value FROM json_each(${JSON.stringify(ids)})) AND ${MAY_FIRE}) RETURNING name`;
    const { rows } = await control.run<{ name: string }>(query.compile(control.db), AbortSignal.timeout(PATIENCE));
    const kept = new Set(rows.map(({ name }) => name));
    return new Set(ids.filter((id) => kept.has(leaseOf(id))));
  }

  /** Whether this gateway still follows for a trigger, and that may fire. */
  async holds(id: string, signal: AbortSignal): Promise<boolean> {
    const { control, holder } = this;
    const query = sql`SELECT 1 FROM function_triggers WHERE id = ${id} AND ${MAY_FIRE}
      AND EXISTS (SELECT 1 FROM leases l WHERE l.name = ${leaseOf(id)} AND l.holder = ${holder})`;
    return (await control.run(query.compile(control.db), signal)).rows.length > 0;
  }

  /** Notes up to where a trigger was told of what it follows. @returns whether this gateway still follows, and it may fire */
  async moveTo(id: string, position: string | undefined): Promise<boolean> {
    const { control, holder } = this;
    const query = sql`UPDATE function_triggers SET position = ${position ?? null} WHERE id = ${id}
      AND ${MAY_FIRE} AND EXISTS (SELECT 1 FROM leases l WHERE l.name = ${leaseOf(id)} AND l.holder = ${holder})`;
    return (await control.run(query.compile(control.db), AbortSignal.timeout(PATIENCE))).changes > 0;
  }

  /** Lets others follow at once. */
  async release(ids: readonly string[]): Promise<void> {
    const { control, holder } = this;
    if (ids.length === 0) return;
    await control.run(
      control.db.deleteFrom("leases").where("holder", "=", holder).where(
        sql<boolean>`name IN (SELECT value FROM json_each(${JSON.stringify(ids.map(leaseOf))}))`,
      ),
      AbortSignal.timeout(PATIENCE),
    );
  }
}
