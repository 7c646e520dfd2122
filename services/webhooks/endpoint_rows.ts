import { type RawBuilder, sql } from "kysely";
import type { WebhookAlgorithm, WebhookEndpoint, WebhookWanted } from "../../src/contracts/webhooks.ts";
import type { ControlDatabase, ControlQuery } from "../control_plane/control_database.ts";
import type { WebhookEndpointTable } from "../control_plane/webhook_tables.ts";
import { shownKeys } from "./keys.ts";

/** An endpoint as it is kept. */
export type EndpointRow = WebhookEndpointTable;

/** An endpoint to be made. */
export interface NewEndpoint extends WebhookWanted {
  readonly id: string;
  readonly namespace: string;
  readonly namespaceCreatedAt: number;
  readonly algorithm: WebhookAlgorithm;
  readonly keys: string;
  readonly by: string;
  readonly at: number;
  /** Endpoints that the namespace may have. */
  readonly most: number;
}

/** Whether its namespace is the very one that it was made in. Of rows of `webhook_endpoints`. */
export const IS_LIVE: RawBuilder<number> =
  sql`EXISTS (SELECT 1 FROM namespaces n WHERE n.name = webhook_endpoints.namespace
  AND n.state = 'active' AND n.created_at = webhook_endpoints.namespace_created_at)`;

/** Whether anything may be sent to it. Of rows of `webhook_endpoints`. */
export const MAY_SEND: RawBuilder<number> = sql`webhook_endpoints.enabled = 1 AND ${IS_LIVE}`;

const FIRST_DUE = sql`(SELECT min(d.due_at) FROM webhook_deliveries d WHERE d.endpoint_id = webhook_endpoints.id
  AND d.state = 'waiting')`;

/** When the first of what waits for an endpoint is due, no earlier than the endpoint may be asked again; null for never. */
export const NEXT_AT: RawBuilder<number | null> = sql`max(webhook_endpoints.rest_until, ${FIRST_DUE})`;

/** Endpoints as the control plane has them. Every method throws as {@link ControlDatabase} says. */
export class EndpointRows {
  constructor(private readonly control: ControlDatabase) {}

  /** Those of a namespace, oldest first. */
  async of(namespace: string, signal: AbortSignal): Promise<readonly EndpointRow[]> {
    const query = sql<EndpointRow>`SELECT * FROM webhook_endpoints WHERE namespace = ${namespace} AND ${IS_LIVE}
      ORDER BY created_at, id`.compile(this.control.db);
    return (await this.control.run<EndpointRow>(query, signal)).rows;
  }

  /** One of a namespace. */
  async find(namespace: string, id: string, signal: AbortSignal): Promise<EndpointRow | undefined> {
    const query = sql<EndpointRow>`SELECT * FROM webhook_endpoints WHERE id = ${id} AND namespace = ${namespace}
      AND ${IS_LIVE}`.compile(this.control.db);
    return (await this.control.run<EndpointRow>(query, signal)).rows[0];
  }

  /** When a namespace was made; `undefined` where there is none that lives. */
  async madeAt(namespace: string, signal: AbortSignal): Promise<number | undefined> {
    const query = this.control.db.selectFrom("namespaces").select("created_at").where("name", "=", namespace)
      .where("state", "=", "active");
    return (await this.control.run<{ created_at: number }>(query, signal)).rows[0]?.created_at;
  }

  /**
   * Makes one. It breaks a constraint, and with it the transaction, on `namespace` where that is gone, and on `created_by` where there
   * are as many as may be.
   */
  insertion({ id, namespace, namespaceCreatedAt, ...rest }: NewEndpoint): ControlQuery {
    const { url, events, description, enabled, algorithm, keys, by, at, most } = rest;
    const place = sql`SELECT n.name FROM namespaces n WHERE n.name = ${namespace} AND n.state = 'active'
      AND n.created_at = ${namespaceCreatedAt}`;
    const others = sql`SELECT count(*) FROM webhook_endpoints c WHERE c.namespace = ${namespace}`;
    return sql`INSERT INTO webhook_endpoints (id, namespace, namespace_created_at, url, events, description, enabled, algorithm,
        keys, created_at, created_by, updated_at, served_at, failures, rest_until)
      VALUES (${id}, (${place}), ${namespaceCreatedAt}, ${url}, ${JSON.stringify(events)}, ${description},
        ${enabled ? 1 : 0}, ${algorithm}, ${keys}, ${at},
        CASE WHEN (${others}) < ${most} THEN ${by} END, ${at}, 0, 0, 0) RETURNING *`.compile(
      this.control.db,
    );
  }

  /** Changes what an owner says of one. One that is switched on again is as good as new to whoever sends. */
  changing(
    { id, namespace }: Pick<EndpointRow, "id" | "namespace">,
    { url, events, description, enabled }: Readonly<Partial<Record<keyof WebhookWanted, unknown>>> & {
      readonly events?: readonly string[] | undefined;
    },
    at: number,
  ): ControlQuery {
    const on = enabled === true ? 1 : 0, off = enabled === false ? 1 : 0;
    return sql`UPDATE webhook_endpoints SET url = coalesce(${url ?? null}, url),
        events = coalesce(${events === undefined ? null : JSON.stringify(events)}, events),
        description = coalesce(${description ?? null}, description), updated_at = ${at},
        disabled_reason = CASE WHEN ${on} THEN NULL ELSE disabled_reason END,
        failures = CASE WHEN ${on} THEN 0 ELSE failures END,
        rest_until = CASE WHEN ${on} THEN 0 ELSE rest_until END,
        next_at = CASE WHEN ${on} THEN ${FIRST_DUE} ELSE next_at END,
        enabled = CASE WHEN ${on} THEN 1 WHEN ${off} THEN 0 ELSE enabled END
      WHERE id = ${id} AND namespace = ${namespace} AND ${IS_LIVE} RETURNING *`.compile(this.control.db);
  }

  /** Replaces the keys of one, if they are still those that were read. */
  rekeying({ id, namespace, keys }: EndpointRow, fresh: string, at: number): ControlQuery {
    return sql`UPDATE webhook_endpoints SET keys = ${fresh}, updated_at = ${at}
      WHERE id = ${id} AND namespace = ${namespace} AND keys = ${keys} AND ${IS_LIVE} RETURNING *`.compile(
      this.control.db,
    );
  }

  /** Removes one; what waits for it goes with it. */
  deletion({ id, namespace }: Pick<EndpointRow, "id" | "namespace">): ControlQuery {
    return sql`DELETE FROM webhook_endpoints WHERE id = ${id} AND namespace = ${namespace} AND ${IS_LIVE}
      RETURNING id`.compile(this.control.db);
  }

  /** Removes all of a namespace that is being deleted, never those of a later one of its name. */
  purge(namespace: string): ControlQuery {
    return sql`DELETE FROM webhook_endpoints WHERE namespace = ${namespace} AND NOT ${IS_LIVE}`.compile(
      this.control.db,
    );
  }
}

/** A row as callers see it. @param now Unix milliseconds */
export function endpointOf(row: EndpointRow, now: number): WebhookEndpoint {
  return {
    id: row.id,
    url: row.url,
    events: JSON.parse(row.events),
    description: row.description,
    enabled: row.enabled === 1,
    disabledReason: row.disabled_reason ?? undefined,
    algorithm: row.algorithm as WebhookAlgorithm,
    keys: shownKeys(row.keys, now),
    createdAt: row.created_at,
    createdBy: row.created_by,
    updatedAt: row.updated_at,
  };
}
