import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { type BodyLimits, parseJson, readBody } from "../../../src/http/body.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";

const LIMITS: BodyLimits = { maxBytes: 100, stallTimeout: 5_000, timeout: 10_000, maxDepth: 8 };
const bytes = (n: number) => new Uint8Array(n).fill(120);

/** A request whose body comes as the test says. */
function request(
  body: ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null,
  contentLength?: number | string,
): Request {
  const headers = contentLength === undefined ? {} : { "content-length": String(contentLength) };
  return new Request("http://gateway/", { method: "POST", headers, body });
}

/** A body in chunks; whether it was broken off can be asked. */
function chunks(parts: Iterable<Uint8Array>, end: "close" | "stall" | "break" = "close") {
  const iterator = parts[Symbol.iterator]();
  const state = { cancelled: false, given: 0 };
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = iterator.next();
      if (!done) {
        state.given += value.byteLength;
        controller.enqueue(value);
      } else if (end === "close") controller.close();
      else if (end === "break") controller.error(new Error("connection reset"));
      else return new Promise(() => {});
    },
    cancel() {
      state.cancelled = true;
    },
  }, { highWaterMark: 0 });
  return { stream, state };
}

/** A body of one byte at a time, each after `pause` milliseconds, without end. */
function drip(pause: number): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return new ReadableStream<Uint8Array>({
    pull: (controller) =>
      new Promise((resolve) => {
        timer = setTimeout(() => {
          controller.enqueue(bytes(1));
          resolve();
        }, pause);
      }),
    cancel: () => clearTimeout(timer),
  }, { highWaterMark: 0 });
}

const tooLarge = { name: "GatewayError", code: "BODY_TOO_LARGE", status: 413, message: "the body exceeds 100 bytes" };
const late = { name: "GatewayError", code: "REQUEST_TIMEOUT", status: 408 };
const broken = { name: "GatewayError", code: "INVALID_REQUEST", message: "the body ended before it was complete" };

Deno.test("a body up to the limit is read, of declared length or in chunks", async () => {
  for (const size of [1, 99, 100]) {
    equal((await readBody(request(bytes(size), size), LIMITS)).byteLength, size);
    equal((await readBody(request(bytes(size)), LIMITS)).byteLength, size);
    equal((await readBody(request(chunks([bytes(size - 1), bytes(1)]).stream), LIMITS)).byteLength, size);
  }
});

Deno.test("chunks are put together in order, empty ones too", async () => {
  const parts = ["{", "", '"a"', ":", "1}"].map((text) => new TextEncoder().encode(text));
  equal(new TextDecoder().decode(await readBody(request(chunks(parts).stream), LIMITS)), '{"a":1}');
});

Deno.test("no body and an empty body are no bytes", async () => {
  equal((await readBody(request(null), LIMITS)).byteLength, 0);
  equal((await readBody(request(bytes(0), 0), LIMITS)).byteLength, 0);
  equal((await readBody(request(chunks([]).stream), LIMITS)).byteLength, 0);
});

Deno.test("one byte too many is 413, found before anything is read where the length is declared", async () => {
  const declared = chunks([bytes(101)]);
  await rejects(readBody(request(declared.stream, 101), LIMITS), tooLarge);
  equal(declared.state.given, 0);
  await rejects(readBody(request(chunks([bytes(100), bytes(1)]).stream), LIMITS), tooLarge);
  await rejects(readBody(request(bytes(101)), LIMITS), tooLarge);
});

Deno.test("a body without end is broken off at the limit", async () => {
  const endless = chunks(function* () {
    for (;;) yield bytes(10);
  }());
  await rejects(readBody(request(endless.stream), LIMITS), tooLarge);
  ok(endless.state.cancelled);
  ok(endless.state.given <= 130, `${endless.state.given} bytes were taken`);
});

Deno.test("a declared length that lies changes nothing", async () => {
  await rejects(readBody(request(chunks([bytes(60), bytes(60)]).stream, 5), LIMITS), tooLarge);
  equal((await readBody(request(chunks([bytes(60)]).stream, 5), LIMITS)).byteLength, 60);
  for (const odd of ["x", "-1", "1e9x"]) {
    await rejects(readBody(request(chunks([bytes(60), bytes(60)]).stream, odd), LIMITS), tooLarge, odd);
  }
});

Deno.test("a body that stalls is 408 and is broken off, of declared length or not", async () => {
  const quick = { ...LIMITS, stallTimeout: 20 };
  const counted = chunks([bytes(5)], "stall");
  await rejects(readBody(request(counted.stream), quick), late);
  ok(counted.state.cancelled);
  await rejects(readBody(request(chunks([bytes(5)], "stall").stream, 50), quick), late);
  await rejects(readBody(request(chunks([], "stall").stream), quick), late);
});

Deno.test("a body that keeps dripping is 408 when its whole time is over", async () => {
  const limits = { ...LIMITS, stallTimeout: 1_000, timeout: 60 };
  const start = performance.now();
  await rejects(readBody(request(drip(5)), limits), late);
  ok(performance.now() - start >= 55);
});

Deno.test("a pause that is shorter than the stall time is none, though the pauses add up to more", async () => {
  const start = performance.now();
  const limits = { ...LIMITS, maxBytes: 9, stallTimeout: 300 };
  await rejects(readBody(request(drip(40)), limits), { code: "BODY_TOO_LARGE" });
  ok(performance.now() - start > 300);
});

Deno.test("a client that breaks off is 400, and nothing of ours is said", async () => {
  for (const declared of [undefined, 50]) {
    await rejects(readBody(request(chunks([bytes(5)], "break").stream, declared), LIMITS), (error) => {
      ok(error instanceof GatewayError);
      deepEqual([error.code, error.message], [broken.code, broken.message]);
      ok(error.cause instanceof Error);
      return true;
    });
  }
});

Deno.test("after a refusal the connection is not used again", async () => {
  for (const body of [request(bytes(101)), request(chunks([], "stall").stream)]) {
    await rejects(readBody(body, { ...LIMITS, stallTimeout: 10 }), (error) => {
      equal((error as GatewayError).extra.headers?.connection, "close");
      return true;
    });
  }
});

const parse = (text: string, maxDepth = 64) => parseJson(new TextEncoder().encode(text), maxDepth);
const invalid = { name: "GatewayError", code: "INVALID_JSON", status: 400 };
const isInvalid = (bytes: Uint8Array, maxDepth = 64) => {
  try {
    parseJson(bytes, maxDepth);
    return false;
  } catch (error) {
    deepEqual([(error as GatewayError).code, (error as GatewayError).status], [invalid.code, invalid.status]);
    return true;
  }
};

Deno.test("parseJson() gives what JSON.parse gives", () => {
  for (
    const text of [
      "null",
      "true",
      '"x"',
      "0",
      "-0",
      "1.5e3",
      "[]",
      "{}",
      ' {"a":[1,{"b":null}]} ',
      '"\\u0000\\ud83d\\ude00"',
    ]
  ) {
    deepEqual(parse(text), JSON.parse(text));
  }
});

Deno.test("integers that a number cannot hold become bigint, the others stay numbers", () => {
  const exact: [text: string, value: unknown][] = [
    ["9007199254740991", 9007199254740991],
    ["9007199254740992", 9007199254740992n],
    ["9007199254740993", 9007199254740993n],
    ["-9007199254740993", -9007199254740993n],
    ["9223372036854775807", 9223372036854775807n],
    ["-9223372036854775808", -9223372036854775808n],
    // More digits than 64 bits can have: whoever takes the value sees that it is none of theirs.
    ["12345678901234567890", 12345678901234567890],
    ["1" + "0".repeat(500_000), Infinity],
    ["1234567890123456.5", 1234567890123456.5],
    ["1e21", 1e21],
    ["1e400", Infinity],
    ["0.12345678901234567", 0.12345678901234567],
  ];
  for (const [text, value] of exact) {
    deepEqual(parse(text), value, text);
    deepEqual(parse(`{"a":[${text}]}`), { a: [value] }, text);
  }
  deepEqual(parse('{"text":"9007199254740993","n":9007199254740993}'), {
    text: "9007199254740993",
    n: 9007199254740993n,
  });
});

Deno.test("what is not one JSON value is refused", () => {
  for (
    const text of [
      "",
      " ",
      "{",
      "{}{}",
      "1 2",
      "{'a':1}",
      "{a:1}",
      "[1,]",
      "undefined",
      "NaN",
      "01",
      "+1",
      "0x1",
      '"\n"',
      "nul",
      "\u00a0{}",
      "// x\n{}",
    ]
  ) ok(isInvalid(new TextEncoder().encode(text)), text);
});

Deno.test("only UTF-8 is text; a byte order mark before it is dropped", () => {
  deepEqual(parseJson(new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0x7d]), 8), {});
  for (
    const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xc3, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00],
      [0x22, 0xc0, 0xaf, 0x22],
    ]
  ) ok(isInvalid(new Uint8Array(bytes)), bytes.join(" "));
});

Deno.test("values may nest as deep as allowed and not a level deeper, in arrays, in objects and mixed", () => {
  const nested = (depth: number, inner: string) => [
    "[".repeat(depth) + inner + "]".repeat(depth),
    '{"a":'.repeat(depth) + (inner || "0") + "}".repeat(depth),
    '[{"a":'.repeat(depth / 2) + (inner || "0") + "}]".repeat(depth / 2),
  ];
  for (const maxDepth of [2, 8, 64]) {
    for (const inner of ["", "1", '"x"', "null"]) {
      for (const text of nested(maxDepth, inner)) {
        equal(isInvalid(new TextEncoder().encode(text), maxDepth), false, text);
      }
      for (const text of nested(maxDepth + 2, inner)) ok(isInvalid(new TextEncoder().encode(text), maxDepth), text);
      const [arrays] = nested(maxDepth + 1, inner);
      ok(isInvalid(new TextEncoder().encode(arrays), maxDepth), arrays ?? "");
    }
  }
  ok(isInvalid(new TextEncoder().encode("[[]]"), 1));
  equal(isInvalid(new TextEncoder().encode("[]"), 1), false);
});

Deno.test("the deepest branch counts, wherever it is", () => {
  const deep = "[".repeat(9) + "]".repeat(9);
  ok(isInvalid(new TextEncoder().encode(`{"a":1,"b":[1,2,${deep}],"c":[]}`), 8));
});

Deno.test("text that is absurdly deep is refused and not a crash, long numbers in it or not", () => {
  for (const inner of ["", "12345678901234567890"]) {
    ok(isInvalid(new TextEncoder().encode("[".repeat(200_000) + inner + "]".repeat(200_000))));
    ok(isInvalid(new TextEncoder().encode('{"a":'.repeat(100_000) + (inner || "1") + "}".repeat(100_000))));
  }
});

Deno.test("a wide body is no deep one", () => {
  equal(isInvalid(new TextEncoder().encode(`[${"[1],".repeat(50_000)}[1]]`), 2), false);
});

Deno.test("__proto__ is a member like any other and changes no prototype", () => {
  for (const number of ["1", "9007199254740993"]) {
    const value = parse(
      `{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}},"n":${number}}`,
    ) as object;
    equal(Object.getPrototypeOf(value), Object.prototype);
    ok(Object.hasOwn(value, "__proto__"));
    equal((value as Record<string, unknown>).admin, undefined);
    equal(({} as Record<string, unknown>).admin, undefined);
  }
});

Deno.test("of a member that comes twice the last one counts, as in every client", () => {
  deepEqual(parse('{"a":1,"a":2}'), { a: 2 });
});
