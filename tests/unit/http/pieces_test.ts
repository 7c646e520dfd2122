import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Gathered, Pieces } from "../../../src/http/pieces.ts";

/** A body as the server gives one: what is there comes at once, in chunks, into memory that the reader brings. */
function body(chunks: Iterable<number>, pause: () => Promise<void> | undefined = () => undefined) {
  const sizes = chunks[Symbol.iterator]();
  let cancelled = false;
  const stream = new ReadableStream({
    type: "bytes",
    async pull(controller) {
      await pause();
      const { done, value: size } = sizes.next();
      const request = controller.byobRequest as ReadableStreamBYOBRequest;
      if (done) {
        controller.close();
        return request.respond(0);
      }
      const view = request.view as Uint8Array<ArrayBuffer>;
      new Uint8Array(view.buffer, view.byteOffset, size).fill(size);
      request.respond(size);
    },
    cancel: () => void (cancelled = true),
  });
  return { stream: stream as ReadableStream<Uint8Array<ArrayBuffer>>, isCancelled: () => cancelled };
}

const chunks = (count: number, size: number) => new Array<number>(count).fill(size);
const refusal = { name: "GatewayError", code: "INVALID_REQUEST", message: /small chunks/ };

async function read(pieces: Pieces): Promise<number> {
  let bytes = 0;
  for (let piece; (piece = await pieces.next()) !== undefined;) bytes += piece.length;
  return bytes;
}

Deno.test("pieces come in the same memory, one after the other", async () => {
  for (const declared of [true, false]) {
    const pieces = new Pieces(body([3, 4, 5]).stream, declared);
    const first = (await pieces.next())!;
    deepEqual([...first], [3, 3, 3]);
    deepEqual([...(await pieces.next())!], [4, 4, 4, 4]);
    equal(first.length, 0, "it was lent");
    deepEqual([...(await pieces.next())!], [5, 5, 5, 5, 5]);
    equal(await pieces.next(), undefined);
  }
});

Deno.test("a body that was made here comes as it was made", async () => {
  const pieces = new Pieces(ReadableStream.from([Uint8Array.of(1), Uint8Array.of(2, 3)]), false);
  deepEqual([...(await pieces.next())!], [1]);
  deepEqual([...(await pieces.next())!], [2, 3]);
  equal(await pieces.next(), undefined);
});

Deno.test("a body that is there in ever so many small chunks is refused, however few bytes they are", async () => {
  for (const size of [1, 100]) {
    await rejects(read(new Pieces(body(chunks(10_000, size)).stream, false)), refusal, `chunks of ${size}`);
  }
});

Deno.test("small chunks are taken while they are few, or while they are waited for now and then", async () => {
  equal(await read(new Pieces(body(chunks(3_000, 10)).stream, false)), 30_000);
  let count = 0;
  const slow = () => ++count % 3_000 === 0 ? new Promise<void>((resolve) => setTimeout(resolve, 1)) : undefined;
  equal(await read(new Pieces(body(chunks(30_000, 10), slow).stream, false)), 300_000);
});

Deno.test("large chunks are taken however many there are", async () => {
  for (const size of [16 * 1024 + 16, 12_000]) {
    equal(await read(new Pieces(body(chunks(14_000, size)).stream, false)), 14_000 * size);
  }
});

Deno.test("whoever lets go of the pieces lets go of the body", async () => {
  const { stream, isCancelled } = body(chunks(10, 10));
  const pieces = new Pieces(stream, true);
  await pieces.next();
  pieces.cancel();
  ok(isCancelled());
});

Deno.test("what is gathered is what came, in order, and its own", () => {
  const gathered = new Gathered();
  deepEqual([...gathered.whole()], []);
  const lent = new Uint8Array(1), expected: number[] = [];
  for (let i = 0; i < 5_000; i++) {
    lent[0] = i % 256;
    expected.push(lent[0]);
    gathered.add(lent);
  }
  lent[0] = 77;
  equal(gathered.size, 5_000);
  deepEqual([...gathered.whole()], expected);
});
