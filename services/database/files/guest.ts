import { GatewayError } from "../../../src/contracts/errors.ts";
import { dropRights, type Guest, serve, watchParent } from "../../../src/hosts/guest.ts";
import { loadDump } from "./dump_loader.ts";
import { dumpOf } from "./dump_writer.ts";
import { CAUTION, checkDatabase, dropOwn } from "./check.ts";
import { HEADER_BYTES, headerProblem } from "./header.ts";
import type { DumpTask, FileReport, FileTask } from "./tasks.ts";
import { LIMITS_OF_GATED, openSqlite, type SqliteDatabase } from "../sqlite/node_sqlite.ts";
import { type Authority, authorize } from "../sqlite/authorizer.ts";

/**
 * Works on one file that a stranger may have made, in a process that keeps no right once the file is open: what gets the better
 * of SQLite gets nothing else.
 */
export async function run(): Promise<void> {
  // A gateway that is killed sets no deadline any more, and a statement of a dump may have no end.
  watchParent();
  await serve(GUEST);
}

const GUEST: Guest = {
  work(asked, answers) {
    for (const { id, body } of asked) {
      answers.flush();
      const task = body as FileTask;
      answers.answer(id, reportOf(() => work(task), task.kind === "load" && task.maxBytes > 0));
    }
  },
  stream: (body) => dump(body as DumpTask),
};

function work(task: FileTask): { readonly tables?: number } {
  switch (task.kind) {
    case "clean":
      return within(open(task.path), (db) => {
        dropRights();
        // A copy of a database in WAL mode says that it is in WAL mode.
        db.prepare("PRAGMA journal_mode = DELETE").all();
        dropOwn(db);
        return {};
      });
    case "check":
      checkHeader(task.path);
      return within(open(task.path), (db) => {
        dropRights();
        return checkDatabase(db);
      });
    case "settle":
      return settle(task.path);
    case "load":
      return load(task);
  }
}

function settle(path: string): Record<never, never> {
  try {
    return within(open(path), (db) => {
      dropRights();
      const { busy } = db.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get() as { busy: number };
      if (busy !== 0) throw new GatewayError("UNAVAILABLE", "somebody has the database open");
      return {};
    });
  } catch (error) {
    if (error instanceof Error && "errcode" in error && DAMAGED.has(Number(error.errcode) & 0xff)) return {};
    throw error;
  }
}

function* dump({ path }: DumpTask): Generator<string | FileReport> {
  try {
    const db = open(path);
    try {
      dropRights();
      yield* dumpOf(db);
    } finally {
      db.close();
    }
  } catch (error) {
    yield failure(error);
  }
}

function within<T>(db: SqliteDatabase, use: (db: SqliteDatabase) => T): T {
  try {
    return use(db);
  } finally {
    db.close();
  }
}

/** Bytes that SQLite may take for itself. */
const MEMORY = 2 ** 30;

function open(path: string): SqliteDatabase {
  const db = openSqlite(path, {
    // Loading a dump fills the tables behind full-text search, which are read-only otherwise.
    defensive: false,
    timeout: 0,
    limits: { ...LIMITS_OF_GATED, sqlLength: 256 * 2 ** 20 },
  });
  for (const setting of [...CAUTION, `PRAGMA hard_heap_limit = ${MEMORY}`]) db.prepare(setting).all();
  return db;
}

function checkHeader(path: string): void {
  const header = new Uint8Array(HEADER_BYTES);
  using file = Deno.openSync(path);
  let length = 0;
  for (let n; length < HEADER_BYTES && (n = file.readSync(header.subarray(length))) !== null;) length += n;
  const problem = headerProblem(header.subarray(0, length), file.statSync().size);
  if (problem !== undefined) {
    throw new GatewayError("INVALID_REQUEST", problem, { details: [{ field: "body", problem }] });
  }
}

/** Of a new file, until something else is asked for. */
const PAGE = 4096;

function load({ path, into, maxBytes }: FileTask & { readonly kind: "load" }): { readonly tables: number } {
  using file = Deno.openSync(path);
  return within(open(into), (db) => {
    dropRights();
    const settings = ["auto_vacuum = INCREMENTAL", "journal_mode = MEMORY", "synchronous = OFF", `page_size = ${PAGE}`];
    for (const setting of settings) db.prepare(`PRAGMA ${setting}`).all();
    if (maxBytes > 0) db.prepare(`PRAGMA max_page_count = ${Math.max(1, Math.floor(maxBytes / PAGE))}`).all();
    let authority: Authority = "own";
    db.setAuthorizer((action, first, second, _schema, trigger) => authorize(authority, action, first, second, trigger));
    db.prepare("BEGIN").run();
    authority = "write";
    loadDump(db, textsOf(file));
    authority = "own";
    db.prepare("COMMIT").run();
    return checkDatabase(db);
  });
}

function* textsOf(file: Deno.FsFile): Generator<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const buffer = new Uint8Array(2 ** 20);
  try {
    for (let n; (n = file.readSync(buffer)) !== null;) yield decoder.decode(buffer.subarray(0, n), { stream: true });
    yield decoder.decode();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new GatewayError("INVALID_REQUEST", "the dump must be text in UTF-8");
  }
}

/** @param bounded whether the database may have only so many bytes */
function reportOf(task: () => { readonly tables?: number }, bounded: boolean): FileReport {
  try {
    return { ok: true, ...task() };
  } catch (error) {
    return failure(error, bounded);
  }
}

/** SQLite's result codes for a file that is damaged, no database, or of another make (sqlite.org/rescode.html). */
const DAMAGED = new Set([1, 11, 26]);
const FULL = 13, NO_MEMORY = 7;

function failure(error: unknown, bounded = false): FileReport {
  if (error instanceof GatewayError) {
    return { ok: false, code: error.code, message: error.message, details: error.extra.details };
  }
  const message = error instanceof Error ? error.message : String(error);
  const code = error instanceof Error && "errcode" in error ? Number(error.errcode) & 0xff : 0;
  if (code === FULL && !bounded) return { ok: false, code: "NO_CAPACITY", message };
  if (code === FULL) {
    return { ok: false, code: "QUOTA_EXCEEDED", message: "the database would be larger than it may be" };
  }
  if (code === NO_MEMORY) return { ok: false, code: "INVALID_REQUEST", message: "the file takes too much memory" };
  return DAMAGED.has(code)
    ? { ok: false, code: "INVALID_REQUEST", message: `the file is damaged: ${message.slice(0, 500)}` }
    : { ok: false, code: "INTERNAL", message };
}
