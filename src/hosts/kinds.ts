/**
 * The hidden command of the program that makes a process of it a host: `main.ts host <kind> <parent>`. The parent is the id of
 * the process that started it, and for whose death it looks.
 */
export const HOST_COMMAND = "host";

/** What kinds of hosts there are; `src/cli/host.ts` knows what each runs. */
export type HostKind = "backup" | "sql" | "bulk" | "egress" | "files" | "function" | "judge";
