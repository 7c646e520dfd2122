import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { bounded, counted, toldOf } from "../../../services/egress/body.ts";
import { HopFailure } from "../../../services/egress/parts.ts";
import { Rooms, Slots } from "../../../services/egress/slots.ts";
import { EgressFailure } from "../../../src/contracts/egress.ts";

const codeOf = (code: string) => (error: unknown) => error instanceof EgressFailure && error.code === code;
const bytes = (length: number) => new Uint8Array(length).fill(1);

/** A body of pieces, which tells how many were asked for and whether it was cancelled. */
function source(pieces: number, length = 10) {
  const seen = { pulled: 0, cancelled: false };
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (seen.pulled++ === pieces) controller.close();
      else controller.enqueue(bytes(length));
    },
    cancel() {
      seen.cancelled = true;
    },
  }, { highWaterMark: 0 });
  return { body, seen };
}
const open = (most: number, signal = new AbortController().signal) => {
  const ended: string[] = [];
  return { ended, bounds: { most, signal, failed: toldOf, onEnd: () => ended.push("end") } };
};

Deno.test("a response of as many bytes as it may have comes whole, and one more byte ends it", async () => {
  const fitting = open(50);
  equal((await new Response(bounded(source(5).body, fitting.bounds)).bytes()).length, 50);
  deepEqual(fitting.ended, ["end"]);
  const { body, seen } = source(6);
  const large = open(50);
  await rejects(new Response(bounded(body, large.bounds)).bytes(), codeOf("EGRESS_RESPONSE_TOO_LARGE"));
  deepEqual(large.ended, ["end"]);
  ok(seen.cancelled);
});

Deno.test("nothing is read that nobody wants", async () => {
  const { body, seen } = source(1_000);
  const { bounds, ended } = open(Infinity);
  const reader = bounded(body, bounds).getReader();
  await reader.read();
  equal(seen.pulled, 1);
  await reader.cancel();
  ok(seen.cancelled);
  deepEqual(ended, ["end"]);
});

Deno.test("the end of the time ends a body that does not come, with that reason", async () => {
  const late = new AbortController();
  const { bounds, ended } = open(Infinity, late.signal);
  let cancelled = false;
  const silent = new ReadableStream<Uint8Array>({ cancel: () => void (cancelled = true) });
  const read = new Response(bounded(silent, bounds)).bytes();
  late.abort(new EgressFailure("EGRESS_TIMEOUT", "too long"));
  await rejects(read, codeOf("EGRESS_TIMEOUT"));
  deepEqual(ended, ["end"]);
  ok(cancelled);
});

Deno.test("what a process says of a body that was cut short is told as a failure of the request", async () => {
  const { bounds, ended } = open(Infinity);
  const cut = new ReadableStream<Uint8Array>({
    pull: () => Promise.reject(new HopFailure("EGRESS_RESPONSE_INVALID", "cut short", "why")),
  });
  await rejects(new Response(bounded(cut, bounds)).bytes(), codeOf("EGRESS_RESPONSE_INVALID"));
  deepEqual(ended, ["end"]);
});

Deno.test("a request's body may have so many bytes, as a whole or as a stream", async () => {
  equal(counted(undefined, 0), undefined);
  equal((counted(bytes(5), 5) as Uint8Array).length, 5);
  throws(() => counted(bytes(6), 5), codeOf("EGRESS_REQUEST_INVALID"));
  equal((await new Response(counted(source(5).body, 50) as ReadableStream).bytes()).length, 50);
  await rejects(new Response(counted(source(6).body, 50) as ReadableStream).bytes(), codeOf("EGRESS_REQUEST_INVALID"));
});

Deno.test("a namespace has so many places, and others have theirs", () => {
  const slots = new Slots(3);
  const leave = slots.enter("loud", 2);
  slots.enter("loud", 2);
  throws(() => slots.enter("loud", 2), codeOf("EGRESS_BUSY"));
  slots.enter("quiet", 2);
  throws(() => slots.enter("quiet", 2), codeOf("EGRESS_BUSY"));
  leave();
  leave();
  equal(slots.count, 2);
  slots.enter("quiet", 2);
  throws(() => slots.enter("third", 2), codeOf("EGRESS_BUSY"));
});

/** A body of these pieces, and those that came through when it ended or failed. */
async function announced(lengths: readonly number[], length: number, most = 1_000) {
  const passed: number[] = [];
  const body = ReadableStream.from(lengths.map(bytes));
  let failure: unknown;
  try {
    for await (const piece of counted(body, most, length) as ReadableStream<Uint8Array>) passed.push(piece.length);
  } catch (error) {
    failure = error;
  }
  return { passed, failure };
}

Deno.test("of a body with other bytes than were announced a server never gets as many as were", async () => {
  for (const lengths of [[], [0], [9], [4, 5], [4, 7], [10, 1], [5, 5, 1], [10, 0, 10], [11], [4, 6, 0, 1]]) {
    const { passed, failure } = await announced(lengths, 10);
    ok(codeOf("EGRESS_REQUEST_INVALID")(failure), `${lengths}: ${failure}`);
    ok(passed.reduce((sum, one) => sum + one, 0) < 10, `${lengths}: ${passed}`);
  }
  for (const lengths of [[10], [4, 6], [4, 6, 0], [0, 10, 0, 0], [1, 2, 3, 4]]) {
    const { passed, failure } = await announced(lengths, 10);
    equal(failure, undefined, `${lengths}`);
    equal(passed.reduce((sum, one) => sum + one, 0), 10, `${lengths}`);
  }
  deepEqual(await announced([], 0), { passed: [], failure: undefined });
  ok(codeOf("EGRESS_REQUEST_INVALID")((await announced([1], 0)).failure));
});

Deno.test("a body that is announced to be longer than it may is refused before any of it is read", () => {
  const { body, seen } = source(6);
  throws(() => counted(body, 50, 60), codeOf("EGRESS_REQUEST_INVALID"));
  equal(seen.pulled, 0);
});

Deno.test("what is held in memory has its bounds, of one namespace and of all, and what is given back is there again", () => {
  const rooms = new Rooms({ all: 100, each: 40 });
  const loud = rooms.enter("loud", 10), more = rooms.enter("loud", 10);
  ok(loud.take(20));
  equal(loud.take(1), false);
  throws(() => rooms.enter("loud", 1), codeOf("EGRESS_BUSY"));
  equal(rooms.held, 40);
  const quiet = rooms.enter("quiet", 40), third = rooms.enter("third", 20);
  throws(() => rooms.enter("fourth", 1), codeOf("EGRESS_BUSY"));
  equal(third.take(1), false, "there is no more, whoever asks");
  loud.give(5);
  ok(more.take(5));
  loud.leave();
  loud.leave();
  loud.give(1_000);
  equal(loud.take(1), false, "who has left takes nothing");
  equal(rooms.held, 75);
  for (const room of [more, quiet, third]) room.leave();
  equal(rooms.held, 0);
  rooms.enter("loud", 40).leave();
});
