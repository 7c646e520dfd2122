import { sql } from "kysely";
import type { WebhookRules } from "../../src/contracts/webhook_rules.ts";
import type { WebhookDelivery, WebhookDeliveryQuery, WebhookState } from "../../src/contracts/webhooks.ts";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import { keyOf, pageOf } from "../control_plane/pages.ts";
import type { WebhookDeliveryTable } from "../control_plane/webhook_tables.ts";
import { IS_LIVE, MAY_SEND, NEXT_AT } from "./endpoint_rows.ts";

/** A delivery as it is kept. */
export type DeliveryRow = WebhookDeliveryTable;

/** An event for one endpoint, to be written down. */
export interface NewDelivery {
  readonly id: string;
  readonly endpointId: string;
  readonly namespace: string;
  readonly eventId: string;
  readonly type: string;
  readonly text: string;
  readonly bytes: number;
  readonly at: number;
}

/** How much may wait. */
export type Room = Pick<WebhookRules, "maxWaiting" | "maxWaitingBytes">;

/** What is remembered of what ended. Times are Unix milliseconds. */
export interface Remembered {
  /** Of each endpoint and state. */
  readonly most: number;
  readonly deliveredBefore: number;
  readonly deadBefore: number;
}

/** Rows that one statement removes: on the embedded control plane nothing else runs meanwhile. */
const PAGE = 200;

/** Deliveries as the control plane has them. Every method throws as {@link ControlDatabase} says. */
export class DeliveryRows {
  constructor(private readonly control: ControlDatabase) {}

  /** Some of an endpoint, newest first. @throws GatewayError `INVALID_REQUEST` for a cursor that no page gave */
  async page(
    endpoint: string,
    { state, limit, cursor }: WebhookDeliveryQuery,
    signal: AbortSignal,
  ): Promise<{ readonly items: readonly WebhookDelivery[]; readonly next?: string }> {
    let query = this.control.db.selectFrom("webhook_deliveries").selectAll().where("endpoint_id", "=", endpoint)
      .orderBy("created_at", "desc").orderBy("id", "desc").limit(limit + 1);
    if (state !== undefined) query = query.where("state", "=", state);
    if (cursor !== undefined) {
      const [at, id] = keyOf<[number, string]>(cursor, ["number", "string"]);
      query = query.where(sql<boolean>`(created_at, id) < (${at}, ${id})`);
    }
    const { rows } = await this.control.run<DeliveryRow>(query, signal);
    return pageOf(rows, limit, deliveryOf, ({ created_at, id }) => [created_at, id]);
  }

  /** One of an endpoint. */
  async find(endpoint: string, id: string, signal: AbortSignal): Promise<DeliveryRow | undefined> {
    const query = this.control.db.selectFrom("webhook_deliveries").selectAll().where("id", "=", id)
      .where("endpoint_id", "=", endpoint);
    return (await this.control.run<DeliveryRow>(query, signal)).rows[0];
  }

  /** Writes one down, unless it is there, nothing may be sent, or too much waits; returns a row where it was. */
  insertion({ id, endpointId, namespace, eventId, type, text, bytes, at }: NewDelivery, room: Room): ControlQuery {
    return sql`INSERT INTO webhook_deliveries (id, endpoint_id, namespace, event_id, type, state, bytes, tries, sends, created_at,
        queued_at, due_at, body)
      SELECT ${id}, id, namespace, ${eventId}, ${type}, 'waiting', ${bytes}, 0, 0, ${at}, ${at}, ${at}, ${text}
      FROM webhook_endpoints WHERE id = ${endpointId} AND namespace = ${namespace} AND ${MAY_SEND}
        AND ${roomFor(endpointId, namespace, bytes, room)}
      ON CONFLICT (endpoint_id, event_id) DO NOTHING RETURNING endpoint_id`.compile(this.control.db);
  }

  /** Says of endpoints that something of them is due. */
  hastening(endpoints: readonly string[]): ControlQuery {
    return sql`UPDATE webhook_endpoints SET next_at = ${NEXT_AT}
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(endpoints)}))`.compile(this.control.db);
  }

  /** Which of some endpoints could be told of an event and have nothing of it. */
  async lacking(endpoints: readonly string[], eventId: string, signal: AbortSignal): Promise<number> {
    const query = sql<{ lacking: number }>`SELECT count(*) AS lacking FROM webhook_endpoints
      WHERE id IN (SELECT value FROM json_each(${JSON.stringify(endpoints)})) AND ${MAY_SEND}
        AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.endpoint_id = webhook_endpoints.id
          AND d.event_id = ${eventId})`.compile(this.control.db);
    return (await this.control.run<{ lacking: number }>(query, signal)).rows[0]!.lacking;
  }

  /** Lets a dead one be tried again, if there is room. */
  reviving({ id, endpoint_id, namespace, bytes }: DeliveryRow, room: Room, at: number): ControlQuery {
    return sql`UPDATE webhook_deliveries SET state = 'waiting', tries = 0, queued_at = ${at}, due_at = ${at}
      WHERE id = ${id} AND state = 'dead' AND ${roomFor(endpoint_id, namespace, bytes, room)} RETURNING *`.compile(
      this.control.db,
    );
  }

  /** How many wait for an endpoint. */
  async waiting(endpoint: string, signal: AbortSignal): Promise<number> {
    const query = this.control.db.selectFrom("webhook_deliveries").select((of) =>
      of.fn.countAll<number>().as("waiting")
    )
      .where("endpoint_id", "=", endpoint).where("state", "=", "waiting");
    return (await this.control.run<{ waiting: number }>(query, signal)).rows[0]!.waiting;
  }

  /** Removes some of a namespace that is being deleted. @returns whether there may be more */
  async purge(namespace: string, signal: AbortSignal): Promise<boolean> {
    const query = sql`DELETE FROM webhook_deliveries WHERE id IN (
        SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints ON webhook_endpoints.id = d.endpoint_id
        WHERE webhook_endpoints.namespace = ${namespace} AND NOT ${IS_LIVE} LIMIT ${PAGE})`.compile(this.control.db);
    return (await this.control.run(query, signal)).changes === PAGE;
  }

  /** Gives up some that have waited for too long. @returns whether there may be more */
  async expire(before: number, now: number, why: string, signal: AbortSignal): Promise<boolean> {
    const query =
      sql`UPDATE webhook_deliveries SET state = 'dead', last_at = ${now}, last_error = coalesce(last_error, ${why})
      WHERE id IN (SELECT id FROM webhook_deliveries WHERE state = 'waiting' AND queued_at < ${before} LIMIT ${PAGE})`
        .compile(this.control.db);
    return (await this.control.run(query, signal)).changes === PAGE;
  }

  /** The first namespace behind another one in the order of names of which there is anything; `undefined` for none. */
  async namespaceAfter(name: string, signal: AbortSignal): Promise<string | undefined> {
    const query = sql<{ next: string | null }>`SELECT min(namespace) AS next FROM webhook_deliveries
      WHERE namespace > ${name}`.compile(this.control.db);
    return (await this.control.run<{ next: string | null }>(query, signal)).rows[0]!.next ?? undefined;
  }

  /** Forgets some of a namespace that ended long ago, or are more than is remembered. @returns whether there may be more */
  async forget(
    namespace: string,
    { most, deliveredBefore, deadBefore }: Remembered,
    signal: AbortSignal,
  ): Promise<boolean> {
    // Looked for first: most rounds of most namespaces find nothing, and a statement that may write costs a cluster far more.
    const query = sql<{ id: string }>`SELECT id FROM (
        SELECT id, state, queued_at, row_number() OVER (PARTITION BY endpoint_id, state ORDER BY last_at DESC, id) AS place
        FROM webhook_deliveries WHERE namespace = ${namespace} AND state IN ('delivered', 'dead'))
      WHERE place > ${most} OR queued_at < CASE state WHEN 'dead' THEN ${deadBefore} ELSE ${deliveredBefore} END
      LIMIT ${PAGE}`.compile(this.control.db);
    const { rows } = await this.control.run<{ id: string }>(query, signal);
    if (rows.length === 0) return false;
    const ids = JSON.stringify(rows.map(({ id }) => id));
    await this.control.run(
      sql`DELETE FROM webhook_deliveries WHERE id IN (SELECT value FROM json_each(${ids})) AND state <> 'waiting'`
        .compile(this.control.db),
      signal,
    );
    return rows.length === PAGE;
  }

  /** How many there are of all namespaces. */
  async counts(signal: AbortSignal): Promise<{ readonly waiting: number; readonly dead: number }> {
    const query = sql<{ waiting: number; dead: number }>`SELECT
      (SELECT count(*) FROM webhook_deliveries WHERE state = 'waiting') AS waiting,
      (SELECT count(*) FROM webhook_deliveries WHERE state = 'dead') AS dead`.compile(this.control.db);
    return (await this.control.run<{ waiting: number; dead: number }>(query, signal)).rows[0]!;
  }
}

const roomFor = (endpoint: string, namespace: string, bytes: number, { maxWaiting, maxWaitingBytes }: Room) =>
  sql`(SELECT count(*) FROM webhook_deliveries w WHERE w.endpoint_id = ${endpoint} AND w.state = 'waiting') < ${maxWaiting}
    AND (SELECT coalesce(sum(w.bytes), 0) FROM webhook_deliveries w WHERE w.namespace = ${namespace}
      AND w.state = 'waiting') + ${bytes} <= ${maxWaitingBytes}`;

/** A row as callers see it. */
export function deliveryOf(row: DeliveryRow): WebhookDelivery {
  const { last_at: at, last_status: status, last_error: error } = row;
  return {
    id: row.id,
    eventId: row.event_id,
    type: row.type,
    state: row.state as WebhookState,
    tries: row.tries,
    createdAt: row.created_at,
    dueAt: row.state === "waiting" ? row.due_at : undefined,
    last: at === null ? undefined : { at, status: status ?? undefined, error: error ?? undefined },
  };
}
