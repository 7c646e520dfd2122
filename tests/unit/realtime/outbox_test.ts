import { deepEqual, equal, ok } from "node:assert/strict";
import type { SlowPolicy } from "../../../src/contracts/settings.ts";
import { gapText } from "../../../src/http/live/encodings.ts";
import { Outbox, type Piece, pieceOf } from "../../../src/http/live/outbox.ts";
import { FakeSocket, liveGateway } from "./support/live.ts";

function outboxOf(
  { maxQueueBytes = 4_000, slowPolicy = "drop" as SlowPolicy, joins = true, gateway = liveGateway() } = {},
) {
  const socket = new FakeSocket();
  const told: string[] = [];
  const outbox = new Outbox({
    socket,
    connections: gateway.connections,
    bounds: { maxQueueBytes, slowPolicy },
    joins,
    gap: (topic, position) => gapText(topic, "slow", position),
    slow: () => void told.push("slow"),
    stuck: () => void told.push("stuck"),
  });
  return { ...gateway, socket, outbox, told };
}

/** A message of a topic with a number, of about so many bytes. */
const message = (n: number, { topic = "t", size = 0 } = {}): Piece =>
  pieceOf(JSON.stringify({ type: "message", n, topic, fill: "x".repeat(size) }), topic, `p${n}`);

Deno.test("what is put in one turn goes out in one frame, in its order, in the next", async () => {
  const { outbox, socket, turn } = outboxOf();
  for (let n = 1; n <= 3; n++) outbox.put(message(n));
  deepEqual(socket.sent, []);
  await turn();
  equal(socket.sent.length, 1);
  deepEqual(socket.take().map(({ n }) => n), [1, 2, 3]);
  outbox.put(message(4));
  await turn();
  deepEqual(socket.take().map(({ n }) => n), [4]);
});

Deno.test("one piece alone is sent as it is, and what several sockets join alike is one text", async () => {
  const gateway = liveGateway();
  const [a, b] = [outboxOf({ gateway }), outboxOf({ gateway })];
  const pieces = [message(1), message(2)];
  for (const { outbox } of [a, b]) outbox.put(pieces[0]!);
  await gateway.turn();
  ok(a.socket.sent[0] === pieces[0]!.text && b.socket.sent[0] === pieces[0]!.text);
  for (const { outbox } of [a, b]) for (const piece of pieces) outbox.put(piece);
  await gateway.turn();
  equal(a.socket.sent[1], `${pieces[0]!.text}\n${pieces[1]!.text}`);
  equal(b.socket.sent[1], a.socket.sent[1]);
});

Deno.test("a protocol of one object in each frame is kept", async () => {
  const { outbox, socket, turn } = outboxOf({ joins: false });
  for (let n = 1; n <= 3; n++) outbox.put(message(n));
  await turn();
  equal(socket.sent.length, 3);
});

Deno.test("a socket that never reads holds no more than its queue, whatever is published", async () => {
  const { outbox, socket, turn } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  for (let n = 1; n <= 10_000; n++) {
    outbox.put(message(n));
    if (n % 10 === 0 || n < 100) await turn();
    ok(outbox.waiting + socket.bufferedAmount <= 4_000 + message(n).bytes + 64, `${outbox.waiting} B wait after ${n}`);
  }
  ok(socket.bufferedAmount <= 1_000 + message(1).bytes, `${socket.bufferedAmount} B are with the system`);
});

Deno.test("what is dropped is the oldest, and a gap says so in its place", async () => {
  const { outbox, socket, turn, connections } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  for (let n = 1; n <= 500; n++) {
    outbox.put(message(n));
    await turn();
  }
  socket.drain();
  while (outbox.waiting > 0) {
    socket.drain();
    connections.runOften();
    await turn();
  }
  const told = socket.take();
  const at = told.findIndex(({ type }) => type === "gap");
  const before = told.slice(0, at).map(({ n }) => n as number), after = told.slice(at + 1).map(({ n }) => n as number);
  deepEqual(told[at], { type: "gap", topic: "t", reason: "slow", position: `p${after[0]! - 1}` });
  deepEqual(before, before.map((_, i) => i + 1), "what went out before has no hole");
  deepEqual(after, after.map((_, i) => after[0]! + i), "nor has what follows");
  equal(after.at(-1), 500);
  ok(after[0]! > before.at(-1)! + 1);
  equal(connections.figures().dropped >= after[0]! - before.at(-1)! - 1, true);
});

Deno.test("a gap never comes before the answer by which the client knows of its subscription", async () => {
  const { outbox, socket, turn, connections } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  outbox.put(message(0, { topic: "other", size: 1_000 }));
  await turn();
  outbox.put(pieceOf('{"id":1,"type":"ok"}'));
  for (let n = 1; n <= 300; n++) outbox.put(message(n));
  while (outbox.waiting > 0) {
    socket.drain();
    connections.runOften();
    await turn();
  }
  const told = socket.take().map(({ type }) => type);
  deepEqual(told.slice(0, 4), ["message", "ok", "gap", "message"]);
});

Deno.test("answers are not dropped: whoever reads none of them is closed", async () => {
  const { outbox, socket, turn, told } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  for (let id = 1; id <= 500; id++) {
    outbox.put(pieceOf(JSON.stringify({ id, type: "ok", fill: "x".repeat(20) })));
    await turn();
  }
  deepEqual(told, ["slow"]);
  ok(outbox.waiting <= 4_000);
});

Deno.test("where slow readers are closed, one is, once, and not from within what it is given", async () => {
  const { outbox, socket, turn, told } = outboxOf({ slowPolicy: "close", maxQueueBytes: 4_000 });
  socket.reads = false;
  outbox.put(message(0, { size: 2_000 }));
  await turn();
  outbox.put(message(1));
  await turn();
  for (let n = 2; n <= 100; n++) outbox.put(message(n));
  deepEqual(told, []);
  await turn();
  deepEqual(told, ["slow"]);
  equal(outbox.waiting, 0);
});

Deno.test("much that comes in one turn is no slow reader: nothing of it is dropped", async () => {
  const { outbox, socket, turn, connections, told } = outboxOf({ maxQueueBytes: 4_000 });
  for (let n = 1; n <= 60; n++) outbox.put(message(n, { size: 60 }));
  for (let i = 0; i < 20; i++) await turn();
  deepEqual(socket.take().map(({ n }) => n), Array.from({ length: 60 }, (_, i) => i + 1));
  deepEqual([told, connections.figures().dropped], [[], 0]);
});

Deno.test("a reader that is slow keeps no fast one waiting", async () => {
  const gateway = liveGateway();
  const [slow, fast] = [outboxOf({ gateway }), outboxOf({ gateway })];
  slow.socket.reads = false;
  for (let n = 1; n <= 1_000; n++) {
    for (const { outbox } of [slow, fast]) outbox.put(message(n));
    await gateway.turn();
  }
  deepEqual(fast.socket.take().map(({ n }) => n), Array.from({ length: 1_000 }, (_, i) => i + 1));
});

Deno.test("a message larger than the queue still goes out, alone", async () => {
  const { outbox, socket, turn, told } = outboxOf({ maxQueueBytes: 4_000 });
  outbox.put(message(1, { size: 20_000 }));
  await turn();
  deepEqual(socket.take().map(({ n }) => n), [1]);
  deepEqual(told, []);
});

Deno.test("one who takes nothing for the idle timeout is told of; one who takes a little is not", async () => {
  const { outbox, socket, turn, told, clock } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  for (let n = 1; n <= 100; n++) outbox.put(message(n));
  await turn();
  for (let second = 0; second < 24; second++) {
    clock.monotonic += 1_000;
    outbox.look(25_000);
  }
  deepEqual(told, []);
  socket.drain();
  socket.send("x");
  outbox.look(25_000);
  clock.monotonic += 24_000;
  outbox.look(25_000);
  deepEqual(told, []);
  clock.monotonic += 2_000;
  outbox.look(25_000);
  deepEqual(told, ["stuck"]);
});

Deno.test("one who takes a large frame piece by piece is not told of for as long as it takes more of it", async () => {
  const { outbox, socket, turn, told, clock } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  outbox.put(message(1, { size: 2_000_000 }));
  await turn();
  for (let second = 0; second < 300; second++) {
    clock.monotonic += 1_000;
    socket.acknowledged = 1_000 * Math.floor(second / 20);
    outbox.look(25_000);
  }
  deepEqual(told, []);
  clock.monotonic += 26_000;
  outbox.look(25_000);
  deepEqual(told, ["stuck"]);
});

Deno.test("where nobody tells what was taken, the largest frame on its way has as much time as a slow line needs", async () => {
  const { outbox, socket, turn, told, clock } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  outbox.put(message(1, { size: 1_400_000 }));
  await turn();
  outbox.put(message(2));
  await turn();
  clock.monotonic += 80_000;
  outbox.look(25_000);
  deepEqual(told, [], "1.4 MB at 20 kB a second");
  socket.drain();
  outbox.look(25_000);
  await turn();
  outbox.run();
  ok(socket.bufferedAmount > 0, "the second is on its way");
  outbox.look(25_000);
  clock.monotonic += 26_000;
  outbox.look(25_000);
  deepEqual(told, ["stuck"], "one that is small has no more than the timeout");
});

Deno.test("what was closed sends nothing more, and is not run any more", async () => {
  const { outbox, socket, turn, connections } = outboxOf({ maxQueueBytes: 4_000 });
  socket.reads = false;
  for (let n = 1; n <= 100; n++) outbox.put(message(n));
  await turn();
  await turn();
  equal(connections.figures().waiting, 1);
  outbox.close();
  equal(connections.figures().waiting, 0);
  const before = socket.sent.length;
  outbox.put(message(101));
  outbox.flush();
  await turn();
  equal(socket.sent.length, before);
});
