import { deepEqual, equal, ok } from "node:assert/strict";
import { messagesOf, World } from "./support/world.ts";

const statesOf = ({ registry: { rows } }: World) => rows.map(({ state }) => state);

Deno.test("a gateway that is not renewed is buried after a minute, not before, and only while nobody has a link to it", async () => {
  const world = new World();
  const [, b] = await world.gateways(2);
  b!.isCutOff = true;
  await world.time.pass(120_000);
  deepEqual(statesOf(world), ["open", "open"]);
  world.network.isolate("g2");
  // Of the two ends some notice after a while only.
  await world.time.pass(30_000);
  deepEqual(statesOf(world).toSorted(), ["lost", "open"]);

  const other = new World();
  const [, killed] = await other.gateways(2);
  killed!.process!.kill(50);
  await other.time.pass(55_000);
  deepEqual(statesOf(other), ["open", "open"]);
  await other.time.pass(30_000);
  deepEqual(statesOf(other).toSorted(), ["lost", "open"]);
});

Deno.test("time in which the control plane could not be asked buries nobody", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const epochs = [a, b].map((gateway) => gateway!.process!.cluster.epoch);
  world.network.divide(new Map([["g2", 1]]));
  world.registry.down = true;
  await world.time.pass(600_000);
  world.registry.down = false;
  await world.time.pass(60_000);
  deepEqual(statesOf(world), ["open", "open"]);
  deepEqual([a, b].map((gateway) => gateway!.process!.cluster.epoch), epochs);
});

Deno.test("a gateway that cannot begin serves those who are there, and begins when it can", async () => {
  const world = new World();
  world.registry.down = true;
  const [a] = await world.gateways(1);
  const client = await world.client("client", a!.process!);
  deepEqual(messagesOf(client), ["begin"]);
  equal(a!.process!.cluster.epoch, undefined);
  deepEqual([...a!.process!.cluster.view.open], []);
  world.registry.down = false;
  await world.time.pass(10_000);
  equal(a!.process!.cluster.epoch, 1);
  deepEqual([...a!.process!.cluster.view.open], [1]);
});

Deno.test("a beginning of which nobody knows whether it was is made again, and the one between is lost", async () => {
  const world = new World();
  world.registry.loss = 0.9;
  const [a] = await world.gateways(1);
  await world.time.pass(600_000);
  world.registry.loss = 0;
  await world.time.pass(20_000);
  const states = statesOf(world);
  ok(states.length > 1, `${states}`);
  deepEqual(new Set(states.slice(0, -1)), new Set(["lost"]));
  equal(states.at(-1), "open");
  equal(a!.process!.cluster.epoch, states.length);
});

Deno.test("a view that was given never changes", async () => {
  const world = new World();
  const [a] = await world.gateways(1);
  const { view } = a!.process!.cluster;
  const before = { open: [...view.open], known: view.known };
  world.gateway("g2").start();
  await world.time.pass(10_000);
  deepEqual({ open: [...view.open], known: view.known }, before);
  deepEqual([...a!.process!.cluster.view.open], [1, 2]);
});

Deno.test("a gateway closes within six seconds, whoever does not answer", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  b!.process!.kill(12_000);
  world.registry.down = true;
  let closed = false;
  void a!.process!.close().then(() => closed = true);
  await world.time.pass(6_000);
  ok(closed);
});

Deno.test("without others a gateway sends nothing, and who comes later gets what was published before", async () => {
  const world = new World();
  const [a] = await world.gateways(1);
  const client = await world.client("client", a!.process!);
  const { mesh } = a!.process!;
  let sent = 0;
  const { publish } = mesh;
  mesh.publish = (...args) => {
    sent++;
    publish.apply(mesh, args);
  };
  world.publish(a!.process!, "1");
  equal(sent, 0);
  client.disconnect();
  world.publish(a!.process!, "2");
  const other = world.gateway("g2");
  other.start();
  await world.time.pass(3_000);
  client.connect(other.process!);
  await world.time.pass(2_000);
  world.publish(a!.process!, "3");
  await world.time.pass(500);
  ok(sent > 0);
  deepEqual(messagesOf(client), ["begin", "1", "recovered", "2", "3"]);
});

Deno.test("a gateway that stands still is buried though its links stand, and begins anew when it goes on", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  const { clock, cluster } = b!.process!;
  const { epoch } = cluster;
  const pause = clock.pause();
  await world.time.pass(90_000);
  deepEqual(messagesOf(client), ["begin", "gap gateway_lost"]);
  pause.end();
  await world.time.pass(30_000);
  ok(cluster.epoch! > epoch!);
  world.publish(b!.process!, "1");
  await world.time.pass(500);
  deepEqual(messagesOf(client), ["begin", "gap gateway_lost", "1"]);
});
