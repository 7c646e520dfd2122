import { deepEqual } from "node:assert/strict";
import { splitScript } from "../../../services/database/gate/gate.ts";

const split: Readonly<Record<string, readonly string[]>> = {
  "": [],
  " ;;; -- nothing": [],
  "/* a; b": [],
  "SELECT 1": ["SELECT 1"],
  "SELECT 1;": ["SELECT 1"],
  "; SELECT 1 ;; SELECT 2 ; ": ["SELECT 1", "SELECT 2"],
  "SELECT ';'; SELECT \";\"; SELECT [;]; SELECT `;`": ["SELECT ';'", 'SELECT ";"', "SELECT [;]", "SELECT `;`"],
  "-- a;\nSELECT /* ; */ 1 -- b;\n; SELECT 2": ["SELECT /* ; */ 1", "SELECT 2"],
  "SELECT 'it''s;'; SELECT 2": ["SELECT 'it''s;'", "SELECT 2"],
  "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END; SELECT 3": [
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END",
    "SELECT 3",
  ],
  "create temp trigger r after delete on t begin delete from u; end": [
    "create temp trigger r after delete on t begin delete from u; end",
  ],
  "CREATE TRIGGER r BEGIN SELECT 1": ["CREATE TRIGGER r BEGIN SELECT 1"],
  "SELECT 'open; SELECT 2": ["SELECT 'open; SELECT 2"],
};

for (const [script, statements] of Object.entries(split)) {
  Deno.test(`splitScript() of ${JSON.stringify(script)}`, () => deepEqual(splitScript(script), statements));
}
