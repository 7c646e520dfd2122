import { GatewayError } from "../../src/contracts/errors.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";
import type { ControlDatabase, ControlQuery, ControlResult } from "./control_database.ts";

/**
 * A control plane that may not be there yet. Until {@link ready} it answers `UNAVAILABLE` and touches nothing, so that
 * nobody meets tables that a migration has not made; the gateway serves meanwhile what needs no control plane.
 */
export class StartingControlDatabase implements ControlDatabase {
  #ready = false;

  constructor(private readonly inner: ControlDatabase) {}

  get db(): ControlDatabase["db"] {
    return this.inner.db;
  }

  /** From here on every call goes through. */
  ready(): void {
    this.#ready = true;
  }

  run<Row = Record<string, unknown>>(query: ControlQuery, signal?: AbortSignal): Promise<ControlResult<Row>> {
    return this.#ready ? this.inner.run<Row>(query, signal) : Promise.reject(notYet());
  }

  atomically(queries: readonly ControlQuery[], signal?: AbortSignal): Promise<ControlResult[]> {
    return this.#ready ? this.inner.atomically(queries, signal) : Promise.reject(notYet());
  }

  async health(signal: AbortSignal): Promise<ServiceHealth> {
    const health = await this.inner.health(signal);
    if (this.#ready || health.status === "down") return health;
    return { ...health, status: "down", reason: "its tables are not ready yet" };
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

const notYet = () => new GatewayError("UNAVAILABLE", "the control plane is not ready yet");
