import { Host, type HostListeners } from "../../../../src/hosts/host.ts";
import type { HostProgram } from "../../../../src/hosts/spawn.ts";
import type { TestOrder } from "./guest.ts";

/** The host of the tests. */
export const PROGRAM: HostProgram = { kind: "sql", script: new URL("./guest.ts", import.meta.url).href };

/** Milliseconds that no test reaches. */
export const LONG = 30_000;

/** Asks a host for one answer. */
export const ask = (host: Host, order: TestOrder, timeout = LONG) => host.request(order, timeout);

/** Runs something with a host that is up, and sees it gone. */
export async function withHost(
  run: (host: Host) => Promise<void>,
  listeners: Partial<HostListeners> = {},
  program = PROGRAM,
): Promise<void> {
  const host = Host.start(program, { onLine: () => {}, ...listeners });
  try {
    await ask(host, { do: "echo" });
    await run(host);
  } finally {
    host.kill("closed");
    await host.ended;
  }
}

/** Whether a process is there (Linux). */
export function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(Deno.readTextFileSync(`/proc/${pid}/status`));
  } catch {
    return false;
  }
}
