import { deepEqual, equal } from "node:assert/strict";
import { judge } from "../../../services/database/gate/gate.ts";
import { SqliteConnection } from "../../../services/database/sqlite/connection.ts";
import { emptyDatabaseFile } from "../../../services/database/sqlite/node_sqlite.ts";

/** How often there is something to give back after 20 MiB were deleted. */
async function upkeeps(prepare: (path: string) => void = () => {}): Promise<boolean[]> {
  const folder = await Deno.makeTempDir();
  prepare(`${folder}/a.sqlite`);
  const connection = new SqliteConnection(
    `${folder}/a.sqlite`,
    { synchronous: "NORMAL", busyTimeout: 0, memory: 2 ** 28 },
    "test",
  );
  try {
    const rows = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c LIMIT 20)";
    const statements = [
      "CREATE TABLE t (v)",
      `INSERT INTO t ${rows} SELECT randomblob(${2 ** 20}) FROM c`,
      "DELETE FROM t",
    ];
    for (const [write, sql] of statements.entries()) {
      const { kind } = connection.run({
        op: "run",
        mode: "atomic",
        write,
        statements: [{ ...judge(sql), args: [] }],
        ceiling: { rows: 1, bytes: 1 },
        maxDatabaseBytes: 0,
      });
      equal(kind, "done");
    }
    return Array.from({ length: 7 }, () => connection.upkeep());
  } finally {
    connection.close();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("upkeep says that there is more to give back until there is none", async () => {
  deepEqual(await upkeeps(), [true, true, true, true, true, false, false]);
});

Deno.test("a file that gives nothing back is not looked after for ever", async () => {
  const elsewhere = (path: string) => Deno.writeFileSync(path, emptyDatabaseFile());
  deepEqual(await upkeeps(elsewhere), Array(7).fill(false));
});
