import { deepEqual, equal, ok } from "node:assert/strict";
import { SqlDatabase } from "../../../services/database/database.ts";
import type { DriverEvent, DriverRequest } from "../../../services/database/driver.ts";
import { judge } from "../../../services/database/gate/gate.ts";
import { namespaceFile } from "../../../services/database/sqlite/namespace_file.ts";
import { SqliteDriver, type SqliteDriverOptions } from "../../../services/database/sqlite/driver.ts";
import type { SqlArgument, TransactionOptions, TransactionStep } from "../../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { CAN_SEE_PROCESSES, hostOf } from "../../support/host_processes.ts";

const REQUEST = { requestId: "test", signal: new AbortController().signal, clientAddress: "" };

const exec = (sql: string, ...args: SqlArgument[]): TransactionStep => ({ kind: "exec", sql, args });

/** Two halves that must not come apart: a row, and the number of all rows. */
const pair = (id: number): TransactionStep[] => [
  exec("INSERT INTO log VALUES (?)", id),
  exec("UPDATE total SET n = n + 1 WHERE one = 1"),
];

/** A folder of databases of which one is used, by as many gateways as a test likes. */
class Place {
  readonly groups: number[] = [];
  readonly driver: SqliteDriver;
  readonly db: SqlDatabase;

  constructor(readonly dir: string, options: Partial<SqliteDriverOptions> = {}) {
    const observe = (event: DriverEvent) => void (event.kind === "group" && this.groups.push(event.statements));
    this.driver = new SqliteDriver({ dir, observe, hosts: { spares: 0 }, ...options });
    this.db = this.gateway();
  }

  gateway(): SqlDatabase {
    return new SqlDatabase(this.driver);
  }

  async prepare(): Promise<void> {
    await this.db.transaction("a", [
      exec("CREATE TABLE log (id INTEGER PRIMARY KEY)"),
      exec("CREATE TABLE total (one INTEGER PRIMARY KEY, n INTEGER)"),
      exec("INSERT INTO total VALUES (1, 0)"),
      exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a)"),
    ], REQUEST);
    // Has the table of keys made.
    await this.db.execute("a", { sql: "DELETE FROM t", args: [] }, REQUEST, { idempotencyKey: "first" });
    this.groups.length = 0;
  }

  /** What a transaction came to: its figures, or the code of its error. */
  async run(steps: readonly TransactionStep[], options: TransactionOptions = {}, db = this.db): Promise<unknown> {
    try {
      const { steps: results, replayed } = await db.transaction("a", steps, REQUEST, options);
      return replayed ? "replayed" : results.map((one) => one.kind === "exec" && one.result.rowsAffected);
    } catch (error) {
      ok(error instanceof GatewayError, String(error));
      return error.code satisfies ErrorCode;
    }
  }

  async rows(sql: string) {
    return (await this.db.query("a", { sql, args: [] }, REQUEST)).rows;
  }

  async pid(): Promise<number> {
    let pid: number | undefined;
    await until(
      "the host has opened its file",
      () => (pid = hostOf(Deno.pid, `${this.dir}/${namespaceFile("a")}`)) !== undefined,
    );
    return pid!;
  }
}

function test(name: string, run: (place: Place) => Promise<void>, options: Partial<SqliteDriverOptions> = {}): void {
  Deno.test(name, { ignore: !CAN_SEE_PROCESSES }, async () => {
    const folder = await Deno.makeTempDir();
    const place = new Place(`${folder}/namespaces`, options);
    try {
      await place.prepare();
      await run(place);
    } finally {
      await place.driver.close();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("transactions and writes with keys of many callers share commits", async (place) => {
  const ids = Array.from({ length: 60 }, (_, id) => id);
  const plain = await Promise.all(ids.map((id) => place.run(pair(id))));
  ok(Math.max(...place.groups) > 10, String(place.groups));
  place.groups.length = 0;
  const keyed = await Promise.all(ids.map((id) => place.run(pair(100 + id), { idempotencyKey: `k${id}` })));
  deepEqual([...plain, ...keyed], Array(120).fill([1, 1]));
  ok(Math.max(...place.groups) > 10, String(place.groups));
  place.groups.length = 0;
  const again = await Promise.all(ids.map((id) => place.run(pair(100 + id), { idempotencyKey: `k${id}` })));
  deepEqual(again, Array(60).fill("replayed"));
  deepEqual(await place.rows("SELECT n, (SELECT count(*) FROM log) FROM total"), [[120, 120]]);
});

test("the same key from two gateways at once is applied once", async (place) => {
  const gateways = [place.db, place.gateway()];
  for (let round = 0; round < 20; round++) {
    const key = { idempotencyKey: `k${round}` };
    const results = await Promise.all(gateways.map((db) => place.run(pair(round), key, db)));
    deepEqual(results.map(String).sort(), ["1,1", "replayed"]);
  }
  deepEqual(await place.rows("SELECT n, (SELECT count(*) FROM log) FROM total"), [[20, 20]]);
  ok(place.groups.some((size) => size === 2), String(place.groups));
});

test("no transaction is lost, doubled or halved while the host is killed again and again", async (place) => {
  const acknowledged = new Set<number>(), unknown = new Set<number>(), strange = new Set<unknown>();
  let next = 0, going = true;
  const client = async () => {
    while (going) {
      const id = next++;
      const result = await place.run(pair(id));
      if (String(result) === "1,1") acknowledged.add(id);
      else if (result === "OUTCOME_UNKNOWN") unknown.add(id);
      else if (result !== "UNAVAILABLE") strange.add(result);
      // After so many crashes in a row it may have to wait.
      if (typeof result === "string") await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  const clients = awaitedLater(Array.from({ length: 16 }, client));
  for (let kills = 0; kills < 6; kills++) {
    const before = acknowledged.size;
    await until("it goes on", () => acknowledged.size > before + 200 || strange.size > 0);
    Deno.kill(await place.pid(), "SIGKILL");
  }
  going = false;
  await Promise.all(clients);
  await until("it answers", async () => (await place.rows("SELECT 1").catch(() => undefined)) !== undefined);
  deepEqual(strange, new Set());
  const there = new Set((await place.rows("SELECT id FROM log")).map(([id]) => Number(id)));
  deepEqual(await place.rows("SELECT n FROM total"), [[there.size]]);
  deepEqual([...acknowledged].filter((id) => !there.has(id)), [], "what was acknowledged is there");
  deepEqual([...there].filter((id) => !acknowledged.has(id) && !unknown.has(id)), [], "what was refused is not");
  ok(place.groups.some((size) => size > 4), "they were grouped");
});

test("of a group whose host stands still, one is told that its time is over, and the others are asked again", async (place) => {
  Deno.kill(await place.pid(), "SIGSTOP");
  const results = await Promise.all(
    Array.from({ length: 20 }, (_, id) => place.run(pair(id), { timeout: id === 0 ? 200 : 20_000 })),
  );
  deepEqual(results, ["STATEMENT_TIMEOUT", ...Array(19).fill([1, 1])]);
  deepEqual(await place.rows("SELECT n, (SELECT count(*) FROM log), (SELECT min(id) FROM log) FROM total"), [
    [19, 19, 1],
  ]);
});

/** Takes SQLite for ever to compile. */
let bomb = "SELECT 1 AS a, 2 AS b";
for (let i = 0; i < 40; i++) bomb = `SELECT a + b AS a, a - b AS b FROM (${bomb})`;

test("what does not end to be compiled costs nobody else an answer", async (place) => {
  await place.run([exec(`CREATE VIEW nested AS ${bomb}`)]);
  const bombs = [`INSERT INTO t (a) SELECT a FROM (${bomb})`, "INSERT INTO t (a) SELECT a FROM nested"];
  for (const [round, sql] of bombs.entries()) {
    const ids = [0, 1, 2, 3, 4, 5].map((id) => round * 10 + id);
    const timeout = 300;
    const results = await Promise.all([
      place.run([exec(sql)], { timeout }),
      ...ids.slice(0, 3).map((id) => place.run(pair(id), { timeout })),
      place.run([...pair(99), exec(sql)], { timeout }),
      ...ids.slice(3).map((id) => place.run(pair(id), { timeout, idempotencyKey: `k${id}` })),
    ]);
    const over = "STATEMENT_TIMEOUT", done = [1, 1];
    deepEqual(results, [over, done, done, done, over, done, done, done], sql.slice(0, 40));
  }
  deepEqual(await place.rows("SELECT n, (SELECT count(*) FROM log) FROM total"), [[12, 12]]);
});

test("what was answered before is sent before anything is compiled", async (place) => {
  const run = (mode: DriverRequest["mode"], sql: string) =>
    place.driver.run({
      namespace: "a",
      mode,
      statements: [{ ...judge(sql), args: [] }],
      timeout: 300,
      level: "weak",
      ceiling: { rows: 1, bytes: 1_000 },
      maxDatabaseBytes: 0,
    });
  const read = () => run("read", "SELECT n FROM total WHERE one = 1");
  // Known to be short.
  for (let i = 0; i < 3; i++) await read();
  const replies = await Promise.all([
    read(),
    run("write", `INSERT INTO t (a) SELECT a FROM (${bomb})`),
    run("write", "INSERT INTO log VALUES (1)"),
  ]);
  const faults = replies.map((reply) => reply.kind === "done" && reply.outcomes[0]?.ok === false);
  deepEqual(faults, [false, true, false]);
});

test("who needs more memory than there is fails alone, and undoes nobody else's", async (place) => {
  const bomb = exec("INSERT INTO t (a) VALUES (hex(hex(?)))", "x".repeat(2_000_000));
  const results = await Promise.all([
    place.run(pair(1)),
    place.run([...pair(2), bomb]),
    place.run(pair(3)),
    place.run(pair(4), { idempotencyKey: "k" }),
  ]);
  deepEqual(results, [[1, 1], "RESULT_TOO_LARGE", [1, 1], [1, 1]]);
  deepEqual(await place.rows("SELECT n, (SELECT group_concat(id) FROM log) FROM total"), [[3, "1,3,4"]]);
}, { memory: 6 * 2 ** 20 });

test("who has enough memory alone has it among others", async (place) => {
  const large = (byte: number) =>
    exec("INSERT OR REPLACE INTO t VALUES (1, ?)", new Uint8Array(2 * 2 ** 20).fill(byte));
  const overwrite = exec("UPDATE t SET a = ? WHERE id = 1", new Uint8Array(2 * 2 ** 20).fill(3));
  equal(String(await place.run([large(1)])), "1");
  const results = await Promise.all([place.run(pair(1)), place.run([...pair(2), overwrite]), place.run(pair(3))]);
  deepEqual(results, [[1, 1], [1, 1, 1], [1, 1]]);
  deepEqual(await place.rows("SELECT n, (SELECT hex(substr(a, -1)) FROM t) FROM total"), [[3, "03"]]);
}, { memory: 8 * 2 ** 20 });

test("rows of a group that are many are told in several commits, in order", async (place) => {
  await place.run([exec("INSERT INTO t VALUES (1, ?)", "x".repeat(1_000_000))]);
  place.groups.length = 0;
  const reading = (id: number): TransactionStep[] => [
    ...pair(id),
    { kind: "query", sql: "SELECT n, (SELECT a FROM t WHERE id = 1) FROM total WHERE one = 1", args: [] },
  ];
  const all = await Promise.all(
    Array.from({ length: 12 }, (_, id) => place.db.transaction("a", reading(id), REQUEST)),
  );
  const seen = all.map(({ steps: [, , step] }) => step?.kind === "query" ? step.result?.rows.map(([n]) => n) : step);
  deepEqual(seen, Array.from({ length: 12 }, (_, id) => [id + 1]));
  ok(place.groups.length > 2 && place.groups.some((size) => size > 2), String(place.groups));
});

test("a group that finds the file locked is told so, and nothing of it is there", async (place) => {
  const { DatabaseSync } = await import("node:sqlite");
  const other = new DatabaseSync(`${place.dir}/${namespaceFile("a")}`);
  other.exec("BEGIN IMMEDIATE");
  try {
    const results = await Promise.all([1, 2, 3, 4].map((id) => place.run(pair(id))));
    deepEqual(results, Array(4).fill("UNAVAILABLE"));
  } finally {
    other.exec("ROLLBACK");
    other.close();
  }
  deepEqual(await place.run(pair(5)), [1, 1]);
  deepEqual(await place.rows("SELECT n, (SELECT group_concat(id) FROM log) FROM total"), [[1, "5"]]);
}, { busyTimeout: 20 });

test("who meets a damaged page among others undoes nobody else's", async (place) => {
  await place.run([exec("CREATE TABLE damaged (id INTEGER PRIMARY KEY, a)")]);
  const rows =
    "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 2000) SELECT i, hex(zeroblob(50)) FROM c";
  await place.run([exec(`INSERT INTO damaged ${rows}`)]);
  await place.driver.suspend("a", async (path) => {
    const bytes = await Deno.readFile(path);
    // The first pages are those of the schema and of the small tables.
    bytes.fill(0xab, 4096 * 12);
    await Deno.writeFile(path, bytes);
  });
  deepEqual(await place.run(pair(1)), [1, 1]);
  place.groups.length = 0;
  const results = await Promise.all([
    place.run(pair(2)),
    place.run([...pair(3), exec("UPDATE damaged SET a = 1 WHERE id = 1500")]),
    place.run(pair(4)),
    place.run(pair(5)),
  ]);
  const done = results.flatMap((result, i) => String(result) === "1,1" ? [i + 2] : []);
  deepEqual(results.slice(0, 2), [[1, 1], "UNAVAILABLE"]);
  // Its host is replaced, which may be told to the one that runs then.
  deepEqual(results.filter((result) => result === "UNAVAILABLE").length, results.length - done.length);
  deepEqual(await place.rows("SELECT n, (SELECT group_concat(id) FROM log) FROM total"), [
    [done.length + 1, [1, ...done].join()],
  ]);
});

/** A file system of a few megabytes; `undefined` where none may be made. */
async function smallDisk(): Promise<{ readonly path: string; remove(): Promise<void> } | undefined> {
  const path = await Deno.makeTempDir();
  const run = (command: string, ...args: string[]) =>
    new Deno.Command(command, { args, stdout: "null", stderr: "null" }).output().then(
      ({ success }) => success,
      () => false,
    );
  const remove = () => Deno.remove(path, { recursive: true });
  if (await run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", path)) {
    return { path, remove: async () => void (await run("umount", "-l", path), await remove()) };
  }
  await remove();
  return undefined;
}

const disk = CAN_SEE_PROCESSES ? await smallDisk() : undefined;

Deno.test({
  name:
    "on a full disk each of a group is told what became of its own, and none is half there (ignored where nothing can be mounted)",
  ignore: disk === undefined,
  async fn() {
    const place = new Place(disk!.path);
    try {
      await place.prepare();
      const acknowledged = new Set<number>();
      let refused = 0;
      for (let round = 0; round < 60 && refused < 40; round++) {
        const ids = Array.from({ length: 20 }, (_, i) => round * 20 + i);
        const large = (id: number) => [...pair(id), exec("INSERT INTO t (a) VALUES (?)", "x".repeat(id % 3 * 4_000))];
        const results = await Promise.all(ids.map((id) => place.run(large(id))));
        results.forEach((result, i) => {
          if (String(result) === "1,1,1") return acknowledged.add(ids[i]!);
          equal(result, "UNAVAILABLE");
          refused++;
        });
      }
      ok(refused > 0 && acknowledged.size > 50, `${refused} ${acknowledged.size}`);
      ok(place.groups.some((size) => size > 4), String(place.groups));
      const there = (await place.rows("SELECT id FROM log")).map(([id]) => Number(id));
      deepEqual(new Set(there), acknowledged);
      const counts = await place.rows("SELECT n, (SELECT count(*) FROM t) FROM total");
      deepEqual(counts, [[there.length, there.length]]);
    } finally {
      await place.driver.close();
      await disk!.remove();
    }
  },
});
