/** The hidden command of the program that makes a process of it a host: `main.ts host <kind>`. */
export const HOST_COMMAND = "host";

/** What kinds of hosts there are; `src/cli/host.ts` knows what each runs. */
export type HostKind = "backup" | "sql" | "bulk" | "files" | "judge";
