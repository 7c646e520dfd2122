import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import type { DriverEvent } from "../contracts/observation.ts";

/** Makes the metrics of what goes on within drivers and returns what feeds them. */
export function driverMetrics(registry: Registry): (event: DriverEvent) => void {
  const registers = [registry];
  const groups = new Histogram({
    name: "sql_group_statements",
    help: "How many statements (embedded: requests) of different callers went to the database together.",
    labelNames: ["access"],
    buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
    registers,
  });
  const hosts = new Gauge({ name: "sql_hosts", help: "Child processes that run SQL, spare ones included.", registers });
  const ended = new Counter({
    name: "sql_hosts_ended_total",
    help: "Child processes that ended: for a statement's deadline, by a crash, to make room, unused, at shutdown.",
    labelNames: ["reason"],
    registers,
  });
  const stuck = new Gauge({
    name: "sql_cluster_stuck",
    help: "1 while a cluster, of the pool or the control plane's, does not come back from a statement.",
    labelNames: ["cluster"],
    registers,
  });
  return (event) => {
    switch (event.kind) {
      case "group":
        return groups.observe({ access: event.access }, event.statements);
      case "host_started":
        return hosts.inc();
      case "host_ended":
        hosts.dec();
        return ended.inc({ reason: event.reason });
      case "stuck":
        return stuck.set({ cluster: event.cluster }, event.stuck ? 1 : 0);
    }
  };
}
