import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { DriverEvent, DriverReply, DriverRequest, GatedStatement } from "../../../services/database/driver.ts";
import { judge } from "../../../services/database/gate/gate.ts";
import { namespaceFile } from "../../../services/database/sqlite/namespace_file.ts";
import { SqliteDriver, type SqliteDriverOptions } from "../../../services/database/sqlite/driver.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { CAN_SEE_PROCESSES, hostOf, processorSeconds } from "../../support/host_processes.ts";

const request = { signal: new AbortController().signal };
const ceiling = { rows: 1_000, bytes: 1_000_000 };
const COUNT_FOR_EVER = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c";
const LONG = 20_000;

/** A driver on a folder of its own, with short ways to ask it. */
class Place {
  readonly events: DriverEvent[] = [];
  readonly log: string[] = [];
  driver: SqliteDriver;

  constructor(readonly dir: string, private readonly options: Partial<SqliteDriverOptions>) {
    this.driver = this.#open();
  }

  #open(): SqliteDriver {
    return new SqliteDriver({
      dir: this.dir,
      observe: (event) => this.events.push(event),
      log: (line) => this.log.push(line),
      ...this.options,
    });
  }

  async reopen(): Promise<void> {
    await this.driver.close();
    this.driver = this.#open();
  }

  run(
    namespace: string,
    statements: readonly GatedStatement[],
    more: Partial<DriverRequest> = {},
  ): Promise<DriverReply> {
    const mode = statements.every(({ facts }) => facts.access === "read") ? "read" : "write";
    return this.driver.run({
      namespace,
      mode,
      statements,
      timeout: LONG,
      level: "weak",
      ceiling,
      maxDatabaseBytes: 0,
      ...more,
    });
  }

  /** One statement; its rows, or how many it changed, or its fault. */
  async one(namespace: string, sql: string, args: readonly SqlArgument[] = [], more: Partial<DriverRequest> = {}) {
    const reply = await this.run(namespace, [statement(sql, ...args)], more);
    if (reply.kind === "rolled_back") return reply.fault.kind;
    const [outcome] = reply.outcomes;
    if (!outcome?.ok) return outcome?.fault.kind;
    return outcome.result.rows?.rows ?? outcome.result.rowsAffected;
  }

  async pid(namespace: string): Promise<number> {
    let pid: number | undefined;
    await until(
      "the host has opened its file",
      () => (pid = hostOf(Deno.pid, `${this.dir}/${namespaceFile(namespace)}`)) !== undefined,
    );
    return pid!;
  }

  async kill(namespace: string): Promise<void> {
    Deno.kill(await this.pid(namespace), "SIGKILL");
  }

  groups(): number[] {
    return this.events.flatMap((event) => event.kind === "group" ? [event.statements] : []);
  }
}

const statement = (sql: string, ...args: SqlArgument[]): GatedStatement => ({ ...judge(sql), args });

const is = (code: ErrorCode) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  return true;
};

function test(name: string, run: (place: Place) => Promise<void>, options: Partial<SqliteDriverOptions> = {}): void {
  Deno.test(name, { ignore: !CAN_SEE_PROCESSES }, async () => {
    const folder = await Deno.makeTempDir();
    const place = new Place(`${folder}/namespaces`, options);
    try {
      await run(place);
    } finally {
      await place.driver.close();
      await Deno.remove(folder, { recursive: true });
    }
  });
}

test("what does not end is stopped in every way of running, and the neighbours go on", async (place) => {
  for (const namespace of ["a", "b"]) await place.one(namespace, "CREATE TABLE t (a)");
  const endless = {
    query: () => place.one("a", COUNT_FOR_EVER, [], { timeout: 200 }),
    write: () => place.one("a", `INSERT INTO t ${COUNT_FOR_EVER}`, [], { timeout: 200 }),
    transaction: async () => {
      const reply = await place.run("a", [statement("INSERT INTO t VALUES (1)"), statement(COUNT_FOR_EVER)], {
        mode: "atomic",
        timeout: 200,
      });
      return reply.kind === "rolled_back" ? reply.fault.kind : reply.kind;
    },
    "cartesian join with a sort": () =>
      place.one(
        "a",
        "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 3000) " +
          "SELECT count(*) FROM (SELECT a.i FROM c a, c b, c d ORDER BY a.i * b.i % 7, d.i LIMIT 10)",
        [],
        { timeout: 200 },
      ),
  };
  for (const [name, run] of Object.entries(endless)) {
    const begun = performance.now();
    let over = false, neighbours = 0;
    const result = awaitedLater(run().finally(() => over = true));
    while (!over) {
      deepEqual(await place.one("b", "SELECT 1"), [[1]]);
      neighbours++;
    }
    equal(await result, "timeout", name);
    ok(performance.now() - begun < 10_000, `${name}: ${performance.now() - begun} ms`);
    ok(neighbours > 10, `${name}: ${neighbours}`);
  }
  deepEqual(await place.one("a", "SELECT count(*) FROM t"), [[0]]);
  const ends = place.events.flatMap((event) => event.kind === "host_ended" ? [event.reason] : []);
  deepEqual(ends, Array(4).fill("deadline"));
});

test("requests behind one that is stopped are answered as if nothing had been", async (place) => {
  await place.one("a", "CREATE TABLE t (a INTEGER PRIMARY KEY)");
  const stopped = place.one("a", COUNT_FOR_EVER, [], { timeout: 150 });
  const writes = awaitedLater(Array.from(
    { length: 20 },
    (_, i) => place.one("a", "INSERT INTO t VALUES (?)", [i], { timeout: 5_000 }),
  ));
  const read = awaitedLater(place.one("a", "SELECT 7", [], { timeout: 5_000 }));
  equal(await stopped, "timeout");
  deepEqual(await Promise.all(writes), Array(20).fill(1));
  deepEqual(await read, [[7]]);
  deepEqual(await place.one("a", "SELECT count(*) FROM t"), [[20]]);
});

test("a host killed while idle, in the middle of a read and of a transaction: nothing half, and nobody notices", async (place) => {
  await place.one("a", "CREATE TABLE t (a)");
  await place.one("a", "INSERT INTO t VALUES (1)");
  await place.kill("a");
  deepEqual(await place.one("a", "SELECT a FROM t"), [[1]]);

  const slow =
    "SELECT max(i) FROM (WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 3000000) SELECT i FROM c)";
  const read = awaitedLater(place.one("a", slow));
  const behind = awaitedLater(place.one("a", "INSERT INTO t VALUES (2)"));
  await place.kill("a");
  deepEqual(await read, [[3_000_000]]);
  equal(await behind, 1);
  await until(
    "it may start again",
    async () => (await place.one("a", "SELECT 1").catch(() => undefined)) !== undefined,
  );

  const atomic = awaitedLater(
    place.run("a", [statement("INSERT INTO t VALUES (3)"), statement(slow)], { mode: "atomic" }),
  );
  await place.kill("a");
  const outcome = await atomic.catch((error) => error);
  // After so many crashes in a row it may have to wait.
  ok(outcome instanceof GatewayError || outcome.kind === "done", String(outcome));
  await until(
    "it may start again",
    async () => (await place.one("a", "SELECT 1").catch(() => undefined)) !== undefined,
  );
  const expected = outcome instanceof GatewayError ? [[1], [2]] : [[1], [2], [3]];
  deepEqual(await place.one("a", "SELECT a FROM t ORDER BY 1"), expected);
});

test("whatever is acknowledged is there, and nothing happens twice, while the host is killed again and again", async (place) => {
  await place.one("a", "CREATE TABLE t (a INTEGER PRIMARY KEY)");
  const acknowledged = new Set<number>();
  const unknown = new Set<number>();
  let next = 0, going = true;
  const client = async () => {
    while (going) {
      const id = next++;
      try {
        equal(await place.one("a", "INSERT INTO t VALUES (?)", [id]), 1, "each is inserted once");
        acknowledged.add(id);
      } catch (error) {
        ok(error instanceof GatewayError, String(error));
        ok(error.code === "UNAVAILABLE" || error.code === "OUTCOME_UNKNOWN", error.code);
        if (error.code === "OUTCOME_UNKNOWN") unknown.add(id);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const clients = awaitedLater(Array.from({ length: 16 }, client));
  for (let kills = 0; kills < 5; kills++) {
    const before = acknowledged.size;
    await until("it goes on", () => acknowledged.size > before + 100);
    await place.kill("a");
  }
  going = false;
  await Promise.all(clients);
  await until("it answers", async () => (await place.one("a", "SELECT 1").catch(() => undefined)) !== undefined);
  const count = async (ids: readonly number[]) => {
    let found = 0;
    for (let at = 0; at < ids.length; at += 500) {
      const some = ids.slice(at, at + 500);
      const rows = await place.one("a", `SELECT count(*) FROM t WHERE a IN (${some.map(() => "?")})`, some);
      found += Number((rows as number[][])[0]![0]);
    }
    return found;
  };
  equal(await count([...acknowledged]), acknowledged.size);
  const all = Number((await place.one("a", "SELECT count(*) FROM t") as number[][])[0]![0]);
  equal(all - acknowledged.size, await count([...unknown]), "what was refused was not applied");
  ok(place.groups().some((size) => size > 1), "writes were grouped");
});

test("what was deleted goes back to the file system, a part with each upkeep", async (place) => {
  const mebibyte = 2 ** 20;
  await place.one("a", "CREATE TABLE t (v)");
  const rows = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 20)";
  equal(await place.one("a", `INSERT INTO t ${rows} SELECT randomblob(${mebibyte}) FROM c`), 20);
  equal(await place.one("a", "DELETE FROM t"), 20);
  const sizes: number[] = [];
  for (let i = 0; i < 6; i++) {
    // Looks after the file, and closes it, which puts its log into it.
    sizes.push(await place.driver.suspend("a", async (path) => (await Deno.stat(path)).size));
  }
  ok(sizes[0]! > 14 * mebibyte && sizes[0]! < 18 * mebibyte, sizes.join());
  ok(sizes.at(-1)! < mebibyte, sizes.join());
});

test("a host that is stopped (SIGSTOP) is replaced", async (place) => {
  await place.one("a", "CREATE TABLE t (a)");
  Deno.kill(await place.pid("a"), "SIGSTOP");
  equal(await place.one("a", "INSERT INTO t VALUES (1)", [], { timeout: 200 }), "timeout");
  equal(await place.one("a", "INSERT INTO t VALUES (2)"), 1);
  deepEqual(await place.one("a", "SELECT a FROM t"), [[2]]);
});

test("a statement that runs while two hosts crash is refused, and nothing of it is there", async (place) => {
  await place.one("a", "CREATE TABLE t (a)");
  const write = place.one("a", `INSERT INTO t ${COUNT_FOR_EVER}`).catch((error) => error);
  const first = await place.pid("a");
  Deno.kill(first, "SIGKILL");
  let second = first;
  // A host that dies while it opens the file has not run it.
  await until("the next one runs it", async () => {
    second = await place.pid("a");
    return second !== first && processorSeconds(second) > 1;
  });
  Deno.kill(second, "SIGKILL");
  ok(is("UNAVAILABLE")(await write));
  await until(
    "it may start again",
    async () => (await place.one("a", "SELECT 1").catch(() => undefined)) !== undefined,
  );
  deepEqual(await place.one("a", "SELECT a FROM t"), []);
});

test("writes of many callers share a commit, and one that fails touches nobody", async (place) => {
  await place.one("a", "CREATE TABLE t (a INTEGER PRIMARY KEY, b UNIQUE)");
  place.events.length = 0;
  const results = await Promise.all(
    Array.from(
      { length: 300 },
      (_, i) => place.one("a", "INSERT INTO t VALUES (?, ?)", [i, i % 3 === 0 ? "same" : `v${i}`]),
    ),
  );
  equal(results.filter((result) => result === "constraint").length, 99);
  deepEqual(await place.one("a", "SELECT count(*) FROM t"), [[201]]);
  ok(Math.max(...place.groups()) > 10, String(place.groups()));
  equal(place.groups().reduce((sum, size) => sum + size, 0), 300);
});

test("in a group each is told its own figures", async (place) => {
  await place.one("a", "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)");
  const replies = await Promise.all([
    ...["x", "y", "z"].map((a) => place.run("a", [statement("INSERT INTO t (a) VALUES (?)", a)])),
    place.run("a", [statement("INSERT INTO t (a) VALUES ('x') ON CONFLICT (a) DO UPDATE SET a = 'X'")]),
    place.run("a", [statement("INSERT INTO t (a) VALUES ('w') RETURNING id, a")]),
    place.run("a", [statement("UPDATE t SET a = 'Y' WHERE id = ?", 2)]),
  ]);
  const figures = replies.map((reply) => {
    ok(reply.kind === "done" && reply.outcomes[0]?.ok, JSON.stringify(reply));
    const { rowsAffected, lastInsertId, rows } = reply.outcomes[0].result;
    return [rowsAffected, lastInsertId, ...(rows ? [rows.rows] : [])];
  });
  deepEqual(figures, [[1, 1], [1, 2], [1, 3], [1, 0], [1, 4, [[4, "w"]]], [1, 0]]);
});

test("what undoes the transaction around it (OR ROLLBACK) undoes nobody else's", async (place) => {
  await place.one("a", "CREATE TABLE t (a UNIQUE)");
  await place.one("a", "INSERT INTO t VALUES (0)");
  const results = await Promise.all([
    place.one("a", "INSERT INTO t VALUES (1)"),
    place.one("a", "INSERT OR ROLLBACK INTO t VALUES (0)"),
    place.one("a", "INSERT OR FAIL INTO t VALUES (2), (0)"),
    place.one("a", "INSERT INTO t VALUES (3)"),
  ]);
  deepEqual(results, [1, "constraint", "constraint", 1]);
  deepEqual(await place.one("a", "SELECT a FROM t ORDER BY 1"), [[0], [1], [3]]);
});

test("a constraint that waits for the end of a transaction is each statement's own", async (place) => {
  await place.one("a", "CREATE TABLE p (id INTEGER PRIMARY KEY)");
  await place.one("a", "CREATE TABLE k (p REFERENCES p (id) DEFERRABLE INITIALLY DEFERRED)");
  const results = await Promise.all([
    place.one("a", "INSERT INTO k VALUES (1)"),
    place.one("a", "INSERT INTO p VALUES (1)"),
    place.one("a", "INSERT INTO k VALUES (1)"),
  ]);
  deepEqual(results, ["constraint", 1, 1]);
});

test("results beyond the ceiling are too big, and say what to do", async (place) => {
  await place.one("a", "CREATE TABLE t (a)");
  const many = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 1001) SELECT i FROM c";
  const reply = await place.run("a", [statement(many)]);
  ok(reply.kind === "done" && reply.outcomes[0]?.ok === false);
  equal(reply.outcomes[0].fault.kind, "too_big");
  ok(reply.outcomes[0].fault.message.includes("application/x-ndjson"));
  equal(await place.one("a", "SELECT hex(zeroblob(600000)), 1"), "too_big");
  equal(await place.one("a", `INSERT INTO t SELECT i FROM (${many}) RETURNING a`), "too_big");
  deepEqual(await place.one("a", "SELECT count(*) FROM t"), [[0]], "a write whose rows are too many is undone");
  equal(
    await place.one("a", many, [], { ceiling: { rows: 1_001, bytes: 1e6 } }).then((rows) => (rows as unknown[]).length),
    1_001,
  );
});

test("bombs burst in their own host, which survives most of them", async (place) => {
  await place.one("a", "CREATE TABLE t (a)");
  const pid = await place.pid("a");
  const bombs: Record<string, unknown[]> = {
    "SELECT randomblob(1000000000)": ["too_big"],
    "SELECT hex(randomblob(40000000))": ["too_big"],
    "SELECT printf('%.*c', 1000000000, 'x')": ["too_big"],
    "SELECT group_concat(hex(randomblob(1000000))) FROM (WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 1000) SELECT i FROM c)":
      ["too_big", "timeout"],
    "WITH RECURSIVE c (i, x) AS (SELECT 1, randomblob(1000000) UNION ALL SELECT i + 1, randomblob(1000000) FROM c) SELECT count(*) FROM (SELECT x FROM c ORDER BY x)":
      ["too_big", "timeout"],
    [`SELECT ${"abs(".repeat(1_500)}1${")".repeat(1_500)}`]: ["invalid"],
    [`SELECT ${Array(2_000).fill("1").join("+")}`]: ["invalid"],
    [`SELECT ${Array(600).fill("1").join(" UNION ALL SELECT ")}`]: ["invalid"],
    "SELECT 'a' LIKE printf('%.*c', 20000, '%')": ["invalid"],
    "SELECT zeroblob(60000000), zeroblob(60000000)": ["too_big"],
  };
  for (const [sql, expected] of Object.entries(bombs)) {
    const result = await place.one("a", sql, [], { timeout: 3_000 });
    ok(expected.includes(result), `${sql.slice(0, 80)}: ${JSON.stringify(result)?.slice(0, 100)}`);
  }
  const many = Array.from({ length: 32_000 }, (_, i) => i);
  deepEqual(await place.one("a", `SELECT count(*) FROM (VALUES ${many.map(() => "(?)")})`, many), [[32_000]]);
  equal(await place.one("a", `SELECT ${many.map(() => "?")}, ?`, [...many, ...Array(1_000).fill(1)]), "invalid");
  equal(await place.one("a", "INSERT INTO t VALUES (?)", ["x".repeat(100_000_000)]), "too_big");
  deepEqual(await place.one("a", "SELECT count(*) FROM t"), [[0]]);
  ok(pid === await place.pid("a") || place.events.some(({ kind }) => kind === "host_ended"));
});

test("statements that reach out of the namespace are refused by SQLite itself too", async (place) => {
  await place.one("b", "CREATE TABLE secret (a)");
  const facts = judge("SELECT 1").facts;
  const raw = (sql: string, access: "read" | "write" = "write") =>
    place.run("a", [{ sql, args: [], facts: { ...facts, access, verb: sql.split(" ")[0]! } }], { mode: "write" });
  for (
    const sql of [
      `ATTACH '${place.dir}/${namespaceFile("b")}' AS b`,
      "ATTACH ':memory:' AS m",
      `VACUUM INTO '${place.dir}/copy.sqlite'`,
      "PRAGMA journal_mode = DELETE",
      "PRAGMA hard_heap_limit = 0",
      "SELECT load_extension('/tmp/x.so')",
      "SELECT readfile('/etc/passwd')",
      "SELECT * FROM _orama_commit",
      "DELETE FROM _orama_commit",
      "COMMIT",
      "SAVEPOINT one",
    ]
  ) {
    const reply = await raw(sql);
    ok(reply.kind === "done" && reply.outcomes[0]?.ok === false, sql);
  }
  deepEqual([...Deno.readDirSync(place.dir)].filter(({ name }) => name.startsWith("copy")), []);
});

test("a database grows to its bound and not beyond: quota, and what is there still works", async (place) => {
  const maxDatabaseBytes = 1_000_000;
  await place.one("a", "CREATE TABLE t (a)");
  const fill = () => place.one("a", "INSERT INTO t VALUES (randomblob(100000))", [], { maxDatabaseBytes });
  let result: unknown = 1;
  for (let i = 0; i < 20 && result === 1; i++) result = await fill();
  equal(result, "quota");
  ok(Deno.statSync(`${place.dir}/${namespaceFile("a")}`).size <= maxDatabaseBytes);
  equal(await place.one("a", "DELETE FROM t WHERE rowid < 3", [], { maxDatabaseBytes }), 2);
  equal(await fill(), 1);
  equal(await place.one("a", "INSERT INTO t VALUES (randomblob(1000000))"), 1, "without a bound it goes on");
});

test("own statements may touch what clients may not", async (place) => {
  const own = (sql: string): GatedStatement => ({
    sql,
    args: [],
    own: true,
    facts: { ...judge("SELECT 1").facts, access: "write", verb: "CREATE" },
  });
  const reply = await place.run("a", [own("CREATE TABLE _orama_x (a)")], { mode: "atomic" });
  equal(reply.kind, "done");
});

test("more namespaces than hosts all get their turn", async (place) => {
  const names = Array.from({ length: 10 }, (_, i) => `n${i}`);
  await Promise.all(names.map((name) => place.one(name, "CREATE TABLE t (a)")));
  for (let round = 0; round < 2; round++) {
    const counts = await Promise.all(names.map((name) => place.one(name, "INSERT INTO t VALUES (1)")));
    deepEqual(counts, Array(10).fill(1));
  }
  const { details } = await place.driver.health();
  ok(Number(details?.["hosts_running"]) <= 2);
}, { hosts: { max: 2, spares: 1 } });

test("suspend() has the file for itself, with all that was acknowledged in it", async (place) => {
  await place.one("a", "CREATE TABLE t (a)");
  await place.one("a", "INSERT INTO t VALUES (1)");
  await place.kill("a");
  let waiting: Promise<unknown> | undefined;
  const bytes = await place.driver.suspend("a", async (path) => {
    waiting = awaitedLater(place.one("a", "INSERT INTO t VALUES (2)"));
    equal(hostOf(Deno.pid, `${place.dir}/${namespaceFile("a")}`), undefined);
    equal((await Deno.stat(`${path}-wal`).catch(() => ({ size: 0 }))).size, 0);
    return await Deno.readFile(path);
  });
  equal(await waiting, 1);
  await Deno.writeFile(`${place.dir}/copy`, bytes);
  const { DatabaseSync } = await import("node:sqlite");
  using copy = new DatabaseSync(`${place.dir}/copy`);
  deepEqual(copy.prepare("SELECT a FROM t").all().map(({ a }) => a), [1]);
});

test("backup() copies one moment of a database that is written all the time", async (place) => {
  await place.one("a", "CREATE TABLE t (a INTEGER PRIMARY KEY, b)");
  await place.one(
    "a",
    "INSERT INTO t (b) WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 20000) SELECT hex(randomblob(50)) FROM c",
  );
  let going = true, written = 20_000;
  const writer = awaitedLater((async () => {
    while (going) written += Number(await place.one("a", "INSERT INTO t (b) VALUES (1)"));
  })());
  try {
    await place.driver.backup("a", `${place.dir}/copy.sqlite`, request);
  } finally {
    going = false;
    await writer;
  }
  const { DatabaseSync } = await import("node:sqlite");
  using copy = new DatabaseSync(`${place.dir}/copy.sqlite`);
  const count = Number(copy.prepare("SELECT count(*) AS n FROM t").get()!["n"]);
  ok(count >= 20_000 && count <= written, `${count} of ${written}`);
  deepEqual(copy.prepare("PRAGMA integrity_check").all().map((row) => ({ ...row })), [{ integrity_check: "ok" }]);
  await rejects(place.driver.backup("a", "/nonexistent/copy.sqlite", request), is("UNAVAILABLE"));
});

const series = (rows: number, more = "") =>
  `WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT ${rows}) SELECT i${more} FROM c`;

const stream = (place: Place, sql: string, timeout = LONG) =>
  place.driver.stream({ namespace: "a", statement: statement(sql), timeout, level: "weak" });

async function rowsOf(batches: AsyncIterable<readonly (readonly unknown[])[]>): Promise<unknown[]> {
  const rows: unknown[] = [];
  for await (const batch of batches) rows.push(...batch);
  return rows;
}

test("a stream has columns, types and all rows, beside statements that go on", async (place) => {
  await place.one("a", "CREATE TABLE t (i INTEGER, b BOOLEAN, d DATETIME, x BLOB)");
  await place.one("a", "INSERT INTO t VALUES (9007199254740993, 1, '2026-01-18', x'00ff')");
  const { columns, types, level, batches } = await stream(place, "SELECT *, i + 0 AS e FROM t");
  deepEqual([columns, types, level], [
    ["i", "b", "d", "x", "e"],
    ["integer", "boolean", "datetime", "blob", "integer"],
    "weak",
  ]);
  deepEqual(await rowsOf(batches), [
    [9007199254740993n, true, "2026-01-18T00:00:00Z", new Uint8Array([0, 255]), 9007199254740993n],
  ]);
  const none = await stream(place, "SELECT i, 1 FROM t WHERE 0");
  deepEqual([none.columns, none.types, await rowsOf(none.batches)], [["i", "1"], ["integer", ""], []]);

  const large = await stream(place, series(100_000));
  let seen = 0, others = 0;
  for await (const batch of large.batches) {
    seen += batch.length;
    if (others < 20) equal(await place.one("a", "INSERT INTO t (i) VALUES (?)", [others++]), 1);
  }
  deepEqual([seen, others], [100_000, 20]);
});

test("a stream shows one moment, and what was acknowledged before it, whatever else streams", async (place) => {
  await place.one("a", "CREATE TABLE t (i INTEGER)");
  await place.one("a", `INSERT INTO t ${series(5_000)}`);
  const first = await stream(place, "SELECT i FROM t");
  await place.one("a", "DELETE FROM t WHERE i > 10");
  const second = await stream(place, "SELECT i FROM t");
  deepEqual([(await rowsOf(second.batches)).length, (await rowsOf(first.batches)).length], [10, 5_000]);
});

test("faults of a stream come at its beginning or on the way, as errors", async (place) => {
  await rejects(stream(place, "SELECT * FROM nosuch"), is("SQL_INVALID"));
  await rejects(stream(place, "SELECT json('x')"), is("SQL_INVALID"));
  const late = await stream(place, `SELECT CASE WHEN i < 5000 THEN i ELSE json('x') END FROM (${series(6_000)})`);
  let seen = 0;
  await rejects(async () => {
    for await (const batch of late.batches) seen += batch.length;
  }, is("SQL_INVALID"));
  ok(seen > 1_000 && seen < 5_000, String(seen));
  await rejects(stream(place, COUNT_FOR_EVER, 150), is("STATEMENT_TIMEOUT"));
  const stuck = await stream(
    place,
    `SELECT i FROM (${series(2_000)}) UNION ALL SELECT n FROM (${COUNT_FOR_EVER.replace("count(*)", "count(*) AS n")})`,
    300,
  );
  await rejects(rowsOf(stuck.batches), is("STATEMENT_TIMEOUT"));
  deepEqual(await place.one("a", "SELECT 1"), [[1]]);
});

test("only so many streams run at once; one that is ended makes room", async (place) => {
  const eight = await Promise.all(Array.from({ length: 8 }, () => stream(place, series(100_000))));
  await rejects(stream(place, "SELECT 1"), is("TOO_MANY_STATEMENTS"));
  deepEqual(await place.one("a", "SELECT 1"), [[1]]);
  for await (const _ of eight[0]!.batches) break;
  deepEqual(await rowsOf((await stream(place, "SELECT 1")).batches), [[1]]);
  for (const { batches } of eight.slice(1)) {
    for await (const _ of batches) break;
  }
  // None holds an old view of the data: the log can be emptied.
  await place.one("a", "CREATE TABLE t (a)");
  await place.driver.suspend("a", () => Promise.resolve());
});

test("a million rows stream in the same memory as a thousand", async (place) => {
  await rowsOf((await stream(place, series(1_000))).batches);
  const memory = (pid: number) =>
    Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
  const host = await place.pid("a");
  const count = async (rows: number) => {
    let seen = 0, most = 0, batches = 0;
    for await (const batch of (await stream(place, series(rows, ", printf('%100d', i) AS v"))).batches) {
      seen += batch.length;
      if (batches++ % 100 === 0) most = Math.max(most, memory(host));
    }
    equal(seen, rows);
    return most;
  };
  const warm = await count(500_000);
  const most = await count(1_000_000);
  ok(most - warm < 20, `${warm} → ${most} MB`);
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
  if (await run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path)) {
    return { path, remove: async () => void (await run("umount", "-l", path), await remove()) };
  }
  await remove();
  return undefined;
}

const disk = CAN_SEE_PROCESSES ? await smallDisk() : undefined;

Deno.test({
  name:
    "a full disk is UNAVAILABLE, not the namespace's bound, and what was there still reads (ignored where nothing can be mounted)",
  ignore: disk === undefined,
  async fn() {
    const place = new Place(disk!.path, { hosts: { spares: 0 } });
    try {
      await place.one("a", "CREATE TABLE t (a)");
      let error: unknown;
      for (let i = 0; i < 200 && error === undefined; i++) {
        const more = { maxDatabaseBytes: 1e9 };
        error = await place.one("a", "INSERT INTO t VALUES (randomblob(100000))", [], more).then(
          (result) => result === 1 ? undefined : result,
          (failure) => failure,
        );
      }
      ok(is("UNAVAILABLE")(error));
      ok(place.log.some((line) => line.includes("full") && line.includes("space")), place.log.join("\n"));
      ok(Number((await place.one("a", "SELECT count(*) FROM t") as number[][])[0]![0]) > 5);
      equal(
        await place.one("a", "SELECT length(a) FROM t LIMIT 1").then((rows) => (rows as number[][])[0]![0]),
        100_000,
      );
    } finally {
      await place.driver.close();
      await disk!.remove();
    }
  },
});
