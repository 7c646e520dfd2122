import { deepEqual, equal } from "node:assert/strict";
import { LineWriter, LogLines } from "../../../../services/functions/guest/lines.ts";

const encoder = new TextEncoder();
const MAX = 16 * 1024;

/** The lines that come of some writes, and then of the end. */
function linesOf(writes: readonly (string | Uint8Array)[], limit = 1e9): string[] {
  const lines: string[] = [];
  const writer = new LineWriter(new LogLines(limit, ({ message }) => lines.push(message)), "warn");
  for (const write of writes) writer.write(typeof write === "string" ? encoder.encode(write) : write);
  writer.flush();
  return lines;
}

Deno.test("lines are the same however they are written", () => {
  const text = "one\n\ntwo é 🙂\n" + "x".repeat(MAX) + "\n" + "🙂".repeat(MAX / 2) + "\nend";
  const whole = linesOf([text]);
  const bytes = encoder.encode(text);
  for (const size of [1, 2, 3, 1_000, MAX - 1, MAX, MAX + 1]) {
    const pieces = Array.from(
      { length: Math.ceil(bytes.length / size) },
      (_, at) => bytes.subarray(at * size, (at + 1) * size),
    );
    deepEqual(linesOf(pieces), whole, `in pieces of ${size}`);
  }
  deepEqual(whole.map((line) => line.length), [3, 0, 8, MAX, ...[1, 2].map(() => MAX / 2), 3]);
});

Deno.test("a line of exactly as much as a line may have is one line, and one more byte is another", () => {
  deepEqual(linesOf(["x".repeat(MAX) + "\n"]).map(({ length }) => length), [MAX]);
  deepEqual(linesOf(["x".repeat(MAX)]).map(({ length }) => length), [MAX]);
  deepEqual(linesOf(["x".repeat(MAX) + "y\n"]).map(({ length }) => length), [MAX, 1]);
  deepEqual(linesOf(["x".repeat(MAX), "\n", "\n"]).map(({ length }) => length), [MAX, 0]);
});

Deno.test("bytes that are no UTF-8 are cut anywhere, and end", () => {
  const lines = linesOf([new Uint8Array(3 * MAX).fill(0x80)]);
  equal(lines.reduce((sum, { length }) => sum + length, 0), 3 * MAX);
  const leads = linesOf([new Uint8Array(3 * MAX).fill(0xf0)]);
  equal(leads.reduce((sum, { length }) => sum + length, 0), 3 * MAX);
});

Deno.test("what comes after the last line that there was room for costs nothing more", () => {
  const lines = linesOf(Array.from({ length: 10 }, () => "x".repeat(1e6)), 50_000);
  deepEqual(lines.map(({ length }) => length), [MAX, MAX, MAX, "(further lines are dropped)".length]);
  deepEqual(linesOf(["a\nb\n"], 33), ["a", "(further lines are dropped)"]);
  deepEqual(linesOf(["a\n"], 33), ["a"]);
  deepEqual(linesOf(["a\n"], 32), ["(further lines are dropped)"]);
});
