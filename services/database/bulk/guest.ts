import type { StatementSync } from "node:sqlite";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { dropRights, type Guest, serve, watchParent } from "../../../src/hosts/guest.ts";
import { untag } from "../../../src/hosts/tagging.ts";
import type { BulkReport, BulkTask } from "./tasks.ts";
import type { SqlFault } from "../driver.ts";
import { faultOf } from "../faults.ts";
import { LIMITS_OF_GATED, openSqlite, type SqliteDatabase } from "../sqlite/node_sqlite.ts";
import { type Authority, authorize } from "../sqlite/authorizer.ts";
import { bind } from "../../sqlite/values.ts";

/**
 * Loads rows into a database beside the host that serves it: readers go on with what was there before, and writers wait. The
 * process ends with the load, and whatever ends it before the commit ends the load.
 */
export async function run(): Promise<void> {
  // It holds the lock of the database, and a trigger may have no end.
  watchParent();
  await serve(GUEST);
}

const GUEST: Guest = {
  work() {
    throw new Error("a load is a stream");
  },
  stream: (body) => load(body as BulkTask),
};

function* load(task: BulkTask): Generator<BulkReport> {
  let place: { before?: number; row?: number } = {};
  try {
    yield* loadAt(task, (at) => place = at);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const fault = error instanceof Error && "errcode" in error ? faultIn(message, task) : undefined;
    yield fault ? { kind: "fault", fault, ...place } : { kind: "trouble", message };
  }
}

function faultIn(message: string, { maxDatabaseBytes }: BulkTask): SqlFault | undefined {
  if (maxDatabaseBytes > 0 && message === "database or disk is full") {
    return { kind: "quota", message: `the database of this namespace may have ${maxDatabaseBytes} bytes` };
  }
  return faultOf(message);
}

function* loadAt(task: BulkTask, now: (place: { before?: number; row?: number }) => void): Generator<BulkReport> {
  using spool = Deno.openSync(task.spool);
  const db = open(task);
  try {
    dropRights();
    let authority: Authority = "own";
    db.setAuthorizer((action, first, second, _schema, trigger) => authorize(authority, action, first, second, trigger));
    db.prepare("BEGIN IMMEDIATE").run();
    for (const [before, { sql, args }] of task.before.entries()) {
      now({ before });
      db.prepare(sql).run(...bind(args));
    }
    now({ row: 1 });
    authority = "write";
    const insert = db.prepare(task.sql);
    let row = 0, rowsAffected = 0;
    for (const rows of rowsOf(spool)) {
      for (const values of rows) {
        now({ row: ++row });
        rowsAffected += changesOf(insert, values);
      }
      yield { kind: "rows", rows: row };
    }
    now({});
    authority = "own";
    if (task.key !== undefined) db.prepare(RECORD).run(`${rowsAffected}:0,`, task.key);
    yield { kind: "committing" };
    db.prepare("COMMIT").run();
    yield { kind: "done", rowsAffected };
  } finally {
    db.close();
  }
}

/** As the idempotency of other writes keeps its figures: changes and row id. */
const RECORD = "UPDATE _orama_idempotency SET figures = ? WHERE key = ?";

function open({ path, busyTimeout, synchronous, maxDatabaseBytes }: BulkTask): SqliteDatabase {
  const db = openSqlite(path, { timeout: busyTimeout, limits: LIMITS_OF_GATED });
  const settings = [`synchronous = ${synchronous}`, "foreign_keys = ON", "temp_store = MEMORY"];
  for (const setting of settings) db.prepare(`PRAGMA ${setting}`).all();
  if (maxDatabaseBytes > 0) {
    const { page_size: page } = db.prepare("PRAGMA page_size").get() as { page_size: number };
    db.prepare(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxDatabaseBytes / page))}`).all();
  }
  return db;
}

const changesOf = (insert: StatementSync, values: readonly SqlArgument[]): number =>
  Number(insert.run(...bind(values)).changes);

function* rowsOf(file: Deno.FsFile): Generator<SqlArgument[][]> {
  const decoder = new TextDecoder();
  const buffer = new Uint8Array(2 ** 20);
  let text = "";
  for (let n; (n = file.readSync(buffer)) !== null;) {
    text += decoder.decode(buffer.subarray(0, n), { stream: true });
    const lines = text.split("\n");
    text = lines.pop()!;
    for (const line of lines) yield untag(JSON.parse(line)) as SqlArgument[][];
  }
}
