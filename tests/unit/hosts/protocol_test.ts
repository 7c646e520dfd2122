import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { FrameReader, FrameWriter, MalformedFrame } from "../../../src/hosts/protocol.ts";
import { tag } from "../../../src/hosts/tagging.ts";

const MESSAGES: readonly unknown[] = [
  ["ask", 1, { op: "run", statements: [{ sql: "SELECT ?", args: [1, -1.5, "é😀", null, true] }] }],
  "",
  "x".repeat(70_000),
  "lone \ud800 surrogate, U+0000 \0, U+2028 \u2028",
  [2n ** 63n - 1n, -(2n ** 63n), 0n],
  { bytes: new Uint8Array([0, 255, 1]), none: new Uint8Array() },
  { deep: [[{ a: [new Uint8Array([1])] }]], big: { n: 5n } },
  { $i: "5" },
  { $b: 1, other: 2n },
  { $o: { $i: "not a number" } },
  { $: [1n] },
  { "": null, $x: new Uint8Array([7]), y: [] },
  JSON.parse('{"__proto__": {"a": 1}}'),
  [],
  {},
  "é".repeat(40_000),
];

function written(messages: readonly unknown[]): Uint8Array {
  const writer = new FrameWriter();
  for (const message of messages) writer.add(message);
  return writer.take();
}

function cut(bytes: Uint8Array, sizes: () => number): unknown[] {
  const reader = new FrameReader();
  const messages: unknown[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = sizes();
    messages.push(...reader.push(bytes.slice(at, at + size)));
    at += size;
  }
  return messages;
}

Deno.test("messages come out as they went in, however the pipe cuts them", () => {
  const bytes = written(MESSAGES);
  deepEqual(cut(bytes, () => bytes.length), MESSAGES);
  for (const size of [1, 2, 3, 5, 4096, 65_536]) deepEqual(cut(bytes, () => size), MESSAGES, String(size));
  let seed = 7;
  for (let round = 0; round < 20; round++) {
    deepEqual(cut(bytes, () => 1 + (seed = seed * 48_271 % 2_147_483_647) % 9_000), MESSAGES);
  }
});

Deno.test("a message without bytes and bigint is not rewritten", () => {
  const message = { rows: [[1, "a", null, { b: true }]] };
  deepEqual(tag(message), { value: message, tagged: false });
  equal(tag(message).value, message);
});

Deno.test("a writer can be used again after its bytes were taken, and owes nothing to the next", () => {
  const writer = new FrameWriter();
  writer.add("x".repeat(2_000_000));
  const first = writer.take();
  writer.add("y");
  const second = writer.take();
  deepEqual(new FrameReader().push(second), ["y"]);
  equal((new FrameReader().push(first)[0] as string).length, 2_000_000);
  equal(writer.length, 0);
});

Deno.test("what is no frame is refused", () => {
  const frame = (length: number, text: string) => {
    const bytes = new Uint8Array(4 + text.length);
    new DataView(bytes.buffer).setUint32(0, length);
    bytes.set(new TextEncoder().encode(text), 4);
    return bytes;
  };
  const tagged = (text: string) => frame(text.length + 0x80000000, text);
  for (
    const [what, bytes] of Object.entries({
      "not JSON": frame(4, "nope"),
      "JSON that is cut": frame(3, "[1,"),
      "bytes that are no UTF-8": new Uint8Array([0, 0, 0, 3, 0x22, 0xff, 0x22]),
      "an empty one": frame(0, ""),
      "one that is too long": frame(2_000, ""),
      "a tag that is none": tagged('{"$z":1}'),
      "an integer that is none": tagged('{"$i":"1.5"}'),
      "bytes that are no base64": tagged('{"$b":"***"}'),
    })
  ) {
    throws(() => new FrameReader({ maxFrame: 1_000 }).push(bytes), MalformedFrame, what);
    throws(
      () => {
        const reader = new FrameReader({ maxFrame: 1_000 });
        for (const byte of bytes) reader.push(new Uint8Array([byte]));
      },
      MalformedFrame,
      `${what}, byte by byte`,
    );
  }
});

Deno.test("a long frame that comes in small pieces takes time by its length, not by its square", () => {
  const bytes = written(["x".repeat(20_000_000)]);
  const begun = performance.now();
  equal(cut(bytes, () => 4_096).length, 1);
  ok(performance.now() - begun < 5_000);
});

Deno.test("a frame may be bounded in what lies outside of its texts, wherever a text seems to end", () => {
  const write = (message: unknown) => {
    const writer = new FrameWriter();
    writer.add(message);
    return writer.take();
  };
  const bounded = () => new FrameReader({ maxStructure: 20 });
  for (
    const text of [
      "",
      '"',
      "\\",
      '\\"',
      '\\\\"[[[[[[[[[[[[[[[[[[[[[[',
      "[".repeat(100_000),
      '"'.repeat(50_000),
      "\\".repeat(50_001),
    ]
  ) {
    deepEqual(bounded().push(write(["call", 1, text])), [["call", 1, text]]);
  }
  for (
    const value of [
      Array(12).fill(1),
      [[[[[[[[[[[]]]]]]]]]]],
      Object.fromEntries([..."abcdefgh"].map((n) => [n, 1])),
    ]
  ) {
    throws(() => bounded().push(write(value)), MalformedFrame);
  }
  const open = new Uint8Array([0, 0, 0, 4, ...new TextEncoder().encode('"abc')]);
  throws(() => bounded().push(open), MalformedFrame);
  // The quote of the next frame ends no text of this one.
  throws(() => bounded().push(new Uint8Array([...open, ...write("a")])), MalformedFrame);
});

Deno.test("an integer of many digits is no integer, however it is tagged", () => {
  const payload = new TextEncoder().encode(JSON.stringify({ $i: "1".repeat(1_000_000) }));
  const frame = new Uint8Array(4 + payload.length);
  new DataView(frame.buffer).setUint32(0, payload.length + 0x80000000);
  frame.set(payload, 4);
  const begun = performance.now();
  throws(() => new FrameReader().push(frame), MalformedFrame);
  ok(performance.now() - begun < 1_000);
});
