import { deepEqual } from "node:assert/strict";
import { NAMESPACE } from "./support/client.ts";
import type { Process } from "./support/gateway.ts";
import { sawOf, TOPIC, World } from "./support/world.ts";

const membersOf = (process: Process) =>
  process.service.members(NAMESPACE, TOPIC).map(({ id, connections }) => `${id}:${connections}`);

Deno.test("a member on two gateways is one with two connections, comes once and leaves once", async () => {
  const world = new World();
  const [a, b, c] = await world.gateways(3);
  const watcher = await world.client("watcher", c!.process!);
  const one = await world.client("anna", a!.process!);
  const other = await world.client("anna", b!.process!);
  deepEqual(membersOf(c!.process!), ["watcher:1", "anna:2"]);
  one.disconnect();
  await world.time.pass(1_000);
  deepEqual(membersOf(a!.process!), ["watcher:1", "anna:1"]);
  other.disconnect();
  await world.time.pass(1_000);
  deepEqual(sawOf(watcher), ["begin", "join watcher", "join anna", "leave anna"]);
});

Deno.test("the members of a gateway that is killed leave within five seconds", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const watcher = await world.client("watcher", a!.process!);
  await world.client("anna", b!.process!);
  b!.process!.kill(50);
  await world.time.pass(3_000);
  deepEqual(sawOf(watcher).at(-1), "join anna");
  await world.time.pass(2_000);
  deepEqual(sawOf(watcher).at(-1), "leave anna");
});

Deno.test("a link that breaks and comes back within the lease shows nothing but what changed meanwhile", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const watcher = await world.client("watcher", a!.process!);
  await world.client("anna", b!.process!);
  const ben = await world.client("ben", b!.process!);
  world.network.reset("g1", "g2");
  ben.disconnect();
  await world.time.pass(30_000);
  deepEqual(sawOf(watcher).slice(1), ["join watcher", "join anna", "join ben", "leave ben"]);
});

Deno.test("a partition is a leave for each side, and its end a join", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const one = await world.client("anna", a!.process!);
  const other = await world.client("ben", b!.process!);
  world.network.divide(new Map([["g2", 1]]));
  await world.time.pass(20_000);
  world.network.heal();
  await world.time.pass(2_000);
  deepEqual(sawOf(one).slice(1), ["join anna", "join ben", "leave ben", "join ben"]);
  deepEqual(sawOf(other).slice(1), ["join anna", "join ben", "leave anna", "join anna"].slice(1));
});
