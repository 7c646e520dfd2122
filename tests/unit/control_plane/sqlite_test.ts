import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { CompiledQuery } from "kysely";
import { SqliteControlDatabase } from "../../../services/control_plane/sqlite.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const raw = (sql: string) => CompiledQuery.raw(sql);

Deno.test("a control database that cannot be opened is UNAVAILABLE", () => {
  const open = () => new SqliteControlDatabase({ path: "/nowhere/control.sqlite" });
  let thrown: unknown;
  try {
    open();
  } catch (error) {
    thrown = error;
  }
  ok(thrown instanceof GatewayError && thrown.code === "UNAVAILABLE");
});

Deno.test("a write that another process keeps waiting is UNAVAILABLE and changes nothing", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/control.sqlite`;
  const control = new SqliteControlDatabase({ path, busyTimeout: 50 });
  await control.run(raw("CREATE TABLE t (x INTEGER)"));
  const other = new SqliteControlDatabase({ path });
  await other.run(raw("BEGIN IMMEDIATE"));
  const unavailable = (error: Error) => error instanceof GatewayError && error.code === "UNAVAILABLE";
  await rejects(control.run(raw("INSERT INTO t VALUES (1)")), unavailable);
  await rejects(control.atomically([raw("INSERT INTO t VALUES (1)")]), unavailable);
  await other.run(raw("ROLLBACK"));
  deepEqual((await control.run(raw("SELECT * FROM t"))).rows, []);
  await control.atomically([raw("INSERT INTO t VALUES (1)")]);
  await control.close();
  await other.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("the file can be read by its owner alone, and is synchronised at every commit", async () => {
  const folder = await Deno.makeTempDir();
  const control = new SqliteControlDatabase({ path: `${folder}/control.sqlite` });
  equal((await Deno.stat(`${folder}/control.sqlite`)).mode! & 0o777, 0o600);
  deepEqual((await control.run(raw("PRAGMA journal_mode"))).rows, [{ journal_mode: "wal" }]);
  deepEqual((await control.run(raw("PRAGMA synchronous"))).rows, [{ synchronous: 2 }]);
  deepEqual((await control.run(raw("PRAGMA foreign_keys"))).rows, [{ foreign_keys: 1 }]);
  await control.close();
  await Deno.remove(folder, { recursive: true });
});
