import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { judge as gate } from "../../../services/database/gate/gate.ts";
import { Judge } from "../../../services/database/rqlite/judge.ts";
import { Mirror } from "../../../services/database/rqlite/mirror.ts";
import type { Schema } from "../../../services/database/rqlite/mirror_source.ts";
import { sharedText } from "../../../services/database/rqlite/statements.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";

const gated = (sql: string) => ({ ...gate(sql), args: [] });
const table = (sql: string) => ({ type: "table", name: /table (\w+)/i.exec(sql)![1]!, sql });

/** A leader with a schema, and a mirror of it. */
class Leader {
  version = 1;
  objects = [table("CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)")];
  down = false;
  schemas = 0;
  versions = 0;
  clock = 0;
  readonly mirror: Mirror;

  constructor(judge: Judge, name = "shop") {
    this.mirror = new Mirror(name, judge, {
      schema: () => this.#answer(() => (this.schemas++, { version: this.version, objects: [...this.objects] })),
      version: () => this.#answer(() => (this.versions++, this.version)),
      shared: sharedText,
    }, () => this.clock);
  }

  define(sql: string): void {
    this.objects.push(table(sql));
    this.version++;
  }

  shared(sql: string): Promise<boolean> {
    return this.mirror.verdict(gated(sql)).then(({ shared }) => shared !== undefined);
  }

  async fault(sql: string): Promise<string | undefined> {
    return (await this.mirror.verdict(gated(sql))).fault?.message;
  }

  #answer<T extends Schema | number>(value: () => T): Promise<T> {
    if (this.down) return Promise.reject(new GatewayError("UNAVAILABLE", "down"));
    return Promise.resolve(value());
  }
}

function mirrorTest(name: string, run: (leader: Leader, judge: Judge) => Promise<void>): void {
  Deno.test(name, async () => {
    const judge = new Judge();
    try {
      await run(new Leader(judge), judge);
    } finally {
      await judge.close();
    }
  });
}

const READ = "SELECT * FROM t WHERE id = ?";

mirrorTest("a statement is judged once for each text and schema", async (leader) => {
  equal(leader.mirror.known(READ), undefined);
  equal(await leader.shared(READ), true);
  equal(await leader.shared("SELECT * FROM t WHERE n = ?"), false);
  ok(leader.mirror.known(READ)?.shared);
  equal(leader.schemas, 1);
});

mirrorTest("a definition of one's own makes what is known void at once", async (leader) => {
  await leader.shared(READ);
  leader.objects[0] = table("CREATE TABLE t (id INT, n INT)");
  leader.version++;
  leader.mirror.changed();
  equal(leader.mirror.known(READ), undefined);
  equal(await leader.shared(READ), false);
});

mirrorTest("what is known stays known where nothing has changed after all", async (leader) => {
  await leader.shared(READ);
  leader.mirror.changed();
  const [first, second] = await Promise.all([leader.shared(READ), leader.shared("SELECT 1")]);
  deepEqual([first, second, leader.schemas], [true, true, 2]);
});

mirrorTest(
  "another gateway's definition is noticed within a second, and by the version that reads bring along",
  async (leader) => {
    await leader.shared(READ);
    leader.define("CREATE TABLE u (a)");
    ok(leader.mirror.known(READ));
    equal(leader.versions, 0);
    leader.clock += 1_001;
    ok(leader.mirror.known(READ), "nobody waits for the look");
    await until("it was noticed", () => leader.mirror.known(READ) === undefined);
    await leader.shared(READ);
    equal(leader.mirror.wantsVersion, false);
    leader.clock += 101;
    equal(leader.mirror.wantsVersion, true);
    leader.mirror.sawVersion(leader.version);
    equal(leader.mirror.wantsVersion, false);
    ok(leader.mirror.known(READ));
    leader.mirror.sawVersion(leader.version + 1);
    equal(leader.mirror.known(READ), undefined);
  },
);

mirrorTest("a mistake counts only under the schema that the leader has now", async (leader) => {
  await leader.shared(READ);
  equal(await leader.fault("SELECT * FROM u"), "no such table: u");
  equal(leader.mirror.known("SELECT * FROM u"), undefined);
  leader.define("CREATE TABLE u (a)");
  equal(await leader.fault("SELECT * FROM u"), undefined);
  equal(await leader.fault("SELECT b FROM u"), "no such column: b");
  leader.down = true;
  equal(await leader.fault("SELECT c FROM u"), undefined, "the database itself is asked then");
});

mirrorTest("under a schema that cannot be mirrored nothing is a mistake", async (leader) => {
  leader.objects.push({ type: "table", name: "g", sql: "CREATE VIRTUAL TABLE g USING geopoly (a)" });
  equal(await leader.fault("SELECT * FROM g"), undefined);
  equal(await leader.fault("SELECT * FROM missing"), undefined);
  equal(await leader.shared(READ), true);
});

mirrorTest("many who make mistakes share the look at the leader", async (leader) => {
  await leader.shared(READ);
  const faults = await Promise.all(Array.from({ length: 50 }, (_, i) => leader.fault(`SELECT * FROM missing${i}`)));
  ok(faults.every((fault) => fault?.startsWith("no such table")));
  ok(leader.schemas < 20, String(leader.schemas));
});

mirrorTest("while the leader cannot be asked nothing is judged, and it is not asked each time", async (leader) => {
  leader.down = true;
  equal(await leader.shared(READ), false);
  leader.down = false;
  equal(await leader.shared(READ), false);
  leader.clock += 501;
  equal(await leader.shared(READ), true);
});

mirrorTest("a statement that takes too long to compile is refused, also when it comes again", async (leader, judge) => {
  const other = new Leader(judge, "other");
  await other.shared(READ);
  let sql = "SELECT 1 AS a";
  for (let i = 0; i < 27; i++) sql = `SELECT a + a AS a FROM (${sql})`;
  equal(await leader.fault(sql), "the statement takes too long to compile");
  const start = performance.now();
  equal(await leader.fault(sql), "the statement takes too long to compile");
  ok(performance.now() - start < 500);
  equal(await leader.shared(READ), true, "others of the namespace go on");
  equal(await other.shared("SELECT n FROM t WHERE id = ?"), true, "and those of other namespaces");
  const flood = Array.from({ length: 12 }, (_, i) => leader.fault(sql.replace("SELECT 1", `SELECT ${i + 2}`)));
  const outcomes = await Promise.allSettled(flood);
  const busy = outcomes.filter(({ status }) => status === "rejected");
  equal(busy.length, 8);
  await rejects(Promise.all(flood), (error) => error instanceof GatewayError && error.code === "UNAVAILABLE");
});

mirrorTest("a transaction is refused for what may not run, and not for mistakes", async (leader) => {
  const judged = (...sqls: string[]) => leader.mirror.transaction(sqls.map(gated));
  equal(await judged("INSERT INTO t VALUES (1, 2)", "SELECT * FROM missing"), undefined);
  equal(await judged("CREATE TABLE x (a)", "INSERT INTO x VALUES (1)", "SELECT * FROM missing"), undefined);
  const own = { ...gated("SELECT 1"), sql: "SELECT * FROM _orama_x", own: true } as const;
  equal(await leader.mirror.transaction([own, gated("CREATE TABLE x (a)")]), undefined);
  const hidden = { ...gated("SELECT 1"), sql: "DELETE FROM t" };
  deepEqual((await leader.mirror.transaction([gated("SELECT 1"), hidden]))?.step, 1);
  deepEqual((await leader.mirror.transaction([own, gated("CREATE TABLE x (a)"), hidden]))?.step, 2);
});

mirrorTest(
  "a statement that says by itself that it makes a huge value is refused, alone and in a transaction",
  async (leader) => {
    const huge = [
      "SELECT length(randomblob(1000000000))",
      "INSERT INTO t (n) VALUES (length(hex(RandomBlob /* so many */ ( 1e9 ))))",
      'SELECT length("zeroblob"(1_000_000_000))',
      "UPDATE t SET n = zeroblob(0x7fffffff)",
    ];
    for (const sql of huge) {
      equal((await leader.mirror.verdict(gated(sql))).fault?.kind, "too_big", sql);
      equal(leader.mirror.known(sql)?.fault?.kind, "too_big", sql);
      const refused = await leader.mirror.transaction([gated(READ), gated(sql)]);
      deepEqual([refused?.step, refused?.fault.kind], [1, "too_big"], sql);
    }
    const ordinary = [
      "randomblob(16777216)",
      "zeroblob(16)",
      "randomblob(n)",
      "'randomblob(1000000000)'",
      "abs(1000000000)",
    ];
    for (const sql of ordinary) equal(await leader.fault(`SELECT length(${sql}) FROM t`), undefined, sql);
  },
);
