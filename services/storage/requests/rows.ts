import { type RawBuilder, sql } from "kysely";
import type { ControlDatabase, ControlQuery } from "../../control_plane/control_database.ts";
import type { StorageObjectTable, StoragePinRequestTable } from "../../control_plane/schema.ts";
import type { Cid } from "../cids.ts";
import type { Place } from "../claims.ts";

/** A request, with what the control plane knows of its content. */
export interface KnownRequest
  extends StoragePinRequestTable, Pick<StorageObjectTable, "size" | "available" | "pinned" | "problem"> {
  /** `queued`, `pinned` or `failed`. */
  readonly status: string;
  /** Why the engine could not be told yet: a public sentence. */
  readonly delay: string | null;
}

/** A request to be made. */
export interface NewRequest {
  readonly id: string;
  readonly cid: Cid;
  readonly name: string | undefined;
  /** JSON object. */
  readonly meta: string;
  /** JSON array. */
  readonly origins: string;
  readonly by: string;
}

/**
 * How it goes, without asking the engine: `pinned` is what is there, and of whose pin the engine knows all that is wanted. Of what
 * is looked for, no more is told than that: the engine's own words would tell whether others have it.
 */
const STATUS = sql<string>`CASE
  WHEN o.problem IS NOT NULL THEN 'failed'
  WHEN o.available = 1 AND p.wanted = 1 AND p.applied = p.version THEN 'pinned'
  ELSE 'queued' END`;

const JOINED = sql`storage_pin_requests r
  JOIN storage_objects o ON o.namespace = r.namespace AND o.cid = r.cid
  LEFT JOIN storage_pins p ON p.cid = r.cid`;

const COLUMNS = sql`r.*, o.size, o.available, o.pinned, o.problem, p.problem AS delay, ${STATUS} AS status`;

/** Requests in the control plane. A claim stands behind each, and takes it along when it is given up. */
export class RequestRows {
  constructor(private readonly control: ControlDatabase, private readonly now: () => number) {}

  /** A request of a namespace; those of others are none. */
  async find(namespace: string, id: string, signal: AbortSignal): Promise<KnownRequest | undefined> {
    const { rows } = await this.control.run<KnownRequest>(
      sql`SELECT ${COLUMNS} FROM ${JOINED} WHERE r.namespace = ${namespace} AND r.id = ${id}`.compile(this.control.db),
      signal,
    );
    return rows[0];
  }

  /** The newest requests of a namespace that fit, and how many fit at all, both of the same moment. */
  async page(
    namespace: string,
    conditions: readonly RawBuilder<unknown>[],
    statuses: readonly string[],
    limit: number,
    signal: AbortSignal,
  ): Promise<{ readonly rows: readonly KnownRequest[]; readonly total: number }> {
    const all = [
      sql`r.namespace = ${namespace}`,
      sql`${STATUS} IN (SELECT value FROM json_each(${JSON.stringify(statuses)}))`,
      ...conditions,
    ];
    const fitting = sql`FROM ${JOINED} WHERE ${sql.join(all, sql` AND `)}`;
    const { rows } = await this.control.run<KnownRequest & { readonly total: number }>(
      sql`SELECT ${COLUMNS}, (SELECT count(*) ${fitting}) AS total ${fitting} ORDER BY r.created_at DESC LIMIT ${limit}`
        .compile(this.control.db),
      signal,
    );
    return { rows, total: rows[0]?.total ?? 0 };
  }

  /**
   * Makes a request, at a moment that no other one of the namespace has; again, it is the same one. Fails the whole transaction,
   * on a constraint: of `namespace` where there is no claim, of `cid` where there are as many requests as may be.
   * @param most 0: any number
   */
  insertion({ namespace, createdAt }: Place, request: NewRequest, most: number): ControlQuery {
    const { id, cid: { canonical, written }, name = null, meta, origins, by } = request;
    const others = sql`FROM storage_pin_requests q WHERE q.namespace = ${namespace}`;
    return sql`INSERT INTO storage_pin_requests (namespace, id, cid, written, name, meta, origins, created_at, created_by)
      VALUES (
        CASE WHEN EXISTS (SELECT 1 FROM storage_objects o WHERE o.namespace = ${namespace} AND o.cid = ${canonical})
          AND EXISTS (SELECT 1 FROM namespaces n
            WHERE n.name = ${namespace} AND n.state = 'active' AND n.created_at = ${createdAt})
          THEN ${namespace} END,
        ${id},
        CASE WHEN ${most} = 0 OR (SELECT count(*) ${others} AND q.id <> ${id}) < ${most} THEN ${canonical} END,
        ${written}, ${name}, ${meta}, ${origins},
        max(${this.now()}, coalesce((SELECT max(q.created_at) + 1 ${others}), 0)), ${by})
      ON CONFLICT (namespace, id) DO UPDATE SET id = excluded.id RETURNING *`.compile(this.control.db);
  }

  /** Has a claim that is there stay for a request, and what failed looked for again. Without requests it stays as it was before. */
  renewal(namespace: string, cid: string): ControlQuery {
    return sql`UPDATE storage_objects SET requested = CASE WHEN pinned = 0 THEN 1 ELSE requested END,
        pinned = 1, expires_at = NULL, problem = NULL, asked_at = ${this.now()}
      WHERE namespace = ${namespace} AND cid = ${cid} RETURNING *`.compile(this.control.db);
  }

  /** Ends a request. */
  deletion(namespace: string, id: string): ControlQuery {
    const { db } = this.control;
    return db.deleteFrom("storage_pin_requests").where("namespace", "=", namespace).where("id", "=", id);
  }

  /**
   * Fails the whole transaction, on a constraint of `storage_usage.namespace`, where a request that is to be replaced is not there.
   * @param by the request that replaces it: where that is there, it was done already
   */
  guard(namespace: string, id: string, by: string): ControlQuery {
    return sql`UPDATE storage_usage SET namespace = CASE WHEN EXISTS (
        SELECT 1 FROM storage_pin_requests q WHERE q.namespace = ${namespace} AND q.id IN (${id}, ${by})
      ) THEN namespace END WHERE namespace = ${namespace}`.compile(this.control.db);
  }

  /** Has what is let go wait, for those who look for what is due: something else is to be kept first. @param until Unix milliseconds */
  delay(cid: string, until: number): ControlQuery {
    const { db } = this.control;
    return db.updateTable("storage_pins").set({ due_at: until }).where("cid", "=", cid).where("wanted", "=", 0);
  }
}
