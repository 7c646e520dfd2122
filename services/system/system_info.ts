import type { Registry } from "prom-client";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";
import type { SystemInfo } from "../../src/contracts/system.ts";

/** How a service is asked for its state. Must not throw. */
export type Probe = (signal: AbortSignal) => Promise<ServiceHealth>;

/** What the gateway knows of its build, and whom it asks for the rest. */
export interface SystemInfoOptions {
  readonly version: string;
  readonly commit: string;
  readonly buildTime: string;
  readonly now: () => number;
  readonly probes: Readonly<Record<string, Probe>>;
  readonly registry: Registry;
  /** Whether figures are given out. */
  readonly metrics: boolean;
}

/** How old a measured state may be, and how long measuring it may take, in milliseconds. */
const FRESH = 2_000;
const PROBE_DEADLINE = 2_000;

/** What the gateway knows of itself. */
export class SystemStatus implements SystemInfo {
  readonly version: string;
  readonly commit: string;
  readonly buildTime: string;
  readonly startedAt: string;
  readonly #start: number;
  #ready = true;
  #measured: { at: number; states: Promise<Record<string, ServiceHealth>> } | undefined;

  constructor(private readonly options: SystemInfoOptions) {
    this.version = options.version;
    this.commit = options.commit;
    this.buildTime = options.buildTime;
    this.#start = options.now();
    this.startedAt = new Date(this.#start).toISOString();
  }

  uptime(): number {
    return this.options.now() - this.#start;
  }

  ready(): boolean {
    return this.#ready;
  }

  /** From here on `/v1/status` says `stopping`. */
  stopping(): void {
    this.#ready = false;
  }

  services(): Promise<Readonly<Record<string, ServiceHealth>>> {
    const now = this.options.now();
    // One measurement serves all who ask meanwhile: the route is public and must not become a lever.
    if (!this.#measured || Math.abs(now - this.#measured.at) > FRESH) {
      this.#measured = { at: now, states: this.#measure() };
    }
    return this.#measured.states;
  }

  async metrics(): Promise<{ text: string; contentType: string }> {
    const { registry, metrics } = this.options;
    if (!metrics) throw new GatewayError("NOT_FOUND", "metrics are switched off (metrics.enabled)");
    return { text: await registry.metrics(), contentType: registry.contentType };
  }

  async #measure(): Promise<Record<string, ServiceHealth>> {
    const states = await Promise.all(
      Object.entries(this.options.probes).map(async ([name, probe]) => [name, await withDeadline(probe)] as const),
    );
    return Object.fromEntries(states);
  }
}

async function withDeadline(probe: Probe): Promise<ServiceHealth> {
  const deadline = AbortSignal.timeout(PROBE_DEADLINE);
  const { promise, resolve } = Promise.withResolvers<ServiceHealth>();
  deadline.addEventListener("abort", () => resolve({ status: "down", driver: "unknown", reason: "no answer in time" }));
  return await Promise.race([probe(deadline), promise]);
}
