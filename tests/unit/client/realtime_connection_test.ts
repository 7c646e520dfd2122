import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { createClient, createRealtime } from "../../../src/client/index.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { message, Subject, withCode } from "./support/realtime.ts";

Deno.test("the credential goes in the first frame and in no address, and the protocol is named", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const { url, protocols, frames } = subject.socket;
  equal(url, "wss://gateway.example/base/v1/realtime");
  deepEqual(protocols, ["orama.v1"]);
  deepEqual(frames, ['{"id":1,"type":"connect","token":"ak_secret"}']);
  deepEqual(subject.states, ["connected"], "connecting began before anybody could listen");
  deepEqual(realtime.session, { client: "c", namespace: "n", expiresAt: undefined });
  const other = new Subject();
  await other.connect({ token: () => Promise.resolve("t1") });
  deepEqual(JSON.parse(other.socket.frames[0]!).token, "t1");
});

Deno.test("commands of one turn go in one frame, within what a gateway takes", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  void realtime.publish("t", 1);
  realtime.subscribe("t");
  void realtime.publish("t", 2);
  equal(subject.socket.frames.length, 1, "nothing is sent before the end of the turn");
  await settled();
  deepEqual(subject.socket.frames.map((frame) => frame.split("\n").length), [1, 3]);
  deepEqual(subject.socket.asked.map(({ type }) => type), ["publish", "subscribe", "publish"]);
  for (let at = 0; at < 100; at++) void realtime.publish("t", at);
  await settled();
  deepEqual(subject.socket.frames.slice(2).map((frame) => frame.split("\n").length), [64, 36]);
  for (let at = 0; at < 10; at++) void realtime.publish("t", "€".repeat(5_000));
  await settled();
  const large = subject.socket.frames.slice(4);
  equal(large.length, 3);
  ok(large.every((frame) => new TextEncoder().encode(frame).length <= 65_536));
  const narrow = new Subject();
  narrow.answers.connect = () => ({ type: "ok", max_frame_commands: 2 });
  const other = await narrow.connect();
  for (let at = 0; at < 5; at++) void other.publish("t", at);
  await settled();
  deepEqual(narrow.socket.frames.slice(1).map((frame) => frame.split("\n").length), [2, 2, 1]);
});

Deno.test("a connection that breaks off is made again, after pauses by chance whose bound doubles", async () => {
  for (const random of [0, 0.5, 1]) {
    const subject = new Subject();
    subject.random = random;
    const realtime = await subject.connect({ retry: { firstPause: 100, longestPause: 1_000 } });
    subject.states.length = 0;
    subject.opens = false;
    subject.socket.drop();
    for (const bound of [100, 200, 400, 800, 1_000, 1_000]) {
      deepEqual(subject.states.splice(0), [["waiting", bound * random]]);
      const before = subject.sockets.length;
      if (random > 0) {
        await subject.clock.advance(bound * random - 1);
        equal(subject.sockets.length, before);
        await subject.clock.advance(1);
      } else await subject.clock.advance(0);
      equal(subject.sockets.length, before + 1);
      deepEqual(subject.states.splice(0), ["connecting"]);
      subject.socket.drop();
    }
    realtime.close();
    equal(subject.clock.timers, 0);
  }
});

Deno.test("tries end after as many as were asked for, and begin again when somebody says so", async () => {
  const subject = new Subject();
  const realtime = await subject.connect({ retry: { attempts: 2 } });
  subject.answers.publish = () => undefined;
  const waiting = rejects(realtime.publish("t", 1, { requestTimeout: 600_000 }), withCode("OUTCOME_UNKNOWN"));
  await settled();
  const answer = new Subject().answers.publish!;
  subject.opens = false;
  subject.socket.drop();
  for (let at = 0; at < 2; at++) {
    await subject.clock.advance(30_000);
    subject.socket.drop();
  }
  deepEqual([realtime.state, subject.sockets.length], ["stopped", 3]);
  await waiting;
  await rejects(realtime.publish("t", 2), withCode("NETWORK_ERROR"), "and this never will be");
  await subject.clock.advance(600_000);
  equal(subject.sockets.length, 3);
  subject.opens = true;
  subject.answers.publish = answer;
  realtime.connect();
  await settled();
  equal(realtime.state, "connected");
  equal((await realtime.publish("t", 3)).position, "p1");
});

Deno.test("a gateway that takes everyone and keeps no one is asked ever less; after one that held, pauses begin anew", async () => {
  const subject = new Subject();
  await subject.connect();
  const pauses: number[] = [];
  for (let at = 0; at < 6; at++) {
    subject.states.length = 0;
    subject.socket.drop();
    pauses.push((subject.states[0] as [string, number])[1]);
    await subject.clock.advance(pauses[at]!);
  }
  deepEqual(pauses, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000]);
  await subject.clock.advance(10_000);
  subject.states.length = 0;
  subject.socket.drop(1001);
  deepEqual(subject.states, [["waiting", 1_000]]);
});

Deno.test("a gateway that cannot take anybody is given the time that it asks for, within a bound", async () => {
  for (const [asked, pause] of [[7, 8_000], [1e12, 31_000]] as const) {
    const subject = new Subject();
    subject.answers.connect = () => ({ type: "error", code: "UNAVAILABLE", error: "later", retry_after: asked });
    await subject.connect();
    deepEqual(subject.states.at(-1), ["waiting", pause]);
    equal(subject.socket.closedWith, 1000);
  }
});

Deno.test("a gateway that opens and says nothing is given up", async () => {
  const subject = new Subject();
  subject.answers.connect = () => undefined;
  await subject.connect({ connectTimeout: 500 });
  await subject.clock.advance(499);
  equal(subject.socket.closedWith, undefined);
  await subject.clock.advance(1);
  equal(subject.socket.closedWith, 1000);
  deepEqual(subject.states, [["waiting", 1_000]]);
});

Deno.test("a socket whose other end is gone without a word is found by the client's own clock", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const pings = () => subject.socket.frames.filter((frame) => frame.includes('"ping"')).length;
  await subject.clock.advance(24_999);
  equal(pings(), 0);
  await subject.clock.advance(1);
  equal(pings(), 1);
  subject.answers.ping = () => undefined;
  await subject.clock.advance(35_000);
  equal(pings(), 2);
  subject.socket.tell({ type: "news" });
  await subject.clock.advance(10_000);
  equal(realtime.state, "connected", "whatever is heard counts");
  await subject.clock.advance(24_999 + 10_000);
  equal(realtime.state, "connected");
  await subject.clock.advance(1);
  equal(realtime.state, "waiting");
  deepEqual([subject.socket.closedWith, subject.sockets.length], [1000, 1]);
});

Deno.test("an error without a close ends the connection all the same", async () => {
  for (const opens of [true, false]) {
    const subject = new Subject();
    subject.opens = opens;
    const realtime = await subject.connect();
    subject.socket.error();
    await subject.clock.advance(999);
    equal(realtime.state, opens ? "connected" : "connecting");
    await subject.clock.advance(1);
    equal(realtime.state, "waiting");
  }
});

Deno.test("a page that is seen again hastens what waits, and asks whether the gateway is still there", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  subject.socket.drop();
  equal(realtime.state, "waiting");
  subject.page!.woken();
  await settled();
  equal(realtime.state, "connected");
  subject.answers.ping = () => undefined;
  subject.page!.woken();
  await settled();
  match(subject.socket.frames.at(-1)!, /"ping"/);
  await subject.clock.advance(9_999);
  subject.page!.woken();
  await subject.clock.advance(1);
  equal(realtime.state, "waiting");
});

Deno.test("a page that goes leaves, stays away until it is back, and is told what it missed", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t");
  await settled();
  subject.page!.left();
  deepEqual([realtime.state, subject.socket.closedWith], ["waiting", 1000]);
  subject.socket.tell(message("t", "late", "p1"));
  await subject.clock.advance(600_000);
  equal(subject.sockets.length, 1);
  subject.answers.subscribe = ({ since }) => ({ type: "ok", position: "p1", missed: [], recovered: since === "p0" });
  subject.page!.woken();
  await settled();
  deepEqual([realtime.state, subscription.recovered], ["connected", true]);
  realtime.close();
  equal(subject.page, undefined);
});

Deno.test("closing sends what was said before, ends everything and leaves no timer", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t");
  await settled();
  subject.answers.publish = () => undefined;
  const sent = realtime.publish("t", 1);
  realtime.close();
  realtime.close();
  await rejects(sent, withCode("OUTCOME_UNKNOWN"));
  equal(subject.socket.asked.at(-1)!.type, "publish");
  deepEqual([subject.socket.closedWith, subject.clock.timers, subscription.state], [1000, 0, "ended"]);
  await rejects(realtime.publish("t", 1), withCode("CLOSED"));
  await rejects(realtime.authenticate("t"), withCode("CLOSED"));
  throws(() => realtime.subscribe("t"), withCode("CLOSED"));
  realtime.connect();
  await settled();
  equal(subject.sockets.length, 1);
});

Deno.test("options that cannot be and a platform without sockets are told at once", () => {
  const client = createClient({ url: "http://gateway.example" });
  for (const wrong of [{ requestTimeout: 0 }, { connectTimeout: NaN }, { pingTimeout: 2 ** 31 }, { maxWaiting: -1 }]) {
    throws(() => createRealtime(client, wrong), RangeError);
  }
  const Platform = globalThis.WebSocket;
  try {
    Object.assign(globalThis, { WebSocket: undefined });
    throws(() => createRealtime(client), withCode("NOT_SUPPORTED"));
  } finally {
    Object.assign(globalThis, { WebSocket: Platform });
  }
});
