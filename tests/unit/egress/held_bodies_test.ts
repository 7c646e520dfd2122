import { Buffer } from "node:buffer";
import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { BLOCK, Blocks } from "../../../routes/proxy/blocks.ts";
import { heldAnswer } from "../../../routes/proxy/held_answer.ts";
import { jsonOf } from "../../../routes/proxy/held_request.ts";
import { Rooms } from "../../../services/egress/slots.ts";
import { EgressFailure } from "../../../src/contracts/egress.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { parseJson } from "../../../src/http/body.ts";
import type { StreamedReply } from "../../../src/http/streamed_reply.ts";

const joined = (pieces: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(pieces));

const MOST = 1_000;
const encoder = new TextEncoder();
const codeOf = (code: string) => (error: unknown) =>
  (error instanceof EgressFailure || error instanceof GatewayError) && error.code === code;
const never = () => new AbortController().signal;
/** Bytes that no two blocks have alike. */
const varied = (length: number) => Uint8Array.from({ length }, (_, at) => (at * 31 + (at >> 8)) & 255);
const rooms = (each = 100 * BLOCK) => new Rooms({ all: 100 * BLOCK, each });

function* cut(bytes: Uint8Array<ArrayBuffer>, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
const responseOf = (pieces: Iterable<Uint8Array>) => ({
  status: 207,
  headers: [],
  body: ReadableStream.from(pieces) as ReadableStream<Uint8Array>,
});
const HEADERS = { "X-A": '"\\"}' };

async function read(body: StreamedReply): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const piece of body) pieces.push(piece);
  return joined(pieces);
}

Deno.test("whatever pieces a response comes in, its answer is the same JSON, of the length that it says, and holds nothing behind it", async () => {
  for (const length of [0, 1, 2, 3, 49_151, 49_152, 49_153, 98_304, 200_000]) {
    const bytes = varied(length);
    for (const size of [1, 2, 7, 65_536, 1_000_000]) {
      const all = rooms();
      const room = all.enter("shop", BLOCK);
      const { status, headers, body } = await heldAnswer(responseOf(cut(bytes, size)), HEADERS, room, never());
      equal(status, 200);
      const text = typeof body === "string" ? encoder.encode(body) : await read(body as StreamedReply);
      equal(all.held, 0);
      const answer = JSON.parse(new TextDecoder().decode(text));
      deepEqual(Object.keys(answer), ["status_code", "headers", "body"]);
      deepEqual([answer.status_code, answer.headers], [207, HEADERS]);
      deepEqual(Uint8Array.fromBase64(answer.body), bytes, `${length} in pieces of ${size}`);
      if (typeof body !== "string") equal(headers!["content-length"], String(text.length));
    }
  }
});

Deno.test("a response that there is no room for is let go of, and is no answer in part", async () => {
  const all = rooms(4 * BLOCK);
  const room = all.enter("shop", BLOCK);
  let cancelled = false, heldThen = NaN, most = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      most = Math.max(most, all.held);
      controller.enqueue(new Uint8Array(10_000));
    },
    async cancel() {
      cancelled = true;
      heldThen = all.held;
      await Promise.resolve();
    },
  }, { highWaterMark: 0 });
  await rejects(heldAnswer({ status: 200, headers: [], body }, {}, room, never()), codeOf("EGRESS_RESPONSE_TOO_LARGE"));
  ok(cancelled);
  equal(most, 4 * BLOCK);
  equal(heldThen, 0, "others have it before the connection is gone");
});

Deno.test("many tiny pieces take no more room than what is in them", async () => {
  const all = rooms(3 * BLOCK);
  const room = all.enter("shop", BLOCK);
  const { body } = await heldAnswer(responseOf(cut(varied(140_000), 1)), {}, room, never());
  equal(all.held, 3 * BLOCK);
  equal(JSON.parse(new TextDecoder().decode(await read(body as StreamedReply))).status_code, 207);
});

Deno.test("an answer that nobody takes to its end gives back what it holds, begun or not, by the reader or by the signal", async () => {
  const open = async () => {
    const all = rooms(), left = new AbortController();
    const room = all.enter("shop", BLOCK);
    const { body } = await heldAnswer(responseOf([varied(400_000)]), {}, room, left.signal);
    const iterator = (body as StreamedReply)[Symbol.asyncIterator]();
    equal(all.held, 9 * BLOCK);
    return { all, left, iterator };
  };
  const unread = await open();
  await unread.iterator.return!();
  equal(unread.all.held, 0);
  const begun = await open();
  for (let i = 0; i < 4; i++) await begun.iterator.next();
  equal(begun.all.held, 6 * BLOCK, "what was taken is given back as it goes");
  await begun.iterator.return!();
  equal(begun.all.held, 0);
  const gone = await open();
  await gone.iterator.next();
  gone.left.abort(new Error("the client left"));
  equal(gone.all.held, 0);
  await rejects(gone.iterator.next(), /the client left/);
  const early = rooms(), room = early.enter("shop", BLOCK);
  await heldAnswer(responseOf([varied(400_000)]), {}, room, AbortSignal.abort(new Error("left")));
  equal(early.held, 0);
});

/** The value of a body as the route reads it. */
function valueOf(
  text: string | Uint8Array<ArrayBuffer>,
  room = rooms().enter("shop", BLOCK),
  length: string | null = null,
) {
  const bytes = typeof text === "string" ? encoder.encode(text) : text;
  return jsonOf(
    {
      maxValueBytes: MOST,
      lent: {
        async *[Symbol.asyncIterator]() {
          yield* cut(bytes, 10_000);
        },
      },
      bytes: () => Promise.resolve(bytes),
      parse: (some) => parseJson(some, 64),
    },
    length,
    room,
  );
}

Deno.test("JSON that is long by its body alone is read, and is what JSON.parse says that it is", async () => {
  const long = '\\"}],{[:,\u0000\ud83d\ude00é\n'.repeat(5_000);
  const texts = [
    { url: "u", body: long },
    { body: long, url: "u" },
    { headers: { body: "not this one", a: "body" }, x: [{ body: "nor this" }], 'bo"dy': "n", body: long, z: null },
    { body: long, tail: "body" },
    { body: "\\".repeat(100_001) },
  ].flatMap((value) => [JSON.stringify(value), JSON.stringify(value, null, 2)]);
  const by6 = `{"url":"u","body":"${"\\u0000".repeat(5_000)}"}`;
  const named = `{"url":"u","b\\u006fdy":"${long.replaceAll(/[^é]/g, "a")}"}`;
  const twice = `{"body":"first","body":${JSON.stringify(long)}}`;
  const noText = `{"body":${JSON.stringify(long)},"body":5}`;
  for (const text of [...texts, by6, named, twice, noText]) {
    deepEqual(await valueOf(text), JSON.parse(text), text.slice(0, 60));
  }
});

Deno.test("JSON that is long by anything else is refused unparsed, because its values would take many times its text", async () => {
  const long = "a".repeat(2 * MOST);
  const texts = [
    `{"body":[${"[],".repeat(MOST)}[]]}`,
    `{"body":"x","x":[${"{},".repeat(MOST)}{}]}`,
    `{"url":"${long}"}`,
    `{"url":"${long}","body":"${long}"}`,
    `{"a":{"body":"${long}"}}`,
    `["body","${long}"]`,
    `"${long}"`,
    `{"body":"${long}","body":"${long}"}`,
    `{"body":"${long}" "x"}`,
    " ".repeat(2 * MOST),
    "[".repeat(2 * MOST),
    `{"${long}":1}`,
    `{"body":"x"${" ".repeat(2 * MOST)}}`,
  ];
  for (const text of texts) await rejects(valueOf(text), codeOf("BODY_TOO_LARGE"), text.slice(0, 30));
});

Deno.test("what is no JSON is none also where its body is cut out of it", async () => {
  const long = "a".repeat(2 * MOST);
  const texts = [
    `{"body":"${long}`,
    `{"body":"${long}"`,
    `{"body":"${long}"}}`,
    `{"body":"${long}\\x"}`,
    `{"body":"${long}\n"}`,
    `{"body" "${long}"}`.replace('"body" ', '"body"::'),
    `{,"body":"${long}"}`,
    `{"body":x"${long}"}`,
  ];
  for (const text of texts) await rejects(valueOf(text), codeOf("INVALID_JSON"), text.slice(0, 30));
  const cutOff = joined([encoder.encode(`{"body":"${long}`), Uint8Array.of(0xc3), encoder.encode('"}')]);
  await rejects(valueOf(cutOff), codeOf("INVALID_JSON"));
  const inName = joined([encoder.encode(`{"`), Uint8Array.of(0xff), encoder.encode(`":1,"body":"${long}"}`)]);
  await rejects(valueOf(inName), codeOf("INVALID_JSON"));
});

Deno.test("a request's body that there is no room for is refused while it comes, and a small one needs none", async () => {
  const all = rooms(2 * BLOCK);
  const room = all.enter("shop", BLOCK);
  const text = JSON.stringify({ body: "a".repeat(3 * BLOCK) });
  await rejects(valueOf(text, room), codeOf("EGRESS_BUSY"));
  equal(all.held, 2 * BLOCK);
  room.leave();
  const full = all.enter("shop", 2 * BLOCK);
  throws(() => all.enter("shop", 1), codeOf("EGRESS_BUSY"));
  deepEqual(await valueOf('{"url":"u"}', full, "11"), { url: "u" });
});

Deno.test("blocks keep bytes as they are", () => {
  const room = rooms().enter("shop", BLOCK);
  const blocks = Blocks.plain(room);
  const bytes = varied(3 * BLOCK);
  for (const piece of cut(bytes, 999)) ok(blocks.add(piece));
  deepEqual(joined(blocks.pieces()), bytes);
});
