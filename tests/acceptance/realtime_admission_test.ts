import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import { EventReader } from "../support/event_reader.ts";
import { closed, figure } from "../support/live_metrics.ts";
import { frameOf, OPCODES, RawSocket } from "../support/raw_sockets.ts";
import { TestSocket } from "../support/sockets.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({ config: { limits: { pubsub: { sockets: 1 } } } });
const { test } = suite;

const ALLOWED = "https://app.example";
const REFUSED = [
  "https://evil.example",
  "http://app.example",
  "https://app.example:8443",
  "https://app.example.evil",
  "null",
];

/** A socket of each kind, opened with a key in its address. */
const sockets: Readonly<Record<string, (owner: SignedIn) => string>> = {
  "/v1/pubsub/ws": ({ apiKey }) => `/v1/pubsub/ws?topic=t&api_key=${apiKey}`,
  "/v1/realtime": ({ apiKey }) => `/v1/realtime?api_key=${apiKey}`,
};

/** An owner whose namespace lets pages of one origin connect. */
async function guardedOwner(): Promise<SignedIn & AsyncDisposable> {
  const owner = await newOwner(suite.gateway);
  (await suite.gateway.call("PATCH", `/v1/namespaces/${owner.namespace}/settings`, {
    token: owner.accessToken,
    body: { pubsub: { origins: [ALLOWED] } },
  })).expect(200);
  return owner;
}

/** Opens a socket, and lets go of it. @returns the status of the answer */
async function statusOf(path: string, origin: string | undefined): Promise<number> {
  await using socket = await RawSocket.open(suite.gateway.url, path, { Origin: origin });
  return socket.status;
}

for (const [path, of] of Object.entries(sockets)) {
  test(`pages of other origins open no ${path}, by whatever spelling; programs do`, async () => {
    await using owner = await guardedOwner();
    for (const origin of REFUSED) equal(await statusOf(of(owner), origin), 403, origin);
    for (const origin of [ALLOWED, undefined]) {
      await until("there is room", async () => await figure(suite.gateway, `live_connections{kind="topic"}`) === 0);
      await until(`${origin} may`, async () => await statusOf(of(owner), origin) === 101);
    }
  });
}

test("pages of other origins that come with their credential later are closed with 4403", async () => {
  await using owner = await guardedOwner();
  const connect = frameOf(OPCODES.text, JSON.stringify({ id: 1, type: "connect", token: owner.apiKey }));
  const connected = async (origin: string) => {
    await using socket = await RawSocket.open(suite.gateway.url, "/v1/realtime", { Origin: origin });
    equal(socket.status, 101, "whose it is, nobody knows yet");
    await socket.send(connect);
    await until("it is answered", () => socket.texts.length > 0);
    const { type, code } = JSON.parse(socket.texts[0]!) as Record<string, unknown>;
    if (type === "error") await socket.end();
    return [type, code, socket.closeCode];
  };
  for (const origin of REFUSED) deepEqual(await connected(origin), ["error", "FORBIDDEN", 4403], origin);
  deepEqual(await connected(ALLOWED), ["ok", undefined, undefined]);
});

test("pages of other origins read no event stream", async () => {
  await using owner = await guardedOwner();
  const url = `${suite.gateway.url}/v1/pubsub/sse?topic=t&api_key=${owner.apiKey}`;
  for (const origin of REFUSED) {
    await using refused = await EventReader.open(url, { origin });
    equal(refused.response.status, 403, origin);
  }
  await using allowed = await EventReader.open(url, { origin: ALLOWED });
  equal(allowed.response.status, 200);
});

for (const [path, of] of Object.entries(sockets)) {
  test(`${path} compresses nothing: who offers it gets none, and whoever does it all the same is cut off`, async () => {
    await using owner = await newOwner(suite.gateway);
    await using socket = await RawSocket.open(suite.gateway.url, of(owner), {
      "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
    });
    equal(socket.status, 101);
    ok(!/^sec-websocket-extensions:/im.test(socket.head), socket.head);
    if (path === "/v1/realtime") {
      await socket.send(frameOf(OPCODES.text, JSON.stringify({ id: 1, type: "subscribe", topic: "t" })));
    }
    const publish = async () => {
      const body = { topic: "t", data: "y".repeat(10_000) };
      (await suite.gateway.call("POST", "/v1/pubsub/publish", { key: owner.apiKey, body })).expect(200);
    };
    await until("it has come", async () => {
      await publish();
      return socket.texts.some((text) => text.length > 10_000);
    });
    deepEqual(new Set(socket.frames.map(({ reserved }) => reserved)), new Set([0]));
    const text = '{"id":"reserved","type":"publish","topic":"t","data":1}', frame = frameOf(OPCODES.text, text);
    frame[0]! |= 0x40;
    await socket.send(frame);
    await until("it is cut off", () => socket.ended);
    ok(!socket.texts.some((one) => one.includes('"reserved"') || one.includes(btoa(text))), "it was not taken");
    (await suite.gateway.call("GET", "/health")).expect(200);
  });
}

test("a topic token is renewed where the namespace has all its sockets, and nobody else gets in", async () => {
  await using owner = await newOwner(suite.gateway);
  const token = async () => {
    const body = { topics: { subscribe: ["*"] }, ttl: "60s" };
    return (await suite.gateway.call("POST", "/v1/pubsub/token", { key: owner.apiKey, body })).expect(200).string(
      "token",
    );
  };
  await using socket = await TestSocket.open(suite.gateway.url, `/v1/realtime?token=${await token()}`);
  await socket.done({ type: "subscribe", topic: "t" });
  for (let i = 0; i < 3; i++) await socket.done({ type: "refresh", token: await token() });
  equal(await statusOf(`/v1/realtime?token=${await token()}`, undefined), 429);
  await socket.done({ type: "ping" });
});

test("strangers who say nothing make room for the next, oldest first; who says at once who it is comes in", async () => {
  await using owner = await newOwner(suite.gateway);
  const waiting: RawSocket[] = [];
  const open = async () => {
    const socket = await RawSocket.open(suite.gateway.url, "/v1/realtime");
    equal(socket.status, 101);
    waiting.push(socket);
  };
  const before = await closed(suite.gateway, 4430);
  try {
    for (let i = 0; i < 32; i++) await open();
    await using socket = await TestSocket.open(suite.gateway.url, "/v1/realtime");
    await socket.done({ type: "connect", token: owner.apiKey });
    await open();
    await open();
    await until("the first has left", () => waiting[0]!.closeCode === 4430);
    await socket.done({ type: "ping" });
    ok(await closed(suite.gateway, 4430) > before);
    equal(waiting.at(-1)!.closeCode, undefined);
  } finally {
    await Promise.all(waiting.map((one) => one[Symbol.asyncDispose]()));
  }
});
