import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { Call } from "../../../src/http/call.ts";
import {
  EventStream,
  eventStream,
  type EventStreamOptions,
  type ListeningCall,
} from "../../../src/http/event_stream.ts";
import { principal } from "../auth/support/node.ts";
import { liveGateway } from "../realtime/support/live.ts";
import { route, TableAuthenticator } from "./support.ts";

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

/** A gateway, and a call on it that can be ended in each of the ways in which calls end. */
function listening() {
  const gateway = liveGateway();
  const caller = principal();
  const authenticator = new TableAuthenticator(new Map([["key", caller]]));
  const leaving = new AbortController(), stopping = new AbortController();
  const url = "http://gateway.example/v1/thing";
  const call: ListeningCall = {
    signal: leaving.signal,
    stopping: stopping.signal,
    incoming: new Headers({ "x-api-key": "key" }),
    http: { req: { raw: { url } } } as unknown as Call["http"],
    principal: caller,
    route: route({ access: { kind: "namespace", scope: "sql:read" } }),
  };
  const services = { authenticator, connections: gateway.connections };
  return { ...gateway, call, services, authenticator, leaving, stopping };
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
  const { stream, piece } = reading({ heartbeat: 1_000, position: () => `e-${at}` });
  // Nobody reads yet.
  stream.look(0);
  stream.look(9_000);
  equal(await piece(), "retry: 1000\n\n");
  let told = piece();
  for (const now of [10_000, 10_999, 11_000, 11_001]) stream.look(now);
  equal(await told, ":\nid: e-4\n\n");
  at = 5;
  told = piece();
  for (const now of [11_500, 12_499]) stream.look(now);
  stream.send({ data: "x" });
  equal(await told, "data: x\n\n");
  told = piece();
  for (const now of [12_500, 13_499, 13_500]) stream.look(now);
  equal(await told, ":\nid: e-5\n\n");
  stream.end();
  const plain = reading({ heartbeat: 1_000 });
  await plain.piece();
  told = plain.piece();
  for (const now of [0, 1_000]) plain.stream.look(now);
  equal(await told, ":\n\n");
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
  const failure = (code: string) => new RegExp(`^event: failure\ndata: {"code":"${code}","error":"[^"]+"}\n\n$`);
  const narrow = principal({ scopes: new Set(["sql:write"] as const) });
  const ways: [string, (parts: ReturnType<typeof listening>, done: () => void) => void, RegExp][] = [
    ["producer", (_parts, done) => done(), /^$/],
    ["caller", ({ leaving }) => leaving.abort(), /^$/],
    ["gateway", ({ stopping }) => stopping.abort(), /^$/],
    ["connections", ({ connections }) => connections.stop(), /^$/],
    ["credential", ({ authenticator }) => authenticator.known.delete("key"), failure("INVALID_CREDENTIAL")],
    ["right", ({ authenticator }) => authenticator.known.set("key", narrow), failure("INSUFFICIENT_SCOPE")],
    [
      "defect",
      ({ authenticator }) => void (authenticator.identifyKey = () => Promise.reject(new Error("secret"))),
      failure("UNAVAILABLE"),
    ],
  ];
  for (const [what, end, last] of ways) {
    const parts = listening();
    const done = Promise.withResolvers<void>();
    let produced: EventStream | undefined;
    const { body, headers, status } = eventStream(
      parts.call,
      parts.services,
      {},
      (stream) => (produced = stream, done.promise),
    );
    deepEqual([status, headers?.["content-type"]], [200, "text/event-stream"]);
    const iterator = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
    equal(decoder.decode((await iterator.next()).value as Uint8Array), "retry: 1000\n\n");
    end(parts, () => done.resolve());
    for (let i = 0; i < 2; i++) await parts.pass(500);
    ok(produced!.signal.aborted, what);
    let text = "", result = await iterator.next();
    for (; !result.done; result = await iterator.next()) text += decoder.decode(result.value);
    match(text, last, what);
    done.resolve();
  }
});

Deno.test("what a change of rights means is the stream's to say, and nobody looks after one that is over", async () => {
  const { call, services, authenticator, pass } = listening();
  const told: string[] = [];
  const changed = ({ id }: Principal) => {
    told.push(id);
    if (id === "third") throw new GatewayError("FORBIDDEN", "not you");
  };
  const { body } = eventStream(call, services, { changed }, ({ signal }) => {
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  });
  const iterator = (body as AsyncIterable<Uint8Array>)[Symbol.asyncIterator]();
  await iterator.next();
  for (const id of ["second", "third", "fourth"]) {
    authenticator.known.set("key", principal({ id, scopes: new Set() }));
    await pass(500);
  }
  deepEqual(told, ["second", "third"]);
  const asked = authenticator.asked.length;
  await pass(500);
  equal(authenticator.asked.length, asked);
  match(decoder.decode((await iterator.next()).value as Uint8Array), /"code":"FORBIDDEN","error":"not you"/);
});

Deno.test("a producer that fails is told of, and its failure is what the stream ended with", async () => {
  const { call, services } = listening();
  const failure = new GatewayError("UNAVAILABLE", "no database");
  const { body } = eventStream(call, services, {}, () => Promise.reject(failure));
  const iterator = (body as AsyncIterable<Uint8Array, unknown>)[Symbol.asyncIterator]();
  let text = "", result = await iterator.next();
  for (; !result.done; result = await iterator.next()) text += decoder.decode(result.value);
  match(text, /event: failure\ndata: {"code":"UNAVAILABLE","error":"no database"}/);
  equal(result.value, failure);
});
