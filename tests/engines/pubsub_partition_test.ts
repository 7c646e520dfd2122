import { deepEqual, equal } from "node:assert/strict";
import { TestSocket, type Told } from "../support/sockets.ts";
import { LINKING, type LiveCluster, type LivePlace, liveTest } from "./support/live_gateways.ts";
import { until } from "./support/wait.ts";

const TOPIC = "t";
/** Milliseconds in which the members of a gateway that is not heard of leave. */
const LEFT = 30_000;

const open = ({ owner }: LiveCluster, { gateway }: LivePlace) =>
  TestSocket.open(gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
const numbersIn = (told: readonly Told[]) => told.map(({ data }) => data);
const changesOf = (socket: TestSocket, id: string) =>
  socket.of("join", "leave").filter(({ member }) => (member as Told).id === id).map(({ type }) => type);

/** Somebody who is present at each of two gateways, and sees the other. */
async function oneAtEach(cluster: LiveCluster, a: LivePlace, b: LivePlace, owned: AsyncDisposableStack) {
  const ada = owned.use(await open(cluster, a)), bob = owned.use(await open(cluster, b));
  await ada.done({ type: "subscribe", topic: TOPIC, presence: true, member: { id: "ada" } });
  await bob.done({ type: "subscribe", topic: TOPIC, presence: true, member: { id: "bob" } });
  await cluster.publish(a, TOPIC, 0);
  await until(
    "they see each other, and what is published",
    () => changesOf(ada, "bob").length === 1 && [ada, bob].every((socket) => socket.of("message").length === 1),
  );
  return { ada, bob, since: ada.of("message")[0]!.position };
}

/** Who comes back with this position at a gateway. */
async function recovery(cluster: LiveCluster, place: LivePlace, since: unknown): Promise<Told> {
  await using socket = await open(cluster, place);
  return await socket.done({ type: "subscribe", topic: TOPIC, since });
}

liveTest(
  "a gateway that stands still: its members leave and come again, nobody recovers meanwhile, and nothing is missing when it goes on",
  2,
  {},
  async (cluster, a, b) => {
    await using owned = new AsyncDisposableStack();
    const { ada, bob, since } = await oneAtEach(cluster, a!, b!, owned);
    b!.pause();
    await cluster.publish(a!, TOPIC, 1);
    await until("bob has left", () => changesOf(ada, "bob").length === 2, LEFT);
    await cluster.publish(a!, TOPIC, 2);
    const meanwhile = await recovery(cluster, a!, since);
    deepEqual([meanwhile.recovered, meanwhile.unrecovered, meanwhile.missed], [false, "unreachable", []]);
    b!.goOn();
    await cluster.linked();
    await cluster.publish(b!, TOPIC, 3);
    for (const [name, socket] of Object.entries({ ada, bob })) {
      await until(`${name} has the last`, () => numbersIn(socket.of("message")).includes(3), LINKING);
      await until(`${name} has all`, () => socket.of("message").length >= 4, LINKING);
      deepEqual(numbersIn(socket.of("message")).filter((n) => n !== 3), [0, 1, 2], name);
      deepEqual(socket.of("gap"), [], name);
    }
    await until("bob is there again", () => changesOf(ada, "bob").length === 3, LINKING);
    deepEqual(changesOf(ada, "bob"), ["join", "leave", "join"]);
    for (const place of [a!, b!]) {
      const told = await recovery(cluster, place, since);
      deepEqual([told.recovered, numbersIn(told.missed as Told[]).sort()], [true, [1, 2, 3]], place.name);
    }
  },
);

liveTest(
  "two gateways whose link says nothing any more: both go on, each without the other's members; when it heals, nothing is missing",
  2,
  {},
  async (cluster, a, b) => {
    await using owned = new AsyncDisposableStack();
    const { ada, bob, since } = await oneAtEach(cluster, a!, b!, owned);
    for (const place of [a!, b!]) place.relay.pause();
    for (const n of [1, 2]) await cluster.publish(a!, TOPIC, n);
    for (const n of [11, 12]) await cluster.publish(b!, TOPIC, n);
    const left = () => changesOf(ada, "bob").at(-1) === "leave" && changesOf(bob, "ada").at(-1) === "leave";
    await until("both have left, as the other sees it", left, LEFT);
    for (const [place, own] of [[a!, [1, 2]], [b!, [11, 12]]] as const) {
      const told = await recovery(cluster, place, since);
      deepEqual([told.recovered, told.unrecovered, told.missed], [false, "unreachable", []], place.name);
      const path = `/v1/pubsub/history?topic=${TOPIC}&since=${encodeURIComponent(String(since))}`;
      const kept = (await place.gateway.call("GET", path, cluster.key)).expect(200);
      deepEqual([numbersIn(kept.list("messages")), kept.get("complete")], [own, false], place.name);
    }
    for (const place of [a!, b!]) place.relay.goOn();
    await cluster.linked();
    for (const [name, socket] of Object.entries({ ada, bob })) {
      await until(`${name} has all`, () => socket.of("message").length >= 5, LINKING);
      const numbers = numbersIn(socket.of("message"));
      deepEqual(numbers.filter((n) => Number(n) < 10), [0, 1, 2], name);
      deepEqual(numbers.filter((n) => Number(n) > 10), [11, 12], name);
      deepEqual(socket.of("gap"), [], name);
    }
    const healed = () => changesOf(ada, "bob").at(-1) === "join" && changesOf(bob, "ada").at(-1) === "join";
    await until("they see each other again", healed, LINKING);
    for (const place of [a!, b!]) {
      const told = await recovery(cluster, place, since);
      const missed = numbersIn(told.missed as Told[]).map(Number).sort((x, y) => x - y);
      deepEqual([place.name, told.recovered, told.unrecovered, missed], [place.name, true, undefined, [1, 2, 11, 12]]);
      const members = (await place.gateway.call("GET", `/v1/pubsub/presence?topic=${TOPIC}`, cluster.key)).expect(200);
      deepEqual(members.list("members").map(({ member_id }) => member_id).sort(), ["ada", "bob"], place.name);
    }
    equal(ada.ended ?? bob.ended, undefined);
  },
);
