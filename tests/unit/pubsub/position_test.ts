import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { MAX_EPOCHS, positionText, readPosition, sumOf } from "../../../services/pubsub/position.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const SUM = sumOf("n/topic");
const refused = (error: unknown) => error instanceof GatewayError && error.code === "INVALID_REQUEST";
const view = (known: number, ...heads: readonly (readonly [number, number])[]) => ({ heads: new Map(heads), known });
const bytes = (...given: readonly number[]) =>
  Uint8Array.of(1, SUM >>> 24, SUM >>> 16, SUM >>> 8, SUM, ...given).toBase64({
    alphabet: "base64url",
    omitPadding: true,
  });

/** Numbers that are the same each time. */
function* numbers(seed: number): Generator<number, never> {
  for (let state = seed;;) yield (state = Math.imul(state ^ state >>> 15, 0x2c1b3c6d) + 0x9e3779b9 | 0) >>> 0;
}

Deno.test("whatever is not a position is refused, and nothing else is thrown", () => {
  const good = positionText(SUM, view(9, [7, 300], [9, 0]))!;
  const raw = Uint8Array.fromBase64(good, { alphabet: "base64url" });
  const forged = [
    "",
    " ",
    "=",
    "A",
    "0",
    "null",
    "\0",
    "\ud800",
    "ÄÖ",
    `${good}=`,
    `${good} `,
    ` ${good}`,
    `${good.slice(0, 4)}\n${good.slice(4)}`,
    good.slice(0, -1),
    good.slice(1),
    `${good}A`,
    `${good}AAAA`,
    good + good,
    "A".repeat(100),
    "_".repeat(10_000),
    "A".repeat(1_000_000),
    bytes(),
    bytes(9),
    bytes(9, 1),
    bytes(9, 1, 1),
    bytes(9, 0, 0),
    bytes(9, 1, 0, 5),
    bytes(9, 2, 3, 1, 0, 1),
    bytes(9, 1, 0x83, 0, 1),
    bytes(0x89, 0, 0),
    bytes(9, 255, 255, 255, 255, 255, 255, 255, 127),
    bytes(255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0),
    bytes(255, 255, 255, 255, 255, 255, 255, 31, 0),
    // One more than a number can be, also in the only spelling that it has.
    bytes(128, 128, 128, 128, 128, 128, 128, 16, 0),
    bytes(9, 1, 9, 128, 128, 128, 128, 128, 128, 128, 16),
    bytes(9, 2, 255, 255, 255, 255, 255, 255, 255, 15, 1, 1, 1),
  ];
  for (const text of forged) throws(() => readPosition(SUM, text), refused, text.slice(0, 80));
  for (let i = 0; i < raw.length * 8; i++) {
    const flipped = raw.slice();
    flipped[i >> 3]! ^= 1 << (i & 7);
    const text = flipped.toBase64({ alphabet: "base64url", omitPadding: true });
    try {
      // What is left is another view in its only spelling: nobody can tell that it was never given.
      equal(positionText(SUM, readPosition(SUM, text)), text);
    } catch (error) {
      ok(refused(error), text);
    }
  }
});

Deno.test("random bytes are refused, or are the only spelling of what they say", () => {
  const random = numbers(7);
  let read = 0;
  for (let i = 0; i < 20_000; i++) {
    const given = Array.from({ length: random.next().value % 12 }, () => random.next().value % 140);
    const text = bytes(...given);
    try {
      equal(positionText(SUM, readPosition(SUM, text)), text);
      read++;
    } catch (error) {
      ok(refused(error), text);
    }
  }
  ok(read > 10, "some of them say something");
});

Deno.test("a position of another topic or namespace is refused", () => {
  for (const [own, other] of [["n/a", "n/b"], ["n/a", "m/a"], ["a/b/c", "a/b.c"], ["n/a", "n/a "], ["n/1", "n/2"]]) {
    const text = positionText(sumOf(own!), view(3, [3, 5]))!;
    deepEqual(readPosition(sumOf(own!), text), view(3, [3, 5]));
    throws(() => readPosition(sumOf(other!), text), refused, `${own} and ${other}`);
  }
});

Deno.test("every view comes back as it was, and has one spelling whatever order it was made in", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  for (
    const given of [
      view(0),
      view(largest),
      view(1, [1, 0]),
      view(127, [127, 127]),
      view(128, [1, 128], [128, 0]),
      view(largest, [1, largest], [largest - 1, 0], [largest, largest]),
      // One that is newer than all that was known when it was made.
      view(3, [2, 1], [5, 9]),
    ]
  ) {
    const text = positionText(SUM, given)!;
    ok(/^[\w-]+$/.test(text), text);
    deepEqual(readPosition(SUM, text), given);
    const reversed = { ...given, heads: new Map([...given.heads].reverse()) };
    equal(positionText(SUM, reversed), text);
  }
  equal(positionText(SUM, view(3, [3, 70]))!.length, 12, "short where little is to be said");
});

Deno.test("more epochs than a position can name make none, rather than a wrong one", () => {
  const most = view(
    10_000,
    ...Array.from({ length: MAX_EPOCHS }, (_, i) => [(i + 1) * 30, Number.MAX_SAFE_INTEGER] as const),
  );
  deepEqual(readPosition(SUM, positionText(SUM, most)!), most);
  most.heads.set(9_999, 0);
  equal(positionText(SUM, most), undefined);
});
