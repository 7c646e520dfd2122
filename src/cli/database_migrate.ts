import { Command } from "commander";
import { GatewayError } from "../contracts/errors.ts";
import { CommandError, err, out } from "./output.ts";
import { callGateway, known, type RemoteFlags, withRemoteFlags } from "./remote.ts";

interface Flags extends RemoteFlags {
  readonly dir: string;
  readonly dryRun?: boolean;
  readonly target?: number;
}

interface MigrationFile {
  readonly version: number;
  readonly name: string;
  readonly sql: string;
}

/** What the gateway answers, as far as it is looked at here. */
interface Report {
  readonly version: number;
  readonly migrations: readonly { readonly version: number; readonly name: string; readonly state: string }[];
  readonly problem?: {
    readonly version: number;
    readonly statement?: number;
    readonly code: string;
    readonly message: string;
  };
}

/** `0001_users.sql`, `2-orders.sql`. */
const FILE = /^0*([1-9]\d{0,8})[_-](.+)\.sql$/;

/** `database migrate`: applies a folder of numbered scripts by way of a running gateway. */
export const migrateCommand = (): Command =>
  withRemoteFlags(new Command("migrate"), "the scopes sql:admin and sql:write")
    .description(
      "Apply the numbered scripts of a folder (1_users.sql, 2_orders.sql …) to a namespace, each once, and print what became " +
        "of each as JSON, one a line. Safe to repeat.",
    )
    .requiredOption("--dir <folder>", "where the scripts are")
    .option("--dry-run", "tell what would be done, try it, and take it back")
    .option("--target <version>", "the last version to apply", version)
    .action(migrate);

async function migrate(flags: Flags): Promise<void> {
  const migrations = await readFolder(flags.dir);
  const { dryRun = false, target } = flags;
  const report = await post(flags, { migrations, dry_run: dryRun, target });
  for (const { version, name, state } of report.migrations) out(JSON.stringify({ version, name, state }));
  err(
    dryRun
      ? `the schema is at version ${report.version}; nothing was changed`
      : `the schema is at version ${report.version}`,
  );
  if (report.problem === undefined) return;
  const { version, statement, code, message } = report.problem;
  const place = statement === undefined ? "" : `, statement ${statement + 1}`;
  throw new GatewayError(known(code), `migration ${version}${place}: ${message}`);
}

/** By version. */
async function readFolder(dir: string): Promise<MigrationFile[]> {
  const files: MigrationFile[] = [];
  try {
    for await (const { name: file } of Deno.readDir(dir)) {
      if (!file.endsWith(".sql")) continue;
      const [, version, name] = FILE.exec(file) ?? [];
      if (version === undefined || name === undefined) {
        throw new CommandError(
          `${file}: a script is named after its version and what it is about, such as 1_users.sql`,
        );
      }
      files.push({ version: Number(version), name, sql: await Deno.readTextFile(`${dir}/${file}`) });
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`--dir ${dir}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (files.length === 0) throw new CommandError(`--dir ${dir}: there is no script in it, such as 1_users.sql`);
  files.sort((a, b) => a.version - b.version);
  const twice = files.find(({ version }, at) => files[at + 1]?.version === version);
  if (twice) throw new CommandError(`--dir ${dir}: two scripts have the version ${twice.version}`);
  return files;
}

async function post(flags: Flags, body: unknown): Promise<Report> {
  const response = await callGateway(flags, "/v1/rqlite/migrations", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return await response.json();
}

function version(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new CommandError(`--target ${text}: expected a version, such as 3`);
}
