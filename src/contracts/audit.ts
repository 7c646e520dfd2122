import type { RequestContext } from "./request.ts";

/** A security-relevant act. Holds no secret. */
export interface AuditEvent {
  readonly id: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly actor: string;
  /** `key.created`, `session.revoked`, … */
  readonly action: string;
  readonly resource: string;
  readonly address: string;
  readonly requestId: string;
  readonly details: Readonly<Record<string, unknown>>;
}

/** The audit log of a namespace, for its owner. */
export interface AuditLog {
  /** Newest first. @param before id of the last event of the page before */
  list(
    namespace: string,
    page: { limit: number; before?: number | undefined },
    context: RequestContext,
  ): Promise<AuditEvent[]>;
}
