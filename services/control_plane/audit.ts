import type { AuditEvent, AuditLog } from "../../src/contracts/audit.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { ControlDatabase, ControlQuery } from "./control_database.ts";

/** One act to be recorded, besides what the request itself tells. */
export interface AuditEntry {
  readonly namespace: string;
  /** A principal's `subject`, or `system`. */
  readonly actor: string;
  /** `<noun>.<past participle>`. */
  readonly action: string;
  readonly resource: string;
  readonly details?: Readonly<Record<string, unknown>>;
}

/**
 * Records an act that was done elsewhere than in the control plane, and so shares no transaction with its entry: right behind it.
 * Never rejects: what was done stays done.
 */
export type RecordAct = (entry: AuditEntry, context: AuditContext) => Promise<void>;

/** Milliseconds that an entry has which is written by itself: somebody waits for the answer of an act that is done. */
const RECORDING = 5_000;

/** The audit log. Entries are written in the transaction of the act they tell of, so that neither is without the other. */
export class ControlAuditLog implements AuditLog {
  /** @param onLost told of an entry that could not be written by itself, or may not have been */
  constructor(
    private readonly control: ControlDatabase,
    private readonly now: () => number,
    private readonly onLost: (entry: AuditEntry, error: unknown) => void = () => {},
  ) {}

  /** The query that records an act, for the same `atomically` as the act. */
  entry({ namespace, actor, action, resource, details = {} }: AuditEntry, context: AuditContext): ControlQuery {
    return this.control.db.insertInto("audit_events").values({
      at: this.now(),
      namespace,
      actor,
      action,
      resource,
      address: context.clientAddress,
      request_id: context.requestId,
      details: JSON.stringify(details),
    });
  }

  /** As {@link RecordAct}. Its own deadline is all that ends it: the client may have left by now. */
  async record(entry: AuditEntry, context: AuditContext): Promise<void> {
    try {
      await this.control.run(this.entry(entry, context), AbortSignal.timeout(RECORDING));
    } catch (error) {
      this.onLost(entry, error);
    }
  }

  async list(
    namespace: string,
    { limit, before }: { limit: number; before?: number | undefined },
    { signal }: RequestContext,
  ): Promise<AuditEvent[]> {
    let query = this.control.db.selectFrom("audit_events").selectAll().where("namespace", "=", namespace)
      .orderBy("id", "desc").limit(limit);
    if (before !== undefined) query = query.where("id", "<", before);
    const { rows } = await this.control.run<AuditRow>(query, signal);
    return rows.map(({ id, at, actor, action, resource, address, request_id, details }) => ({
      id,
      at,
      actor,
      action,
      resource,
      address,
      requestId: request_id,
      details: JSON.parse(details),
    }));
  }
}

/** Where an act came from. */
export type AuditContext = Pick<RequestContext, "clientAddress" | "requestId">;

/** The context of what the gateway does by itself. */
export const SYSTEM_CONTEXT: AuditContext = { clientAddress: "", requestId: "" };

interface AuditRow {
  readonly id: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly resource: string;
  readonly address: string;
  readonly request_id: string;
  readonly details: string;
}
