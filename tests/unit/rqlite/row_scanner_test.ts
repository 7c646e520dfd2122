import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { RowScanner } from "../../../services/rqlite/row_scanner.ts";
import { decodeAnswer, decodeRows } from "../../../services/rqlite/wire.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { randomNumbers } from "../database/random.ts";

const encoder = new TextEncoder();

interface Scanned {
  readonly head: RowScanner["head"];
  readonly rows: unknown[];
  readonly rest: string;
  readonly most: number;
}

/** What a scanner finds in an answer that comes in pieces. */
function scan(text: string, skip: number, pieces: () => number): Scanned {
  const bytes = encoder.encode(text);
  const scanner = new RowScanner(skip, 1_000_000);
  const rows: unknown[] = [];
  let most = 0;
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(at + pieces(), bytes.length);
    scanner.add(bytes.slice(at, end));
    at = end;
    const part = scanner.rows();
    if (part !== undefined) {
      const decoded = decodeRows(part, scanner.head!.types);
      most = Math.max(most, decoded.length);
      rows.push(...decoded);
    }
  }
  return { head: scanner.head, rows, rest: scanner.text(), most };
}

const random = randomNumbers(5);
const pick = <T>(...from: T[]): T => from[random(from.length)]!;
const value = () =>
  pick<unknown>(null, random(1_000), -1.5, true, "", "plain", '"],[["\\', "ä€😀\n", "]}", [1, 2, 255], [], 'x"y');

/** An answer as rqlite writes it, with as many results. */
function answerOf(results: readonly { rows: number; columns: number; error?: string }[]) {
  const list = results.map(({ rows, columns, error }) => ({
    columns: Array.from({ length: columns }, (_, i) => pick(`c${i}`, 'we"ird', "values", "[")),
    types: Array.from({ length: columns }, () => pick("integer", "text", "")),
    ...(rows > 0 && { values: Array.from({ length: rows }, () => Array.from({ length: columns }, value)) }),
    ...(error !== undefined && { error }),
  }));
  return { text: JSON.stringify({ results: list }), list };
}

Deno.test("the scanner finds all rows of one result, however the answer is cut", () => {
  for (let n = 0; n < 500; n++) {
    const skip = random(3);
    const results = Array.from({ length: skip + 1 }, () => ({ rows: random(12), columns: 1 + random(4) }));
    const { text, list } = answerOf(results);
    const size = 1 + random(60);
    const { head, rows, rest } = scan(text, skip, () => 1 + random(size));
    const wanted = list[skip]!;
    if (wanted.values === undefined) {
      deepEqual([head, rows, rest], [undefined, [], text]);
      continue;
    }
    deepEqual(head, { columns: wanted.columns, types: wanted.types });
    const expected = decodeAnswer(text)!.results[skip]!;
    ok(expected.kind === "rows");
    deepEqual(rows, expected.rows);
    deepEqual(decodeAnswer(rest)?.results[0], { kind: "rows", columns: [], types: [], rows: [] });
  }
});

Deno.test("the scanner keeps a failure that comes behind the rows", () => {
  const { text } = answerOf([{ rows: 5, columns: 2, error: "query timeout" }]);
  const { rows, rest } = scan(text, 0, () => 7);
  equal(rows.length, 5);
  deepEqual(decodeAnswer(rest)?.results[0], { kind: "error", error: "query timeout" });
});

Deno.test("the scanner finds no rows in answers that have none", () => {
  for (
    const text of [
      `{"results":[{"error":"no such table: \\"values\\":[[1]]"}]}`,
      `{"results":[],"error":"leader not found"}`,
      `{"results":null}`,
      "leader address: leader not found",
      "",
    ]
  ) {
    const { head, rows, rest } = scan(text, 0, () => 3);
    deepEqual([head, rows, rest], [undefined, [], text]);
  }
});

Deno.test("the scanner does not keep more than one row may have", () => {
  const scanner = new RowScanner(0, 1_000);
  scanner.add(encoder.encode(`{"results":[{"columns":["a"],"types":["text"],"values":[["`));
  throws(() => {
    for (;;) scanner.add(encoder.encode("x".repeat(300)));
  }, (error) => error instanceof GatewayError && error.code === "RESULT_TOO_LARGE");
});

Deno.test("the scanner takes time by the length of the answer, also of one large row", () => {
  const piece = encoder.encode("x".repeat(64 * 1024));
  const scanner = new RowScanner(0, 64 * 2 ** 20);
  scanner.add(encoder.encode(`{"results":[{"columns":["a"],"types":["text"],"values":[["`));
  const start = performance.now();
  for (let i = 0; i < 800; i++) scanner.add(piece);
  scanner.add(encoder.encode(`"]]}]}`));
  equal(scanner.rows()!.length, 800 * piece.length + 4);
  ok(performance.now() - start < 5_000);
});
