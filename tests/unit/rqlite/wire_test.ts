import { deepEqual, equal, throws } from "node:assert/strict";
import { decodeAnswer, encodeStatements } from "../../../services/rqlite/wire.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

Deno.test("encodeStatements() writes every kind of value exactly", () => {
  const args = [
    null,
    1,
    -1.5,
    9007199254740993n,
    -(2n ** 63n),
    'é"\u2028\0',
    true,
    false,
    new Uint8Array([0, 255]),
    new Uint8Array(),
  ];
  equal(
    encodeStatements([{ sql: "INSERT", args }, { sql: "SELECT 1", args: [] }]),
    `[["INSERT",null,1,-1.5,9007199254740993,-9223372036854775808,"é\\"\u2028\\u0000",true,false,[0,255],[]],["SELECT 1"]]`,
  );
});

for (const value of [2n ** 63n, -(2n ** 63n) - 1n, Infinity, -Infinity, NaN]) {
  Deno.test(`encodeStatements() refuses ${value}`, () => {
    const invalid = (error: unknown) => error instanceof GatewayError && error.code === "SQL_INVALID";
    throws(() => encodeStatements([{ sql: "SELECT ?", args: [value] }]), invalid);
  });
}

const results = (body: string) => decodeAnswer(body)?.results;

Deno.test("decodeAnswer() reads rows, no rows, changes, definitions and errors", () => {
  deepEqual(
    results(`{"results":[{"columns":["a","a"],"types":["integer","text"],"values":[[1,"x"],[null,""]]},
      {"columns":["a"],"types":["integer"]},{"last_insert_id":7,"rows_affected":2},{},{"error":"no such table: t"}]}`),
    [
      { kind: "rows", columns: ["a", "a"], types: ["integer", "text"], rows: [[1, "x"], [null, ""]] },
      { kind: "rows", columns: ["a"], types: ["integer"], rows: [] },
      { kind: "change", lastInsertId: 7, rowsAffected: 2 },
      { kind: "change", lastInsertId: 0, rowsAffected: 0 },
      { kind: "error", error: "no such table: t" },
    ],
  );
});

Deno.test("decodeAnswer() makes bigints of integers beyond 2^53 alone", () => {
  const [result] = results(
    `{"results":[{"columns":["i","r","n","t","e"],"types":["integer","real","numeric","text","double precision"],
      "values":[[9007199254740993,100000000000000000,-9223372036854775808,"9007199254740993",9007199254740994],
                [9007199254740991,1e300,100000000000000000000,"",0.1]]},{"last_insert_id":9007199254740993}]}`,
  )!;
  deepEqual(result?.kind === "rows" && result.rows, [
    [9007199254740993n, 1e17, -9223372036854775808n, "9007199254740993", 9007199254740994],
    [9007199254740991, 1e300, 1e20, "", 0.1],
  ]);
});

Deno.test("decodeAnswer() makes bytes of arrays of numbers", () => {
  const [result] = results(
    `{"results":[{"columns":["b"],"types":["blob"],"values":[[[0,255]],[[]],["text"],[null]]}]}`,
  )!;
  deepEqual(result?.kind === "rows" && result.rows, [[new Uint8Array([0, 255])], [new Uint8Array()], ["text"], [null]]);
});

Deno.test("decodeAnswer() reads the error beside the results", () => {
  deepEqual(decodeAnswer(`{"results":[],"error":"leader not found"}`), { results: [], error: "leader not found" });
});

for (const body of ["", "null", "[]", "{}", "<html>", `{"results":null}`, `{"results":[`, "1234567890123456789"]) {
  Deno.test(`decodeAnswer() knows that ${JSON.stringify(body)} is no answer of rqlite's`, () => {
    equal(decodeAnswer(body), undefined);
  });
}
