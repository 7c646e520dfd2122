/** The measured state of one service, as `/v1/status` shows it. */
export interface ServiceHealth {
  /** `degraded`: it answers, but something that it needs does not (a member lost, a pool exhausted). */
  readonly status: "ok" | "degraded" | "down";
  /** Which driver serves: `sqlite`, `rqlite`, … */
  readonly driver: string;
  /** How long the probe took, in milliseconds. */
  readonly latency_ms?: number;
  /** A public sentence without addresses or names of tenants. */
  readonly reason?: string;
  /** Public figures of this service. */
  readonly details?: Readonly<Record<string, string | number | boolean>>;
}

/** What one namespace holds in one service. Units are part of the names. */
export type Usage = Readonly<Record<string, number>>;

/** What the container asks of each service that keeps data of namespaces. */
export interface NamespacedService {
  /** Removes everything this service holds of a namespace. May be called again after a crash: it is idempotent. */
  purge(namespace: string, signal: AbortSignal): Promise<void>;
  /** What the namespace holds now. */
  usage(namespace: string, signal: AbortSignal): Promise<Usage>;
}

/** A service with a life: the container starts it, asks how it is, and closes it. */
export interface Lifecycle {
  /** Probes the back end once. Never throws: a failure is a `down`. */
  health(signal: AbortSignal): Promise<ServiceHealth>;
  /** Gives back what it holds. Called once, after the last request. */
  close(): Promise<void>;
}
