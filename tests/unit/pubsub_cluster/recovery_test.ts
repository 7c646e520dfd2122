import { deepEqual, ok } from "node:assert/strict";
import { awaitedLater } from "../../support/awaited_later.ts";
import { RULES } from "./support/gateway.ts";
import { KEY, messagesOf, World } from "./support/world.ts";

Deno.test("who was away gets exactly what it missed, at whichever gateway it comes back", async () => {
  const world = new World();
  const [a, b, c] = await world.gateways(3);
  const client = await world.client("client", a!.process!);
  world.publish(b!.process!, "1", "2");
  world.publish(a!.process!, "3");
  await world.time.pass(500);
  client.disconnect();
  world.publish(b!.process!, "4");
  world.publish(c!.process!, "5");
  await world.time.pass(500);
  client.connect(c!.process!);
  await world.time.pass(500);
  world.publish(a!.process!, "6");
  await world.time.pass(500);
  deepEqual(messagesOf(client).slice(0, 1), ["begin"]);
  deepEqual(messagesOf(client).slice(1, 4).toSorted(), ["1", "2", "3"]);
  // Their gateways' clocks do not agree: which of the two came first nobody can tell.
  deepEqual(messagesOf(client).slice(4, 7).toSorted(), ["4", "5", "recovered"]);
  deepEqual(messagesOf(client).slice(7), ["6"]);
});

Deno.test("while a gateway is open and cannot be asked, nothing is recovered, and its messages come late", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  const other = await world.client("other", a!.process!);
  client.disconnect();
  world.network.divide(new Map([["g1", 0], ["g2", 1]]));
  await world.time.pass(15_000);
  world.publish(b!.process!, "1");
  client.connect(a!.process!);
  await world.time.pass(3_000);
  deepEqual(messagesOf(client), ["begin", "begin unreachable"]);
  world.network.heal();
  await world.time.pass(3_000);
  deepEqual(messagesOf(client), ["begin", "begin unreachable", "1"]);
  deepEqual(messagesOf(other), ["begin", "1"]);
});

Deno.test("a control plane that cannot be asked makes recovery unreachable and nothing else", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  client.disconnect();
  world.registry.down = true;
  client.connect(b!.process!);
  await world.time.pass(10_000);
  world.publish(a!.process!, "1");
  await world.time.pass(200_000);
  world.publish(a!.process!, "2");
  await world.time.pass(500);
  deepEqual(messagesOf(client), ["begin", "begin unreachable", "1", "2"]);
  world.registry.down = false;
  client.disconnect();
  await world.time.pass(20_000);
  world.publish(a!.process!, "3");
  client.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(client).slice(4), ["recovered", "3"]);
});

Deno.test("a gateway that said farewell takes nothing with it that somebody joined", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const away = await world.client("away", a!.process!);
  const there = await world.client("there", a!.process!);
  away.disconnect();
  world.publish(b!.process!, "1", "2");
  void b!.process!.close();
  await world.time.pass(20_000);
  away.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(away), ["begin", "recovered", "1", "2"]);
  deepEqual(messagesOf(there), ["begin", "1", "2"]);
});

Deno.test("what a gateway had alone when it said farewell is expired afterwards, and not nothing", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", b!.process!);
  client.disconnect();
  // Nobody is subscribed any more for so long that nobody else takes it.
  await world.time.pass(10_000);
  world.publish(b!.process!, "1");
  void b!.process!.close();
  await world.time.pass(20_000);
  client.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(client), ["begin", "begin expired"]);
});

Deno.test("a gateway that is killed is a gap for those who are there, and gateway_lost for those who come back", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const away = await world.client("away", a!.process!);
  const there = await world.client("there", a!.process!);
  away.disconnect();
  b!.process!.kill(50);
  await world.time.pass(50_000);
  deepEqual(messagesOf(there), ["begin"]);
  await world.time.pass(50_000);
  deepEqual(messagesOf(there), ["begin", "gap gateway_lost"]);
  away.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(away), ["begin", "begin gateway_lost"]);
});

Deno.test("a gateway that comes back at once says so by its new epoch, without a wait of a minute", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  b!.process!.kill(50);
  await world.time.pass(1_000);
  b!.start();
  await world.time.pass(4_000);
  world.publish(b!.process!, "1");
  await world.time.pass(500);
  deepEqual(messagesOf(client), ["begin", "gap gateway_lost", "1"]);
});

Deno.test("a gateway that was buried alive begins anew, and what it published meanwhile is told once more as a gap", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const there = await world.client("there", a!.process!);
  const away = await world.client("away", a!.process!);
  world.network.divide(new Map([["g1", 0], ["g2", 1]]));
  b!.isCutOff = true;
  await world.time.pass(100_000);
  deepEqual(messagesOf(there), ["begin", "gap gateway_lost"]);
  const before = b!.process!.cluster.epoch;
  // It stands behind the burial, and in front of what was published after it.
  away.disconnect();
  world.publish(b!.process!, "1");
  b!.isCutOff = false;
  world.network.heal();
  await world.time.pass(15_000);
  ok(b!.process!.cluster.epoch! > before!);
  deepEqual(messagesOf(there), ["begin", "gap gateway_lost", "gap gateway_lost"]);
  away.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(away), ["begin", "gap gateway_lost", "begin gateway_lost"]);
  world.publish(b!.process!, "2");
  await world.time.pass(500);
  deepEqual(messagesOf(there).at(-1), "2");
});

Deno.test("a gateway that was buried alive and published nothing meanwhile tells nobody a second time", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const there = await world.client("there", a!.process!);
  const away = await world.client("away", a!.process!);
  world.network.divide(new Map([["g1", 0], ["g2", 1]]));
  b!.isCutOff = true;
  await world.time.pass(100_000);
  away.disconnect();
  b!.isCutOff = false;
  world.network.heal();
  await world.time.pass(15_000);
  deepEqual(messagesOf(there), ["begin", "gap gateway_lost"]);
  away.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(away), ["begin", "gap gateway_lost", "recovered"]);
});

Deno.test("a gateway to which somebody has a link is not buried, however long the control plane does not hear of it", async () => {
  const world = new World();
  const [a, b, c] = await world.gateways(3);
  const client = await world.client("client", a!.process!);
  c!.isCutOff = true;
  world.network.cut("g1", "g3");
  await world.time.pass(200_000);
  world.publish(c!.process!, "1");
  await world.time.pass(1_000);
  deepEqual(messagesOf(client), ["begin", "1"]);
  deepEqual([...b!.process!.cluster.view.open], [...a!.process!.cluster.view.open]);
});

Deno.test("what is not kept any more is expired", async () => {
  const world = new World({ rules: { ...RULES, historySize: 3 } });
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  client.disconnect();
  world.publish(b!.process!, "1", "2", "3");
  client.connect(a!.process!);
  await world.time.pass(500);
  client.disconnect();
  world.publish(b!.process!, "4", "5", "6", "7");
  await world.time.pass(500);
  client.connect(a!.process!);
  await world.time.pass(500);
  deepEqual(messagesOf(client), ["begin", "recovered", "1", "2", "3", "begin expired"]);
});

Deno.test("what is still on its way from a gateway that ended does not come again to who has it", async () => {
  const world = new World();
  const [a, b, c] = await world.gateways(3);
  const there = await world.client("there", a!.process!);
  const client = await world.client("client", c!.process!);
  world.network.divide(new Map([["g1", 1]]));
  a!.isCutOff = true;
  await world.time.pass(15_000);
  world.publish(b!.process!, "1");
  await world.time.pass(500);
  void b!.process!.close();
  await world.time.pass(10_000);
  // From now on the position does not name it.
  world.publish(c!.process!, "2");
  await world.time.pass(500);
  client.disconnect();
  world.network.heal();
  await world.time.pass(5_000);
  deepEqual(messagesOf(there), ["begin", "2"]);
  a!.isCutOff = false;
  // Now, and not before, this gateway hears that the other ended.
  client.connect(a!.process!);
  await world.time.pass(5_000);
  deepEqual(messagesOf(client), ["begin", "1", "2", "recovered"]);
  deepEqual(messagesOf(there), ["begin", "2", "1"]);
});

Deno.test("who subscribed while a gateway knew no other is told, once it does, that something may be missing", async () => {
  const world = new World();
  const [, b] = await world.gateways(2);
  const late = world.gateway("g3");
  late.isCutOff = true;
  const client = await world.client("client", late.start());
  world.publish(b!.process!, "1");
  b!.process!.kill(50);
  b!.start();
  await world.time.pass(5_000);
  late.isCutOff = false;
  await world.time.pass(15_000);
  deepEqual(messagesOf(client), ["begin", "gap expired"]);
  world.publish(b!.process!, "2");
  await world.time.pass(500);
  deepEqual(messagesOf(client), ["begin", "gap expired", "2"]);
});

Deno.test("what a gateway published before the others knew of it comes all the same, and nothing after it", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  // Nobody but itself hears that it began: the others cannot ask.
  a!.isCutOff = true;
  b!.process!.kill(50);
  b!.start();
  await world.time.pass(2_000);
  world.publish(b!.process!, "1");
  await world.time.pass(10_000);
  deepEqual(messagesOf(client), ["begin"]);
  a!.isCutOff = false;
  await world.time.pass(20_000);
  deepEqual(messagesOf(client), ["begin", "gap gateway_lost", "1"]);
});

Deno.test("an end is not clean when something was published behind the farewell", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  const client = await world.client("client", a!.process!);
  const { process } = b!;
  void process!.close();
  world.publish(process!, "1");
  await world.time.pass(100_000);
  deepEqual(messagesOf(client).at(-1), "gap gateway_lost");
});

Deno.test("everyone who waits for another gateway is let go when this one closes", async () => {
  const world = new World();
  const [a, b] = await world.gateways(2);
  world.network.isolate("g2");
  world.registry.down = true;
  const { cluster } = a!.process!;
  const since = { heads: new Map([[b!.process!.cluster.epoch!, 0]]), known: 2 };
  const limits = { bytes: 1_000, messages: 10 };
  const answers = awaitedLater([
    cluster.missed(KEY, since, limits, new AbortController().signal),
    cluster.kept(KEY, new AbortController().signal),
    cluster.join(KEY),
  ]);
  const closed = a!.process!.close();
  await world.time.pass(10_000);
  await closed;
  deepEqual(await Promise.all(answers), [{ complete: false, reason: "unreachable" }, [], undefined]);
});
