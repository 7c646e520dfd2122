import { type RawBuilder, sql } from "kysely";
import type { FunctionTrigger, TriggerSource } from "../../../src/contracts/function_triggers.ts";
import type { ControlDatabase, ControlQuery } from "../../control_plane/control_database.ts";
import type { FunctionTriggerTable } from "../../control_plane/function_trigger_table.ts";
import type { CheckedSource } from "./sources.ts";

/** A trigger as it is kept. */
export type TriggerRow = FunctionTriggerTable;

/** Which function's, in which life of which namespace. */
export interface Owner {
  readonly namespace: string;
  readonly functionId: string;
  readonly functionName: string;
}

/** A trigger to be made. */
export interface NewTrigger extends CheckedSource {
  readonly id: string;
  readonly reference: string | undefined;
  readonly enabled: boolean;
  readonly by: string;
  readonly at: number;
  /** Of a cron trigger. */
  readonly nextAt: number | undefined;
  /** Whether a deployment declares it: then one that is there already is left as it is. */
  readonly isDeclared: boolean;
}

/**
 * Whether a trigger may fire: it is enabled, and its function is the very one, and its namespace the very one, that it was made for. Of
 * rows of `function_triggers`.
 */
export const MAY_FIRE: RawBuilder<number> = sql`function_triggers.enabled = 1 AND EXISTS (
  SELECT 1 FROM functions f JOIN namespaces n ON n.name = f.namespace
  WHERE f.id = function_triggers.function_id AND f.serving IS NOT NULL AND f.namespace = function_triggers.namespace
    AND n.state = 'active' AND n.created_at = function_triggers.namespace_created_at)`;

/** Under which name of {@link ControlDatabase}'s leases one gateway at a time follows what a trigger is for. */
export const leaseOf = (id: string): string => `function-trigger/${id}`;

/** Triggers as the control plane has them. */
export class TriggerRows {
  constructor(private readonly control: ControlDatabase) {}

  /** Those of a function, oldest first. */
  async of({ namespace, functionId }: Owner, signal: AbortSignal): Promise<readonly TriggerRow[]> {
    const { rows } = await this.control.run<TriggerRow>(
      this.control.db.selectFrom("function_triggers").selectAll().where("function_id", "=", functionId)
        .where("namespace", "=", namespace).orderBy("created_at").orderBy("id"),
      signal,
    );
    return rows;
  }

  /** The routes of a namespace that may fire. */
  async routes(namespace: string, signal: AbortSignal): Promise<readonly TriggerRow[]> {
    const query = sql<TriggerRow>`SELECT * FROM function_triggers WHERE namespace = ${namespace} AND kind = 'route'
      AND ${MAY_FIRE}`.compile(this.control.db);
    return (await this.control.run<TriggerRow>(query, signal)).rows;
  }

  /**
   * Makes one. It breaks a constraint, and with it the transaction, on `namespace` where namespace, function or reference are gone, on
   * `created_by` where there are as many as may be, and on `route` where another one has it.
   */
  insertion({ namespace, functionId, functionName }: Owner, trigger: NewTrigger, most: number): ControlQuery {
    const { id, reference, source, route, enabled, by, at, nextAt, isDeclared } = trigger;
    const { kind, ...rest } = source;
    const text = JSON.stringify(rest), declared = isDeclared ? `${kind} ${text}` : null;
    const place = sql`SELECT n.name FROM namespaces n JOIN functions f ON f.namespace = n.name
      WHERE n.name = ${namespace} AND n.state = 'active' AND f.id = ${functionId} AND f.serving IS NOT NULL
        AND (${reference ?? "latest"} = 'latest' OR EXISTS (
          SELECT 1 FROM function_versions v WHERE v.namespace = f.namespace AND v.name = f.name
            AND CAST(v.version AS TEXT) = ${reference ?? null}
        ) OR EXISTS (
          SELECT 1 FROM function_aliases a WHERE a.namespace = f.namespace AND a.name = f.name AND a.alias = ${
      reference ?? null
    }
        ))`;
    const isThere =
      sql`SELECT 1 FROM function_triggers d WHERE d.function_id = ${functionId} AND d.declared = ${declared}`;
    return sql`INSERT INTO function_triggers (id, namespace, namespace_created_at, function_id, function_name, reference, kind,
        source, route, declared, enabled, created_at, created_by, next_at)
      SELECT ${id}, (${place}), (SELECT created_at FROM namespaces WHERE name = ${namespace}), ${functionId}, ${functionName},
        ${reference ?? null}, ${kind}, ${text}, ${route ?? null}, ${declared}, ${enabled ? 1 : 0}, ${at},
        CASE WHEN (SELECT count(*) FROM function_triggers c WHERE c.namespace = ${namespace}) < ${most} THEN ${by} END,
        ${nextAt ?? null}
      WHERE NOT EXISTS (${isThere})
      RETURNING *`.compile(this.control.db);
  }

  /**
   * Lets one fire, or not. What happened in the meantime is not made up for.
   * @param nextAt of a cron trigger that is let
   */
  switching({ namespace, functionId }: Owner, id: string, enabled: boolean, nextAt: number | undefined): ControlQuery {
    return this.control.db.updateTable("function_triggers").set((eb) => ({
      enabled: enabled ? 1 : 0,
      next_at: sql`CASE WHEN enabled = ${enabled ? 1 : 0} THEN next_at ELSE ${nextAt ?? null} END`,
      position: enabled ? eb.ref("position") : null,
    })).where("id", "=", id).where("function_id", "=", functionId).where("namespace", "=", namespace).returningAll();
  }

  /** Removes one. */
  deletion({ namespace, functionId }: Owner, id: string): ControlQuery {
    return this.control.db.deleteFrom("function_triggers").where("id", "=", id).where("function_id", "=", functionId)
      .where("namespace", "=", namespace).returning("kind");
  }

  /** Removes what a deployment declared of some kinds, but for these. @param kept as {@link NewTrigger} has them */
  undeclaring(
    { functionId }: Owner,
    kinds: readonly TriggerSource["kind"][],
    kept: readonly TriggerSource[],
  ): ControlQuery {
    const texts = kept.map(({ kind, ...rest }) => `${kind} ${JSON.stringify(rest)}`);
    return sql`DELETE FROM function_triggers WHERE function_id = ${functionId} AND declared IS NOT NULL
      AND kind IN (SELECT value FROM json_each(${JSON.stringify(kinds)}))
      AND declared NOT IN (SELECT value FROM json_each(${JSON.stringify(texts)})) RETURNING kind`.compile(
      this.control.db,
    );
  }

  /** Removes all of a namespace that is being deleted, never those of a later one of its name. */
  purge(namespace: string): ControlQuery {
    return sql`DELETE FROM function_triggers WHERE namespace = ${namespace} AND NOT EXISTS (
      SELECT 1 FROM namespaces n WHERE n.name = ${namespace} AND n.state = 'active'
        AND n.created_at = function_triggers.namespace_created_at)`.compile(this.control.db);
  }
}

/** What a row's trigger is for. */
export const sourceOf = ({ kind, source }: Pick<TriggerRow, "kind" | "source">): TriggerSource =>
  ({ kind, ...JSON.parse(source) }) as TriggerSource;

/** A row as callers see it. @param noted what is known here and not written yet */
export function triggerOf(row: TriggerRow, noted?: FunctionTrigger["last"]): FunctionTrigger {
  const written = row.last_at === null ? undefined : { at: row.last_at, error: row.last_error ?? undefined };
  return {
    id: row.id,
    functionName: row.function_name,
    reference: row.reference ?? undefined,
    source: sourceOf(row),
    enabled: row.enabled === 1,
    createdAt: row.created_at,
    createdBy: row.created_by,
    last: noted !== undefined && noted.at >= (written?.at ?? 0) ? noted : written,
    nextAt: row.enabled === 1 ? row.next_at ?? undefined : undefined,
  };
}
