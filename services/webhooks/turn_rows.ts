import { sql } from "kysely";
import type { WebhookState } from "../../src/contracts/webhooks.ts";
import type { ControlDatabase } from "../control_plane/control_database.ts";
import type { DeliveryRow } from "./delivery_rows.ts";
import { type EndpointRow, MAY_SEND, NEXT_AT } from "./endpoint_rows.ts";

/** An endpoint of which something is due. */
export interface Due {
  readonly id: string;
  readonly namespace: string;
}

/** An endpoint that is this gateway's for a while, and what it is to be told. */
export interface Turn {
  /** Names this turn among all. */
  readonly run: string;
  readonly endpoint: EndpointRow;
  /** `undefined` where nothing was due after all. */
  readonly delivery: DeliveryRow | undefined;
}

/** What is written down at the end of a turn. */
export interface TurnEnd {
  readonly state: WebhookState;
  readonly tries: number;
  readonly dueAt: number;
  readonly at: number;
  readonly status: number | undefined;
  readonly error: string | undefined;
  /** Tries of the endpoint that failed, one after the other. */
  readonly failures: number;
  readonly restUntil: number;
  /** Switches the endpoint off: a public sentence. */
  readonly disabledReason: string | undefined;
}

/** Milliseconds that the control plane has for one query. */
const PATIENCE = 5_000;
/** Milliseconds after which an endpoint is given to another gateway whose turn was not ended: far more than a request may take. */
export const TURN_LEASE = 60_000;

/** Whose turn it is, as the control plane has it: of all gateways one at a time sends to an endpoint. */
export class TurnRows {
  constructor(private readonly control: ControlDatabase) {}

  /** Endpoints of which something is due: of each namespace one before the second of any, and first those that waited longest. */
  async due(now: number, limit: number): Promise<readonly Due[]> {
    const query = sql<Due>`SELECT id, namespace FROM (
        SELECT id, namespace, served_at, row_number() OVER (PARTITION BY namespace ORDER BY served_at, id) AS place
        FROM webhook_endpoints WHERE next_at IS NOT NULL AND next_at <= ${now}
          AND (run_until IS NULL OR run_until < ${now}) AND ${MAY_SEND})
      ORDER BY place, served_at, id LIMIT ${limit}`.compile(this.control.db);
    return (await this.control.run<Due>(query, AbortSignal.timeout(PATIENCE))).rows;
  }

  /**
   * Takes a turn, and counts the try: a gateway that dies of it does not begin anew for ever.
   * @returns `undefined` where it is another's, or nothing may be sent
   */
  async take(id: string, run: string, now: number): Promise<Turn | undefined> {
    const { db } = this.control;
    const claim = sql`UPDATE webhook_endpoints SET run = ${run}, run_until = ${now + TURN_LEASE}, served_at = ${now}
      WHERE id = ${id} AND next_at <= ${now} AND (run_until IS NULL OR run_until < ${now}) AND ${MAY_SEND} RETURNING *`;
    const count = sql`UPDATE webhook_deliveries SET tries = tries + 1, sends = sends + 1 WHERE id = (
        SELECT d.id FROM webhook_deliveries d JOIN webhook_endpoints e ON e.id = d.endpoint_id
        WHERE e.id = ${id} AND e.run = ${run} AND d.state = 'waiting' AND d.due_at <= ${now}
        ORDER BY d.due_at, d.created_at, d.id LIMIT 1) RETURNING *`;
    const [claimed, counted] = await this.control.atomically(
      [claim.compile(db), count.compile(db)],
      AbortSignal.timeout(PATIENCE),
    );
    const endpoint = claimed!.rows[0] as EndpointRow | undefined;
    return endpoint && { run, endpoint, delivery: counted!.rows[0] as DeliveryRow | undefined };
  }

  /**
   * Ends a turn, and writes down what came of it, unless it is another's by now.
   * @param end `undefined` where nothing was sent
   * @param most deliveries that are remembered of the endpoint, of each state that is an end
   * @returns whether it still was this one's, and when something is due next
   */
  async end(
    { run, endpoint: { id }, delivery }: Turn,
    end: TurnEnd | undefined,
    most: number,
  ): Promise<{ readonly isMine: boolean; readonly nextAt: number | undefined }> {
    const { db } = this.control;
    const written = delivery === undefined || end === undefined ? [] : this.#writing(run, delivery, end, most);
    const release = end === undefined
      ? sql`run = NULL, run_until = NULL`
      : sql`run = NULL, run_until = NULL, failures = ${end.failures}, rest_until = ${end.restUntil},
          enabled = CASE WHEN ${end.disabledReason === undefined ? 0 : 1} THEN 0 ELSE enabled END,
          disabled_reason = coalesce(${end.disabledReason ?? null}, disabled_reason)`;
    const results = await this.control.atomically([
      ...written,
      sql`UPDATE webhook_endpoints SET ${release} WHERE id = ${id} AND run = ${run} RETURNING id`.compile(db),
      sql`UPDATE webhook_endpoints SET next_at = ${NEXT_AT} WHERE id = ${id} RETURNING next_at`.compile(db),
    ], AbortSignal.timeout(PATIENCE));
    const [released, next] = results.slice(-2);
    const nextAt = (next!.rows[0]?.["next_at"] ?? undefined) as number | undefined;
    return { isMine: released!.rows.length > 0, nextAt };
  }

  #writing(run: string, { id, endpoint_id, sends }: DeliveryRow, end: TurnEnd, most: number) {
    const { db } = this.control;
    const { state, tries, dueAt, at, status = null, error = null } = end;
    const write =
      sql`UPDATE webhook_deliveries SET state = ${state}, tries = ${tries}, due_at = ${dueAt}, last_at = ${at},
        last_status = ${status}, last_error = ${error}, body = CASE WHEN ${state} = 'delivered' THEN '' ELSE body END
      WHERE id = ${id} AND sends = ${sends} AND state = 'waiting'
        AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = ${endpoint_id} AND e.run = ${run})`;
    if (state === "waiting" || !Number.isFinite(most)) return [write.compile(db)];
    const trim = sql`DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries
      WHERE endpoint_id = ${endpoint_id} AND state = ${state} ORDER BY last_at DESC, id LIMIT -1 OFFSET ${most})`;
    return [write.compile(db), trim.compile(db)];
  }
}
