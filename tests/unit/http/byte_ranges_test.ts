import { deepEqual, equal, ok } from "node:assert/strict";
import { type Bytes, contentRange, rangesBody, rangesOf } from "../../../src/http/byte_ranges.ts";

/** Ranges as text: `0+10`. */
const found = (header: string | null, size = 1_000) =>
  rangesOf(header, size)?.map(({ offset, length }) => `${offset}+${length}`);

Deno.test("a range is what RFC 9110 says it is", () => {
  for (
    const [header, ranges] of [
      ["bytes=0-0", ["0+1"]],
      ["bytes=0-499", ["0+500"]],
      ["bytes=500-", ["500+500"]],
      ["bytes=-1", ["999+1"]],
      ["bytes=-500", ["500+500"]],
      ["bytes=-1000", ["0+1000"]],
      ["bytes=-5000", ["0+1000"]],
      ["bytes=0-99999999999999999999999", ["0+1000"]],
      ["bytes=-99999999999999999999999", ["0+1000"]],
      ["bytes=999-999", ["999+1"]],
      ["Bytes=1-2", ["1+2"]],
      ["bytes = 1-2", ["1+2"]],
      ["bytes=,1-2,,", ["1+2"]],
      ["bytes=0-0,500-500", ["0+1", "500+1"]],
      ["bytes=500-500 , 0-0", ["500+1", "0+1"]],
      ["bytes=0-0,5000-", ["0+1"]],
    ] as const
  ) deepEqual(found(header), ranges, header);
});

Deno.test("what is no list of ranges is ignored", () => {
  for (
    const header of [
      null,
      "",
      "bytes",
      "bytes=",
      "bytes=-",
      "bytes=,",
      "bytes=a-b",
      "bytes=1",
      "bytes=5-1",
      "bytes=1-2,5-1",
      "bytes=0x1-2",
      "bytes=1-2;3-4",
      "bytes=--1",
      "bytes=1--2",
      "bytes=1.5-2",
      "bytes=1-2 3-4",
      "items=0-1",
      "bytes 0-1/2",
      "bytes=0-1\u00a0",
      "bytes=1-2, x",
    ]
  ) equal(found(header), undefined, String(header));
});

Deno.test("what cannot be met is an empty list", () => {
  for (const header of ["bytes=1000-", "bytes=1000-2000", "bytes=-0", "bytes=5000-,-0"]) {
    deepEqual(found(header), [], header);
  }
  for (const header of ["bytes=0-", "bytes=0-0", "bytes=-1"]) deepEqual(found(header, 0), [], `${header} of nothing`);
});

Deno.test("ranges that overlap or nearly touch come once, where the first of them stood", () => {
  deepEqual(found("bytes=0-9,5-14"), ["0+15"]);
  deepEqual(found("bytes=0-9,10-19"), ["0+20"]);
  deepEqual(found("bytes=0-9,100-109"), ["0+110"], "a part of its own would be longer than what is between them");
  deepEqual(found("bytes=900-,0-9,850-899,5-6"), ["850+150", "0+10"]);
  deepEqual(found("bytes=0-,0-,0-"), ["0+1000"]);
  deepEqual(found("bytes=-1000,500-600"), ["0+1000"]);
});

Deno.test("hundreds of ranges are refused, and no list gives more bytes than there are", () => {
  const many = (count: number, of: (i: number) => string) =>
    `bytes=${Array.from({ length: count }, (_, i) => of(i)).join(",")}`;
  deepEqual(found(many(101, () => "0-")), []);
  deepEqual(found(many(5_000, (i) => `${i}-${i}`)), []);
  deepEqual(found(many(100_000, () => "0-")), []);
  deepEqual(found(many(100, () => "0-")), ["0+1000"]);
  const size = 10 ** 9;
  for (let seed = 1; seed < 50; seed++) {
    const ranges = rangesOf(
      many(100, (i) => `${i * seed * 7_919 % 50_000}-${i * seed * 104_729 % 50_000 + 50_000}`),
      size,
    )!;
    ok(ranges.reduce((sum, { length }) => sum + length, 0) <= size);
    const sorted = ranges.toSorted((a, b) => a.offset - b.offset);
    ok(
      sorted.every(({ offset }, i) => i === 0 || offset > sorted[i - 1]!.offset + sorted[i - 1]!.length),
      "none overlap",
    );
  }
});

Deno.test("several ranges are one body, as long as it says", async () => {
  const whole = Uint8Array.from({ length: 1_000 }, (_, i) => i % 251);
  async function* read({ offset, length }: Bytes) {
    yield whole.subarray(offset, offset + 1);
    if (length > 1) yield whole.subarray(offset + 1, offset + length);
  }
  const { contentType, length, body } = rangesBody(
    rangesOf("bytes=900-,0-4,500-500", 1_000)!,
    1_000,
    "image/png",
    "bound",
    read,
  );
  const bytes = new Uint8Array(await new Response(ReadableStream.from(body)).arrayBuffer());
  equal(contentType, "multipart/byteranges; boundary=bound");
  equal(bytes.length, length);
  const head = (range: string) =>
    `\r\n--bound\r\nContent-Type: image/png\r\nContent-Range: bytes ${range}/1000\r\n\r\n`;
  const latin1 = (part: Uint8Array) => new TextDecoder("latin1").decode(part);
  equal(
    latin1(bytes),
    `${head("900-999")}${latin1(whole.subarray(900))}${head("0-4")}${latin1(whole.subarray(0, 5))}${head("500-500")}${
      latin1(whole.subarray(500, 501))
    }\r\n--bound--\r\n`,
  );
  equal(contentRange({ offset: 5, length: 1 }, 6), "bytes 5-5/6");
});
