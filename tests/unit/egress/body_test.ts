import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { bounded, counted, toldOf } from "../../../services/egress/body.ts";
import { HopFailure } from "../../../services/egress/parts.ts";
import { Slots } from "../../../services/egress/slots.ts";
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
