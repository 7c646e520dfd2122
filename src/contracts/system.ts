import type { ServiceHealth } from "./health.ts";

/** What `/health`, `/v1/status`, `/v1/version` and `/metrics` say. */
export interface SystemInfo {
  readonly version: string;
  readonly commit: string;
  /** ISO 8601; empty for a run from source. */
  readonly buildTime: string;
  /** RFC 3339. */
  readonly startedAt: string;
  /** Milliseconds since the start. */
  uptime(): number;
  /** Whether the gateway takes new work; false once a shutdown has begun. */
  ready(): boolean;
  /** The state of each service as measured at most a few seconds ago. Never waits longer than a probe's deadline. */
  services(): Promise<Readonly<Record<string, ServiceHealth>>>;
  /** Text in Prometheus' exposition format, and its media type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}
