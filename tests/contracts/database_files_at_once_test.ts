import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { FileFormat } from "../../src/contracts/database_files.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { is, NAMESPACE, REQUEST } from "./sql_databases.ts";
import { onSqlite, onWholeDatabases, type Whole } from "./whole_databases.ts";

const ACTOR = { subject: "0xa" };
const encoder = new TextEncoder();

/** Text whose second half comes when it is let go. */
function halves(text: string) {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const { promise: wanted, resolve: goOn } = Promise.withResolvers<void>();
  const half = Math.floor(text.length / 2);
  async function* body() {
    yield encoder.encode(text.slice(0, half));
    begin();
    await wanted;
    yield encoder.encode(text.slice(half));
  }
  return { body: body(), begun, goOn };
}

const restore = ({ files }: Whole, text: string, namespace = NAMESPACE) =>
  files.restore(namespace, "sql", ReadableStream.from([encoder.encode(text)]), ACTOR, REQUEST);

async function fill({ db }: Whole): Promise<void> {
  await db.execAll("CREATE TABLE t (a)", "INSERT INTO t VALUES (hex(zeroblob(200000)))");
}

onWholeDatabases({
  "clients that send slowly keep nobody else from restoring, however many they are": async (whole) => {
    const slow = Array.from({ length: 20 }, () => halves("CREATE TABLE slow (a)"));
    const restores = awaitedLater(
      slow.map(({ body }, at) => whole.files.restore(`slow${at}`, "sql", body, ACTOR, REQUEST)),
    );
    await Promise.all(slow.map(({ begun }) => begun));
    equal((await restore(whole, "CREATE TABLE quick (a)")).tables, 1);
    const copy = await whole.files.backup(NAMESPACE, "sqlite", REQUEST);
    equal((await new Blob(await Array.fromAsync(copy.chunks)).arrayBuffer()).byteLength, copy.bytes);
    slow.forEach(({ goOn }) => goOn());
    deepEqual((await Promise.all(restores)).map(({ tables }) => tables), Array(20).fill(1));
  },

  "whoever has the last byte of a backup may begin the next job": async (whole) => {
    await fill(whole);
    for (const format of ["sqlite", "sql"] as const) {
      const { bytes, chunks } = await whole.files.backup(NAMESPACE, format, REQUEST);
      let taken = 0, end = "";
      for (const iterator = chunks[Symbol.asyncIterator](); taken !== bytes && !end.endsWith("COMMIT;\n");) {
        const { value } = await iterator.next();
        ok(value, format);
        taken += value.length;
        if (format === "sql") end = new TextDecoder().decode(value);
      }
      // Nobody has asked whether there is more.
      await whole.files.backup(NAMESPACE, "sqlite", REQUEST).then(({ chunks }) => Array.fromAsync(chunks));
    }
  },

  "a job waits for the one before it that is winding up": async (whole) => {
    await fill(whole);
    const left = (await whole.files.backup(NAMESPACE, "sql", REQUEST)).chunks[Symbol.asyncIterator]();
    await left.next();
    const next = awaitedLater(restore(whole, "CREATE TABLE later (a)"));
    await left.return?.();
    equal((await next).tables, 1);
  },

  "a restore that was begun before its namespace is deleted does not bring it back": async (whole) => {
    await fill(whole);
    const { database } = whole.db;
    const { body, begun, goOn } = halves("CREATE TABLE back (a)");
    const slow = awaitedLater(whole.files.restore(NAMESPACE, "sql", body, ACTOR, REQUEST));
    await begun;
    await database.purge(NAMESPACE, REQUEST.signal);
    goOn();
    await rejects(slow, is("CONFLICT", "being deleted; nothing was changed"));
    deepEqual(await database.schema(NAMESPACE, REQUEST), []);

    // Whatever it is at then, up to its turn.
    await fill(whole);
    const { promise: others, resolve: end } = Promise.withResolvers<void>();
    const held = whole.turns.run(NAMESPACE, () => others);
    const waiting = rejects(restore(whole, "CREATE TABLE back (a)"), is("CONFLICT"));
    const purge = database.purge(NAMESPACE, REQUEST.signal);
    const during = rejects(restore(whole, "CREATE TABLE back (a)"), is("CONFLICT"));
    end();
    await Promise.all([held, waiting, during, purge]);
    deepEqual(await database.schema(NAMESPACE, REQUEST), []);
    equal((await restore(whole, "CREATE TABLE again (a)")).tables, 1, "whoever has the name next may restore");
    deepEqual(whole.acts.length, 1);
  },

  "a deletion waits until whoever works on the database as a whole is done, and no longer than it may": async (
    whole,
  ) => {
    await fill(whole);
    const { database } = whole.db;
    const { promise: others, resolve: end } = Promise.withResolvers<void>();
    const order: string[] = [];
    const held = awaitedLater(whole.turns.run(NAMESPACE, () => others).then(() => order.push("work")));
    const purge = awaitedLater(database.purge(NAMESPACE, REQUEST.signal).then(() => order.push("deletion")));
    const impatient = new AbortController();
    const late = awaitedLater(rejects(database.purge(NAMESPACE, impatient.signal), { name: "AbortError" }));
    // As long as a deletion takes.
    if (whole.driver === "sqlite") await database.purge("other", REQUEST.signal);
    deepEqual(await whole.db.rows("SELECT count(*) FROM t"), [[1]]);
    impatient.abort();
    end();
    await Promise.all([held, purge, late]);
    deepEqual(order, ["work", "deletion"]);
    deepEqual(await database.schema(NAMESPACE, REQUEST), []);
  },

  "a restore is recorded with who made it, and what was refused is not": async (whole) => {
    await rejects(restore(whole, "CREATE TABLE t (a"), is("SQL_INVALID"));
    deepEqual(whole.acts, []);
    const { tables, bytes } = await restore(whole, "CREATE TABLE t (a)");
    deepEqual(whole.acts, [{
      namespace: NAMESPACE,
      actor: ACTOR.subject,
      action: "database.restored",
      resource: NAMESPACE,
      details: { format: "sql", tables, bytes },
    }]);
  },
});

onSqlite("clients that read slowly keep nobody else from restoring, however many they are", async (whole) => {
  const formatOf = (at: number): FileFormat => at < 8 ? "sql" : "sqlite";
  const copies = [];
  for (let at = 0; at < 20; at++) {
    await restore(whole, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", `reader${at}`);
    copies.push(await whole.files.backup(`reader${at}`, formatOf(at), REQUEST));
  }
  equal((await restore(whole, "CREATE TABLE quick (a)")).tables, 1);
  for (const { chunks } of copies) await chunks[Symbol.asyncIterator]().return?.();
});

onSqlite("a namespace that was deleted while a restore of it was under way has no file", async (whole) => {
  const { body, begun, goOn } = halves("CREATE TABLE back (a)");
  const slow = awaitedLater(whole.files.restore(NAMESPACE, "sql", body, ACTOR, REQUEST));
  await begun;
  await whole.db.database.purge(NAMESPACE, REQUEST.signal);
  goOn();
  await rejects(slow, is("CONFLICT"));
  deepEqual([...Deno.readDirSync(`${whole.folder}/namespaces`)], []);
});
