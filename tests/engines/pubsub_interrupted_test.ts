import { deepEqual, ok } from "node:assert/strict";
import { TestSocket, type Told } from "../support/sockets.ts";
import { type LiveCluster, type LivePlace, liveTest } from "./support/live_gateways.ts";
import { until } from "./support/wait.ts";

/** Messages that are missed, with enough in them that to hand them over takes a while. */
const MISSED = 200, PADDING = "x".repeat(2_000);
/** Milliseconds between asking and the blow, one after the other. */
const BLOWS = [50, 250, 320, 400];
const config = { pubsub: { driver: "libp2p", history: { size: 1_000 } } };

const open = ({ owner }: LiveCluster, { gateway }: LivePlace) =>
  TestSocket.open(gateway.url, `/v1/realtime?api_key=${owner.apiKey}`);

/** Publishes, and misses what comes behind the first. @returns where it stands */
async function away(cluster: LiveCluster, place: LivePlace, topic: string): Promise<unknown> {
  await using socket = await open(cluster, place);
  await socket.done({ type: "subscribe", topic });
  await cluster.publish(place, topic, { n: 0 });
  await until("it has the first", () => socket.of("message").length === 1);
  const messages = Array.from({ length: MISSED }, (_, n) => ({ data: { n: n + 1, padding: PADDING } }));
  for (let at = 0; at < MISSED; at += 50) {
    await socket.done({ type: "publish", topic, messages: messages.slice(at, at + 50) });
  }
  return socket.of("message")[0]!.position;
}

/** How far a client has come, and where it stands. */
interface Standing {
  readonly n: number;
  readonly since: unknown;
}

/**
 * Asks for what it missed, and a blow falls. What comes is what follows, without a hole, and all of it where the socket lives; or
 * nothing, where it is said that it cannot be had.
 * @returns where it stands; `undefined` where that was said
 */
async function ask(
  socket: TestSocket,
  topic: string,
  { n, since }: Standing,
  blow: () => Promise<void> = () => Promise.resolve(),
): Promise<Standing | undefined> {
  socket.say({ id: 1, type: "subscribe", topic, since });
  await blow();
  const answer = () => socket.told.find(({ id }) => id === 1);
  await until("it is answered, or over", () => answer() !== undefined || socket.ended !== undefined);
  const { recovered, unrecovered, missed, ...answered } = answer() ?? { recovered: true, missed: [] };
  const all = () => [...missed as Told[], ...socket.of("message")];
  if (recovered !== true) {
    ok(["unreachable", "gateway_lost", "expired"].includes(String(unrecovered)), `unrecovered: ${unrecovered}`);
    deepEqual(all(), []);
    return undefined;
  }
  // A long answer comes in parts.
  await until("all has come, or it is over", () => n + all().length >= MISSED || socket.ended !== undefined);
  deepEqual(all().map(({ data }) => (data as Told).n), Array.from(all(), (_, i) => n + 1 + i));
  const last = all().at(-1);
  return { n: n + all().length, since: last === undefined ? answered.position ?? since : last.position };
}

/** Rounds, each with a blow a little later. @param held whether nothing passes between the two when it falls */
async function rounds(
  cluster: LiveCluster,
  [asked, from, struck]: readonly [asked: LivePlace, from: LivePlace, struck: LivePlace],
  held: boolean,
): Promise<void> {
  const outcomes: string[] = [];
  for (const after of BLOWS) {
    const topic = crypto.randomUUID();
    const since = await away(cluster, from, topic);
    const socket = await open(cluster, asked);
    if (held) { for (const place of [asked, from]) place.relay.pause(); }
    const stood = await ask(socket, topic, { n: 0, since }, async () => {
      await new Promise((resolve) => setTimeout(resolve, held ? after + 100 : after));
      await struck.kill();
    });
    for (const place of [asked, from]) place.relay.goOn();
    outcomes.push(`${stood?.n ?? "refused"}`);
    // Who has not all of it, and was not told so, goes on elsewhere.
    const others = cluster.places.filter((place) => place.isRunning && place !== asked);
    for (const place of stood !== undefined && stood.n < MISSED ? others : []) {
      await using again = await open(cluster, place);
      const stands = await ask(again, topic, stood!);
      ok(stands === undefined || stands.n === MISSED, `it stands at ${stands?.n}`);
      outcomes.push(`then ${stands?.n ?? "refused"}`);
    }
    await struck.start();
    await cluster.linked();
    if (socket.ended === undefined) await socket[Symbol.asyncDispose]();
  }
  await Deno.stdout.write(new TextEncoder().encode(`of ${MISSED}: ${outcomes.join(", ")}\n`));
}

for (const held of [false, true]) {
  const when = held ? "while it waits for another" : "at any moment";
  liveTest(
    `the gateway that looks for what was missed is killed, ${when}: elsewhere its client gets exactly that, or is told that it cannot`,
    3,
    config,
    async (cluster, a, b) => {
      await rounds(cluster, [b!, a!, b!], held);
    },
  );

  liveTest(
    `the gateway that has what was missed is killed, ${when}: its client gets exactly that, or is told that it cannot`,
    3,
    config,
    async (cluster, a, b) => {
      await rounds(cluster, [b!, a!, a!], held);
    },
  );
}
