import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { z } from "zod";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { ANY_TYPE, type RawBody, streamBody } from "../../../src/http/streaming_body.ts";

const LIMITS = { maxBytes: 100, stallTimeout: 200, timeout: 300, maxDepth: 8 };
const RAW: RawBody = { types: { "application/json": z.unknown(), "text/csv": z.string() }, maxBytes: 1_000 };

/** A text has a media type of its own as a body of a `Request`, bytes have none. */
const requestOf = (body: BodyInit | null, headers: Record<string, string> = {}) =>
  new Request("http://gateway.example/", {
    method: "POST",
    body: typeof body === "string" ? new TextEncoder().encode(body) : body,
    headers,
  });
const open = (request: Request, raw = RAW, admit = () => {}) =>
  streamBody(request, raw, LIMITS, { admit, isStopped: () => false });
const all = async (chunks: AsyncIterable<Uint8Array>) =>
  (await Array.fromAsync(chunks)).reduce((sum, chunk) => sum + chunk.length, 0);
const is = (code: ErrorCode) => (error: unknown) => error instanceof GatewayError && error.code === code;

/** A body whose pieces come so many milliseconds apart, without an end of its own. */
function dripping(piece: Uint8Array, every: number): ReadableStream<Uint8Array> {
  let timer: ReturnType<typeof setTimeout>;
  return new ReadableStream({
    pull: (controller) =>
      new Promise((resolve) =>
        timer = setTimeout(() => {
          controller.enqueue(piece);
          resolve();
        }, every)
      ),
    cancel: () => clearTimeout(timer),
  }, { highWaterMark: 0 });
}

Deno.test("a body is taken by its media type, whatever stands behind that", async () => {
  equal(open(requestOf("a", { "content-type": "text/csv; charset=utf-8" })).mediaType, "text/csv");
  equal(open(requestOf("a", { "content-type": "Text/CSV" })).mediaType, "text/csv");
  const bare = requestOf(new Uint8Array([1, 2]));
  equal(open(bare).mediaType, "application/json", "the first one where none is named");
  equal(await all(open(bare).chunks), 2);
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "a", ";"]) {
    const given = requestOf("a", { "content-type": type });
    if (type === ";") equal(open(given).mediaType, "application/json");
    else throws(() => open(given), is("UNSUPPORTED_MEDIA_TYPE"), type);
  }
});

Deno.test("a body that says it is too large is not read, and one that is too large is found while reading", async () => {
  throws(() => open(requestOf("a", { "content-length": "1001" })), is("BODY_TOO_LARGE"));
  equal(await all(open(requestOf(new Uint8Array(1_000))).chunks), 1_000);
  await rejects(all(open(requestOf(new Uint8Array(1_001))).chunks), is("BODY_TOO_LARGE"));
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(400)),
    cancel: () => void (cancelled = true),
  });
  await rejects(all(open(requestOf(endless)).chunks), is("BODY_TOO_LARGE"));
  equal(cancelled, true);
});

Deno.test("a body that stops coming, or drips, is given up", async () => {
  await rejects(all(open(requestOf(dripping(new Uint8Array(1), 10_000))).chunks), is("REQUEST_TIMEOUT"));
  await rejects(all(open(requestOf(dripping(new Uint8Array(1), 20))).chunks), is("REQUEST_TIMEOUT"));
});

Deno.test("a body that breaks off is the client's mistake", async () => {
  const broken = new ReadableStream({ pull: (controller) => controller.error(new Error("reset")) });
  await rejects(all(open(requestOf(broken)).chunks), is("INVALID_REQUEST"));
});

Deno.test("a body that the server lets go of is the client's matter, unless the server is made to stop", async () => {
  const gone = () =>
    requestOf(new ReadableStream({ pull: (controller) => controller.error(new Deno.errors.BadResource("gone")) }));
  for (const [stopped, code] of [[false, "INVALID_REQUEST"], [true, "UNAVAILABLE"]] as const) {
    const { chunks } = streamBody(gone(), RAW, LIMITS, { admit: () => {}, isStopped: () => stopped });
    await rejects(all(chunks), is(code));
  }
});

Deno.test("a sender who took long is looked at again before the body has ended", async () => {
  const slow = (pieces: number) => {
    let left = pieces;
    return new ReadableStream({
      async pull(controller) {
        await new Promise((resolve) => setTimeout(resolve, 150));
        if (left-- > 0) controller.enqueue(new Uint8Array(100));
        else controller.close();
      },
    }, { highWaterMark: 0 });
  };
  let asked = 0;
  const admit = () => {
    asked++;
    throw new GatewayError("INVALID_CREDENTIAL", "revoked");
  };
  const limits = { ...LIMITS, timeout: 10_000 };
  const body = (pieces: number) => streamBody(requestOf(slow(pieces)), RAW, limits, { admit, isStopped: () => false });
  equal(await all(body(1).chunks), 100);
  equal(asked, 0);
  const seen: number[] = [];
  await rejects(async () => {
    for await (const chunk of body(4).chunks) seen.push(chunk.length);
  }, is("INVALID_CREDENTIAL"));
  deepEqual([asked, seen], [1, [100, 100, 100, 100]]);
});

Deno.test("a body that is read as JSON has the bounds of ordinary ones", async () => {
  deepEqual(await open(requestOf('{"a":9007199254740993}')).json(), { a: 9007199254740993n });
  await rejects(open(requestOf("x".repeat(101))).json(), is("BODY_TOO_LARGE"));
  await rejects(open(requestOf("{")).json(), is("INVALID_JSON"));
  await rejects(open(requestOf("[".repeat(40) + "]".repeat(40))).json(), is("INVALID_JSON"));
  await rejects(open(requestOf(null)).json(), is("INVALID_JSON"));
});

Deno.test("whoever does not want the rest of a body lets go of it", async () => {
  let cancelled = false;
  const endless = new ReadableStream({
    pull: (controller) => controller.enqueue(new Uint8Array(10)),
    cancel: () => void (cancelled = true),
  });
  for await (const chunk of open(requestOf(endless)).chunks) if (chunk.length > 0) break;
  equal(cancelled, true);
});

Deno.test("a body of any type is taken where any is, and read as a whole within the bound that the reader gives", async () => {
  const raw: RawBody = { types: { [ANY_TYPE]: z.string() }, maxBytes: Infinity };
  equal(open(requestOf("a", { "content-type": "Image/PNG; x=y" }), raw).mediaType, "image/png");
  const bytes = (body: BodyInit, most: number, headers = {}) => open(requestOf(body, headers), raw).bytes(most);
  equal((await bytes(new Uint8Array(5_000), 5_000)).length, 5_000, "more than an ordinary body may have");
  await rejects(bytes(new Uint8Array(5_001), 5_000), is("BODY_TOO_LARGE"));
  await rejects(bytes("a", 5_000, { "content-length": "5001" }), is("BODY_TOO_LARGE"));
  await rejects(
    open(requestOf(new Uint8Array(1_001))).bytes(5_000),
    is("BODY_TOO_LARGE"),
    "the route's bound is smaller",
  );
  equal((await bytes("", 10)).length, 0);
  await rejects(bytes(dripping(new Uint8Array(1), 50), 5_000), is("REQUEST_TIMEOUT"));
  let asked = 0;
  const late = new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 180));
      controller.enqueue(new Uint8Array(1));
      if (++asked === 4) controller.close();
    },
  }, { highWaterMark: 0 });
  const patient = { ...LIMITS, timeout: 10_000 };
  const admit = () => {
    throw new GatewayError("INVALID_CREDENTIAL", "revoked");
  };
  const body = streamBody(requestOf(late), raw, patient, { admit, isStopped: () => false });
  await rejects(body.bytes(10), is("INVALID_CREDENTIAL"), "who took long is looked at again");
});

Deno.test("bytes of a body are JSON by the same bounds as a body that is JSON", () => {
  const { parse } = open(requestOf("x"));
  const parsed = (text: string) => parse(new TextEncoder().encode(text));
  deepEqual(parsed('{"a":9007199254740993}'), { a: 9007199254740993n });
  for (const wrong of ["", "{", "[".repeat(9) + "]".repeat(9)]) throws(() => parsed(wrong), is("INVALID_JSON"));
  throws(() => parse(new Uint8Array([0x22, 0xff, 0x22])), is("INVALID_JSON"));
});
