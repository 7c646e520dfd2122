import { deepEqual, equal } from "node:assert/strict";
import { judge } from "../../../services/database/gate/gate.ts";
import { SizeWatch } from "../../../services/database/rqlite/size.ts";

const gated = (sql: string) => ({ ...judge(sql), args: [] });
const grow = [gated("INSERT INTO t VALUES (1)")];

/** A database of a size, and how often it was asked for it. */
function watched(bytes: number) {
  const state = { bytes, asked: 0, clock: 0, down: false };
  const watch = new SizeWatch(() => {
    state.asked++;
    return state.down ? Promise.reject(new Error("down")) : Promise.resolve(state.bytes);
  }, () => state.clock);
  return { state, refuses: async (sql = grow) => (await watch.refuses(sql, 1_000))?.fault.kind };
}

Deno.test("what may make a full database larger is refused, and nothing else", async () => {
  const { refuses } = watched(1_000);
  for (
    const sql of [
      "INSERT INTO t VALUES (1)",
      "REPLACE INTO t VALUES (1)",
      "UPDATE t SET a = 1",
      "CREATE TABLE x (a)",
      "ALTER TABLE t ADD b",
    ]
  ) {
    equal(await refuses([gated(sql)]), "quota", sql);
  }
  for (const sql of ["SELECT 1", "DELETE FROM t", "DROP TABLE t", "REINDEX", "EXPLAIN INSERT INTO t VALUES (1)"]) {
    equal(await refuses([gated(sql)]), undefined, sql);
  }
  equal(await refuses([{ ...grow[0]!, own: true }] as never), undefined);
});

Deno.test("the first statement that grows is the one to blame", async () => {
  const watch = new SizeWatch(() => Promise.resolve(5_000), () => 0);
  const steps = ["DELETE FROM t", "SELECT 1", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1"].map(gated);
  equal((await watch.refuses(steps, 1_000))?.step, 2);
});

Deno.test("the size is asked every five seconds while there are writes, and each second while they are refused", async () => {
  const { state, refuses } = watched(10);
  for (let i = 0; i < 100; i++) await refuses();
  equal(state.asked, 1);
  state.bytes = 2_000;
  state.clock = 5_001;
  await refuses();
  equal(await refuses(), "quota");
  equal(state.asked, 2);
  state.bytes = 500;
  state.clock += 999;
  deepEqual([await refuses(), state.asked], ["quota", 2]);
  state.clock += 2;
  deepEqual([await refuses(), state.asked], [undefined, 3]);
});

Deno.test("a database that cannot be asked is refused nothing for that", async () => {
  const { state, refuses } = watched(2_000);
  state.down = true;
  equal(await refuses(), undefined);
});
