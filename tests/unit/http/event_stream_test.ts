import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { EventStream, eventStream, type EventStreamOptions } from "../../../src/http/event_stream.ts";
import { until } from "../../engines/support/wait.ts";

const decoder = new TextDecoder();

/** A stream, and somebody who reads it. */
function reading(options: EventStreamOptions = {}) {
  let begun = 0;
  const stream = new EventStream(options, () => begun++);
  const iterator = stream[Symbol.asyncIterator]();
  return {
    stream,
    iterator,
    begun: () => begun,
    async piece() {
      const { done, value } = await iterator.next();
      return done ? { over: value } : decoder.decode(value as Uint8Array);
    },
  };
}

/** A call that can be ended in each of the ways in which calls end. */
function fakeCall() {
  const leaving = new AbortController(), stopping = new AbortController();
  const call = {
    refusal: undefined as Error | undefined,
    signal: leaving.signal,
    stopping: stopping.signal,
    admit: () => call.refusal ? Promise.reject(call.refusal) : Promise.resolve(),
  };
  return { call, leaving, stopping };
}

Deno.test("a stream says first when to come back, and then what is sent, each event on its own", async () => {
  const { stream, piece, begun } = reading({ retry: 250 });
  equal(begun(), 0);
  ok(stream.send({ event: "insert", id: "e-1", data: '{"a":1}' }));
  equal(await piece(), 'retry: 250\n\nevent: insert\nid: e-1\ndata: {"a":1}\n\n');
  equal(begun(), 1);
  const waiting = piece();
  ok(stream.send({ data: "x" }));
  equal(await waiting, "data: x\n\n");
  stream.end();
  deepEqual(await piece(), { over: undefined });
  equal(stream.send({ data: "late" }), false);
});

Deno.test("no text can end an event early or begin another field", async () => {
  const { stream, piece } = reading();
  stream.send({ event: "a\nid: 9", id: "1\r\ndata: forged\0", data: "one\ntwo\r\nthree\rfour\n\n: five" });
  const text = String(await piece()).replace("retry: 1000\n\n", "");
  equal(
    text,
    "event: aid: 9\nid: 1data: forged\ndata: one\ndata: two\ndata: three\ndata: four\ndata: \ndata: : five\n\n",
  );
});

Deno.test("a silent stream shows that it lives, and from where to go on", async () => {
  let at = 4;
  const { stream, piece } = reading({ heartbeat: 20, position: () => `e-${at}` });
  await piece();
  equal(await piece(), ":\nid: e-4\n\n");
  at = 5;
  equal(await piece(), ":\nid: e-5\n\n");
  stream.end();
  const plain = reading({ heartbeat: 20 });
  await plain.piece();
  equal(await plain.piece(), ":\n\n");
  plain.stream.end();
});

Deno.test("a reader that is too slow is told so, and nothing is kept for it without end", async () => {
  const { stream, piece } = reading({ maxWaiting: 1_000 });
  let sent = 0;
  while (stream.send({ data: "x".repeat(90) })) sent++;
  ok(sent > 5 && sent < 12, String(sent));
  ok(stream.signal.aborted);
  const text = String(await piece());
  ok(text.endsWith("\n\nevent: overflow\ndata: {}\n\n"), text);
  deepEqual(await piece(), { over: undefined });
});

Deno.test("drained() waits for the reader, and no longer than the stream lasts", async () => {
  const { stream, piece } = reading();
  stream.send({ data: "small" });
  await stream.drained();
  stream.send({ data: "x".repeat(100_000) });
  let drained = false;
  const waiting = stream.drained().then(() => drained = true);
  await Promise.resolve();
  equal(drained, false);
  await piece();
  await waiting;
  stream.send({ data: "x".repeat(100_000) });
  const again = stream.drained();
  stream.end();
  await again;
});

Deno.test("whoever stops reading ends the stream", async () => {
  const { stream, iterator, piece } = reading();
  await piece();
  const waiting = piece();
  await iterator.return!();
  ok(stream.signal.aborted);
  deepEqual(await waiting, { over: undefined });
});

Deno.test("a stream ends with its producer, with its caller, with the gateway and with the right to it", async () => {
  const ways: [string, (parts: ReturnType<typeof fakeCall>, done: () => void) => void, RegExp][] = [
    ["producer", (_parts, done) => done(), /^$/],
    ["caller", ({ leaving }) => leaving.abort(), /^$/],
    ["gateway", ({ stopping }) => stopping.abort(), /^$/],
    [
      "right",
      ({ call }) => void (call.refusal = new GatewayError("INVALID_CREDENTIAL", "gone")),
      /^event: failure\ndata: {"code":"INVALID_CREDENTIAL","error":"gone"}\n\n$/,
    ],
    ["defect", ({ call }) => void (call.refusal = new Error("secret")), /"code":"INTERNAL","error":"internal error"/],
  ];
  for (const [what, end, last] of ways) {
    const parts = fakeCall();
    const done = Promise.withResolvers<void>();
    let produced: EventStream | undefined;
    const { body, headers, status } = eventStream(parts.call, {}, (stream) => (produced = stream, done.promise));
    deepEqual([status, headers?.["content-type"]], [200, "text/event-stream"]);
    const iterator = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    equal(decoder.decode((await iterator.next()).value as Uint8Array), "retry: 1000\n\n");
    const start = performance.now();
    end(parts, () => done.resolve());
    let text = "", result = await iterator.next();
    for (; !result.done; result = await iterator.next()) text += decoder.decode(result.value);
    ok(performance.now() - start < 1_000, what);
    match(text, last, what);
    await until("the producer hears of it", () => produced!.signal.aborted);
    done.resolve();
  }
});

Deno.test("a producer that fails is told of, and its failure is what the stream ended with", async () => {
  const { call } = fakeCall();
  const failure = new GatewayError("UNAVAILABLE", "no database");
  const { body } = eventStream(call, {}, () => Promise.reject(failure));
  const iterator = (body as AsyncIterable<Uint8Array, unknown>)[Symbol.asyncIterator]();
  let text = "", result = await iterator.next();
  for (; !result.done; result = await iterator.next()) text += decoder.decode(result.value);
  match(text, /event: failure\ndata: {"code":"UNAVAILABLE","error":"no database"}/);
  equal(result.value, failure);
});
