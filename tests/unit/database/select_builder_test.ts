import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { judge } from "../../../services/database/gate/gate.ts";
import { buildSelect } from "../../../services/database/select_builder.ts";
import type { SelectSpec } from "../../../src/contracts/database.ts";
import { type FieldProblem, GatewayError } from "../../../src/contracts/errors.ts";
import { randomNumbers } from "./random.ts";

const sql = (spec: Partial<SelectSpec>) => buildSelect({ table: "t", ...spec }).sql;
const refuses = (spec: Partial<SelectSpec>, field: string, problem = "") =>
  throws(() => buildSelect({ table: "t", ...spec }), (error) => {
    ok(error instanceof GatewayError, String(error));
    equal(error.code, "INVALID_REQUEST");
    const [detail] = error.extra.details as FieldProblem[];
    equal(detail?.field, field);
    ok(error.message.startsWith(`${field}: `) && error.message.includes(problem), error.message);
    return true;
  }, JSON.stringify(spec));

Deno.test("buildSelect() quotes names, however they were written", () => {
  equal(sql({}), "SELECT * FROM `t`");
  equal(sql({ table: "users u" }), "SELECT * FROM `users` AS `u`");
  equal(sql({ table: '"my table" AS [x y]', alias: "" }), "SELECT * FROM `my table` AS `x y`");
  equal(sql({ alias: "a" }), "SELECT * FROM `t` AS `a`");
  equal(
    sql({ select: ["id", "u.name", "u.*", "*", "a AS b", "a b", 'x."y""z"', "`q``r`", "é"] }),
    'SELECT `id`, `u`.`name`, `u`.*, *, `a` AS `b`, `a` AS `b`, `x`.`y"z`, `q``r`, `é` FROM `t`',
  );
  equal(
    sql({ criteria: [["group", 1], ["t.order", null]] }),
    "SELECT * FROM `t` WHERE `group` = ? AND `t`.`order` IS NULL",
  );
});

Deno.test("buildSelect() takes calls with plain arguments, and keeps their names", () => {
  equal(
    sql({
      select: [
        "COUNT(*) AS n",
        "COUNT(DISTINCT a)",
        "json_extract(data,'$.a') AS x",
        "max( t.a , 1 )",
        "coalesce(a, -1.5, 'it''s', NULL)",
      ],
    }),
    "SELECT COUNT(*) AS `n`, COUNT(DISTINCT `a`) AS `COUNT(DISTINCT a)`, json_extract(`data`, '$.a') AS `x`, " +
      "max(`t`.`a`, 1) AS `max( t.a , 1 )`, coalesce(`a`, -1.5, 'it''s', NULL) AS `coalesce(a, -1.5, 'it''s', NULL)` FROM `t`",
  );
  equal(sql({ select: ["DISTINCT a, b", "c"] }), "SELECT DISTINCT `a`, `b`, `c` FROM `t`");
  equal(sql({ groupBy: ["a, date(b)", "2"] }), "SELECT * FROM `t` GROUP BY `a`, date(`b`), 2");
  equal(
    sql({ orderBy: ["a", "b desc", "c ASC NULLS LAST", "RANDOM()", "d collate nocase DESC nulls first", "1"] }),
    "SELECT * FROM `t` ORDER BY `a`, `b` DESC, `c` ASC NULLS LAST, RANDOM(), `d` COLLATE `nocase` DESC NULLS FIRST, 1",
  );
});

Deno.test("buildSelect() knows every kind of join, with or without its further words", () => {
  const join = (kind: string | undefined) => sql({ joins: [{ kind, table: "o AS x", on: "x.a = t.b" }] });
  for (const kind of [undefined, "", "  ", "JOIN", "inner", "INNER JOIN"]) {
    equal(join(kind), "SELECT * FROM `t` INNER JOIN `o` AS `x` ON (x.a = t.b)", kind ?? "");
  }
  for (const kind of ["LEFT", "RIGHT", "FULL"]) {
    for (const words of [kind, kind.toLowerCase(), `${kind} JOIN`, `${kind} outer join`]) {
      equal(join(words), `SELECT * FROM \`t\` ${kind} JOIN \`o\` AS \`x\` ON (x.a = t.b)`);
    }
  }
  equal(sql({ joins: [{ kind: "CROSS JOIN", table: "o", on: "" }] }), "SELECT * FROM `t` CROSS JOIN `o`");
  for (const kind of ["NATURAL", "LEFT RIGHT", "INNER JOIN (SELECT 1) --", "JOIN o ON 1 LEFT"]) {
    refuses({ joins: [{ kind, table: "o", on: "1" }] }, "joins.0.kind");
  }
});

Deno.test("buildSelect() puts conditions into parentheses and joins them by their own word", () => {
  const built = buildSelect({
    table: "t",
    criteria: [["a", 1], ["b", null], ["c", "x"]],
    where: [{ conj: "OR", expr: "d > ?", args: [2] }, { conj: "OR", expr: "e IN (?, ?)", args: [3, 4] }, {
      expr: "f",
      args: [],
    }],
  });
  equal(
    built.sql,
    "SELECT * FROM `t` WHERE `a` = ? AND `b` IS NULL AND `c` = ? AND ((d > ?) OR (e IN (?, ?)) AND (f))",
  );
  deepEqual(built.args, [1, "x", 2, 3, 4]);
});

Deno.test("buildSelect() pages, also by an offset alone", () => {
  equal(sql({ limit: 5 }), "SELECT * FROM `t` LIMIT 5");
  equal(sql({ limit: 0, offset: 2 }), "SELECT * FROM `t` LIMIT 0 OFFSET 2");
  equal(sql({ offset: 2 }), "SELECT * FROM `t` LIMIT -1 OFFSET 2");
  for (const bad of [-1, 1.5, NaN, Infinity, 2 ** 60]) {
    refuses({ limit: bad }, "limit");
    refuses({ offset: bad }, "offset");
  }
});

Deno.test("buildSelect() lets nothing but names stand where names belong", () => {
  const hostile = [
    "",
    " ",
    "a; DROP TABLE t",
    "a--",
    "a/**/",
    "a /* b */",
    "(SELECT secret FROM s)",
    "a, (SELECT 1)",
    "1 UNION SELECT 2",
    "a UNION SELECT b FROM s",
    "a FROM s",
    "a WHERE 1=1",
    "a OR 1=1",
    "a = 1",
    "a || b",
    "a + b",
    "a -> 'b'",
    "-a",
    "NOT a",
    "CASE WHEN 1 THEN 2 END",
    "count(a) OVER ()",
    "count(*) FILTER (WHERE 1)",
    "count((SELECT 1))",
    "count(a b)",
    "count(",
    "count)",
    "f(a,)",
    "a.b.c.d",
    "a..b",
    "a.",
    ".a",
    "a AS",
    "AS b",
    "a AS b c",
    "a AS 'b'",
    "a AS f()",
    "?",
    ":a",
    "@a",
    "'open",
    '"open',
    '""',
    "a\0b",
    "SELECT 1",
    "EXISTS(SELECT 1)",
    "IN (1)",
    "a COLLATE nocase",
  ];
  for (const text of hostile) refuses({ select: ["ok", text] }, "select.1");
  for (
    const text of [
      ...hostile.filter((text) => text !== "a COLLATE nocase"),
      "a b",
      "a ASC DESC",
      "a NULLS",
      "a NULLS MIDDLE",
      "a LIMIT 1",
    ]
  ) {
    refuses({ orderBy: [text] }, "order_by.0");
    if (!text.startsWith("a ASC")) refuses({ groupBy: [text] }, "group_by.0");
  }
  for (
    const text of [
      "",
      "a b c",
      "a.b",
      "a, b",
      "(SELECT 1)",
      "a JOIN b",
      "a; b",
      "f()",
      "'a'",
      "a WHERE 1",
      "t--",
      '"a',
      "1",
    ]
  ) {
    refuses({ table: text }, "table");
    refuses({ joins: [{ table: text, on: "1" }] }, "joins.0.table");
  }
  for (const text of ["a b", "a.b", "a, b", "f()", "a; b", "'a'"]) refuses({ alias: text }, "alias");
  for (const text of ["", "a = 1 OR a", "a)", "a.b.c", "f(a)", "a; b", "a--", "*", "'a'", "1"]) {
    refuses({ criteria: [[text, 1]] }, `criteria.${text}`);
  }
});

Deno.test("buildSelect() lets an expression stay what it is, and no more", () => {
  const hostile: [string, string][] = [
    ["", "empty"],
    ["1); DROP TABLE t", "semicolon"],
    ["1; DROP TABLE t", "semicolon"],
    ["1) UNION SELECT (2", "parentheses"],
    ["1) OR (1", "parentheses"],
    [")(", "parentheses"],
    ["(1", "parentheses"],
    ["1)", "parentheses"],
    ["1 -- x", "comment"],
    ["1 /* x", "comment"],
    ["1 /*", "unrecognized"],
    ["'open", "unrecognized"],
    ['"open', "unrecognized"],
    ["[open", "unrecognized"],
    ["a = :a", "only ? is"],
    ["a\0", "U+0000"],
  ];
  for (const [expr, problem] of hostile) {
    refuses({ where: [{ expr: "1", args: [] }, { expr, args: [] }] }, "where.1.expr", problem);
    refuses({ joins: [{ table: "o", on: expr }] }, "joins.0.on", problem);
  }
  refuses({ where: [{ expr: "a = ?", args: [] }] }, "where.0.args");
  refuses({ where: [{ expr: "a = '?'", args: [1] }] }, "where.0.args");
  refuses({ joins: [{ table: "o", on: "a = ?" }] }, "joins.0.on", "placeholder");
  equal(
    sql({ where: [{ expr: "a = ')' AND EXISTS (SELECT 1 FROM u WHERE u.id = t.id)", args: [] }] }),
    "SELECT * FROM `t` WHERE (a = ')' AND EXISTS (SELECT 1 FROM u WHERE u.id = t.id))",
  );
});

Deno.test("buildSelect() bounds what a name can hold", () => {
  refuses({ select: [`f(${"f(".repeat(40)}${")".repeat(41)}`] }, "select.0", "nested");
  refuses({ select: ["a,".repeat(3_000)] }, "select.0", "longer");
});

Deno.test("buildSelect() writes only what the gate takes for one reading statement, whatever it is given", () => {
  const pieces = [
    "a",
    "`",
    '"',
    "'",
    "[",
    "]",
    "(",
    ")",
    ";",
    "--",
    "/*",
    "*/",
    ",",
    ".",
    "*",
    " AS ",
    " ",
    "?",
    "1",
    "\\",
    "b",
    "``",
    '""',
    "\n",
    "COUNT",
    "DISTINCT ",
  ];
  let built = 0;
  const random = randomNumbers(99);
  const text = () => Array.from({ length: 1 + random(6) }, () => pieces[random(pieces.length)]).join("");
  for (let round = 0; round < 50_000; round++) {
    let statement;
    try {
      statement = buildSelect({
        table: random(3) ? "t" : text(),
        select: [random(2) ? "a" : text()],
        criteria: [[random(2) ? "a" : text(), 1]],
        where: [{ expr: random(2) ? "1" : text(), args: [] }],
        orderBy: [random(2) ? "a" : text()],
        limit: 1,
      });
    } catch (error) {
      ok(error instanceof GatewayError, String(error));
      continue;
    }
    built++;
    const { sql, facts } = judge(statement.sql);
    equal(sql, statement.sql);
    equal(facts.access, "read");
    equal(facts.placeholders, 1);
    ok(statement.sql.endsWith(" LIMIT 1"), statement.sql);
  }
  ok(built > 500, `${built} of the random parts were names`);
});
