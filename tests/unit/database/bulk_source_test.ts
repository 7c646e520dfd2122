import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { bulkQuery, bulkSource } from "../../../routes/database/bulk_source.ts";
import type { SqlArgument } from "../../../src/contracts/database.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { parseJson } from "../../../src/http/body.ts";

const encoder = new TextEncoder();
/** Bytes of a piece that holds all of a body. */
const WHOLE = 100_000_000;
/** Characters that a row may have as text. */
const LONGEST = 2 ** 20;

/** A body whose text comes in pieces. */
async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.slice(at, at + size));
}

/** What a body comes to: the load, and its rows. */
async function read(
  mediaType: string,
  text: string | Uint8Array,
  query: Record<string, string> = {},
  size = 1_000_000,
) {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  const load = await bulkSource({
    mediaType,
    chunks: inPieces(bytes, size),
    maxValueBytes: LONGEST,
    json: () => Promise.resolve(parseJson(bytes, 64)),
  }, bulkQuery.parse(query));
  const rows: SqlArgument[][] = [];
  for await (const batch of load.rows) for (const row of batch) rows.push([...row]);
  return { table: load.table, columns: load.columns, onConflict: load.onConflict, rows };
}

const csv = (text: string | Uint8Array, query = {}, size = WHOLE) =>
  read("text/csv", text, { table: "t", ...query }, size);
const lines = (text: string | Uint8Array, query = {}, size = WHOLE) => read("application/x-ndjson", text, query, size);
const json = (value: unknown) => read("application/json", JSON.stringify(value));
const rowsOf = async (result: Promise<{ rows: SqlArgument[][] }>) => (await result).rows;
const is = (code: ErrorCode, sentence: RegExp) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  ok(sentence.test(error.message), error.message);
  return true;
};

Deno.test("CSV: fields in quotes hold delimiters, quotes and line ends; any line end ends a record", async () => {
  deepEqual(await csv('a,b\r\n1,"x, ""y""\r\nz"\n"","é😀"\r2,\n\n'), {
    table: "t",
    columns: ["a", "b"],
    onConflict: "abort",
    rows: [["1", 'x, "y"\r\nz'], ["", "é😀"], ["2", null]],
  });
});

Deno.test("CSV: wherever the pieces of a body end, its rows are the same", async () => {
  const text = '\ufeffid,"na,me"\r\n1,"a ""b"" c"\r\n2,é😀\r\n3,"x\r\ny"\r\n4,\r\n';
  const whole = await csv(text);
  equal(whole.rows.length, 4);
  deepEqual(whole.columns, ["id", "na,me"]);
  for (let size = 1; size < 20; size++) deepEqual(await csv(text, {}, size), whole, String(size));
});

Deno.test("CSV: NULL is what the load says, unless it stands in quotes", async () => {
  deepEqual(await rowsOf(csv('a,b\n,""\n')), [[null, ""]]);
  deepEqual(await rowsOf(csv('a,b\nNULL,"NULL"\n,x\n', { null: "NULL" })), [[null, "NULL"], ["", "x"]]);
});

Deno.test("CSV: types say what a text stands for", async () => {
  const text = "a,b,c,d,e\n9223372036854775807,1,true,AP8=,5\n-1,-1.5e3,0,,\n";
  deepEqual(await rowsOf(csv(text, { types: "integer,real,boolean,blob" })), [
    [9223372036854775807n, { real: 1 }, true, new Uint8Array([0, 255]), "5"],
    [-1n, { real: -1500 }, false, null, null],
  ]);
  const wrong: [string, string, RegExp][] = [
    ["integer", "1.5", /^row 1, a: must be an integer/],
    ["integer", "9223372036854775808", /integer of 64 bits/],
    ["integer", "0x10", /integer/],
    ["real", "Infinity", /finite/],
    ["real", '" "', /finite/],
    ["real", "1e999", /finite/],
    ["boolean", "yes", /true or false/],
    ["blob", "a", /base64/],
    ["", "a\0b", /U\+0000/],
  ];
  for (const [types, value, sentence] of wrong) {
    await rejects(csv(`a\n${value}\n`, { types }), is("INVALID_REQUEST", sentence), value);
  }
  await rejects(csv("a\n1\n", { types: "integer,real" }), is("INVALID_REQUEST", /^types: there are 1 columns/));
});

Deno.test("CSV: other delimiters", async () => {
  deepEqual(await rowsOf(csv("a;b\n1,2;3\n", { delimiter: ";" })), [["1,2", "3"]]);
  deepEqual(await rowsOf(csv("a\tb\n1\t2\n", { delimiter: "\t" })), [["1", "2"]]);
});

Deno.test("CSV: what is none is refused, with its place", async () => {
  const refused: [string | Uint8Array, RegExp][] = [
    ["", /first line/],
    ["\n\n", /first line/],
    ["a,b\n1\n", /^row 1: it has 1 values for 2 columns/],
    ["a,b\n1,2\n1,2,3\n", /^row 2: it has 3 values/],
    ['a\n"x\n', /quote is not closed/],
    ['a\n"x"y\n', /closing quote/],
    ['a\nx"y"\n', /quote stands within/],
    [Uint8Array.of(0x61, 0x0a, 0xff, 0x0a), /text in UTF-8/],
    [Uint8Array.of(0x61, 0x0a, 0xe2, 0x82), /text in UTF-8/],
    [Uint8Array.of(0xff, 0xfe, 0x61, 0, 0x0a, 0, 0x31, 0), /text in UTF-8/],
  ];
  for (const [text, sentence] of refused) await rejects(csv(text), is("INVALID_REQUEST", sentence), String(text));
  await rejects(read("text/csv", "a\n1\n"), is("INVALID_REQUEST", /^table: /));
});

Deno.test("CSV: a record of separators alone is refused before it fills the memory", async () => {
  for (const text of [`a\n${",".repeat(2_000)}`, ",".repeat(15_000_000)]) {
    await rejects(csv(text, {}, 65_536), is("INVALID_REQUEST", /a record has more than 2000 fields/));
  }
  deepEqual((await rowsOf(csv(`${"c,".repeat(1_999)}c\n${"1,".repeat(1_999)}1\n`)))[0]?.length, 2_000);
});

Deno.test("CSV: a record that is too long is refused with its line and the way out", async () => {
  equal(String((await rowsOf(csv(`a\n${"x".repeat(1_000_000)}\n`, {}, 65_536)))[0]![0]).length, 1_000_000);
  for (
    const record of [
      "x".repeat(LONGEST + 2),
      `"${"x".repeat(LONGEST + 2)}"`,
      `${"x".repeat(600_000)},${"x".repeat(600_000)}`,
    ]
  ) {
    await rejects(csv(`a,b\n1,2\n${record}\n1,2\n`, {}, 65_536), (error) => {
      is("INVALID_REQUEST", /^body: line 3: a record has more than 1048576 characters.*in parts.*\/restore$/)(error);
      equal(((error as GatewayError).extra.details as { line: number }[])[0]?.line, 3);
      return true;
    });
  }
});

Deno.test("CSV: a field without an end is refused before it fills the memory", async () => {
  await rejects(csv(`a\n"${"x".repeat(20_000_000)}`, {}, 65_536), is("INVALID_REQUEST", /a record has more than/));
});

Deno.test("NDJSON: a header, then rows as lists", async () => {
  deepEqual(await lines('{"table":"t","columns":["a","b"],"on_conflict":"ignore"}\n[1,"x"]\r\n\n[null,true]'), {
    table: "t",
    columns: ["a", "b"],
    onConflict: "ignore",
    rows: [[1, "x"], [null, true]],
  });
  deepEqual(await lines('{"table":"t"}\n[1]\n'), { table: "t", columns: undefined, onConflict: "abort", rows: [[1]] });
});

Deno.test("NDJSON: rows as objects, a column that is left out is NULL", async () => {
  deepEqual(await lines('{"a":1,"b":2}\n{"b":3}\n', { table: "t", on_conflict: "replace" }), {
    table: "t",
    columns: ["a", "b"],
    onConflict: "replace",
    rows: [[1, 2], [null, 3]],
  });
  deepEqual((await lines('{"b":3}\n', { table: "t", columns: "a,b" })).rows, [[null, 3]]);
});

Deno.test("NDJSON: values have the notation of args", async () => {
  const text = '[9223372036854775807,1.5,{"type":"float","value":1},{"type":"blob","base64":"AP8="},' +
    '{"type":"integer","value":"-9223372036854775808"},1.0]\n';
  deepEqual(await rowsOf(lines(text, { table: "t" })), [
    [9223372036854775807n, 1.5, { real: 1 }, new Uint8Array([0, 255]), -(2n ** 63n), 1],
  ]);
});

Deno.test("NDJSON: a member named __proto__ is a column like any other", async () => {
  const { columns, rows } = await lines('{"__proto__":1,"constructor":2}\n{"__proto__":{"type":"null"}}\n', {
    table: "t",
  });
  deepEqual([columns, rows], [["__proto__", "constructor"], [[1, 2], [null, null]]]);
  equal(({} as Record<string, unknown>)["type"], undefined);
});

Deno.test("NDJSON: what is none is refused, with its place", async () => {
  const refused: [string, ErrorCode, RegExp][] = [
    ["", "INVALID_REQUEST", /first line/],
    ["[1]\n", "INVALID_REQUEST", /^line 1: /],
    ['{"columns":["a"]}\n', "INVALID_REQUEST", /^line 1: .*table/],
    ['{"table":"t"}\n{', "INVALID_JSON", /^line 2: /],
    ['{"table":"t"}\n[1]\n[1] [2]\n', "INVALID_JSON", /^line 3: /],
    ['{"table":"t","columns":["a"]}\n[1,2]\n', "INVALID_REQUEST", /^row 1: it has 2 values for 1 columns/],
    ['{"table":"t","columns":["a"]}\n[1]\n"x"\n', "INVALID_REQUEST", /^row 2: must be a list/],
    ['{"table":"t","columns":["a"]}\n{"b":1}\n', "INVALID_REQUEST", /^row 1, b: is none of the columns/],
    ['{"table":"t"}\n{"a":1}\n{"a":1,"b":2}\n', "INVALID_REQUEST", /^row 2, b: /],
    ['{"table":"t"}\n[1]\n{"a":1}\n', "INVALID_REQUEST", /^row 2: must be a list of values/],
    ['{"table":"t","columns":["a"]}\n[[1]]\n', "INVALID_REQUEST", /^row 1, a: must be null/],
    ['{"table":"t","columns":["a"]}\n["\\u0000"]\n', "INVALID_REQUEST", /^row 1, a: .*U\+0000/],
    ['{"table":"t","columns":["a"]}\n[1e999]\n', "INVALID_REQUEST", /^row 1, a: .*finite/],
    ['{"table":"t","on_conflict":"fail"}\n', "INVALID_REQUEST", /on_conflict/],
  ];
  for (const [text, code, sentence] of refused) await rejects(lines(text), is(code, sentence), text);
  await rejects(lines(new Uint8Array([0x5b, 0xff, 0x5d])), is("INVALID_REQUEST", /UTF-8/));
});

Deno.test("NDJSON: wherever the pieces of a body end, its rows are the same", async () => {
  const text = '\ufeff{"table":"t"}\n{"a":"é😀","b":[1]}\n'.replace("[1]", "1") + '{"a":null}\n';
  const whole = await lines(text);
  for (let size = 1; size < 20; size++) deepEqual(await lines(text, {}, size), whole, String(size));
});

Deno.test("NDJSON: a line that is too long is refused wherever it ends, with its number and the way out", async () => {
  const row = (length: number) => `["${"x".repeat(length - 4)}"]`;
  const query = { table: "t" };
  for (const size of [1_000, 65_536, WHOLE]) {
    const all = await rowsOf(lines(`[1]\n${row(LONGEST)}\n[2]\n${row(LONGEST)}`, query, size));
    deepEqual(all.map(([value]) => typeof value === "string" ? value.length : value), [1, LONGEST - 4, 2, LONGEST - 4]);
    const before = ["[1]\n", "\n", row(LONGEST), "\n"].join("");
    for (const behind of ["", "\n", "\n[3]\n"]) {
      await rejects(lines(`${before}${row(LONGEST + 1)}${behind}`, query, size), (error) => {
        is("INVALID_REQUEST", /^body: line 4: a line has more than 1048576 characters.*in parts.*\/restore$/)(error);
        equal(((error as GatewayError).extra.details as { line: number }[])[0]?.line, 4);
        return true;
      });
    }
  }
});

Deno.test("NDJSON: a line without an end is refused before it fills the memory", async () => {
  await rejects(
    lines(`["${"x".repeat(20_000_000)}`, { table: "t" }, 65_536),
    is("INVALID_REQUEST", /a line has more than/),
  );
});

Deno.test("JSON: a load is one value", async () => {
  deepEqual(await json({ table: "t", rows: [{ a: 1 }, { a: 2 }] }), {
    table: "t",
    columns: ["a"],
    onConflict: "abort",
    rows: [[1], [2]],
  });
  deepEqual((await json({ table: "t", rows: [] })).rows, []);
  for (
    const wrong of [{}, [], { table: "t" }, { table: "", rows: [] }, { table: "t", rows: {} }, {
      table: "t",
      columns: [],
      rows: [],
    }]
  ) {
    await rejects(json(wrong), is("INVALID_REQUEST", /./), JSON.stringify(wrong));
  }
});

Deno.test("a hundred thousand rows are read in a moment, in any form", async () => {
  const count = 100_000;
  const start = performance.now();
  const list = Array.from({ length: count }, (_, i) => [i, `name ${i}`, i / 7]);
  equal((await csv("a,b,c\n" + list.map((row) => row.join(",")).join("\n"), {}, 65_536)).rows.length, count);
  equal((await lines(list.map((row) => JSON.stringify(row)).join("\n"), { table: "t" }, 65_536)).rows.length, count);
  ok(performance.now() - start < 15_000, `${performance.now() - start} ms`);
});
