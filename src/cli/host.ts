import type { HostKind } from "../hosts/kinds.ts";

/** What each kind of host runs. Loaded when asked for: a host starts with its own code alone. */
const PROGRAMS: Readonly<Partial<Record<HostKind, () => Promise<{ run(): Promise<void> }>>>> = {
  backup: () => import("../../services/database/sqlite/backup_host.ts"),
  sql: () => import("../../services/database/sqlite/host.ts"),
  judge: () => import("../../services/database/rqlite/judge_host.ts"),
  bulk: () => import("../../services/database/bulk/guest.ts"),
  egress: () => import("../../services/egress/process/host.ts"),
  files: () => import("../../services/database/files/guest.ts"),
  function: () => import("../../services/functions/guest/host.ts"),
};

/** Serves as a host, then ends the process: the hidden command `host <kind>`, which only the gateway calls. */
export async function runHost(kind: string | undefined): Promise<never> {
  const program = Object.hasOwn(PROGRAMS, kind ?? "") ? PROGRAMS[kind as HostKind] : undefined;
  if (!program) Deno.exit(2);
  await (await program()).run();
  // The thread that watches the parent would go on.
  Deno.exit(0);
}

// Run from the sources a host is this file, which loads in half the time that main.ts takes.
if (import.meta.main) await runHost(Deno.args[1]);
