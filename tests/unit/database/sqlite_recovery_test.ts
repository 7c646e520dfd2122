import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { judge } from "../../../services/database/gate/gate.ts";
import { SqliteConnection } from "../../../services/database/sqlite/connection.ts";
import type { CommitRecord, RunOrder } from "../../../services/database/sqlite/messages.ts";
import { afterTheEnd } from "../../../services/database/sqlite/recovery.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { HostEnded } from "../../../src/hosts/host.ts";

const SETTINGS = { synchronous: "FULL", busyTimeout: 100, memory: 2 ** 26 } as const;

const order = (write: number, mode: RunOrder["mode"], ...sql: readonly string[]): RunOrder & { write: number } => ({
  op: "run",
  mode,
  write,
  statements: sql.map((text) => ({ ...judge(text), args: [] })),
  ceiling: { rows: 100, bytes: 10_000 },
  maxDatabaseBytes: 0,
});

/** What the next host finds after these, and nobody was told. */
async function found(run: (connection: SqliteConnection) => void): Promise<CommitRecord | undefined> {
  const dir = await Deno.makeTempDir();
  try {
    const before = new SqliteConnection(`${dir}/a.sqlite`, SETTINGS, "this gateway");
    before.run(order(1, "write", "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE)"));
    run(before);
    before.close();
    const next = new SqliteConnection(`${dir}/a.sqlite`, SETTINGS, "this gateway");
    try {
      return next.commits.found;
    } finally {
      next.close();
    }
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const crash = new HostEnded("crashed", true, "gone");
const deadline = new HostEnded("deadline", true, "gone");
const bystander = new HostEnded("deadline", false, "gone");
const after = (end: HostEnded, asked: RunOrder, commits: CommitRecord | undefined, crashes = 2) =>
  afterTheEnd(end, asked, { instance: "this gateway", next: () => Promise.resolve({ opened: { commits } }), crashes });
const done = (...figures: [number, number | bigint][]) => ({
  kind: "done",
  outcomes: figures.map(([rowsAffected, lastInsertId]) => ({ ok: true, result: { rowsAffected, lastInsertId } })),
});
const is = (code: string) => (error: unknown) => error instanceof GatewayError && error.code === code;

Deno.test("a write that was committed and not answered is answered with its figures", async () => {
  const insert = order(2, "write", "INSERT INTO t VALUES (9007199254740993, 'x')");
  const commits = await found((connection) => connection.run(insert));
  for (const end of [crash, deadline, bystander]) {
    deepEqual(await after(end, insert, commits), done([1, 9007199254740993n]));
  }
});

Deno.test("so is a transaction, each step with its own; where rows are lost the outcome is unknown", async () => {
  const steps = ["INSERT INTO t VALUES (1, 'x'), (2, 'y')", "DELETE FROM t WHERE id = 1", "CREATE TABLE u (a)"];
  const transaction = order(2, "atomic", ...steps);
  deepEqual(
    await after(crash, transaction, await found((connection) => connection.run(transaction))),
    done([2, 2], [1, 0], [0, 0]),
  );
  const asking = order(2, "atomic", "INSERT INTO t VALUES (1, 'x')", "SELECT * FROM t");
  const returning = order(2, "write", "INSERT INTO t VALUES (1, 'x') RETURNING id");
  for (const lost of [asking, returning]) {
    const commits = await found((connection) => connection.run(lost));
    await rejects(after(crash, lost, commits), is("OUTCOME_UNKNOWN"));
  }
});

Deno.test("members of a group are told apart", async () => {
  const members = [
    order(2, "write", "INSERT INTO t VALUES (1, 'x')"),
    order(3, "write", "INSERT INTO t VALUES (2, 'x')"),
    order(4, "write", "INSERT INTO t VALUES (3, 'y')"),
  ];
  const commits = await found((connection) => ok(connection.together(members)));
  deepEqual(await after(bystander, members[0]!, commits), done([1, 1]));
  equal(await after(bystander, members[1]!, commits), undefined, "it failed, and is told so when it is asked again");
  deepEqual(await after(bystander, members[2]!, commits), done([1, 3]));
});

Deno.test("so are transactions among them", async () => {
  const members = [
    order(2, "atomic", "INSERT INTO t VALUES (1, 'x')", "UPDATE t SET a = 'y' WHERE id = 1"),
    order(3, "atomic", "INSERT INTO t VALUES (2, 'z')", "INSERT INTO t VALUES (3, 'y')"),
    order(4, "atomic", "INSERT INTO t VALUES (2, 'z')", "SELECT a FROM t WHERE id = 1"),
    order(5, "write", "INSERT INTO t VALUES (9, 'w')"),
  ];
  const commits = await found((connection) => equal(connection.together(members)?.length, 4));
  for (const end of [crash, deadline, bystander]) {
    deepEqual(await after(end, members[0]!, commits), done([1, 1], [1, 0]));
  }
  equal(await after(bystander, members[1]!, commits), undefined, "it failed, and is told so when it is asked again");
  await rejects(after(bystander, members[2]!, commits), is("OUTCOME_UNKNOWN"), "what it read is lost");
  deepEqual(await after(bystander, members[3]!, commits), done([1, 9]));
  equal(await after(bystander, order(6, "atomic", "DELETE FROM t WHERE id = 1"), commits), undefined);
});

Deno.test("a group that was not committed left nothing, and its members are asked again", async () => {
  const members = [
    order(3, "atomic", "INSERT INTO t VALUES (1, 'x')", "UPDATE t SET a = 'y' WHERE id = 1"),
    order(4, "atomic", "INSERT INTO t VALUES (2, 'q')", "INSERT OR ROLLBACK INTO t VALUES (3, 'z')"),
  ];
  const commits = await found((connection) => {
    connection.run(order(2, "write", "INSERT INTO t VALUES (7, 'z')"));
    equal(connection.together(members), undefined);
  });
  deepEqual(commits?.requests.map(([write]) => write), [2]);
  for (const member of members) equal(await after(bystander, member, commits), undefined);
});

Deno.test("a write that was not committed is asked again, unless it is to blame", async () => {
  const insert = order(3, "write", "INSERT INTO t VALUES (1, 'x')");
  const commits = await found((connection) => connection.run(order(2, "write", "INSERT INTO t VALUES (7, 'z')")));
  equal(await after(bystander, insert, commits), undefined);
  equal(await after(crash, insert, commits, 1), undefined);
  await rejects(after(crash, insert, commits, 2), is("UNAVAILABLE"));
  const stopped = await after(deadline, insert, commits, 0);
  ok(stopped?.kind === "done" && stopped.outcomes[0]?.ok === false && stopped.outcomes[0].fault.kind === "timeout");
});

Deno.test("what another gateway wrote down says nothing; no next host makes the outcome unknown", async () => {
  const insert = order(2, "write", "INSERT INTO t VALUES (1, 'x')");
  const commits = await found((connection) => connection.run(insert));
  equal(await after(bystander, insert, { ...commits!, instance: "another" }), undefined);
  const next = () => Promise.reject(new Error("no host"));
  await rejects(afterTheEnd(bystander, insert, { instance: "this gateway", next, crashes: 0 }), is("OUTCOME_UNKNOWN"));
});

Deno.test("what is written down is hidden from statements that ask about their connection", async () => {
  await found((connection) => {
    connection.run(order(2, "write", "INSERT INTO t VALUES (41, 'x')"));
    const asked = connection.run(
      order(3, "atomic", "INSERT INTO t VALUES (42, 'y'), (43, 'z')", "SELECT last_insert_rowid(), changes()"),
    );
    ok(asked.kind === "done" && asked.outcomes[1]?.ok);
    deepEqual(asked.outcomes[1].result.rows?.rows, [[43, 2]]);
  });
});

Deno.test("a rolled back first write leaves nothing behind, and the next one writes down again", async () => {
  const commits = await found((connection) => {
    connection.run(order(2, "atomic", "INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (1, 'x')"));
    connection.run(order(3, "write", "INSERT INTO t VALUES (1, 'x')"));
  });
  deepEqual(commits, { instance: "this gateway", requests: [[3, [[1, "1"]]]] });
});

Deno.test("a first transaction that its end refuses leaves nothing behind either", async () => {
  const dir = await Deno.makeTempDir();
  const connection = new SqliteConnection(`${dir}/a.sqlite`, SETTINGS, "this gateway");
  try {
    const tables = [
      "CREATE TABLE p (id INTEGER PRIMARY KEY)",
      "CREATE TABLE k (p REFERENCES p DEFERRABLE INITIALLY DEFERRED)",
    ];
    const refused = connection.run(order(1, "atomic", ...tables, "INSERT INTO k VALUES (1)"));
    ok(refused.kind === "rolled_back" && refused.fault.kind === "constraint");
    for (const write of [2, 3]) equal(connection.run(order(write, "write", `CREATE TABLE t${write} (a)`)).kind, "done");
    equal(connection.run(order(4, "atomic", "INSERT INTO nosuch VALUES (1)")).kind, "rolled_back");
    const last = connection.run(order(5, "write", "INSERT INTO t2 VALUES (1)"));
    deepEqual(last, done([1, 1]));
  } finally {
    connection.close();
  }
  const next = new SqliteConnection(`${dir}/a.sqlite`, SETTINGS, "this gateway");
  try {
    deepEqual(next.commits.found, { instance: "this gateway", requests: [[5, [[1, "1"]]]] });
  } finally {
    next.close();
    await Deno.remove(dir, { recursive: true });
  }
});
