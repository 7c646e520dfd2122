import { deepEqual, equal, rejects } from "node:assert/strict";
import { databaseAt, oramaError } from "./support/databases.ts";
import { answer, ScriptedServer } from "./support/scripted_server.ts";

const DONE = answer(200, { rows: 2, rows_affected: 1 });

Deno.test("a load goes out line by line, and its key with it", async () => {
  await using server = new ScriptedServer(() => DONE);
  const db = databaseAt(server.url);
  const rows = [[1n, new Uint8Array([0, 255])], [null, true]];
  const result = await db.bulk("t", rows, { columns: ["a", "b"], onConflict: "ignore", idempotencyKey: "k" });
  deepEqual(result, { rows: 2, rowsAffected: 1, replayed: false });
  const [request] = server.requests;
  deepEqual(
    ["content-type", "idempotency-key"].map((name) => request?.headers.get(name)),
    ["application/x-ndjson", "k"],
  );
  deepEqual(request?.body.split("\n"), [
    '{"table":"t","columns":["a","b"],"on_conflict":"ignore"}',
    '[{"type":"integer","value":"1"},{"type":"blob","base64":"AP8="}]',
    "[null,true]",
    "",
  ]);
});

Deno.test("rows can be objects, many, and made while they are wanted", async () => {
  await using server = new ScriptedServer(() => DONE);
  const make = async function* () {
    for (let n = 0; n < 2_500; n++) yield await Promise.resolve({ n, ["__proto__"]: "é" });
  };
  await databaseAt(server.url).bulk("t", make());
  const lines = server.requests[0]?.body.trimEnd().split("\n") ?? [];
  equal(lines.length, 2_501);
  equal(lines.at(-1), '{"n":2499,"__proto__":"é"}');
});

Deno.test("a value that no column can hold is told with its row, and nothing is sent", async () => {
  await using server = new ScriptedServer(() => DONE);
  const db = databaseAt(server.url);
  await rejects(db.bulk("t", [{ a: 1 }, { a: undefined }]), /row 2\.a is undefined/);
  await rejects(db.bulk("t", [[1], [2, NaN]]), /row 2\[1\] is NaN/);
  equal(server.requests.length, 0);
});

Deno.test("a load that was cut off is unknown; with a key it is sent again, whole", async () => {
  await using server = new ScriptedServer((_request, _connection, count) => count === 3 ? DONE : "");
  const db = databaseAt(server.url);
  equal((await oramaError(db.bulk("t", [[1]]))).code, "OUTCOME_UNKNOWN");
  equal((await db.bulk("t", [[1], [2]], { idempotencyKey: true })).rows, 2);
  equal(server.requests[1]?.body, server.requests[2]?.body);
});
