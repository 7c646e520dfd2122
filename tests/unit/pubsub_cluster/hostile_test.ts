import { encode } from "@ipld/dag-cbor";
import { deepEqual, equal, ok } from "node:assert/strict";
import { ChannelNames } from "../../../services/pubsub/cluster/channels.ts";
import type { Bytes } from "../../../services/pubsub/cluster/fields.ts";
import { decodeFrame, encodeFrame, encodeMessage, type Frame } from "../../../services/pubsub/cluster/wire.ts";
import type { SimulatedMesh } from "./support/network.ts";
import { KEY, messagesOf, sawOf, World } from "./support/world.ts";

const CHANNEL = new ChannelNames(new Uint8Array(32).fill(7)).of(KEY);
const entry = (text: string) => ({ data: new TextEncoder().encode(text), json: false, at: 0, id: undefined });
const message = (epoch: number, from: number, ...texts: string[]) =>
  encodeMessage({ epoch, from, entries: texts.map(entry) });

/** Somebody on the mesh who does what it likes. */
async function stranger(world: World, node: string, epoch: number | undefined) {
  const mesh = world.network.mesh(node);
  const frames: Frame[] = [];
  await mesh.start({
    received: () => {},
    linked: (to) => mesh.send(to, encodeFrame({ type: "hello", version: 1, epoch })),
    unlinked: () => {},
    frame: (from, bytes) => {
      const frame = decodeFrame(bytes, mesh.maxBytes)!;
      frames.push(frame);
      if (frame.type === "mark") mesh.send(from, encodeFrame({ type: "taken" }));
    },
    asked: () => Promise.reject(new Error("never")),
  });
  await world.time.pass(1_000);
  return { mesh, frames };
}

const send = (mesh: SimulatedMesh, to: string, frame: Frame) => mesh.send(to, encodeFrame(frame));

Deno.test("nobody publishes in another gateway's epoch, over a channel or over a link", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  const victim = b!.process!.cluster.epoch!;
  for (const claimed of [undefined, victim]) {
    const { mesh } = await stranger(world, `evil${claimed}`, claimed);
    mesh.publish(CHANNEL, message(victim, 1, "forged"));
    mesh.publish(CHANNEL, message(a!.process!.cluster.epoch!, 1, "forged"));
    send(mesh, "g1", { type: "entries", key: KEY, range: { epoch: victim, from: 1, entries: [entry("forged")] } });
    send(mesh, "g1", { type: "farewell", epoch: victim, last: true, forgotten: 0, heads: [] });
    await world.time.pass(1_000);
  }
  equal(a!.process!.cluster.figures().refused, 8);
  world.publish(b!.process!, "1");
  await world.time.pass(1_000);
  deepEqual(messagesOf(client), ["begin", "1"]);
  // The farewell that another said for it counts for nothing: its own is not heard here.
  world.network.isolate("g2");
  await world.time.pass(15_000);
  world.publish(b!.process!, "2");
  void b!.process!.close();
  await world.time.pass(30_000);
  deepEqual(messagesOf(client), ["begin", "1", "gap expired"]);
});

Deno.test("what was sent before and is sent again is a duplicate", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  world.publish(b!.process!, "1");
  world.publish(b!.process!, "2");
  await world.time.pass(5_000);
  const { duplicates } = a!.process!.cluster.figures();
  for (let i = 0; i < 10; i++) b!.process!.mesh.replay();
  await world.time.pass(1_000);
  equal(a!.process!.cluster.figures().duplicates, duplicates + 10);
  deepEqual(messagesOf(client), ["begin", "1", "2"]);
});

Deno.test("rubbish is refused and counted, in messages, frames and questions, and harms nobody", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  const { mesh } = await stranger(world, "evil", undefined);
  const rubbish: Bytes[] = [
    new Uint8Array(0),
    new Uint8Array(1_000).fill(0x81),
    new Uint8Array([0xa0]),
    message(99, 1),
  ];
  for (const bytes of rubbish) {
    mesh.publish(CHANNEL, bytes);
    mesh.send("g1", bytes);
    mesh.ask("g1", bytes, new AbortController().signal).catch(() => {});
  }
  await world.time.pass(2_000);
  // A message of an epoch of which nobody has told is no rubbish: it may be told of in a moment.
  equal(a!.process!.cluster.figures().refused, 3 + 4 + 4);
  world.publish(b!.process!, "1");
  await world.time.pass(1_000);
  deepEqual(messagesOf(client), ["begin", "1"]);
});

Deno.test("a flood of one gateway is refused beyond its rate, and the others are heard", async () => {
  const world = new World({ rate: { messages: 100, bytes: 2 ** 20, burst: 1 } });
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  const { mesh } = await stranger(world, "evil", undefined);
  for (let i = 0; i < 5_000; i++) mesh.publish(CHANNEL, message(99, 1 + i, "flood"));
  world.publish(b!.process!, "1");
  await world.time.pass(100);
  const { refused } = a!.process!.cluster.figures();
  ok(refused > 4_500 && refused < 5_000, `${refused}`);
  deepEqual(messagesOf(client), ["begin", "1"]);
});

Deno.test("a gateway whose own flood was refused is heard in full afterwards", async () => {
  const world = new World({ rate: { messages: 50, bytes: 2 ** 20, burst: 1 } });
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  await world.time.pass(5_000);
  const texts = Array.from({ length: 400 }, (_, i) => `${i}`);
  for (const text of texts) world.publish(b!.process!, text);
  await world.time.pass(30_000);
  ok(a!.process!.cluster.figures().refused > 0);
  deepEqual(messagesOf(client), ["begin", ...texts]);
});

Deno.test("an epoch that nobody has heard of makes the control plane asked now and then, not each time", async () => {
  const world = new World();
  const [a] = await world.gateways(1);
  await world.client("client", a!.process!);
  const { mesh } = await stranger(world, "evil", undefined);
  let asked = 0;
  const { rows } = world.registry;
  const { filter } = rows;
  rows.filter = ((...args: Parameters<typeof filter>) => {
    asked++;
    return filter.apply(rows, args);
  }) as typeof filter;
  for (let i = 0; i < 1_000; i++) {
    mesh.publish(CHANNEL, message(1_000 + i, 1, "flood"));
    await world.time.pass(5);
  }
  ok(asked > 3 && asked < 20, `${asked}`);
});

Deno.test("members that a gateway has no more after something of it was dropped are told anew", async () => {
  const world = new World();
  const [a] = await world.gateways(1);
  const client = await world.client("client", a!.process!);
  const { mesh, frames } = await stranger(world, "peer", undefined);
  const members = (first: boolean, last: boolean, ...ids: string[]): Frame => ({
    type: "members",
    first,
    last,
    topics: [[KEY, ids.map((id) => ({ id, meta: undefined, joinedAt: 5, connections: 1 }))]],
  });
  send(mesh, "g1", members(true, true, "anna", "ben"));
  await world.time.pass(200);
  mesh.send("g1", new Uint8Array(3));
  await world.time.pass(2_000);
  ok(frames.some(({ type }) => type === "again"));
  send(mesh, "g1", members(true, false, "ben"));
  send(mesh, "g1", members(false, true, "cleo"));
  await world.time.pass(200);
  deepEqual(sawOf(client).slice(1), ["join client", "join anna", "join ben", "join cleo", "leave anna"]);
  // It says no word for four seconds, and then another.
  await world.time.pass(6_000);
  deepEqual(sawOf(client).slice(6), ["leave ben", "leave cleo"]);
  send(mesh, "g1", { type: "beat", epoch: undefined, sees: [] });
  await world.time.pass(200);
  deepEqual(sawOf(client).slice(8), ["join ben", "join cleo"]);
  mesh.kill(0);
  await world.time.pass(5_000);
  deepEqual(sawOf(client).slice(10), ["leave ben", "leave cleo"]);
});

Deno.test("frames of a later version are refused, and not asked for again and again", async () => {
  const world = new World();
  const [a] = await world.gateways(1);
  const { mesh, frames } = await stranger(world, "later", undefined);
  send(mesh, "g1", { type: "hello", version: 2, epoch: undefined });
  for (let i = 0; i < 10; i++) {
    mesh.send("g1", encode(["a frame of a later version", i]) as Bytes);
    await world.time.pass(1_000);
  }
  equal(a!.process!.cluster.figures().refused, 10);
  deepEqual(frames.filter(({ type }) => type === "again"), []);
});
