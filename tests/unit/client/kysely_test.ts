import { deepEqual, equal } from "node:assert/strict";
import { type Generated, Kysely } from "kysely";
import { OramaDialect } from "../../../src/client/database/kysely.ts";
import { databaseAt, oramaError } from "./support/databases.ts";
import { answer, type Script, ScriptedServer } from "./support/scripted_server.ts";

interface Tables {
  readonly pets: { readonly id: Generated<number>; readonly name: string };
}

const replayed = answer(200, { rows_affected: 1, last_insert_id: 7, replayed: true });

async function withServer(script: Script, run: (db: Kysely<Tables>, server: ScriptedServer) => Promise<void>) {
  await using server = new ScriptedServer(script);
  const database = databaseAt(server.url, {}, { idempotencyKey: true });
  await run(new Kysely<Tables>({ dialect: new OramaDialect({ database }) }), server);
}

Deno.test("rows that were lost with the first answer are an error: the change is made", async () => {
  await withServer(() => replayed, async (db) => {
    const insert = db.insertInto("pets").values({ name: "Rex" });
    equal((await oramaError(insert.returning("id").execute())).code, "RESULT_LOST");
    deepEqual((await insert.executeTakeFirst()).insertId, 7n);
  });
});

Deno.test("queries run at the same time, not one after the other", async () => {
  const all = Promise.withResolvers<void>();
  let waiting = 0;
  const script = async () => {
    if (++waiting === 3) all.resolve();
    await all.promise;
    return answer(200, { items: [{ name: "Rex" }], count: 1 });
  };
  await withServer(script, async (db) => {
    const rows = await Promise.all(
      [1, 2, 3].map((id) => db.selectFrom("pets").select("name").where("id", "=", id).execute()),
    );
    equal(rows.length, 3);
  });
});

Deno.test("rows are streamed in chunks of the wanted size", async () => {
  const text = '{"columns":["name"],"types":["text"]}\n["a"]\n["b"]\n["c"]\n{"end":true,"rows":3}\n';
  const script = () => answer(200, text, { "content-type": "application/x-ndjson" });
  await withServer(script, async (db, server) => {
    const names: string[] = [];
    for await (const { name } of db.selectFrom("pets").select("name").stream(2)) names.push(name);
    deepEqual(names, ["a", "b", "c"]);
    for await (const _ of db.selectFrom("pets").select("name").stream()) break;
    equal(server.requests.length, 2);
  });
});

Deno.test("a signal reaches the request", async () => {
  const controller = new AbortController();
  const script = () => {
    controller.abort(new Error("left"));
    return new Promise<string>(() => {});
  };
  const server = new ScriptedServer(script);
  const db = new Kysely<Tables>({ dialect: new OramaDialect({ database: databaseAt(server.url) }) });
  const reading = db.selectFrom("pets").selectAll().execute({ signal: controller.signal });
  equal(await reading.then(() => "rows", (error) => error.message), "left");
  void server[Symbol.asyncDispose]();
});
