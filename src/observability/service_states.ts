import { Gauge, type Registry } from "prom-client";
import type { ServiceHealth } from "../contracts/health.ts";

/** The state of each service as a figure, measured when it is scraped. */
export function serviceStates(
  registry: Registry,
  system: { services(): Promise<Readonly<Record<string, ServiceHealth>>> },
): void {
  new Gauge({
    name: "service_up",
    help: "Whether a service answers: 1 ok, 0.5 degraded, 0 down.",
    labelNames: ["service", "driver"],
    registers: [registry],
    async collect() {
      this.reset();
      for (const [service, { status, driver }] of Object.entries(await system.services())) {
        this.set({ service, driver }, status === "ok" ? 1 : status === "degraded" ? 0.5 : 0);
      }
    },
  });
}
