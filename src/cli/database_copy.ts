import { Command, Option } from "commander";
import type { FileFormat } from "../contracts/database_files.ts";
import { GatewayError } from "../contracts/errors.ts";
import { CommandError, err, out } from "./output.ts";
import { callGateway, type RemoteFlags, withRemoteFlags } from "./remote.ts";

const SCOPE = "the scope sql:admin";
const TYPES = { sqlite: "application/vnd.sqlite3", sql: "application/sql" } as const;

/** `database backup`: downloads a database as a SQLite file. */
export const backupCommand = (): Command =>
  withRemoteFlags(new Command("backup"), SCOPE)
    .description("Download a namespace's database as a SQLite file, as it is at one moment.")
    .argument("[file]", "where to write it; without it, or -, to standard output")
    .action((file: string | undefined, flags: RemoteFlags) => download(flags, "sqlite", file));

/** `database export`: downloads a database as SQL text. */
export const exportCommand = (): Command =>
  withRemoteFlags(new Command("export"), SCOPE)
    .description("Download a namespace's database as SQL text that makes it again.")
    .argument("[file]", "where to write it; without it, or -, to standard output")
    .action((file: string | undefined, flags: RemoteFlags) => download(flags, "sql", file));

/** `database restore`: puts a database in the place of a namespace's. */
export const restoreCommand = (): Command =>
  withRemoteFlags(new Command("restore"), SCOPE)
    .description("Put a SQLite file, or SQL text, in the place of a namespace's database. What was in it is gone then.")
    .argument("<file>", "what `database backup` or `database export` wrote; - for standard input")
    .addOption(new Option("--format <format>", "default: by the name of the file").choices(["sqlite", "sql"]))
    .action(restore);

async function download(flags: RemoteFlags, format: FileFormat, file = "-"): Promise<void> {
  if (file === "-" && format === "sqlite" && Deno.stdout.isTerminal()) {
    throw new CommandError("give a file, or redirect standard output: a database is nothing for a terminal");
  }
  const response = await callGateway(flags, `/v1/rqlite/backup?format=${format}`, { method: "GET" });
  const body = response.body!;
  if (file === "-") return await whole(body.pipeTo(Deno.stdout.writable, { preventClose: true }));
  // Under its name there is never a part of one.
  const part = `${file}.part`;
  try {
    const target = await Deno.open(part, { create: true, truncate: true, write: true, mode: 0o600 });
    await whole(body.pipeTo(target.writable));
    await Deno.rename(part, file);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied
      ? new CommandError(`${file}: ${error.message}`)
      : error;
  }
  err(`${(await Deno.stat(file)).size} bytes in ${file}`);
}

async function whole(copied: Promise<void>): Promise<void> {
  try {
    await copied;
  } catch (cause) {
    if (cause instanceof Deno.errors.BrokenPipe || cause instanceof GatewayError) throw cause;
    throw new GatewayError("UNAVAILABLE", "the gateway broke off: what there is, is no backup; repeat the command", {
      cause,
    });
  }
}

async function restore(file: string, flags: RemoteFlags & { readonly format?: FileFormat }): Promise<void> {
  if (file === "-" && flags.keyFile === "-") throw new CommandError("only one of the two can be standard input");
  const format = flags.format ?? (file.toLowerCase().endsWith(".sql") ? "sql" : "sqlite");
  const body = file === "-" ? Deno.stdin.readable : (await open(file)).readable;
  const response = await callGateway(flags, "/v1/rqlite/restore", {
    method: "POST",
    headers: { "content-type": TYPES[format] },
    body,
  });
  out(JSON.stringify(await response.json()));
}

async function open(file: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(file);
  } catch (error) {
    throw new CommandError(`${file}: ${(error as Error).message}`);
  }
}
