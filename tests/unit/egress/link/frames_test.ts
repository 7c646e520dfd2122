import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import {
  BadFrame,
  FRAME,
  FrameReader,
  type FrameSource,
  type FrameType,
  FrameWriter,
  MAX_DATA,
  MAX_JSON,
  messageIn,
} from "../../../../services/egress/wire/frames.ts";
import { frameOf } from "./support/pair.ts";

/** Gives bytes in pieces of one size. */
function sourceOf(bytes: Uint8Array, piece: number): FrameSource {
  let at = 0;
  return {
    read(into) {
      if (at >= bytes.length) return Promise.resolve(null);
      const part = bytes.subarray(at, at + Math.min(piece, into.length));
      into.set(part);
      at += part.length;
      return Promise.resolve(part.length);
    },
  };
}

async function written(...frames: readonly [FrameType, Uint8Array?][]): Promise<Uint8Array> {
  const taken: number[] = [];
  // Takes seven bytes at a time, so that frames are cut everywhere.
  const writer = new FrameWriter({
    write(bytes) {
      taken.push(...bytes.subarray(0, 7_001));
      return Promise.resolve(Math.min(bytes.length, 7_001));
    },
  });
  await Promise.all(frames.map(([type, payload]) => writer.write(type, payload)));
  return Uint8Array.from(taken);
}

Deno.test("frames come as they went, wherever they are cut, and none is written into another", async () => {
  const large = Uint8Array.from({ length: MAX_DATA }, (_, at) => at * 7);
  const frames = [[FRAME.data, large], [FRAME.end], [FRAME.data, Uint8Array.of(1)], [FRAME.more], [
    FRAME.data,
    large,
  ]] as const;
  const bytes = await written(...frames.map(([type, payload]) => [type, payload] as [FrameType, Uint8Array?]));
  for (const piece of [1, 4, 5, 6, 1_000, 65_541, 1_000_000]) {
    const reader = new FrameReader(sourceOf(bytes, piece));
    const read = [];
    for (let frame = await reader.next(); frame; frame = await reader.next()) read.push(frame);
    // Looked at when all have been read: none may have been overwritten.
    deepEqual(
      read.map(({ type, payload }) => [type, ...payload]),
      frames.map(([type, payload]) => [type, ...payload ?? []]),
    );
    equal(await reader.next(), undefined);
  }
});

Deno.test("what is no frame is refused by its first bytes, before anything is kept for it", async () => {
  const refused: readonly [string, Uint8Array][] = [
    ["a type that is none", frameOf(0)],
    ["another one", frameOf(11)],
    ["the last one", frameOf(255, "x")],
    ["a length of four gigabytes", frameOf(FRAME.data, "x", 0xffffffff)],
    ["a piece that is too long", frameOf(FRAME.data, "x", MAX_DATA + 1)],
    ["a message that is too long", frameOf(FRAME.head, "x", MAX_JSON + 1)],
    ["a piece without bytes", frameOf(FRAME.data)],
    ["a message without bytes", frameOf(FRAME.head)],
    ["an end with bytes", frameOf(FRAME.end, "x")],
    ["an end in the header", frameOf(FRAME.end).subarray(0, 3)],
    ["an end in the payload", frameOf(FRAME.data, "abc").subarray(0, 6)],
  ];
  for (const [what, bytes] of refused) {
    await rejects(new FrameReader(sourceOf(bytes, 3)).next(), BadFrame, what);
  }
  equal(await new FrameReader(sourceOf(new Uint8Array(), 1)).next(), undefined);
});

Deno.test("a message is JSON of UTF-8, or none", async () => {
  const of = async (payload: string | Uint8Array) =>
    messageIn((await new FrameReader(sourceOf(frameOf(FRAME.head, payload), 100)).next())!);
  deepEqual(await of('{"a":"é"}'), { a: "é" });
  for (const wrong of ["{}}", "[".repeat(MAX_JSON), Uint8Array.of(0x22, 0xff, 0x22), "\ufeff{}"]) {
    await rejects(of(wrong), BadFrame);
  }
});

Deno.test("nothing longer than the other side takes is written", async () => {
  const writer = new FrameWriter({ write: (bytes) => Promise.resolve(bytes.length) });
  await rejects(writer.write(FRAME.data, new Uint8Array(MAX_DATA + 1)), RangeError);
  await rejects(writer.write(FRAME.data), RangeError);
  await rejects(writer.writeJson(FRAME.open, { a: "a".repeat(MAX_JSON) }), RangeError);
  await writer.write(FRAME.data, new Uint8Array(MAX_DATA));
});

Deno.test("frames that wait go together in their order, behind what was held, and none is written over", async () => {
  const writes: number[][] = [], gates: (() => void)[] = [];
  const writer = new FrameWriter({
    async write(bytes) {
      await new Promise<void>((resolve) => gates.push(resolve));
      // Looked at when the others wait already.
      writes.push([...bytes]);
      return bytes.length;
    },
  });
  const expected: number[][] = [];
  for (let round = 0; round < 3; round++) {
    writer.hold(FRAME.data, Uint8Array.of(round, 1));
    equal(writer.waiting, 7);
    const first = writer.write(FRAME.data, Uint8Array.of(round, 2));
    const rest = [writer.write(FRAME.more), writer.write(FRAME.data, Uint8Array.of(round, 3)), writer.write(FRAME.end)];
    equal(gates.length, 1, "one at a time");
    gates.shift()!();
    await first;
    writer.hold(FRAME.more);
    await Promise.resolve();
    gates.shift()!();
    await Promise.all(rest);
    const [one, two, three] = [1, 2, 3].map((last) => [...frameOf(FRAME.data, Uint8Array.of(round, last))]);
    expected.push([...one!, ...two!]);
    expected.push([...frameOf(FRAME.more), ...three!, ...frameOf(FRAME.end)]);
    const last = writer.write(FRAME.end);
    gates.shift()!();
    await last;
    expected.push([...frameOf(FRAME.more), ...frameOf(FRAME.end)]);
    deepEqual(writes, expected);
    equal(writer.waiting, 0);
  }
});

Deno.test("what cannot be written fails for all that went with it, and what comes after it is tried", async () => {
  let tries = 0;
  const writer = new FrameWriter({
    write: (bytes) => ++tries < 3 ? Promise.reject(new Error(`no ${tries}`)) : Promise.resolve(bytes.length),
  });
  const outcomes = await Promise.allSettled([FRAME.more, FRAME.end, FRAME.end].map((type) => writer.write(type)));
  deepEqual(
    outcomes.map((outcome) => outcome.status === "rejected" && String(outcome.reason)),
    ["Error: no 1", "Error: no 2", "Error: no 2"],
  );
  await writer.write(FRAME.end);
  equal(tries, 3);
});

Deno.test("a frame is taken without waiting when all of it is there, and not before", async () => {
  const bytes = new Uint8Array([...frameOf(FRAME.data, "ab"), ...frameOf(FRAME.end), ...frameOf(FRAME.data, "c")]);
  const reader = new FrameReader(sourceOf(bytes, bytes.length - 1));
  equal(reader.take(), undefined);
  equal(reader.coming, undefined);
  equal((await reader.next())?.type, FRAME.data);
  equal(reader.coming, FRAME.end);
  equal(reader.take()?.type, FRAME.end);
  equal(reader.coming, FRAME.data);
  equal(reader.take(), undefined, "its last byte is missing");
  deepEqual([...(await reader.next())!.payload], [0x63]);
  const wrong = new FrameReader(sourceOf(new Uint8Array([...frameOf(FRAME.end), ...frameOf(77)]), 10));
  equal((await wrong.next())?.type, FRAME.end);
  throws(() => wrong.take(), BadFrame);
});
