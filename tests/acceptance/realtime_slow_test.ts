import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import { closed } from "../support/live_metrics.ts";
import { frameOf, OPCODES, RawSocket } from "../support/raw_sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

/** Milliseconds for which the gateway waits for the answer to a close, with room for a slow machine. */
const PATIENCE = 4_000;
const IDLE_TIMEOUT = 5_000;

const suite = gatewaySuite({
  config: {
    pubsub: { idle_timeout: `${IDLE_TIMEOUT}ms`, sockets: { per_credential: 2 } },
    limits: { pubsub: { queue_bytes: "8MiB" } },
  },
});
const { test } = suite;

const paths: Readonly<Record<string, (owner: SignedIn) => string>> = {
  "/v1/realtime": ({ apiKey }) => `/v1/realtime?api_key=${apiKey}`,
  "/v1/pubsub/ws": ({ apiKey }) => `/v1/pubsub/ws?topic=t&api_key=${apiKey}`,
};

const publish = async (owner: SignedIn, data: unknown) =>
  (await suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, body: { topic: "t", data } })).expect(
    200,
  );

/** A subscriber that has stopped reading. */
async function reader(owner: SignedIn, path: string): Promise<RawSocket> {
  const socket = await RawSocket.open(suite.gateway.url, paths[path]!(owner));
  equal(socket.status, 101);
  if (path === "/v1/realtime") {
    await socket.send(frameOf(OPCODES.text, JSON.stringify({ id: 1, type: "subscribe", topic: "t" })));
    await until("it is subscribed", () => socket.texts.length === 1);
  }
  socket.answers = true;
  socket.stopReading();
  return socket;
}

async function closesSlowOnes(owner: SignedIn): Promise<void> {
  const body = { pubsub: { slow_readers: "close" } };
  const path = `/v1/namespaces/${owner.namespace}/settings`;
  (await suite.gateway.call("PATCH", path, { token: owner.accessToken, body })).expect(200);
}

/** Publishes until a socket was closed because it was too slow. */
async function flood(owner: SignedIn): Promise<void> {
  const before = await closed(suite.gateway, 4409), fill = "x".repeat(1_000_000);
  await until("it is closed", async () => {
    for (let i = 0; i < 4; i++) await publish(owner, fill);
    return await closed(suite.gateway, 4409) > before;
  });
}

for (const path of Object.keys(paths)) {
  test(`where slow readers are closed, one of ${path} that reads on finds 4409 behind what was on its way`, async () => {
    await using owner = await newOwner(suite.gateway);
    await closesSlowOnes(owner);
    await using slow = await reader(owner, path);
    await flood(owner);
    const began = performance.now();
    slow.startReading();
    await slow.end(30_000);
    ok(slow.texts.length > 0);
    // One that is cut meanwhile, as it took too long, has no code.
    if (performance.now() - began < PATIENCE) equal(slow.closeCode, 4409);
  });
}

test("one that was closed as too slow and reads nothing at all is cut off, and holds its place no longer", async () => {
  await using owner = await newOwner(suite.gateway);
  await closesSlowOnes(owner);
  await using slow = await reader(owner, "/v1/realtime");
  await flood(owner);
  await using _second = await reader(owner, "/v1/realtime");
  const status = async () => {
    await using third = await RawSocket.open(suite.gateway.url, paths["/v1/realtime"]!(owner));
    return third.status;
  };
  await until("its place is free", async () => await status() === 101);
  slow.startReading();
  await slow.end(30_000);
});

test("who reads slowly and steadily stays, however large the frames; who stops in the middle is closed with 4408", async () => {
  await using owner = await newOwner(suite.gateway);
  // Elsewhere nobody tells how much of a frame was taken.
  if (Deno.build.os !== "linux") return;
  await using slow = await reader(owner, "/v1/pubsub/ws");
  const fill = "x".repeat(1_000_000), before = await closed(suite.gateway, 4408);
  // More than the system takes at once.
  for (let i = 0; i < 6; i++) await publish(owner, fill);
  const began = performance.now(), read = slow.received;
  // A frame, a third larger in base64, takes twice the timeout like this.
  slow.readSlowly(130_000);
  await until(
    "it has read for longer than the timeout",
    () => slow.ended || slow.received > read + 1_500_000 && performance.now() - began > 4 * IDLE_TIMEOUT,
    60_000,
  );
  equal(slow.ended, false);
  equal(await closed(suite.gateway, 4408), before);
  slow.stopReading();
  await until("it is closed", async () => await closed(suite.gateway, 4408) === before + 1);
  deepEqual(slow.frames.filter(({ opcode }) => opcode === OPCODES.close), []);
});
