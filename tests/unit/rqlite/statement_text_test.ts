import { deepEqual, equal, throws } from "node:assert/strict";
import { readStatement } from "../../../services/rqlite/statement_text.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const trimmed: Readonly<Record<string, string>> = {
  "SELECT 1": "SELECT 1",
  " \t\r\n\fSELECT 1 ; ;\n": "SELECT 1",
  "SELECT 1; -- the end": "SELECT 1",
  "SELECT 1 /* the end */": "SELECT 1",
  "SELECT 1; /* no end": "SELECT 1",
  "-- first\nSELECT 1": "SELECT 1",
  "/* a */ ; /* b */ PRAGMA x": "PRAGMA x",
  "\uFEFFSELECT 1;\uFEFF": "SELECT 1",
  "SELECT 1 -- a\n, 2": "SELECT 1 -- a\n, 2",
  "SELECT ';'": "SELECT ';'",
  "SELECT '--'; --": "SELECT '--'",
  "SELECT 'it''s /*'": "SELECT 'it''s /*'",
  'SELECT "a;--b" ;': 'SELECT "a;--b"',
  "SELECT [a;--b], `c;--d`;": "SELECT [a;--b], `c;--d`",
  "SELECT 'no end ;": "SELECT 'no end ;",
  "SELECT 1 - -1;": "SELECT 1 - -1",
  "SELECT 4 / 2;": "SELECT 4 / 2",
  "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;": "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END",
  "SELECT 1\u00A0": "SELECT 1\u00A0",
  "SELECT 1;;SELECT 2;;": "SELECT 1;;SELECT 2",
};

for (const [text, sql] of Object.entries(trimmed)) {
  Deno.test(`readStatement() keeps ${JSON.stringify(sql)} of ${JSON.stringify(text)}`, () => {
    equal(readStatement(text).sql, sql);
  });
}

for (
  const text of [
    "",
    " ",
    ";",
    ";;\n",
    "--",
    "-- a",
    "/**/",
    "/* a",
    "-- a\n/* b */;",
    "\uFEFF",
    "SELECT 1\0",
    "\0SELECT 1",
  ]
) {
  Deno.test(`readStatement() refuses ${JSON.stringify(text)}`, () => {
    throws(() => readStatement(text), (error) => error instanceof GatewayError && error.code === "SQL_INVALID");
  });
}

Deno.test("readStatement() shows the keyword and what is neither quoted nor commented out", () => {
  deepEqual(readStatement(`/* x */ Insert INTO "returning" VALUES ('returning') -- returning\n RETURNING [a]`), {
    sql: `Insert INTO "returning" VALUES ('returning') -- returning\n RETURNING [a]`,
    keyword: "INSERT",
    bare: `insert into ??????????? values (???????????)             \n returning ???`,
  });
});

Deno.test("readStatement() takes time that grows with the length alone", () => {
  const length = 1_000_000;
  const start = performance.now();
  for (const part of ["a ", "' ", "/*", "- ", "-", "[", "--\n", "*/"]) {
    try {
      readStatement(part.repeat(length / part.length) + "x");
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
    }
  }
  equal(performance.now() - start < 5_000, true);
});
