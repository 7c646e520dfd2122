import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import type { Answer } from "../support/client.ts";
import { RawConnection } from "../support/raw_http.ts";
import { SqlCaller } from "../support/sql.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";

const suite = gatewaySuite();
const { test } = suite;
const CSV = "text/csv", LINES = "application/x-ndjson", JSON_TYPE = "application/json";

/** One namespace for all of them: each test has tables of its own. */
let made: Promise<Owner> | undefined;
const owner = () => made ??= newOwner(suite.gateway);
const sql = async () => new SqlCaller(suite.gateway, { key: (await owner()).apiKey });

async function load(
  type: string,
  raw: string | Uint8Array<ArrayBuffer>,
  query = "",
  headers: Record<string, string> = {},
): Promise<Answer> {
  const options = { key: (await owner()).apiKey, raw, headers: { "content-type": type, ...headers } };
  return await suite.gateway.call("POST", `/v1/rqlite/bulk${query}`, options);
}

const counted = async (table: string) => (await (await sql()).rows(`SELECT count(*) AS n FROM ${table}`))[0]?.["n"];

test("rows come as JSON, as lines and as CSV", async () => {
  const db = await sql();
  await db.run("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, born DATE, score REAL)");
  const rows = [{ id: 1, name: "Ada", score: 1.5 }, { name: "Bob", id: 2 }];
  const json = (await load(JSON_TYPE, JSON.stringify({ table: "people", columns: ["id", "name", "score"], rows })))
    .expect(200);
  deepEqual(json.body, { rows: 2, rows_affected: 2 });
  (await load(LINES, '{"table":"people","columns":["id","name"]}\n[3,"Cy"]\n[4,"Di"]\n')).expect(200);
  (await load(LINES, '[5,"Ed",null,7]\n', "?table=people")).expect(200);
  (await load(CSV, 'id,name,born\r\n6,"Fay, ""F""",2026-01-18\r\n7,,\r\n', "?table=people&types=integer")).expect(200);
  deepEqual((await db.query("SELECT * FROM people ORDER BY id")).list("items"), [
    { id: 1, name: "Ada", born: null, score: 1.5 },
    { id: 2, name: "Bob", born: null, score: null },
    { id: 3, name: "Cy", born: null, score: null },
    { id: 4, name: "Di", born: null, score: null },
    { id: 5, name: "Ed", born: null, score: 7 },
    { id: 6, name: 'Fay, "F"', born: "2026-01-18T00:00:00Z", score: null },
    { id: 7, name: null, born: null, score: null },
  ]);
});

test("a load is all or nothing; ignore and replace say what becomes of rows that are there", async () => {
  const db = await sql();
  await db.run("CREATE TABLE keyed (k TEXT PRIMARY KEY, v INTEGER NOT NULL)", "INSERT INTO keyed VALUES ('b', 1)");
  const refused = (await load(CSV, "k,v\na,2\nb,2\n", "?table=keyed")).expect(409);
  deepEqual([refused.get("code"), refused.get("details")], ["CONSTRAINT_FAILED", { row: 2 }]);
  match(refused.string("error"), /^row 2: UNIQUE constraint failed: keyed\.k/);
  equal(await counted("keyed"), 1);
  const ignored = (await load(CSV, "k,v\na,2\nb,2\n", "?table=keyed&on_conflict=ignore")).expect(200);
  deepEqual(ignored.body, { rows: 2, rows_affected: 1 });
  (await load(CSV, "k,v\nb,3\n", "?table=keyed&on_conflict=replace")).expect(200);
  deepEqual(await db.rows("SELECT * FROM keyed ORDER BY k"), [{ k: "a", v: 2 }, { k: "b", v: 3 }]);
});

test("mistakes are told with their place", async () => {
  const db = await sql();
  await db.run("CREATE TABLE wrong (a INTEGER, b)");
  const wrong: [string, string, string, string, RegExp][] = [
    [JSON_TYPE, "{", "", "INVALID_JSON", /json/],
    [JSON_TYPE, '{"table":"wrong"}', "", "INVALID_REQUEST", /^rows: /],
    [JSON_TYPE, '{"table":"wrong","rows":[[1,2],[1]]}', "", "INVALID_REQUEST", /^row 2: /],
    [JSON_TYPE, '{"table":"no_such","rows":[[1]]}', "", "SQL_INVALID", /no such table/],
    [JSON_TYPE, '{"table":"_orama_x","rows":[[1]]}', "", "SQL_NOT_ALLOWED", /_orama_/],
    [JSON_TYPE, '{"table":"wrong","rows":[{"__proto__":1}]}', "", "SQL_INVALID", /__proto__/],
    [
      LINES,
      '{"table":"wrong","columns":["a"]}\n[1]\n[{"type":"blob","base64":"*"}]\n',
      "",
      "INVALID_REQUEST",
      /^row 2, a: base64/,
    ],
    [LINES, "[1,2]\n[1,2\n", "?table=wrong", "INVALID_JSON", /^line 2/],
    [CSV, "a,b\n1,2\n3\n", "?table=wrong", "INVALID_REQUEST", /^row 2: it has 1 values for 2 columns/],
    [CSV, "a,nope\n1,2\n", "?table=wrong", "SQL_INVALID", /nope/],
    [CSV, "a\nx\n", "?table=wrong&types=integer", "INVALID_REQUEST", /^row 1, a: must be an integer/],
    [CSV, "a\n1\n", "", "INVALID_REQUEST", /^table: /],
    [CSV, "a\n1\n", "?table=wrong&types=money", "INVALID_REQUEST", /^types: /],
    [CSV, "a\n1\n", "?table=wrong&delimiter=ab", "INVALID_REQUEST", /^delimiter: /],
    [CSV, "a\n1\n", "?table=wrong&on_conflict=fail", "INVALID_REQUEST", /^on_conflict: /],
  ];
  for (const [type, body, query, code, sentence] of wrong) {
    const answer = (await load(type, body, query)).expect(400);
    equal(answer.get("code"), code, answer.text);
    match(answer.string("error"), sentence);
  }
  for (const type of ["text/plain", "application/xml"]) {
    const answer = (await load(type, "x")).expect(415);
    equal(answer.get("code"), "UNSUPPORTED_MEDIA_TYPE");
    match(answer.headers.get("accept")!, /text\/csv/);
  }
  equal(await counted("wrong"), 0);
});

test("a load needs the right to write", async () => {
  const { accessToken: token } = await owner();
  const body = { name: "reader", scopes: ["sql:read", "sql:admin"] };
  const key = (await suite.gateway.call("POST", "/v1/auth/keys", { token, body })).expect(201).string("api_key");
  const answer = await suite.gateway.call("POST", "/v1/rqlite/bulk", { key, body: { table: "t", rows: [[1]] } });
  deepEqual([answer.status, answer.get("code")], [403, "INSUFFICIENT_SCOPE"]);
});

test("a load that is repeated with its key is applied once", async () => {
  const db = await sql();
  await db.run("CREATE TABLE once (a INTEGER)");
  const headers = { "idempotency-key": "load-1" };
  deepEqual((await load(CSV, "a\n1\n2\n", "?table=once", headers)).expect(200).body, { rows: 2, rows_affected: 2 });
  deepEqual((await load(CSV, "a\n1\n2\n", "?table=once", headers)).expect(200).body, {
    rows: 2,
    rows_affected: 2,
    replayed: true,
  });
  equal((await load(CSV, "a\n1\n3\n", "?table=once", headers)).expect(422).get("code"), "IDEMPOTENCY_KEY_REUSED");
  equal(await counted("once"), 2);
});

test("whoever asks for it hears how a load is coming along", async () => {
  const db = await sql();
  await db.run("CREATE TABLE told (a INTEGER PRIMARY KEY, b TEXT)");
  const body = "a,b\n" + Array.from({ length: 45_000 }, (_, i) => `${i},name ${i}\n`).join("");
  const answer = (await load(CSV, body, "?table=told", { accept: LINES })).expect(200);
  equal(answer.headers.get("content-type"), LINES);
  const events = answer.text.trim().split("\n").map((line) => JSON.parse(line));
  ok(events.length >= 4, answer.text);
  deepEqual(events.at(-1), { done: { rows: 45_000, rows_affected: 45_000 } });
  const progress = events.slice(0, -1).map(({ progress }) => progress.rows as number);
  deepEqual(progress, progress.toSorted((a, b) => a - b));
  const failed = (await load(CSV, body, "?table=told", { accept: LINES })).expect(200).text.trim().split("\n");
  const { error } = JSON.parse(failed.at(-1)!);
  deepEqual([error.code, error.details], ["CONSTRAINT_FAILED", { row: 1 }]);
});

test("a mistake at the beginning of a long body is told at once", async () => {
  const db = await sql();
  await db.run("CREATE TABLE early (a INTEGER)");
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const text = sent === 0 ? "a\nx\n" : "1\n".repeat(30_000);
      sent++;
      if (sent < 2_000) controller.enqueue(new TextEncoder().encode(text));
      else controller.close();
    },
  });
  const response = await fetch(`${suite.gateway.url}/v1/rqlite/bulk?table=early&types=integer`, {
    method: "POST",
    headers: { "x-api-key": (await owner()).apiKey, "content-type": CSV },
    body,
  });
  equal(response.status, 400, await response.text());
  ok(sent < 1_500, `${sent} pieces were sent`);
});

test("nothing is left of a load whose client leaves in the middle", async () => {
  const db = await sql();
  await db.run("CREATE TABLE half (a INTEGER)");
  const refusals = () => suite.gateway.log().split('"route":"/v1/rqlite/bulk","status":400').length;
  const before = refusals();
  const connection = await RawConnection.open(suite.gateway.url);
  const { apiKey } = await owner();
  await connection.send(
    `POST /v1/rqlite/bulk?table=half HTTP/1.1\r\nhost: x\r\nx-api-key: ${apiKey}\r\ncontent-type: text/csv\r\n` +
      `content-length: 1000000\r\n\r\na\n${"1\n".repeat(50_000)}`,
  );
  await connection.close();
  await until("the log says how it ended", () => refusals() > before);
  equal(await counted("half"), 0);
  (await load(CSV, "a\n1\n", "?table=half")).expect(200);
  equal(await counted("half"), 1);
});

if (chosenDriver() === "sqlite") {
  test("a million rows are loaded at one stroke, in little memory, while others read", async () => {
    const db = await sql();
    await db.run("CREATE TABLE million (id INTEGER PRIMARY KEY, name TEXT, score REAL)", "CREATE TABLE other (a)");
    const encoder = new TextEncoder();
    let row = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (row === 0) controller.enqueue(encoder.encode("id,name,score\n"));
        let text = "";
        for (let i = 0; i < 5_000 && row < 1_000_000; i++) text += `${++row},name of row ${row},${row / 7}\n`;
        controller.enqueue(encoder.encode(text));
        if (row === 1_000_000) controller.close();
      },
    });
    const before = suite.gateway.memory();
    let most = 0, over = false, reads = 0;
    const watch = awaitedLater((async () => {
      while (!over) {
        most = Math.max(most, suite.gateway.memory() - before);
        const n = await counted("million");
        ok(n === 0 || n === 1_000_000, String(n));
        reads++;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })());
    const start = performance.now();
    const response = await fetch(`${suite.gateway.url}/v1/rqlite/bulk?table=million&types=integer,text,real`, {
      method: "POST",
      headers: { "x-api-key": (await owner()).apiKey, "content-type": CSV },
      body,
    });
    const answer = await response.json();
    over = true;
    await watch;
    deepEqual(answer, { rows: 1_000_000, rows_affected: 1_000_000 }, `${performance.now() - start} ms`);
    equal(await counted("million"), 1_000_000);
    ok(most < 250e6, `${Math.round(most / 1e6)} MB more`);
    ok(reads > 5, `${reads} reads meanwhile`);
    const again = (await load(CSV, "id,name\n0,zero\n1000000,last\n", "?table=million")).expect(409);
    deepEqual(again.get("details"), { row: 2 });
  });

  test("a load that has more rows than the namespace may load is refused with a way out", async () => {
    const db = await sql();
    await db.run("CREATE TABLE many (a)");
    const answer = (await load(CSV, "a\n" + "1\n".repeat(1_000_001), "?table=many")).expect(413);
    equal(answer.get("code"), "BODY_TOO_LARGE");
    match(answer.string("error"), /1000000 rows: send the rows in several loads/);
    equal(await counted("many"), 0);
  });
}
