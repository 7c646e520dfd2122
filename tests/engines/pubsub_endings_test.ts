import { deepEqual, equal, ok } from "node:assert/strict";
import { EventReader } from "../support/event_reader.ts";
import { TestSocket, type Told } from "../support/sockets.ts";
import { LINKING, type LiveCluster, type LivePlace, liveTest } from "./support/live_gateways.ts";
import { until } from "./support/wait.ts";

/** Milliseconds in which the members of a gateway that died leave: 5 s, and room for a slow machine. */
const LEFT = 8_000;
/** Milliseconds for a subscription at another gateway to be answered behind a clean stop. */
const PROMPT = 5_000;
/** Milliseconds for a gateway that ended without a word to be told lost, where none takes its place. */
const LOST = 150_000;

const open = ({ owner }: LiveCluster, { gateway }: LivePlace) =>
  TestSocket.open(gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);
const missedIn = ({ missed }: Told) => (missed as Told[]).map(({ data }) => data);
const dataIn = (socket: TestSocket) => socket.of("message").map(({ data }) => data);
const lastPosition = (socket: TestSocket) => socket.of("message").at(-1)!.position;

liveTest(
  "who was away comes back at any gateway, with a position of any, and gets exactly what it missed",
  2,
  {},
  async (cluster, a, b) => {
    const topic = "t", positions: unknown[] = [];
    for (const place of [a!, b!]) {
      await using socket = await open(cluster, place);
      await socket.done({ type: "subscribe", topic });
      await cluster.publish(place, topic, `first at ${place.name}`);
      await until("it comes", () => dataIn(socket).length === 1);
      positions.push(lastPosition(socket));
    }
    const away = ["a", "b"].flatMap((name) => [0, 1, 2].map((n) => `${name}${n}`));
    for (const data of away) await cluster.publish(data.startsWith("a") ? a! : b!, topic, data);
    for (const place of [a!, b!]) {
      for (const [i, since] of positions.entries()) {
        await using socket = await open(cluster, place);
        const answer = await socket.done({ type: "subscribe", topic, since });
        equal(answer.recovered, true);
        // Between messages of two gateways there is no order, and the first position is of before the second gateway's first.
        const missed = missedIn(answer).map(String), expected = [...(i === 0 ? ["first at b"] : []), ...away];
        deepEqual([...missed].sort(), [...expected].sort());
        for (const name of ["a", "b"]) {
          const own = missed.filter((data) => data.startsWith(name));
          deepEqual(own, away.filter((data) => data.startsWith(name)));
        }
        const again = await socket.done({ type: "unsubscribe", topic })
          .then(() => socket.done({ type: "subscribe", topic, since: answer.position }));
        deepEqual([again.recovered, again.missed], [true, []]);
      }
    }
  },
);

liveTest(
  "a gateway that is killed: its members leave within 5 s, its loss is told as soon as another takes its place, and then all recover",
  2,
  {},
  async (cluster, a, b) => {
    const topic = "t";
    await using socket = await open(cluster, a!);
    await socket.done({ type: "subscribe", topic, presence: true });
    const bob = await open(cluster, b!);
    await bob.done({ type: "subscribe", topic, member: { id: "bob" } });
    await cluster.publish(b!, topic, 1);
    await until(
      "both have it, and see bob",
      () => dataIn(socket).length === 1 && dataIn(bob).length === 1 && socket.of("join").length === 1,
    );
    const since = lastPosition(bob);
    const start = performance.now();
    await b!.kill();
    await until("bob has left", () => socket.of("leave").length === 1);
    const took = performance.now() - start;
    ok(took < LEFT, `it took ${took} ms`);
    equal((socket.of("leave")[0]!.member as Told).id, "bob");
    await bob.end();
    // Nobody can say what it published at last.
    await using lost = await open(cluster, a!);
    const answer = await lost.done({ type: "subscribe", topic, since });
    deepEqual([answer.recovered, answer.unrecovered, answer.missed], [false, "unreachable", []]);

    await b!.start();
    await cluster.linked();
    await until("it is told", () => socket.of("gap").length > 0 && lost.of("gap").length > 0, LINKING);
    deepEqual(socket.of("gap").map(({ reason }) => reason), ["gateway_lost"]);
    const behind = socket.of("gap")[0]!.position;
    await cluster.publish(b!, topic, 2);
    await using back = await open(cluster, b!);
    const recovered = await back.done({ type: "subscribe", topic, since: behind });
    deepEqual([recovered.recovered, missedIn(recovered)], [true, [2]]);
    const old = await back.done({ type: "unsubscribe", topic })
      .then(() => back.done({ type: "subscribe", topic, since }));
    deepEqual([old.recovered, old.unrecovered, old.missed], [false, "gateway_lost", []]);
  },
);

liveTest(
  "a gateway that is killed, and in whose place none comes, is told lost once, and nothing stays unreachable",
  2,
  {},
  async (cluster, a, b) => {
    const topic = "t";
    await using socket = await open(cluster, a!);
    await socket.done({ type: "subscribe", topic });
    await cluster.publish(b!, topic, 1);
    await until("it has it", () => dataIn(socket).length === 1);
    await b!.kill();
    await until("it is told", () => socket.of("gap").length > 0, LOST);
    await cluster.publish(a!, topic, 2);
    await using back = await open(cluster, a!);
    const answer = await back.done({ type: "subscribe", topic, since: socket.of("gap")[0]!.position });
    deepEqual([answer.recovered, missedIn(answer)], [true, [2]]);
    deepEqual(socket.of("gap").map(({ reason }) => reason), ["gateway_lost"]);
  },
);

liveTest(
  "a gateway that is stopped hands over: who was there recovers at another at once, and who was elsewhere misses nothing",
  3,
  {},
  async (cluster, a, b, c) => {
    const topic = "t";
    await using elsewhere = await open(cluster, b!);
    await elsewhere.done({ type: "subscribe", topic, presence: true });
    const socket = await open(cluster, a!), more = await open(cluster, a!);
    await socket.done({ type: "subscribe", topic, member: { id: "ada" } });
    await cluster.publish(a!, topic, 0);
    await until("it has it", () => dataIn(socket).length === 1);
    const since = lastPosition(socket);
    const path = `/v1/pubsub/sse?topic=${topic}`, headers = { "x-api-key": cluster.owner.apiKey };
    const reader = await EventReader.open(`${a!.gateway.url}${path}`, headers);
    await reader.take(1, ["subscribed"]);
    // Nobody at the other gateway c has ever asked for this topic.
    for (let n = 1; n <= 20; n++) await cluster.publish(a!, topic, n);
    const [last] = (await reader.take(10, ["message"])).slice(9);
    const [code] = await Promise.all([a!.stop(), socket.end(30_000), more.end(30_000)]);
    await until("the event stream has ended", () => reader.ended);
    equal(code, 0);
    deepEqual([socket.ended?.code, more.ended?.code], [1001, 1001]);
    const rest = Array.from({ length: 20 }, (_, n) => n + 1);
    for (const place of [b!, c!]) {
      await using back = await open(cluster, place);
      const start = performance.now();
      const answer = await back.done({ type: "subscribe", topic, since });
      const took = performance.now() - start;
      deepEqual([answer.recovered, missedIn(answer)], [true, rest], place.name);
      ok(took < PROMPT, `it took ${took} ms`);
      const resumed = { ...headers, "last-event-id": last!.id! };
      await using stream = await EventReader.open(`${place.gateway.url}${path}`, resumed);
      const behind = (await stream.take(10, ["message"])).map(({ data }) => JSON.parse(data).data);
      deepEqual(behind, rest.slice(10), place.name);
      deepEqual((await stream.take(1, ["recovered"])).map(({ data }) => JSON.parse(data).recovered), [true]);
    }
    deepEqual(dataIn(elsewhere), [0, ...rest]);
    deepEqual(elsewhere.of("join", "leave").map(({ type }) => type), ["join", "leave"]);
    await a!.start();
    await cluster.linked();
    await cluster.publish(a!, topic, 21);
    await until("what is published by its successor comes", () => dataIn(elsewhere).length === 22);
    deepEqual(elsewhere.of("gap"), []);
  },
);
