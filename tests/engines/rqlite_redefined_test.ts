import { deepEqual, equal, ok } from "node:assert/strict";
import { SqlDatabase } from "../../services/database/database.ts";
import { RqliteDriver } from "../../services/database/rqlite/driver.ts";
import { Judge } from "../../services/database/rqlite/judge.ts";
import { DEFAULT_RULES } from "../../services/database/runner.ts";
import { RqliteCluster } from "../../services/rqlite/client.ts";
import type { SqlArgument, TransactionStep } from "../../src/contracts/database.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const context = { requestId: "test", signal: new AbortController().signal, clientAddress: "" };
const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT max(i) AS m FROM c";
const CALLERS = 4;

/** One gateway's way to a namespace on a real cluster. */
class Gateway implements AsyncDisposable {
  /** How many statements went together, by what they do. */
  readonly groups: string[] = [];
  readonly stuck: boolean[] = [];
  readonly #db: SqlDatabase;

  constructor(urls: readonly string[]) {
    const cluster = new RqliteCluster({
      name: "one",
      urls,
      onGroup: (access, statements) => this.groups.push(`${access} ${statements}`),
      onStuck: (stuck) => this.stuck.push(stuck),
    });
    const clusters = new Map([["one", cluster]]);
    const driver = new RqliteDriver({ clusters, clusterOf: () => Promise.resolve("one"), judge: new Judge() });
    this.#db = new SqlDatabase(driver, { rulesOf: () => ({ ...DEFAULT_RULES, timeout: 500 }) });
  }

  exec = (sql: string, ...args: SqlArgument[]) => this.#db.execute("shop", { sql, args }, context);
  rows = async (sql: string, ...args: SqlArgument[]) => (await this.#db.query("shop", { sql, args }, context)).rows;
  define = async (...statements: string[]) => {
    const steps: TransactionStep[] = statements.map((sql) => ({ kind: "exec", sql, args: [] }));
    await this.#db.transaction("shop", steps, context);
  };
  [Symbol.asyncDispose] = () => this.#db.close();
}

/** Each of them as often as there are callers, at once: what it came to, in a word. */
async function atOnce(...calls: readonly ((caller: number) => Promise<unknown>)[]): Promise<string[]> {
  const all = calls.flatMap((call) => Array.from({ length: CALLERS }, (_, caller) => call(caller)));
  return (await Promise.allSettled(all)).map((one) => {
    if (one.status === "fulfilled") return "done";
    return one.reason instanceof GatewayError ? one.reason.code : String(one.reason);
  });
}

const times = (word: string, count = CALLERS) => Array<string>(count).fill(word);
const INSERT = "INSERT INTO w (id, v) VALUES (?, ?)";
const TRAP = "CREATE TRIGGER trap AFTER INSERT ON w BEGIN INSERT INTO sink SELECT m FROM endless; END";

engineTest(
  "what was proven short, and has become endless by another gateway's definition, hangs nobody and nothing",
  ["rqlited"],
  async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    await using gateway = new Gateway(urls);
    await using other = new Gateway(urls);
    await gateway.define(
      "CREATE TABLE w (id INTEGER PRIMARY KEY, v TEXT UNIQUE)",
      "CREATE TABLE calm (id INTEGER PRIMARY KEY)",
      "CREATE TABLE sink (m)",
      `CREATE VIEW endless AS ${ENDLESS}`,
      "CREATE VIEW seen AS SELECT v FROM w WHERE id = 1",
      "INSERT INTO w VALUES (1, 'taken')",
    );
    let next = 100;
    const insert = () => gateway.exec(INSERT, ++next, `v${next}`);
    const taken = () => gateway.exec(INSERT, ++next, "taken");
    const calm = () => gateway.exec("INSERT INTO calm VALUES (?)", ++next);
    const see = () => gateway.rows("SELECT v FROM seen");
    // More than once: a look at the schema that is still on its way may make void what is known.
    const prove = async () => {
      let proven = 0;
      await until("all of them go together", async () => {
        gateway.groups.length = 0;
        deepEqual(await atOnce(insert, calm, see), times("done", 3 * CALLERS));
        proven = gateway.groups.includes(`write ${2 * CALLERS}`) ? proven + 1 : 0;
        return proven === 4;
      });
      gateway.groups.length = 0;
    };

    await prove();
    await other.define(TRAP);
    deepEqual(await atOnce(insert, calm), [...times("STATEMENT_TIMEOUT"), ...times("done")]);
    ok(gateway.groups.includes(`write ${2 * CALLERS}`), `proofs were out of date: ${gateway.groups}`);

    await other.define("DROP TRIGGER trap");
    await prove();
    await other.define(TRAP);
    deepEqual(await atOnce(taken, insert), [...times("CONSTRAINT_FAILED"), ...times("STATEMENT_TIMEOUT")]);
    ok(gateway.groups.includes(`write ${2 * CALLERS}`), `proofs were out of date: ${gateway.groups}`);

    await other.define("DROP TRIGGER trap");
    await prove();
    await other.define("DROP VIEW seen", "CREATE VIEW seen AS SELECT m AS v FROM endless");
    const byKey = () => gateway.rows("SELECT v FROM w WHERE id = ?", 1);
    deepEqual(await atOnce(see, byKey), [...times("STATEMENT_TIMEOUT"), ...times("done")]);
    ok(gateway.groups.some((group) => group.startsWith("read") && group !== "read 1"), `${gateway.groups}`);

    deepEqual(await atOnce(calm), times("done"));
    equal((await gateway.rows("SELECT count(*) FROM sink"))[0]![0], 0);
    deepEqual([...gateway.stuck, ...other.stuck], []);
  },
);

engineTest(
  "what becomes endless by a definition of one's own, while it waits in line, hangs nobody and nothing",
  ["rqlited"],
  async (engines) => {
    const { urls } = await engines.rqlite({ nodes: 1 });
    await using gateway = new Gateway(urls);
    await gateway.define(
      "CREATE TABLE w (id INTEGER PRIMARY KEY, v TEXT UNIQUE)",
      "CREATE TABLE sink (m)",
      `CREATE VIEW endless AS ${ENDLESS}`,
    );
    let next = 0;
    const stored = new Set<unknown>();
    const insert = async () => {
      const id = ++next;
      await gateway.exec(INSERT, id, `v${id}`);
      stored.add(id);
    };
    for (let round = 0; round < 4; round++) {
      deepEqual(await atOnce(insert), times("done"));
      const sent = atOnce(insert);
      await new Promise((resolve) => setTimeout(resolve, 0));
      // They wait behind those that are on their way, and the definition does not.
      const waiting = atOnce(insert, insert);
      const defined = awaitedLater(gateway.exec(TRAP));
      const outcomes = [...await sent, ...await waiting, ...await atOnce(insert)];
      await defined;
      deepEqual(outcomes.filter((outcome) => outcome !== "done" && outcome !== "STATEMENT_TIMEOUT"), []);
      await gateway.exec("DROP TRIGGER trap");
    }
    deepEqual(new Set((await gateway.rows("SELECT id FROM w")).map(([id]) => id)), stored);
    equal((await gateway.rows("SELECT count(*) FROM sink"))[0]![0], 0);
    deepEqual(gateway.stuck, []);
  },
);
