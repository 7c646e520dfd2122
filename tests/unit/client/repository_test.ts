import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { databaseAt } from "./support/databases.ts";
import { answer, ScriptedServer } from "./support/scripted_server.ts";

interface User {
  id: number;
  name: string;
}

const replayed = { rows_affected: 1, last_insert_id: 7, replayed: true };
const rows = (...items: readonly unknown[]) => answer(200, { items, count: items.length });

Deno.test("an insert that was replayed is read back by its row id", async () => {
  await using server = new ScriptedServer(({ path }) =>
    path.endsWith("exec") ? answer(200, replayed) : rows({ id: 7, name: "Ada" })
  );
  const users = databaseAt(server.url).repository<User, "id">("users", { primaryKey: "id" });
  deepEqual(await users.save({ name: "Ada" }, { idempotencyKey: "k" }), { id: 7, name: "Ada" });
  equal(server.requests[0]?.headers.get("idempotency-key"), "k");
  deepEqual(server.sent(1), { sql: "SELECT * FROM `users` WHERE rowid = ?", args: [7] });
});

Deno.test("a change that was replayed is read back by its key", async () => {
  await using server = new ScriptedServer(({ path }) =>
    path.endsWith("transaction")
      ? answer(200, { status: "ok", results: [replayed, replayed], replayed: true })
      : rows({ id: 7, name: "Ada" })
  );
  const users = databaseAt(server.url).repository<User, "id">("users", { primaryKey: "id" });
  deepEqual(await users.save({ id: 7, name: "Ada" }, { idempotencyKey: "k" }), { id: 7, name: "Ada" });
  deepEqual(server.sent(1), { sql: "SELECT * FROM `users` WHERE `id` = ?", args: [7] });
});

Deno.test("a row that is gone before it can be read is an error, not an object of nothing", async () => {
  await using server = new ScriptedServer(({ path }) => path.endsWith("exec") ? answer(200, replayed) : rows());
  const users = databaseAt(server.url).repository<User, "id">("users", { primaryKey: "id" });
  await rejects(users.save({ name: "Ada" }), /was saved, and deleted/);
});

Deno.test("mappings that lose something are refused", () => {
  const db = databaseAt("http://127.0.0.1:1");
  const columns = { id: "x", name: "x" };
  throws(() => db.repository<User, "id">("users", { primaryKey: "id", columns }), /one column for two properties/);
  throws(() => db.repository<User, "id">("users", { primaryKey: [] }), /primaryKey names no property/);
  throws(() => db.repository<User, "id">("", { primaryKey: "id" }), /must not be empty/);
});

Deno.test("what is undefined is left alone, what is null is stored, and the key given as null is missing", async () => {
  await using server = new ScriptedServer(() => answer(200, { ...replayed, items: [{ id: 7, name: null }] }));
  const users = databaseAt(server.url).repository<User, "id">("users", { primaryKey: "id" });
  await users.save({ id: null, name: null } as never);
  await users.save({ name: undefined } as never);
  deepEqual([server.sent(0), server.sent(1)], [
    { sql: "INSERT INTO `users` (`name`) VALUES (?) RETURNING *", args: [null] },
    { sql: "INSERT INTO `users` DEFAULT VALUES RETURNING *", args: [] },
  ]);
});

Deno.test("toRow decides what is stored, and its properties have columns like others", async () => {
  await using server = new ScriptedServer(() => answer(200, { ...replayed, items: [{ id: 7, user_name: "ADA" }] }));
  const users = databaseAt(server.url).repository<User, "id">("users", {
    primaryKey: "id",
    columns: { name: "user_name" },
    toRow: ({ name }) => ({ name: name?.toUpperCase() }),
  });
  deepEqual(await users.save({ name: "Ada" }), { id: 7, name: "ADA" });
  deepEqual(server.sent(), { sql: "INSERT INTO `users` (`user_name`) VALUES (?) RETURNING *", args: ["ADA"] });
});
