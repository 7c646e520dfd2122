import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { AuditEntry } from "../../../services/control_plane/audit.ts";
import type { FilesDriver } from "../../../services/database/files/driver.ts";
import { SqlDatabaseFiles, type SqlDatabaseFilesOptions } from "../../../services/database/files/service.ts";
import { Turns } from "../../../services/database/files/turns.ts";
import { DEFAULT_RULES } from "../../../services/database/runner.ts";
import { emptyDatabaseFile } from "../../../services/database/sqlite/node_sqlite.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";

const ACTOR = { subject: "0xa" };
const request = (signal = new AbortController().signal) => ({ requestId: "test", signal, clientAddress: "127.0.0.1" });
const body = (...pieces: readonly (string | Uint8Array)[]) =>
  ReadableStream.from(pieces.map((piece) => typeof piece === "string" ? new TextEncoder().encode(piece) : piece));

const is = (code: ErrorCode, sentence = /./) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  ok(sentence.test(error.message), error.message);
  return true;
};

/** Copies of empty databases, which are there at once unless a test says otherwise. */
class EmptyDatabases implements FilesDriver {
  /** Namespaces whose copy is being made. */
  readonly saving = new Map<string, () => void>();
  slow = false;
  replacing: () => Promise<void> = () => Promise.resolve();

  async save(namespace: string, path: string): Promise<void> {
    if (this.slow) await new Promise<void>((resolve) => this.saving.set(namespace, resolve));
    await Deno.writeFile(path, emptyDatabaseFile());
  }
  replace(): Promise<void> {
    return this.replacing();
  }
}

function test(
  name: string,
  run: (
    driver: EmptyDatabases,
    open: (options?: Partial<SqlDatabaseFilesOptions>) => SqlDatabaseFiles,
    folder: string,
  ) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir();
    const driver = new EmptyDatabases();
    try {
      await run(driver, (options) => new SqlDatabaseFiles({ driver, folder, turns: new Turns(), ...options }), folder);
      deepEqual([...Deno.readDirSync(folder)], [], "nothing is left behind");
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** Makes a copy and reads it. */
async function backUp(files: SqlDatabaseFiles, namespace: string, signal?: AbortSignal): Promise<void> {
  const { chunks } = await files.backup(namespace, "sqlite", request(signal));
  await Array.fromAsync(chunks);
}

test("whoever finds all places taken waits for one, in turn, and not for ever", async (driver, open, folder) => {
  const files = open();
  driver.slow = true;
  const eight = awaitedLater(Array.from({ length: 8 }, (_, at) => backUp(files, `n${at}`)));
  await until("eight are at work", () => driver.saving.size === 8);
  /** One job more, which comes as far as it can. */
  const begin = async (namespace: string, signal?: AbortSignal) => {
    const jobs = [...Deno.readDirSync(folder)].length;
    const job = awaitedLater(backUp(files, namespace, signal));
    await until("it has begun", () => [...Deno.readDirSync(folder)].length > jobs);
    return { job };
  };
  const gone = new AbortController();
  const next = await begin("next"), left = await begin("left", gone.signal), last = await begin("last");
  gone.abort();
  await rejects(left.job, { name: "AbortError" });
  equal(driver.saving.size, 8);
  for (const [namespace, end] of [...driver.saving]) {
    driver.saving.delete(namespace);
    end();
  }
  await until("those that waited are at work", () => driver.saving.size === 2);
  deepEqual([...driver.saving.keys()], ["next", "last"]);
  driver.saving.forEach((end) => end());
  await Promise.all([...eight, next.job, last.job]);

  const impatient = open({ patience: 10 });
  driver.saving.clear();
  const again = awaitedLater(Array.from({ length: 8 }, (_, at) => backUp(impatient, `n${at}`)));
  await until("eight are at work", () => driver.saving.size === 8);
  await rejects(backUp(impatient, "next"), is("NO_CAPACITY", /too many backups and restores/));
  driver.saving.forEach((end) => end());
  await Promise.all(again);
  driver.slow = false;
  await backUp(impatient, "next");
});

test("an upload leaves room on the disk for the databases", async (_driver, open) => {
  const mebibyte = new Uint8Array(2 ** 20).fill(0x20);
  const disk = { free: 3 * 2 ** 30, total: 100 * 2 ** 30 };
  let looks = 0;
  const files = open({
    spaceAt: () => {
      looks++;
      disk.free -= 2 ** 30;
      return Promise.resolve(disk);
    },
  });
  const restore = (...pieces: (string | Uint8Array)[]) =>
    files.restore("shop", "sql", body(...pieces), ACTOR, request());
  await rejects(restore(...Array(20).fill(mebibyte)), is("NO_CAPACITY", /no room.*nothing was changed/));
  equal(looks, 3, "it was stopped in the middle");
  equal((await restore("CREATE TABLE t (a)")).tables, 1);
  Object.assign(disk, { free: 1.5 * 2 ** 30, total: 5 * 2 ** 30 });
  equal((await restore(mebibyte, mebibyte, "CREATE TABLE t (a)")).tables, 1, "a small disk need not keep so much");
});

test("text may have so many times the bytes of the database that it makes", async (_driver, open) => {
  const files = open({ rulesOf: () => ({ ...DEFAULT_RULES, maxDatabaseBytes: 2 * 2 ** 20 }) });
  const long = Array(66).fill(`CREATE TABLE IF NOT EXISTS t (a /*${" ".repeat(2 ** 19)}*/);`);
  const restore = (...pieces: (string | Uint8Array)[]) =>
    files.restore("shop", "sql", body(...pieces), ACTOR, request());
  await rejects(
    restore(...long),
    is("QUOTA_EXCEEDED", /2097152 bytes, and SQL text .* 33554432/),
  );
  equal((await restore(...long.slice(4))).tables, 1);
});

test("a few words that make more than the disk has room for are not the client's fault", async (_driver, open) => {
  const text =
    "CREATE TABLE t (a);\nINSERT INTO t WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 40) " +
    "SELECT randomblob(1000000) FROM c;";
  const restore = (files: SqlDatabaseFiles) => files.restore("shop", "sql", body(text), ACTOR, request());
  const full = open({ spaceAt: () => Promise.resolve({ free: 0, total: 2 ** 40 }) });
  await rejects(restore(full), is("NO_CAPACITY", /no room/));
  const bounded = open({ rulesOf: () => ({ ...DEFAULT_RULES, maxDatabaseBytes: 10 * 2 ** 20 }) });
  await rejects(restore(bounded), is("QUOTA_EXCEEDED"));
  equal((await restore(open())).tables, 1);
});

test("the folder may be behind a link", async (_driver, open, folder) => {
  const link = `${folder}/link`;
  await Deno.mkdir(`${folder}/real`);
  await Deno.symlink(`${folder}/real`, link);
  const files = open({ folder: link });
  const restore = (format: "sql" | "sqlite", text: string | Uint8Array) =>
    files.restore("shop", format, body(text), ACTOR, request());
  equal((await restore("sqlite", emptyDatabaseFile())).tables, 0);
  equal((await restore("sql", "CREATE TABLE t (a)")).tables, 1);
  await backUp(files, "shop");
  for (const name of ["link", "real"]) await Deno.remove(`${folder}/${name}`);
});

test("a restore of which nobody knows whether it happened is recorded as such", async (driver, open) => {
  const acts: AuditEntry[] = [];
  const files = open({ record: (entry) => Promise.resolve(void acts.push(entry)) });
  const restore = () => files.restore("shop", "sqlite", body(emptyDatabaseFile()), ACTOR, request());
  for (const code of ["UNAVAILABLE", "OUTCOME_UNKNOWN"] as const) {
    driver.replacing = () => Promise.reject(new GatewayError(code, "for the test"));
    await rejects(restore(), is(code));
  }
  driver.replacing = () => Promise.resolve();
  const { bytes } = await restore();
  deepEqual(acts.map(({ details }) => details), [
    { format: "sqlite", tables: 0, bytes, outcome: "unknown" },
    { format: "sqlite", tables: 0, bytes },
  ]);
});
