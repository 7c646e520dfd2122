import { deepEqual, equal, rejects } from "node:assert/strict";
import type { BulkReport, BulkTask } from "../../../services/database/bulk/tasks.ts";
import type { DumpTask, FileReport, FileTask } from "../../../services/database/files/tasks.ts";
import type { BackupReply } from "../../../services/database/sqlite/backup.ts";
import type { OpenOrder, OpenReply } from "../../../services/database/sqlite/messages.ts";
import { emptyDatabaseFile, openSqlite } from "../../../services/database/sqlite/node_sqlite.ts";
import { Host, HostEnded } from "../../../src/hosts/host.ts";
import type { HostKind } from "../../../src/hosts/kinds.ts";

const LONG = 30_000;
const BOUNDS = { timeout: LONG, patience: LONG };

/** A process that may touch all of a folder until it gives its rights back, as a spare may. */
function test(name: string, kind: HostKind, run: (start: () => Host, folder: string) => Promise<void>): void {
  Deno.test(name, async () => {
    const folder = await Deno.realPath(await Deno.makeTempDir());
    const hosts: Host[] = [];
    const start = () => {
      const host = Host.start({ kind, rights: { read: [folder], write: [folder] } }, { onLine: () => {} });
      hosts.push(host);
      return host;
    };
    try {
      await run(start, folder);
    } finally {
      for (const host of hosts) host.kill("closed");
      await Promise.all(hosts.map(({ ended }) => ended));
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** A database with a table, in one file. */
function makeDatabase(path: string): Uint8Array {
  Deno.writeFileSync(path, emptyDatabaseFile());
  const db = openSqlite(path, { timeout: 0, limits: { attach: 0, length: 1e6, sqlLength: 1e6, triggerDepth: 1 } });
  db.exec("CREATE TABLE t (a); CREATE TABLE _orama_own (a)");
  db.close();
  return Deno.readFileSync(path);
}

const isThere = (path: string) => Deno.stat(path).then(() => true, () => false);

test("an SQL host opens one file in its life", "sql", async (start, folder) => {
  const host = start();
  const open = (name: string) =>
    host.request(
      {
        op: "open",
        path: `${folder}/${name}`,
        settings: { synchronous: "FULL", busyTimeout: 0, memory: 2 ** 26 },
        instance: "test",
      } satisfies OpenOrder,
      LONG,
    ) as Promise<OpenReply>;
  equal((await open("a.sqlite")).kind, "opened");
  await rejects(open("b.sqlite"), HostEnded);
  equal(await host.ended, "crashed");
  equal(await isThere(`${folder}/b.sqlite`), false);
});

const FIRST: Readonly<Record<string, (a: string, folder: string) => FileTask | DumpTask>> = {
  clean: (path) => ({ kind: "clean", path }),
  check: (path) => ({ kind: "check", path }),
  settle: (path) => ({ kind: "settle", path }),
  load: (_path, folder) => ({ kind: "load", path: `${folder}/text`, into: `${folder}/loaded.sqlite`, maxBytes: 0 }),
  dump: (path) => ({ kind: "dump", path }),
};

for (const [name, first] of Object.entries(FIRST)) {
  test(`a process that works on a file (${name}) reaches no other one behind it`, "files", async (start, folder) => {
    const host = start();
    makeDatabase(`${folder}/a.sqlite`);
    const before = makeDatabase(`${folder}/b.sqlite`);
    await Deno.writeTextFile(`${folder}/text`, "CREATE TABLE t (a);");
    const task = first(`${folder}/a.sqlite`, folder);
    if (task.kind === "dump") {
      const items = await Array.fromAsync(host.stream(task, BOUNDS));
      equal(items.every((item) => typeof item === "string"), true);
    } else {
      equal((await host.request(task, LONG) as FileReport).ok, true);
    }
    // Alone it would change the file.
    const report = await host.request({ kind: "clean", path: `${folder}/b.sqlite` } satisfies FileTask, LONG);
    equal((report as FileReport).ok, false);
    deepEqual(await Deno.readFile(`${folder}/b.sqlite`), before);
  });
}

test("a process that loads rows reaches no other database behind it", "bulk", async (start, folder) => {
  const host = start();
  for (const name of ["a", "b"]) makeDatabase(`${folder}/${name}.sqlite`);
  const before = await Deno.readFile(`${folder}/b.sqlite`);
  await Deno.writeTextFile(`${folder}/rows`, "[[1],[2]]\n");
  const load = async (name: string) => {
    const task: BulkTask = {
      path: `${folder}/${name}.sqlite`,
      sql: "INSERT INTO t VALUES (?)",
      spool: `${folder}/rows`,
      before: [],
      key: undefined,
      synchronous: "FULL",
      busyTimeout: 0,
      maxDatabaseBytes: 0,
    };
    const reports = await Array.fromAsync(host.stream(task, BOUNDS)) as BulkReport[];
    return reports.at(-1)?.kind;
  };
  equal(await load("a"), "done");
  equal(await load("b"), "trouble");
  deepEqual(await Deno.readFile(`${folder}/b.sqlite`), before);
});

test("a process that copies a database makes no second copy", "backup", async (start, folder) => {
  const host = start();
  for (const name of ["a", "b"]) makeDatabase(`${folder}/${name}.sqlite`);
  const copy = (from: string, to: string) =>
    host.request({ from: `${folder}/${from}`, to: `${folder}/${to}`, busyTimeout: 0 }, LONG) as Promise<BackupReply>;
  equal((await copy("a.sqlite", "copy.sqlite")).kind, "done");
  await rejects(copy("b.sqlite", "stolen.sqlite"), HostEnded);
  equal(await isThere(`${folder}/stolen.sqlite`), false);
});
