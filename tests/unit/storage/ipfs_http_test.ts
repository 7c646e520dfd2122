import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { HttpClient, NoAnswer } from "../../../services/storage/ipfs/http.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { FakeEngine } from "./support/fake_engine.ts";

const SIGNAL = new AbortController().signal;
const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

Deno.test("a POST whose connection closes before the answer is not sent again", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  let requests = 0;
  const serving = awaitedLater((async () => {
    for await (const connection of listener) {
      void (async () => {
        const buffer = new Uint8Array(4_096);
        let text = "";
        for (let read; (read = await connection.read(buffer).catch(() => null)) !== null;) {
          text += new TextDecoder().decode(buffer.subarray(0, read));
          if (!text.endsWith("0\r\n\r\n")) continue;
          text = "";
          // The first is answered, so that its connection is used again; every other one was read, and gets nothing.
          if (++requests > 1) break;
          await connection.write(new TextEncoder().encode(OK));
        }
        connection.close();
      })();
    }
  })());
  const http = new HttpClient();
  const { port } = listener.addr as Deno.NetAddr;
  const ask = () => http.send({ method: "POST", url: `http://127.0.0.1:${port}/`, timeout: 5_000, signal: SIGNAL });
  equal(await (await ask()).text(), "ok");
  await rejects(ask(), (error) => error instanceof NoAnswer && error.reason === "connection");
  equal(requests, 2);
  listener.close();
  await serving;
  http.close();
});

Deno.test("what does not answer, or stands still in the middle, is given up; who waits may leave before", async () => {
  const silence = Promise.withResolvers<Response>();
  let stall: ReadableStreamDefaultController<Uint8Array> | undefined;
  await using engine = new FakeEngine((_, { path }) => {
    if (path === "/silent") return silence.promise;
    return new Response(
      new ReadableStream({
        start(controller) {
          stall = controller;
          controller.enqueue(new Uint8Array(10));
        },
      }),
    );
  });
  const http = new HttpClient();
  const ask = (path: string, signal = SIGNAL, timeout = 200) =>
    http.send({ method: "POST", url: engine.url + path, timeout, signal });
  const late = (error: unknown) => error instanceof NoAnswer && error.reason === "timeout";
  await rejects(ask("/silent"), late);
  const caller = new AbortController(), reason = new Error("gone");
  const asked = ask("/silent", caller.signal, 60_000);
  caller.abort(reason);
  await rejects(asked, (error) => error === reason);
  await rejects(ask("/silent", caller.signal), (error) => error === reason);
  let read = 0;
  await rejects(async () => {
    for await (const piece of (await ask("/stalls")).pieces()) read += piece.length;
  }, late);
  equal(read, 10);
  await rejects(async () => await (await ask("/stalls")).bytes(), late);
  silence.resolve(new Response());
  try {
    stall?.close();
  } catch {
    // It was given up already.
  }
  http.close();
});

Deno.test("a redirection is not followed, and takes no password with it", async () => {
  await using other = new FakeEngine(() => new Response("caught"));
  await using engine = new FakeEngine(() => new Response(null, { status: 307, headers: { location: other.url } }));
  const http = new HttpClient();
  const answer = await http.send({
    method: "POST",
    url: engine.url,
    headers: { authorization: "Basic x" },
    timeout: 1_000,
    signal: SIGNAL,
  });
  equal(answer.status, 307);
  answer.close();
  deepEqual(other.heard, []);
  http.close();
});

Deno.test("a source that fails is told apart from an engine that does", async () => {
  await using engine = new FakeEngine(async (request) => {
    await request.arrayBuffer().catch(() => {});
    return new Response();
  });
  const http = new HttpClient();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      controller.error(new Error("the source broke"));
    },
  });
  await rejects(
    http.send({ method: "POST", url: engine.url, body, timeout: 5_000, signal: SIGNAL }),
    (error) =>
      error instanceof NoAnswer && ok(Deno.inspect(error, { depth: 5 }).includes("the source broke")) === undefined,
  );
  http.close();
});
