import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { canPass, DEFAULT_RETRY, pauseAfter, retryAfterSeconds } from "../../../src/client/retry.ts";
import { OramaError } from "../../../src/client/index.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { databaseAt, oramaError } from "./support/databases.ts";
import { answer, failure, type Script, ScriptedServer } from "./support/scripted_server.ts";

const ROWS = answer(200, { items: [{ n: 1 }], count: 1 });
const DONE = answer(200, { rows_affected: 1, last_insert_id: 7, execution_state: "ok" });
const insert = "INSERT INTO t VALUES (1)";
const busy = failure(503, "UNAVAILABLE", { "retry-after": "0" });
const limited = failure(429, "RATE_LIMITED", { "retry-after": "0" });

/** One answer after the other; the last one for ever. */
const inTurn = (...answers: readonly string[]): Script => (_request, _connection, count) =>
  answers[Math.min(count, answers.length) - 1]!;

Deno.test("a read is made again after 429, 503, a proxy's 502 and a lost connection, and no more often than allowed", async () => {
  await using server = new ScriptedServer(inTurn(limited, busy, answer(502, ""), "", ROWS));
  const db = databaseAt(server.url, { retry: { attempts: 4, firstPause: 1 } });
  deepEqual(await db.query("SELECT 1"), [{ n: 1 }]);
  equal(server.requests.length, 5);
  await using never = new ScriptedServer(() => busy);
  equal((await oramaError(databaseAt(never.url).query("SELECT 1"))).code, "UNAVAILABLE");
  equal(never.requests.length, 4);
  equal((await oramaError(databaseAt(never.url, { retry: { attempts: 0 } }).query("SELECT 1"))).code, "UNAVAILABLE");
  equal(never.requests.length, 5);
});

Deno.test("what is the caller's mistake, or answered wrongly, is not made again", async () => {
  for (const status of [400, 401, 403, 404, 409, 413, 422, 500]) {
    await using server = new ScriptedServer(() => failure(status, "SOME_CODE"));
    equal((await oramaError(databaseAt(server.url).query("SELECT 1"))).status, status);
    equal(server.requests.length, 1, String(status));
  }
});

Deno.test("a write without a key is never made again, not even after 429 and 503", async () => {
  for (const text of [limited, busy, answer(502, ""), "", failure(409, "OUTCOME_UNKNOWN")]) {
    await using server = new ScriptedServer(() => text);
    const db = databaseAt(server.url);
    for (
      const write of awaitedLater([
        db.exec(insert),
        db.batch([insert, "SELECT 1"]),
        db.dropTable("t"),
        db.createTable("CREATE …"),
      ])
    ) {
      await oramaError(write);
    }
    equal(server.requests.length, 4);
    ok(server.requests.every(({ headers }) => !headers.has("idempotency-key")));
  }
});

Deno.test("a write with a key is made again with that key, whatever the network lost", async () => {
  await using server = new ScriptedServer(
    inTurn("", answer(504, ""), failure(409, "IDEMPOTENCY_KEY_IN_USE"), failure(409, "OUTCOME_UNKNOWN"), DONE),
  );
  const db = databaseAt(server.url, { retry: { attempts: 5, firstPause: 1 } });
  equal((await db.exec(insert, [], { idempotencyKey: true })).lastInsertId, 7);
  equal(server.requests.length, 5);
  const keys = new Set(server.requests.map(({ headers }) => headers.get("idempotency-key")));
  equal(keys.size, 1);
  ok(/^[\da-f-]{36}$/.test([...keys][0]!));
  await db.exec(insert, [], { idempotencyKey: "order-17" });
  equal(server.requests[5]?.headers.get("idempotency-key"), "order-17");
  for (const idempotencyKey of ["order 17", "a,b", '"a"', "x".repeat(256), "\n", "\u00e9"]) {
    await rejects(db.exec(insert, [], { idempotencyKey }), /idempotencyKey must be/);
  }
});

Deno.test("a later refusal does not make a write undone that an earlier try may have applied", async () => {
  const refusals = [busy, limited, failure(401, "INVALID_CREDENTIAL"), failure(500, "INTERNAL"), answer(403, "")];
  for (const refusal of [...refusals, failure(409, "IDEMPOTENCY_KEY_IN_USE")]) {
    await using server = new ScriptedServer(inTurn("", refusal));
    const error = await oramaError(databaseAt(server.url).exec(insert, [], { idempotencyKey: true }));
    equal(error.code, "OUTCOME_UNKNOWN", refusal);
  }
  // The gateway looked at the key and judged the statement: the first try was not applied.
  await using server = new ScriptedServer(inTurn("", failure(409, "CONSTRAINT_FAILED")));
  const judged = await oramaError(databaseAt(server.url).exec(insert, [], { idempotencyKey: true }));
  equal(judged.code, "CONSTRAINT_FAILED");
});

Deno.test("a write with a key that was refused without doubt keeps its refusal; a 503 leaves doubt", async () => {
  for (const [text, code] of [[limited, "RATE_LIMITED"], [busy, "OUTCOME_UNKNOWN"]]) {
    await using server = new ScriptedServer(() => text!);
    const error = await oramaError(databaseAt(server.url).exec(insert, [], { idempotencyKey: true }));
    deepEqual([error.code, error.retryAfter], [code, 0]);
    equal(server.requests.length, 4);
  }
});

Deno.test("definitions are repeated with a key as well", async () => {
  await using server = new ScriptedServer(inTurn("", answer(200, { status: "ok" })));
  const db = databaseAt(server.url);
  await db.createTable("CREATE TABLE t (x)", { idempotencyKey: "k" });
  await db.dropTable("t", { idempotencyKey: "k2" });
  deepEqual(server.requests.map(({ headers }) => headers.get("idempotency-key")), ["k", "k", "k2"]);
});

Deno.test("Retry-After is waited for, and one that is too long is told instead", async () => {
  await using server = new ScriptedServer(inTurn(failure(503, "UNAVAILABLE", { "retry-after": "1" }), ROWS));
  const start = performance.now();
  await databaseAt(server.url).query("SELECT 1");
  ok(performance.now() - start >= 1_000);
  await using full = new ScriptedServer(() => failure(429, "RATE_LIMITED", { "retry-after": "3600" }));
  equal((await oramaError(databaseAt(full.url).query("SELECT 1"))).retryAfter, 3600);
  equal(full.requests.length, 1);
  await using slow = new ScriptedServer(() => failure(503, "UNAVAILABLE", { "retry-after": "20" }));
  equal((await oramaError(databaseAt(slow.url, { requestTimeout: 2_000 }).query("SELECT 1"))).code, "UNAVAILABLE");
  equal(slow.requests.length, 1, "it would come back when the call is over");
});

Deno.test("pauses double, end at a bound, and differ between clients", () => {
  const error = new OramaError("x", { code: "UNAVAILABLE", status: 503 });
  const policy = { ...DEFAULT_RETRY, attempts: 10 };
  const pauses = Array.from({ length: 11 }, (_, at) => pauseAfter(error, at + 1, policy, 1));
  deepEqual(pauses, [200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000, undefined]);
  equal(pauseAfter(error, 1, policy, 0), 100);
  const asked = new OramaError("x", { code: "UNAVAILABLE", status: 503, retryAfter: 2 });
  deepEqual([0, 1].map((random) => pauseAfter(asked, 1, policy, random)), [2000, 2200]);
  equal(canPass(new OramaError("x", { code: "SQL_INVALID", status: 400 })), false);
});

Deno.test("Retry-After is read as seconds and as a date, and nothing else", () => {
  const now = Date.parse("2026-01-01T00:00:00Z");
  equal(retryAfterSeconds("5", now), 5);
  equal(retryAfterSeconds("Thu, 01 Jan 2026 00:00:09 GMT", now), 9);
  equal(retryAfterSeconds("Wed, 31 Dec 2025 00:00:00 GMT", now), 0);
  for (const header of [null, "", "soon", "-"]) equal(retryAfterSeconds(header, now), undefined);
});

Deno.test("a signal ends a read with its reason: before it, during it, and in the pause between two tries", async () => {
  const reason = new Error("the user left");
  await using server = new ScriptedServer(() => ROWS);
  const signal = AbortSignal.abort(reason);
  await rejects(databaseAt(server.url).query("SELECT 1", [], { signal }), reason);
  await rejects(databaseAt(server.url).exec(insert, [], { signal }), reason, "nothing was sent");
  equal(server.requests.length, 0);

  for (const text of ["silent", failure(503, "UNAVAILABLE", { "retry-after": "20" })]) {
    const controller = new AbortController();
    const hanging = new ScriptedServer(() => {
      setTimeout(() => controller.abort(reason), 20);
      return text === "silent" ? new Promise(() => {}) : text;
    });
    await rejects(databaseAt(hanging.url).query("SELECT 1", [], { signal: controller.signal }), reason);
    equal(hanging.requests.length, 1);
    void hanging[Symbol.asyncDispose]();
  }
});

Deno.test("a signal that ends a write which was sent leaves its outcome unknown, and says why", async () => {
  const reason = new Error("the user left");
  const controller = new AbortController();
  const server = new ScriptedServer(() => {
    controller.abort(reason);
    return new Promise(() => {});
  });
  const error = await oramaError(databaseAt(server.url).exec(insert, [], { signal: controller.signal }));
  deepEqual([error.code, error.cause], ["OUTCOME_UNKNOWN", reason]);
  void server[Symbol.asyncDispose]();
});

Deno.test("a signal in the pause behind a certain refusal ends a write with its reason, behind a lost answer as unknown", async () => {
  const reason = new Error("the user left");
  for (
    const [text, expected] of [[failure(429, "RATE_LIMITED", { "retry-after": "20" }), reason.message], ["", "unknown"]]
  ) {
    const controller = new AbortController();
    await using server = new ScriptedServer(() => {
      setTimeout(() => controller.abort(reason), 50);
      return text!;
    });
    const db = databaseAt(server.url, { retry: { firstPause: 20_000 } });
    const writing = db.exec(insert, [], { idempotencyKey: true, signal: controller.signal });
    const seen = await writing.then(
      () => "done",
      (error) => error.code === "OUTCOME_UNKNOWN" ? "unknown" : error.message,
    );
    equal(seen, expected);
    equal(server.requests.length, 1);
  }
});
