import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { clientAddresses } from "../../../src/http/client_address.ts";
import { streamContext, type Streamed, streamOf } from "../../../src/http/streamed_reply.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { appOf, route } from "./support.ts";

/** As many as make a race show that is lost every other time. */
const CLIENTS = 20;
const piece = (length: number) => new Uint8Array(length);

async function* pieces(count: number, end?: unknown): AsyncGenerator<Uint8Array, unknown> {
  for (let i = 0; i < count; i++) yield await Promise.resolve(piece(10));
  return end;
}

Deno.test("a streamed answer is observed once, when it has ended, with its bytes and how it ended", async () => {
  const failure = new GatewayError("STATEMENT_TIMEOUT", "late");
  const { call, seen } = appOf([
    route({ path: "/whole", handle: () => ({ status: 200, body: pieces(3) }) }),
    route({ path: "/told", handle: () => ({ status: 200, body: pieces(2, failure) }) }),
  ]);
  equal((await call("GET /whole")).text.length, 30);
  equal((await call("GET /told")).text.length, 20);
  const told = seen.map(({ outcome: { status, error, streamed } }) => ({ status, error, streamed }));
  deepEqual(told, [
    { status: 200, error: undefined, streamed: { bytes: 30, end: "complete" } },
    { status: 200, error: failure, streamed: { bytes: 20, end: "failed" } },
  ]);
});

Deno.test("what throws on the way cuts the answer off", async () => {
  const { fetch, seen } = appOf([
    route({
      path: "/broken",
      handle: () => ({
        status: 200,
        body: (async function* () {
          yield await Promise.resolve(piece(10));
          throw new Error("disk");
        })(),
      }),
    }),
  ]);
  const response = await fetch(new Request("http://gateway.example/broken"));
  equal(response.status, 200);
  await rejects(response.bytes());
  deepEqual(seen[0]?.outcome.streamed, { bytes: 10, end: "failed" });
  equal(String(seen[0]?.outcome.error), "Error: disk");
});

Deno.test("the next piece is made when the one before it was taken", async () => {
  let made = 0;
  const source = (async function* () {
    for (;;) {
      made++;
      yield await Promise.resolve(piece(10));
    }
  })();
  const reader = streamOf(source, () => {}).getReader();
  for (let read = 1; read <= 5; read++) {
    await reader.read();
    ok(made <= read + 1, `${made} pieces for ${read} reads`);
  }
  await reader.cancel();
});

Deno.test("a client that leaves ends the work, also while nothing comes", async () => {
  let over = false, signal: AbortSignal | undefined;
  const { fetch, seen } = appOf([
    route({
      path: "/slow",
      handle(call) {
        const { context, until } = streamContext(call);
        signal = context.signal;
        return {
          status: 200,
          body: until((async function* () {
            try {
              yield piece(5);
              await new Promise((_, reject) =>
                context.signal.addEventListener("abort", () => reject(context.signal.reason))
              );
            } finally {
              over = true;
            }
          })()),
        };
      },
    }),
  ]);
  const reader = (await fetch(new Request("http://gateway.example/slow"))).body!.getReader();
  await reader.read();
  const waiting = awaitedLater(reader.read());
  await reader.cancel();
  await waiting;
  await until("the work has ended", () => over);
  equal(signal?.aborted, true);
  deepEqual(seen.map(({ outcome }) => outcome.streamed), [{ bytes: 5, end: "left" }]);
});

Deno.test("a client whose leaving ends a piece that is being made has left, and nothing has failed", async () => {
  const client = new AbortController(), making = Promise.withResolvers<void>();
  const { fetch, seen } = appOf([
    route({
      path: "/slow",
      handle: (call) => ({
        status: 200,
        body: (async function* () {
          yield await Promise.resolve(piece(5));
          const { signal } = call.http.req.raw;
          making.resolve();
          await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
        })(),
      }),
    }),
  ]);
  const request = new Request("http://gateway.example/slow", { signal: client.signal });
  const reader = (await fetch(request)).body!.getReader();
  await reader.read();
  const waiting = awaitedLater(reader.read());
  await making.promise;
  client.abort();
  await rejects(waiting);
  deepEqual(seen.map(({ outcome: { error, streamed } }) => ({ error, streamed })), [
    { error: undefined, streamed: { bytes: 5, end: "left" } },
  ]);
});

Deno.test("a client that stops reading is given up", async () => {
  const how: Streamed[] = [];
  let over = false;
  const source = (async function* () {
    try {
      for (;;) yield await Promise.resolve(piece(10));
    } finally {
      over = true;
    }
  })();
  const reader = streamOf(source, (end) => how.push(end), 50).getReader();
  await reader.read();
  await until("it is given up", () => over);
  deepEqual(how, [{ bytes: 10, end: "stalled", error: undefined }]);
  await rejects(reader.read());
});

Deno.test("HEAD of what is streamed has no body, and ends what was begun", async () => {
  let over = false;
  const { call, seen } = appOf([
    route({
      path: "/file",
      handle: () => ({
        status: 200,
        headers: { "content-length": "10" },
        body: (async function* () {
          try {
            yield await Promise.resolve(piece(10));
          } finally {
            over = true;
          }
        })(),
      }),
    }),
  ]);
  const head = await call("HEAD /file");
  deepEqual([head.status, head.text, head.headers.get("content-length")], [200, "", "10"]);
  await until("it has ended", () => over);
  equal(seen.length, 1);
});

Deno.test("what was opened is given back also when the client leaves before the first piece", async () => {
  let released = 0, began = false;
  const { until: handOut, context } = streamContext({
    requestId: "r",
    clientAddress: "192.0.2.1",
    signal: new AbortController().signal,
  });
  const source = (async function* () {
    began = true;
    yield piece(1);
  })();
  const stream = streamOf(handOut(source, () => released++), () => {});
  await stream.cancel();
  await until("it is given back", () => released === 1);
  deepEqual([began, context.signal.aborted], [false, true]);
});

Deno.test("an answer may wait longer, or less long, for who reads it than others do", async () => {
  const endless = async function* () {
    for (;;) yield await Promise.resolve(piece(10));
  };
  const { fetch, seen } = appOf([
    route({ path: "/hasty", handle: () => ({ status: 200, body: endless(), patience: 20 }) }),
    route({ path: "/usual", handle: () => ({ status: 200, body: endless() }) }),
  ]);
  const readers = [];
  for (const path of ["usual", "hasty"]) {
    const reader = (await fetch(new Request(`http://gateway.example/${path}`))).body!.getReader();
    await reader.read();
    readers.push(reader);
  }
  await until("the hasty one is over", () => seen.length > 0);
  deepEqual(seen.map(({ outcome: { streamed } }) => streamed), [{ bytes: 10, end: "stalled" }]);
  await rejects(readers[1]!.read());
  equal((await readers[0]!.read()).value?.length, 10);
  await readers[0]!.cancel();
});

Deno.test("what a source holds is given back also where nobody can be told how its answer ended", async () => {
  let over = false;
  const source = (async function* () {
    try {
      for (;;) yield await Promise.resolve(piece(10));
    } finally {
      over = true;
    }
  })();
  const stream = streamOf(source, () => {
    throw new Error("no room for the log");
  });
  const reader = stream.getReader();
  await reader.read();
  await rejects(reader.cancel(), /no room/);
  await until("it is given back", () => over);
});

Deno.test("the address of a client that left before its answer was there is told, on every way to an answer", async () => {
  const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
  const endless = async function* () {
    // With a turn of the event loop between pieces the server often notices first that the client is gone.
    for (;;) yield await new Promise<Uint8Array>((resolve) => setTimeout(() => resolve(piece(64_000)), 0));
  };
  const facts = {
    shutdown: new AbortController().signal,
    stopping: new AbortController().signal,
    addressOf: clientAddresses([]),
  };
  const told: (readonly [string, string])[] = [];
  let left = () => {};
  const { fetch } = appOf([
    route({ path: "/streamed", handle: () => ({ status: 200, body: endless() }) }),
    route({
      path: "/waited",
      async handle({ signal }) {
        signal.addEventListener("abort", () => left());
        await answered;
        return { status: 200, body: "{}" };
      },
    }),
  ], { facts, observe: ({ template, clientAddress }) => void told.push([template, clientAddress]) });
  await using server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, fetch);
  const ask = async (path: string) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: server.addr.port });
    await connection.write(new TextEncoder().encode(`GET ${path} HTTP/1.1\r\nHost: gateway.example\r\n\r\n`));
    return connection;
  };
  for (let round = 1; round <= CLIENTS; round++) {
    const streamed = await ask("/streamed");
    await streamed.read(new Uint8Array(1_000));
    await new Promise((resolve) => setTimeout(resolve, round % 7));
    streamed.close();
    await until("the streamed answer has ended", () => told.length === round);
  }
  const gone = new Promise<void>((resolve) => left = resolve);
  const waited = await ask("/waited");
  waited.close();
  await gone;
  answer();
  await until("the other one is told too", () => told.length > CLIENTS);
  deepEqual(new Set(told.map((one) => one.join(" "))), new Set(["/streamed 127.0.0.1", "/waited 127.0.0.1"]));
});
