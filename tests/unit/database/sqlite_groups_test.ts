import { deepEqual, equal, ok } from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type { DriverReply, GatedStatement } from "../../../services/database/driver.ts";
import { judge } from "../../../services/database/gate/gate.ts";
import { IdempotentWrites } from "../../../services/database/idempotency.ts";
import { own } from "../../../services/database/own.ts";
import { Preconditions } from "../../../services/database/preconditions.ts";
import { outcomesOf } from "../../../services/database/sqlite/commits.ts";
import { SqliteConnection } from "../../../services/database/sqlite/connection.ts";
import { groupAt } from "../../../services/database/sqlite/groups.ts";
import type { RunOrder } from "../../../services/database/sqlite/messages.ts";
import type { UnitsRunner } from "../../../services/database/units.ts";
import type { Expectation, SqlArgument } from "../../../src/contracts/database.ts";
import { randomNumbers } from "./random.ts";

const REQUEST = { requestId: "test", signal: new AbortController().signal, clientAddress: "" };
const SETTINGS = { synchronous: "NORMAL", busyTimeout: 100, memory: 2 ** 26 } as const;

const SCHEMA = [
  "CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, n INTEGER CHECK (n < 9))",
  "CREATE TABLE child (id INTEGER PRIMARY KEY, t REFERENCES t (id))",
  "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE)",
  "CREATE TABLE bare (a PRIMARY KEY) WITHOUT ROWID",
  "CREATE TABLE log (id INTEGER PRIMARY KEY, a)",
  "CREATE TABLE noted (a)",
  "CREATE TRIGGER note AFTER INSERT ON counted BEGIN INSERT INTO noted VALUES (new.a); END",
  "CREATE TABLE mined (a)",
  ...["ROLLBACK", "ABORT", "FAIL"].map((how) =>
    `CREATE TRIGGER mine_${how} AFTER INSERT ON mined WHEN new.a = '${how}' BEGIN SELECT RAISE(${how}, 'a mine'); END`
  ),
  "CREATE TRIGGER mine_ignore BEFORE INSERT ON mined WHEN new.a = 'IGNORE' BEGIN SELECT RAISE(IGNORE); END",
  "INSERT INTO t VALUES (1, 'one', 1), (2, 'two', 2)",
  "INSERT INTO child VALUES (1, 1)",
];
const TABLES = ["t", "child", "counted", "bare", "log", "noted", "mined", "sqlite_sequence", "_orama_idempotency"];

let writes = 0;

const statement = (sql: string, ...args: SqlArgument[]): GatedStatement => ({ ...judge(sql), args });
const gated = (statements: readonly (string | GatedStatement)[]) =>
  statements.map((one) => typeof one === "string" ? statement(one) : one);

function order(mode: RunOrder["mode"], statements: readonly (string | GatedStatement)[]): RunOrder {
  return {
    op: "run",
    mode,
    write: ++writes,
    statements: gated(statements),
    ceiling: { rows: 100, bytes: 100_000 },
    maxDatabaseBytes: 0,
  };
}
const write = (sql: string, ...args: SqlArgument[]) => order("write", [statement(sql, ...args)]);
const reading = (sql: string): RunOrder => {
  const { write: _, ...order } = atomic(sql);
  return order;
};
const atomic = (...statements: (string | GatedStatement)[]) => order("atomic", statements);

/** What a write with a key is for a driver. */
async function keyed(key: string, ...statements: (string | GatedStatement)[]): Promise<RunOrder> {
  const asked: GatedStatement[][] = [];
  const run: UnitsRunner["run"] = ({ statements }) => {
    asked.push([...statements]);
    return Promise.resolve({ reply: { kind: "done", outcomes: [] }, level: "weak" });
  };
  const keys = new IdempotentWrites({ run }, () => 1);
  // The first one of a namespace also looks for keys that are over.
  for (const one of ["first", key]) {
    const units = gated(statements).map((statement) => ({ statement }));
    await keys.run({ namespace: "a", key: one, fingerprint: "f", units }, REQUEST, {});
  }
  return atomic(...asked[1]!);
}

const preconditions = new Preconditions((n) => new Uint8Array(n));
const expecting = (expect: Expectation, sql: string, ...args: SqlArgument[]) => [
  statement(sql, ...args),
  preconditions.check(statement(sql, ...args), expect),
];

/** An open file of its own. */
class Place {
  connection: SqliteConnection;
  /** Members of each transaction that several requests shared. */
  readonly groups: number[] = [];
  spoilt = 0;

  constructor(readonly path: string) {
    this.connection = this.#open();
  }

  #open(): SqliteConnection {
    return new SqliteConnection(this.path, SETTINGS, "this gateway");
  }

  reopen(): void {
    this.connection.close();
    this.connection = this.#open();
  }

  /** One after the other, as they come. */
  alone(...orders: readonly RunOrder[]): DriverReply[] {
    return orders.map((one) => this.connection.run(one));
  }

  /** Has statements compiled, each when it is its turn, as those are that came before. */
  know(...orders: readonly RunOrder[]): void {
    for (const one of orders) this.connection.mayShare(one, true);
  }

  /** As a host does with what stands in its pipe at once. */
  atOnce(...orders: readonly RunOrder[]): DriverReply[] {
    const runs = orders.map((order) => ({ order }));
    const replies: DriverReply[] = [];
    while (replies.length < runs.length) {
      const members = groupAt(this.connection, runs, replies.length).map(({ order }) => order);
      const shared = members.length > 1 ? this.connection.together(members) : undefined;
      if (shared) this.groups.push(shared.length);
      else if (members.length > 1) this.spoilt++;
      replies.push(...shared ?? this.alone(...(members.length > 0 ? members : [orders[replies.length]!])));
    }
    return replies;
  }

  /** What the database holds, beside what the gateway writes down. */
  content(): unknown {
    using db = new DatabaseSync(this.path, { readOnly: true });
    const has = (table: string) => db.prepare("SELECT 1 FROM sqlite_schema WHERE name = ?").get(table) !== undefined;
    return TABLES.filter(has).map((table) => [table, ...db.prepare(`SELECT * FROM ${table}`).all()]);
  }
}

function test(name: string, run: (place: Place, other: Place) => Promise<void> | void): void {
  Deno.test(name, async () => {
    const dir = await Deno.makeTempDir();
    const places = ["one", "other"].map((file) => new Place(`${dir}/${file}.sqlite`));
    try {
      for (const place of places) place.alone(...SCHEMA.map((sql) => write(sql)));
      await run(places[0]!, places[1]!);
    } finally {
      for (const { connection } of places) connection.close();
      await Deno.remove(dir, { recursive: true });
    }
  });
}

const CREATE_KEYS = own(
  "CREATE TABLE _orama_idempotency (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, " +
    "fingerprint TEXT NOT NULL, created_at INTEGER NOT NULL, figures TEXT NOT NULL)",
);

/** A reply in short: figures per statement and rows, or the step and kind of the fault. */
const short = (reply: DriverReply) =>
  reply.kind === "rolled_back"
    ? [reply.step, reply.fault.kind]
    : reply.outcomes.map((outcome) =>
      outcome.ok
        ? outcome.result.rows?.rows ?? [outcome.result.rowsAffected, outcome.result.lastInsertId]
        : outcome.fault.kind
    );

test("transactions, writes with keys and single writes share a commit, each with its own figures", async (place) => {
  place.alone(atomic(CREATE_KEYS));
  const orders = [
    write("INSERT INTO t VALUES (5, 'five', 5)"),
    atomic("INSERT INTO t (a) VALUES ('six')", "UPDATE t SET n = 6 WHERE id = 6", "SELECT n FROM t WHERE id = 6"),
    await keyed("k", "INSERT INTO t (a) VALUES ('seven')", "INSERT OR IGNORE INTO t (a) VALUES ('seven')"),
    atomic(...expecting({ values: [["seven"]] }, "SELECT a FROM t WHERE id = 7"), "DELETE FROM bare WHERE a = 7"),
    atomic(...expecting({ rows: 0 }, "SELECT a FROM t WHERE id = 8"), "UPDATE t SET n = 0 WHERE id = 7"),
    write("INSERT INTO t (a) VALUES ('five') ON CONFLICT (a) DO UPDATE SET n = 4"),
  ];
  place.know(...orders);
  deepEqual(place.atOnce(...orders).map(short), [
    [[1, 5]],
    [[1, 6], [1, 0], [[6]]],
    [[1, 1], [1, 7], [1, 0], [0, 0], [1, 0]],
    [[["seven"]], [["{}"]], [0, 0]],
    [[], [["{}"]], [1, 0]],
    [[1, 0]],
  ]);
  deepEqual([place.groups, place.spoilt], [[6], 0]);
  using db = new DatabaseSync(place.path, { readOnly: true });
  equal(db.prepare("SELECT figures FROM _orama_idempotency WHERE key = 'k'").get()!["figures"], "1:7,0:0,");
});

test(
  "a transaction that fails leaves nothing, at whatever step, and its neighbours everything",
  async (place, other) => {
    place.alone(atomic(CREATE_KEYS));
    other.alone(atomic(CREATE_KEYS));
    const orders = [
      atomic("INSERT INTO t VALUES (5, 'five', 5)", "INSERT INTO child VALUES (5, 5)"),
      atomic("INSERT INTO t VALUES (6, 'six', 6)", "UPDATE t SET n = 9 WHERE id = 6"),
      atomic(
        "INSERT INTO t VALUES (6, 'six', 6)",
        "INSERT INTO child VALUES (6, 66)",
        "DELETE FROM child WHERE id = 1",
      ),
      await keyed("k", "DELETE FROM child WHERE id = 1", "INSERT INTO t VALUES (1, 'again', 1)"),
      atomic("DELETE FROM child WHERE id = 1", ...expecting({ rows: 1 }, "SELECT 1 FROM child WHERE id = 1")),
      await keyed("k", "INSERT INTO t VALUES (7, 'seven', 7)"),
      await keyed("k", "INSERT INTO t VALUES (8, 'eight', 8)"),
      atomic("INSERT INTO counted (a) VALUES (1)", "INSERT INTO counted (a) VALUES (1)"),
      atomic("INSERT INTO counted (a) VALUES (1)", "INSERT OR FAIL INTO child VALUES (1, 7)"),
      atomic("INSERT INTO counted (a) VALUES (1)", "UPDATE t SET n = 3 WHERE id = 2"),
    ];
    place.know(...orders);
    const replies = place.atOnce(...orders);
    deepEqual(replies.map(short), [
      [[1, 5], [1, 5]],
      [1, "constraint"],
      [1, "constraint"],
      [3, "constraint"],
      [2, "invalid"],
      [[1, 1], [1, 7], [1, 0]],
      [0, "constraint"],
      [1, "constraint"],
      [1, "constraint"],
      [[1, 1], [1, 0]],
    ]);
    deepEqual([place.groups, place.spoilt], [[10], 0]);
    deepEqual(replies, other.alone(...orders));
    deepEqual(place.content(), other.content());
  },
);

test("what undoes the transaction around it undoes nobody else's", (place, other) => {
  const spoilers = [
    atomic("INSERT INTO log (a) VALUES ('x')", "INSERT OR ROLLBACK INTO t VALUES (1, 'x', 1)"),
    atomic("INSERT INTO mined VALUES ('x')", "INSERT INTO mined VALUES ('ROLLBACK')", "INSERT INTO mined VALUES ('y')"),
    atomic("INSERT INTO log (a) VALUES ('z')", "UPDATE OR ROLLBACK t SET n = 9 WHERE id = 1"),
    write("INSERT INTO mined VALUES ('ROLLBACK')"),
  ];
  for (const spoiler of spoilers) {
    const orders = [
      atomic("INSERT INTO log (a) VALUES (1)", "UPDATE t SET n = n + 1 WHERE id = 1"),
      write("INSERT INTO log (a) VALUES (2)"),
      spoiler,
      atomic("INSERT INTO log (a) VALUES (3)", "DELETE FROM log WHERE id = 99"),
    ];
    place.know(...orders);
    deepEqual(place.atOnce(...orders), other.alone(...orders));
    deepEqual(place.content(), other.content());
  }
  deepEqual([place.groups, place.spoilt], [[], 4]);
});

test("a constraint that waits for the end of a transaction is each transaction's own", (place) => {
  place.alone(write("CREATE TABLE late (id INTEGER PRIMARY KEY, t REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"));
  const replies = place.atOnce(
    atomic("INSERT INTO late VALUES (1, 5)", "INSERT INTO log (a) VALUES (1)"),
    atomic("INSERT INTO t VALUES (5, 'five', 5)", "INSERT INTO log (a) VALUES (2)"),
    atomic("INSERT INTO late VALUES (2, 6)", "INSERT INTO t VALUES (6, 'six', 6)"),
    atomic("INSERT INTO late VALUES (3, 5)", "DELETE FROM late WHERE id = 2"),
    atomic("INSERT INTO log (a) VALUES (3)", "DELETE FROM t WHERE id = 5"),
  );
  deepEqual(replies.map(short), [
    [1, "constraint"],
    [[1, 5], [1, 1]],
    [[1, 2], [1, 6]],
    [[1, 3], [1, 0]],
    [1, "constraint"],
  ]);
  // What would heal it comes too late.
  const healed = place.atOnce(
    atomic("INSERT INTO late VALUES (4, 77)", "INSERT INTO log (a) VALUES (4)"),
    atomic("DELETE FROM late WHERE id = 4", "INSERT INTO log (a) VALUES (5)"),
    write("INSERT INTO late VALUES (4, 77)"),
    write("UPDATE late SET t = 1 WHERE id = 4"),
  );
  deepEqual(healed.map(short), [[1, "constraint"], [[0, 0], [1, 2]], ["constraint"], [[0, 0]]]);
  deepEqual(place.groups, []);
  place.alone(write("DROP TABLE late"));
  place.atOnce(write("DELETE FROM log WHERE id = 1"), atomic("DELETE FROM log WHERE id = 1"));
  deepEqual([place.groups, place.spoilt], [[2], 0], "they share again");
});

test("what asks its connection is told of itself alone", (place) => {
  const asking = () =>
    atomic("INSERT INTO counted (a) VALUES (random()), (random())", "SELECT last_insert_rowid(), changes()");
  const neighbour = () => atomic("INSERT INTO log VALUES (NULL, 1)", "UPDATE t SET n = 1 WHERE id = 1");
  const orders = [neighbour(), asking(), neighbour(), neighbour(), asking()];
  place.know(...orders);
  const replies = place.atOnce(...orders).map(short);
  deepEqual([replies[1]![1], replies[4]![1]], [[[2, 2]], [[4, 2]]]);
  deepEqual(place.groups, [2]);
  // Not in so many words, but in a trigger and in a view.
  place.alone(
    write("CREATE TRIGGER asks AFTER INSERT ON bare BEGIN UPDATE log SET a = last_insert_rowid() WHERE id = 1; END"),
    write("CREATE VIEW asked AS SELECT changes() AS n"),
  );
  place.groups.length = 0;
  for (
    const asker of [
      atomic("INSERT INTO bare VALUES (1)"),
      atomic("DELETE FROM log WHERE id = 9", "SELECT n FROM asked"),
    ]
  ) {
    place.know(neighbour(), asker);
    place.atOnce(neighbour(), asker, neighbour());
  }
  deepEqual(place.groups, []);
});

test("only what is short, writes and defines nothing shares a commit", (place) => {
  const neighbour = () => atomic("INSERT INTO log (a) VALUES (1)");
  const loners = [
    atomic("INSERT INTO log (a) VALUES (1)", "SELECT count(*) FROM log"),
    atomic("UPDATE log SET a = 2"),
    atomic("CREATE TABLE u (a)", "INSERT INTO u VALUES (1)"),
    atomic("DROP TABLE u"),
    atomic("INSERT INTO nosuch VALUES (1)"),
    atomic(...Array(40).fill("INSERT INTO log (a) VALUES (1)")),
    reading("SELECT 1"),
  ];
  place.know(neighbour(), ...loners);
  for (const loner of loners) place.atOnce(neighbour(), loner, neighbour());
  deepEqual([place.groups, place.spoilt], [[], 0]);
});

test("a group has only so many statements, values and rows", (place) => {
  const five = () => atomic(...Array(5).fill("UPDATE log SET a = 1 WHERE id = 1"));
  place.know(five());
  place.atOnce(...Array.from({ length: 200 }, five));
  ok(Math.max(...place.groups) <= 51, String(place.groups));
  equal(place.groups.reduce((sum, size) => sum + size, 0), 200);

  place.groups.length = 0;
  const text = "x".repeat(1_000_000);
  const large = () => atomic(statement("UPDATE log SET a = ? WHERE id = 1", text), "DELETE FROM log WHERE id = 99");
  place.alone(write("INSERT INTO log VALUES (1, 1)"));
  place.know(large());
  place.atOnce(...Array.from({ length: 12 }, large));
  ok(Math.max(...place.groups) <= 4, String(place.groups));

  place.groups.length = 0;
  const reading = () => ({
    ...atomic("SELECT a FROM log WHERE id = 1", "DELETE FROM log WHERE id = 99"),
    ceiling: { rows: 1, bytes: 2_000_000 },
  });
  place.know(reading());
  const replies = place.atOnce(...Array.from({ length: 12 }, reading));
  for (const reply of replies) deepEqual(short(reply), [[[text]], [0, 0]]);
  ok(Math.max(...place.groups) <= 5, String(place.groups));
});

test("rows beyond the ceiling are the fault of who asked for them", (place) => {
  const orders = [
    atomic("INSERT INTO log (a) VALUES (1)"),
    { ...atomic("INSERT INTO log (a) VALUES (2)", "SELECT a FROM t WHERE id = 1"), ceiling: { rows: 0, bytes: 9 } },
    atomic("INSERT INTO log (a) VALUES (3)", "SELECT 1e999"),
    atomic("INSERT INTO log (a) VALUES (4)"),
  ];
  place.know(...orders);
  deepEqual(place.atOnce(...orders).map(short), [[[1, 1]], [1, "too_big"], [1, "invalid"], [[1, 2]]]);
  deepEqual([place.groups, place.spoilt], [[4], 0]);
});

test("a bound on the database is met by those who grow it alone", (place, other) => {
  const text = "x".repeat(3_000);
  const orders = Array.from({ length: 40 }, (_, i) => ({
    ...atomic(
      statement("INSERT INTO bare VALUES (?)", `${i}${text}`),
      statement("UPDATE t SET n = n + 1 WHERE id = ? AND n < 8", i % 3),
    ),
    maxDatabaseBytes: 200_000,
  }));
  const replies = [place.atOnce(...orders), other.alone(...orders)];
  for (const all of replies) {
    const kinds = new Set(
      all.flatMap((reply) => reply.kind === "done" ? ["done"] : [`${reply.step} ${reply.fault.kind}`]),
    );
    deepEqual(kinds, new Set(["done", "0 quota"]));
  }
  const done = replies.map((all) => all.filter(({ kind }) => kind === "done").length);
  ok(Math.abs(done[0]! - done[1]!) <= 1, `${done}`);
  using db = new DatabaseSync(place.path, { readOnly: true });
  equal(db.prepare("SELECT count(*) AS n FROM bare").get()!["n"], done[0]);
});

test("each is held to its own bound", (place, other) => {
  const text = "x".repeat(3_000);
  const orders = Array.from({ length: 60 }, (_, i) => ({
    ...atomic(statement("INSERT INTO bare VALUES (?)", `${i}${text}`), "UPDATE t SET n = 1 WHERE id = 1"),
    maxDatabaseBytes: i % 3 === 0 ? 0 : 150_000,
  }));
  deepEqual(place.atOnce(...orders), other.alone(...orders));
  deepEqual(place.content(), other.content());
  ok(Math.max(...place.groups) === 2, String(place.groups));
});

const UNTRIGGERED = ["note", "mine_ROLLBACK", "mine_ABORT", "mine_FAIL", "mine_ignore"].map((name) =>
  `DROP TRIGGER ${name}`
);

test("statements that are compiled anew within a group, because there are so many, give the same", (place, other) => {
  for (const one of [place, other]) one.alone(...UNTRIGGERED.map((sql) => write(sql)));
  const orders = Array.from(
    { length: 120 },
    (_, i) => atomic(`INSERT INTO t (a) VALUES ('v${i}')`, `UPDATE t SET n = ${i % 12} WHERE a = 'v${i}'`),
  );
  for (let round = 0; round < 2; round++) {
    deepEqual(place.atOnce(...orders), other.alone(...orders));
    deepEqual(place.content(), other.content());
  }
  deepEqual(place.groups, [120, 120]);
});

test("nothing is compiled before its turn that might take long to compile", (place) => {
  let n = 0;
  const groups = (text: () => string) => {
    place.groups.length = 0;
    place.atOnce(...Array.from({ length: 4 }, () => atomic(text(), "DELETE FROM log WHERE id = 1")));
    return [...place.groups];
  };
  const plain = () => `INSERT INTO log (a) VALUES (${n++})`;
  const nesting = () => `INSERT INTO log (a) VALUES ((SELECT ${n++}))`;
  const long = () => `INSERT INTO log (a) VALUES (${n++}, '${"x".repeat(1_000)}')`.replace("(a)", "(id, a)");
  deepEqual(groups(plain), [], "a trigger may nest");
  place.alone(...UNTRIGGERED.map((sql) => write(sql)));
  deepEqual([groups(plain), groups(nesting), groups(long)], [[4], [], []]);
  for (
    const [make, undo] of [
      ["CREATE VIEW v AS SELECT 1 AS a", "DROP VIEW v"],
      ["ALTER TABLE log ADD COLUMN g AS (a + a)", "ALTER TABLE log DROP COLUMN g"],
    ] as const
  ) {
    place.alone(write(make));
    deepEqual(groups(plain), [], make);
    place.alone(write(undo));
    deepEqual(groups(plain), [4], undo);
  }
  const known = nesting();
  groups(() => known);
  deepEqual(groups(() => known), [4], "what has been compiled is known");
});

test("a transaction that its end refuses leaves nothing compiled by its definitions", (place) => {
  place.alone(write("CREATE TABLE late (t REFERENCES t (id) DEFERRABLE INITIALLY DEFERRED)"));
  const refused = place.connection.run(
    atomic("ALTER TABLE log ADD COLUMN b DEFAULT 2", "SELECT * FROM log", "INSERT INTO late VALUES (99)"),
  );
  deepEqual(short(refused), [2, "constraint"]);
  place.alone(write("INSERT INTO log VALUES (1, 'x')"));
  const [reply] = place.alone(reading("SELECT * FROM log"));
  ok(reply?.kind === "done" && reply.outcomes[0]?.ok);
  deepEqual(reply.outcomes[0].result.rows, { columns: ["id", "a"], types: ["integer", "text"], rows: [[1, "x"]] });
});

const A = ["one", "two", "x", "y", "z", null, 7];

/** Statements of the kinds that clients send, some of which fail, some of which spoil, some of which may share nothing. */
function anyStatements(pick: (n: number) => number): GatedStatement[] {
  const a = () => A[pick(A.length)]!, id = () => pick(8) + 1, n = () => pick(11);
  const conflict = ["", "", "OR IGNORE ", "OR REPLACE ", "OR FAIL ", "OR ABORT ", "OR ROLLBACK "];
  const makers: (() => GatedStatement | GatedStatement[])[] = [
    () => statement(`INSERT ${conflict[pick(7)]}INTO t (a, n) VALUES (?, ?)`, a(), n()),
    () =>
      statement(
        `INSERT ${conflict[pick(7)]}INTO t (id, a, n) VALUES (?, ?, ?), (?, ?, ?)`,
        id(),
        a(),
        n(),
        id(),
        a(),
        n(),
      ),
    () => statement("INSERT INTO t (a, n) VALUES (?, ?) ON CONFLICT (a) DO UPDATE SET n = excluded.n", a(), n()),
    () => statement("INSERT INTO counted (a) VALUES (?)", a()),
    () => statement("INSERT INTO bare VALUES (?)", a()),
    () => statement("INSERT INTO child (t) VALUES (?)", id()),
    () => statement("INSERT INTO mined VALUES (?)", ["ROLLBACK", "ABORT", "FAIL", "IGNORE", "x", "y", "z"][pick(7)]!),
    () => statement("UPDATE t SET n = n + 1 WHERE id = ?", id()),
    () => statement(`UPDATE ${conflict[pick(7)]}t SET a = ? WHERE id = ?`, a(), id()),
    () => statement("DELETE FROM child WHERE id = ?", id()),
    () => statement("DELETE FROM bare WHERE a = ?", a()),
    () => statement("DELETE FROM counted WHERE id = ?", id()),
    () => statement("SELECT * FROM t WHERE id = ?", id()),
    () => statement("SELECT max(id) FROM counted"),
    () => statement("SELECT n FROM t WHERE a = ?", a()),
    () => statement("SELECT json_extract('{}', ?)", ["$", "x"][pick(2)]!),
    () => preconditions.check(statement("SELECT n FROM t WHERE id = ?", id()), { values: [[n()]] }),
    () => preconditions.check(statement("SELECT n FROM t WHERE a = ?", a()), { rows: pick(2) }),
    () => [
      statement("UPDATE t SET n = 1 WHERE id = ?", id()),
      own("UPDATE t SET a = changes() || 'x' WHERE id = ?", id()),
    ],
  ];
  const rare: (() => GatedStatement)[] = [
    () => statement("UPDATE t SET n = n + 1"),
    () => statement("DELETE FROM t WHERE id = ?", id()),
    () => statement("DELETE FROM t WHERE a = ?", a()),
    () => statement("SELECT count(*) FROM t"),
    () => statement("INSERT INTO t (a) VALUES (?) RETURNING id", a()),
    () => statement("INSERT INTO nosuch VALUES (1)"),
    () => statement("SELECT nonsense("),
    () => statement(`CREATE TABLE IF NOT EXISTS u${pick(3)} (a)`),
    () => statement(`DROP TABLE IF EXISTS u${pick(3)}`),
    () => statement("ALTER TABLE log ADD COLUMN b"),
  ];
  return [(pick(40) === 0 ? rare[pick(rare.length)]! : makers[pick(makers.length)]!)()].flat();
}

test("whatever comes at once gives what it gives one after the other", async (place, other) => {
  const pick = randomNumbers(20_260_118);
  for (const one of [place, other]) one.alone(atomic(CREATE_KEYS));
  let keys = 0;
  for (let round = 0; round < 150; round++) {
    const orders: RunOrder[] = [];
    for (let i = pick(12) + 2; i > 0; i--) {
      const statements = Array.from({ length: pick(4) + 1 }, () => anyStatements(pick)).flat();
      if (statements.every(({ facts }) => facts.access === "read")) continue;
      if (pick(3) === 0 && !statements.some(({ own }) => own)) {
        orders.push(await keyed(`k${pick(4) === 0 ? pick(keys + 1) : keys++}`, ...statements));
      } else if (statements[0]!.facts.access !== "read" && pick(3) === 0) orders.push(order("write", [statements[0]!]));
      else orders.push(atomic(...statements));
    }
    if (pick(4) > 0) place.know(...orders);
    const replies = place.atOnce(...orders);
    deepEqual(replies, other.alone(...orders), `round ${round}`);
    deepEqual(place.content(), other.content(), `round ${round}`);
    // What the next host would answer is what was answered.
    place.reopen();
    for (const [write, outcome] of place.connection.commits.found?.requests ?? []) {
      const at = orders.findIndex((one) => one.write === write);
      if (at < 0) continue;
      const reply = replies[at]!;
      const failed = reply.kind === "rolled_back" || reply.outcomes.some(({ ok }) => !ok);
      if (outcome === "nothing") ok(failed);
      else if (outcome === "rows") ok(reply.kind === "done" && reply.outcomes.some((one) => one.ok && one.result.rows));
      else deepEqual(reply, { kind: "done", outcomes: outcomesOf(outcome) });
    }
  }
  ok(place.groups.length > 100 && place.spoilt > 10, `${place.groups.length} ${place.spoilt}`);
  ok(place.groups.some((size) => size > 5), String(place.groups));
});
