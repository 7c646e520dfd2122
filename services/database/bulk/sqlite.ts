import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { Host, HostEnded } from "../../../src/hosts/host.ts";
import type { LargeLoad, LargeLoads } from "./large.ts";
import type { BulkReport, BulkTask } from "./tasks.ts";
import { withRow } from "./rows.ts";
import type { DriverReply, GatedStatement } from "../driver.ts";
import { errorOf } from "../faults.ts";
import type { OnceReply } from "../idempotency.ts";
import { assertRoom, noRoom, type SpaceAt } from "../room.ts";
import { FULL, isDiskFull } from "../sqlite/full.ts";
import { filesOf, namespaceFile } from "../sqlite/namespace_file.ts";
import type { Asked, Ran } from "../runner.ts";
import type { Turns } from "../files/turns.ts";
import { runUnits } from "../units.ts";

/** Where databases and rows on their way lie, and how databases are kept. */
export interface SqliteLargeLoadsOptions extends Pick<BulkTask, "synchronous" | "busyTimeout"> {
  /** The folder of all databases. */
  readonly dir: string;
  /** For rows on their way. */
  readonly folder: string;
  /** Shared with whoever else opens files of namespaces in processes of its own. */
  readonly turns: Turns;
  /** Told of a namespace when its database has changed, or may have. */
  readonly changed: (namespace: string) => void;
  /** Told what the processes write to standard error. */
  readonly onLine: (line: string) => void;
  /** The space of the disk that a file is on. Default: as the system tells it. */
  readonly spaceAt?: SpaceAt;
}

/** Milliseconds that the gateway may leave a loading process waiting. */
const PATIENCE = 30_000;

/** Large loads into SQLite files: a process of its own opens the namespace's file beside its host, for this load alone. */
export class SqliteLargeLoads implements LargeLoads {
  readonly folder: string;
  readonly #options: SqliteLargeLoadsOptions;

  constructor(options: SqliteLargeLoadsOptions) {
    this.folder = options.folder;
    this.#options = options;
  }

  async run(
    load: LargeLoad,
    { runner, idempotent }: Parameters<LargeLoads["run"]>[1],
    request: RequestContext,
  ): Promise<{ readonly rowsAffected: number; readonly replayed: boolean }> {
    const { namespace, statements, once, timeout } = load;
    // Stands for all rows where they are one statement among others.
    const rows = statements.ofOne();
    const loading = {
      run: (asked: Asked, context: RequestContext, options: { readonly timeout?: number | undefined }) =>
        asked.statements.includes(rows)
          ? this.#options.turns.run(namespace, () => this.#apply(load, rows, asked, context))
            .finally(() => this.#options.changed(namespace))
          : runner.run(asked, context, options),
    };
    const units = [{ statement: rows }];
    const reply: OnceReply = once
      ? await idempotent.run({ namespace, units, ...once }, request, { timeout }, loading)
      : await runUnits(loading, { namespace, units }, request, { timeout });
    if (reply.kind === "rolled_back") throw errorOf(reply.fault);
    const replayed = reply.kind === "replayed";
    const [result] = replayed
      ? reply.results
      : reply.outcomes.map((outcome) => outcome.ok ? outcome.result : undefined);
    return { rowsAffected: result?.rowsAffected ?? 0, replayed };
  }

  async #apply(load: LargeLoad, rows: GatedStatement, asked: Asked, { signal }: RequestContext): Promise<Ran> {
    const named = `${this.#options.dir}/${namespaceFile(load.namespace)}`;
    await assertExists(named, load);
    // The rights of a process are for the file itself, not for a name of it.
    const path = await Deno.realPath(named);
    const { size } = await Deno.stat(load.spool.path);
    // Its rows are written twice: to the log of the database, and from there to its file.
    await assertRoom(load.spool.path, 2 * size, this.#options.spaceAt);
    const at = asked.statements.indexOf(rows);
    const { synchronous, busyTimeout, onLine } = this.#options;
    const host = Host.start({
      kind: "bulk",
      rights: { read: [load.spool.path, ...filesOf(path)], write: filesOf(path) },
    }, { onLine });
    const task: BulkTask = {
      path,
      sql: rows.sql,
      spool: load.spool.path,
      before: asked.statements.slice(0, at).map(({ sql, args }) => ({ sql, args })),
      key: load.once?.key,
      synchronous,
      busyTimeout,
      maxDatabaseBytes: load.rules.maxDatabaseBytes,
    };
    const kill = () => host.kill("closed");
    signal.addEventListener("abort", kill, { once: true });
    let last: BulkReport | undefined;
    try {
      signal.throwIfAborted();
      for await (const item of host.stream(task, { timeout: load.timeout, patience: PATIENCE })) {
        last = item as BulkReport;
      }
    } catch (error) {
      throw last?.kind === "committing" ? outcomeUnknown(error) : brokenOff(error, signal);
    } finally {
      signal.removeEventListener("abort", kill);
      host.kill("closed");
      await host.ended;
    }
    if (metFullDisk(last, path, task)) throw noRoom(new Error(`${path}: ${FULL}`));
    return { reply: replyOf(last, asked, at), level: "strong" };
  }
}

function metFullDisk(last: BulkReport | undefined, path: string, { maxDatabaseBytes }: BulkTask): boolean {
  if (last?.kind === "trouble") return last.message.startsWith(FULL);
  return last?.kind === "fault" && last.fault.kind === "quota" && isDiskFull(path, maxDatabaseBytes);
}

function replyOf(last: BulkReport | undefined, { statements }: Asked, at: number): DriverReply {
  switch (last?.kind) {
    case "done": {
      const { rowsAffected } = last;
      const outcomes = statements.map((_, index) => ({
        ok: true as const,
        result: { rowsAffected: index === at ? rowsAffected : 0, lastInsertId: 0 },
      }));
      return { kind: "done", outcomes };
    }
    case "fault":
      if (last.before !== undefined) return { kind: "rolled_back", fault: last.fault, step: last.before };
      throw withRow(last.fault, last.row);
    default:
      throw unavailable(new Error(last?.kind === "trouble" ? last.message : "the load ended without a word"));
  }
}

/** A database that nobody has written to yet has no file, and no process may make one in its host's place. */
async function assertExists(path: string, { statements }: LargeLoad): Promise<void> {
  try {
    await Deno.stat(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new GatewayError("SQL_INVALID", `no such table: ${statements.table}`);
  }
}

function brokenOff(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  if (!(error instanceof HostEnded)) return error;
  return error.reason === "deadline"
    ? new GatewayError("STATEMENT_TIMEOUT", "the load ran longer than it may, and was stopped; nothing of it is kept")
    : unavailable(error);
}

const outcomeUnknown = (cause: unknown) =>
  new GatewayError("OUTCOME_UNKNOWN", "the load was broken off while it was committed, and may have been applied", {
    cause,
  });
const unavailable = (cause: unknown) =>
  new GatewayError("UNAVAILABLE", "the rows could not be loaded now; nothing of them is kept", { cause });
