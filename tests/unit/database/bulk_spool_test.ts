import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { BulkSpool } from "../../../services/database/bulk/spool.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
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

Deno.test("rows that the disk has no room for are refused before it is full, and leave nothing", async () => {
  const folder = await Deno.makeTempDir();
  const disk = { free: 2 ** 30 + 3 * 2 ** 20, total: 2 ** 40 };
  let flushed = 0;
  const spaceAt = () => Promise.resolve({ ...disk, free: disk.free - flushed * 2 ** 20 });
  try {
    await using spool = await BulkSpool.create(folder, spaceAt);
    const load = async () => {
      for (; flushed < 20; flushed++) {
        spool.add(["x".repeat(2 ** 20)], 2 ** 20);
        await spool.flush();
      }
    };
    await rejects(load(), (error) => {
      ok(error instanceof GatewayError);
      deepEqual([error.code, error.extra.retryAfter], ["NO_CAPACITY", 60]);
      ok(error.cause instanceof Error && error.cause.message.includes(folder), "the log is told where");
      return true;
    });
    ok(flushed > 2 && flushed < 6, `${flushed}`);
  } finally {
    deepEqual([...Deno.readDirSync(folder)], []);
    await Deno.remove(folder);
  }
});
