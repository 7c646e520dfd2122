import { equal, match, notEqual, throws } from "node:assert/strict";
import { idempotencyKeyOf } from "../../../src/http/idempotency_key.ts";
import { fingerprintOf } from "../../../services/database/idempotency.ts";
import type { Expectation, SqlArgument } from "../../../src/contracts/database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const fingerprint = (sql: string, ...args: SqlArgument[]) => fingerprintOf("execute", [{ sql, args }]);

Deno.test("a fingerprint is the same for what is stored the same", () => {
  match(fingerprint("SELECT 1"), /^[\w-]{43}$/);
  const same: [SqlArgument, SqlArgument][] = [
    [1, 1n],
    [true, 1],
    [false, 0n],
    [2 ** 53 - 1, 9007199254740991n],
    [2 ** 60, { real: 2 ** 60 }],
    [1.5, { real: 1.5 }],
    [new Uint8Array([1, 2]), new Uint8Array([1, 2])],
    [-0, 0],
  ];
  for (const [one, other] of same) equal(fingerprint("x", one), fingerprint("x", other), String(one));
});

Deno.test("a fingerprint is another one for each difference", () => {
  const all = [
    fingerprint("x"),
    fingerprint("X"),
    fingerprint("x "),
    ...[null, 0, 1, { real: 1 }, "1", "", "null", "integer 1", new Uint8Array(), new Uint8Array([49]), 2n ** 60n].map((
      value,
    ) => fingerprint("x", value as SqlArgument)),
    fingerprint("x", 1, 2),
    fingerprint("x", 12),
    fingerprint("x", "1", "2"),
    fingerprint("x", '1","2'),
    fingerprintOf("transaction", [{ sql: "x", args: [] }]),
    fingerprintOf("execute", []),
    fingerprintOf("execute", [{ sql: "x", args: [] }, { sql: "x", args: [] }]),
    fingerprintOf("execute", [{ sql: "x", args: [], kind: "query" }]),
    ...([{ rows: 1 }, { rows: 2 }, { values: [] }, { values: [[1]] }, { values: [[1, 1]] }, {
      values: [[1], [1]],
    }] as Expectation[]).map((expect) => fingerprintOf("execute", [{ sql: "x", args: [], expect }])),
  ];
  equal(new Set(all).size, all.length);
  notEqual(fingerprint("x", 2n ** 60n), fingerprint("x", 2 ** 60));
});

Deno.test("Idempotency-Key is a string of structured fields, or the same without quotes", () => {
  const read = (value: string) => idempotencyKeyOf(new Headers({ "idempotency-key": value }));
  equal(idempotencyKeyOf(new Headers()), undefined);
  const good: [string, string][] = [
    ["8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"],
    ['"8e03978e-40d5"', "8e03978e-40d5"],
    ['"a, b"', "a, b"],
    ['"a\\"b\\\\c"', 'a"b\\c'],
    ["a b;c=d", "a b;c=d"],
    ["'x'", "'x'"],
    ["a\\b", "a\\b"],
    ['a"b', 'a"b'],
    ["x".repeat(255), "x".repeat(255)],
    [`"${"x".repeat(255)}"`, "x".repeat(255)],
    [`"${'\\"'.repeat(255)}"`, '"'.repeat(255)],
  ];
  for (const [value, key] of good) equal(read(value), key, value);
  const bad = [
    "",
    '""',
    '"',
    '"a',
    '"a"b"',
    '"a\\b"',
    '"a";p=1',
    "a,b",
    "a, a",
    '"a", "a"',
    "é",
    "a\tb",
    "x".repeat(256),
    `"${"x".repeat(256)}"`,
  ];
  for (const value of bad) {
    throws(() => read(value), (error: GatewayError) => error.code === "INVALID_REQUEST", value);
  }
});

Deno.test("an Idempotency-Key that comes twice is refused", () => {
  const headers = new Headers([["idempotency-key", "a"], ["Idempotency-Key", "a"]]);
  throws(() => idempotencyKeyOf(headers), /Idempotency-Key: must be one key/);
});
