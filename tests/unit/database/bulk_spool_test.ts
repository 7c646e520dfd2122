import { deepEqual, equal, ok } from "node:assert/strict";
import { BulkSpool } from "../../../services/database/bulk/spool.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { untag } from "../../../src/hosts/tagging.ts";

/** Puts rows into a spool. @returns the lines of its file */
async function spooled(rows: readonly (readonly SqlArgument[])[], size: number): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  try {
    await using spool = await BulkSpool.create(folder);
    for (const row of rows) if (spool.add(row, size)) await spool.flush();
    await spool.flush();
    const text = await Deno.readTextFile(spool.path);
    ok(text.endsWith("\n"));
    return text.slice(0, -1).split("\n");
  } finally {
    deepEqual([...Deno.readDirSync(folder)], [], "the file goes with it");
    await Deno.remove(folder);
  }
}

const rowsIn = (lines: readonly string[]) => lines.flatMap((line) => untag(JSON.parse(line)) as SqlArgument[][]);

Deno.test("all rows come back in order, with the values that JSON lacks", async () => {
  const rows = Array.from(
    { length: 2_500 },
    (_, i) => [i, BigInt(i), new Uint8Array([i & 255]), "line\nend", { real: 1 }],
  );
  const lines = await spooled(rows, 50);
  equal(lines.length, 3);
  deepEqual(rowsIn(lines).map(([i, ...rest]) => [i, BigInt(rest[0] as number | bigint), ...rest.slice(1)]), rows);
});

Deno.test("what is in memory at once is bounded by bytes, not by rows alone", async () => {
  const row = ["x".repeat(300_000)];
  const lines = await spooled(Array(40).fill(row), 300_000);
  equal(rowsIn(lines).length, 40);
  ok(lines.every(({ length }) => length < 1_500_000), lines.map(({ length }) => length).join());
});
