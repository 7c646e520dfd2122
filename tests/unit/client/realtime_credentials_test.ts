import { deepEqual, equal, rejects } from "node:assert/strict";
import { awaitedLater } from "../../support/awaited_later.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { message, Subject, withCode } from "./support/realtime.ts";

Deno.test("without another credential nothing is tried where one was refused, or was not understood", async () => {
  for (const [close, code] of [[4401, "UNAUTHENTICATED"], [4403, "FORBIDDEN"], [4400, "INVALID_REQUEST"]] as const) {
    for (const token of ["t1", () => "t1", undefined]) {
      const subject = new Subject();
      const realtime = await subject.connect(token === undefined ? {} : { token });
      await subject.breakOff(close);
      deepEqual(subject.states.at(-1), ["stopped", code]);
      await subject.clock.advance(600_000);
      subject.page?.woken();
      await settled();
      equal(subject.sockets.length, 1);
      equal(subject.clock.timers, 0);
      realtime.close();
    }
  }
  const subject = new Subject();
  let token = 0;
  await subject.connect({ token: () => `t${++token}` });
  await subject.breakOff(4400);
  deepEqual([subject.states.at(-1), token], [["stopped", "INVALID_REQUEST"], 1], "another one would change nothing");
});

Deno.test("with another credential it goes on, but not with one after the other that is refused", async () => {
  const subject = new Subject();
  let token = 0;
  const realtime = await subject.connect({ token: () => `t${++token}` });
  await subject.breakOff(4401);
  deepEqual([realtime.state, token], ["connected", 2]);
  subject.answers.connect = () => ({ type: "error", code: "INVALID_CREDENTIAL", error: "it is unknown" });
  await subject.breakOff(4401);
  await subject.clock.advance(600_000);
  deepEqual([subject.states.at(-1), subject.sockets.length], [["stopped", "INVALID_CREDENTIAL"], 4]);
});

Deno.test("a credential that comes too late connects nobody", async () => {
  const subject = new Subject();
  const given: ((token: string) => void)[] = [];
  const realtime = subject.make({ token: () => new Promise((resolve) => given.push(resolve)) });
  await realtime.authenticate("t2");
  await settled();
  given[0]!("t1");
  await settled();
  deepEqual(subject.sockets.map(({ frames }) => JSON.parse(frames[0]!).token), ["t2"]);
  const other = subject.make({ token: () => new Promise((resolve) => given.push(resolve)) });
  other.close();
  given[1]!("t3");
  await settled();
  deepEqual([subject.sockets.length, other.state, realtime.state], [1, "closed", "connected"]);
});

Deno.test("a credential that is given later revives a connection that was stopped, and its subscriptions", async () => {
  const subject = new Subject();
  const realtime = await subject.connect();
  const subscription = realtime.subscribe("t");
  await settled();
  subject.socket.tell(message("t", 1, "p7"));
  await subject.breakOff(4403);
  deepEqual([realtime.state, subscription.state], ["stopped", "waiting"]);
  const late = realtime.subscribe("late");
  subject.answers.subscribe = () => ({ type: "ok", position: "p8", missed: [message("t", 2, "p8")], recovered: true });
  await realtime.authenticate("t2");
  await settled();
  equal(JSON.parse(subject.socket.frames[0]!).token, "t2");
  equal(subject.socket.asked[0]!.since, "p7");
  deepEqual([subscription.state, subscription.recovered, late.state], ["live", true, "live"]);
});

Deno.test("a credential that expires is renewed over the same connection", async () => {
  const subject = new Subject();
  const tokens = ["t1", "t1", "t2"];
  const realtime = await subject.connect({
    token: () => {
      const token = tokens.shift();
      if (token === undefined) throw new Error("there is none");
      return token;
    },
  });
  const told: unknown[] = [];
  realtime.on("expiring", (event) => told.push(event));
  subject.socket.tell({ type: "expiring", expires_at: 1 });
  await settled();
  equal(subject.socket.asked.length, 0, "the same once more helps nobody");
  await subject.clock.advance(3_000);
  deepEqual(subject.socket.asked, [{ id: 2, type: "refresh", token: "t2" }]);
  deepEqual([told, realtime.session?.expiresAt], [[{ expiresAt: 1 }], 2]);

  subject.socket.tell({ type: "expiring", expires_at: 2 });
  await subject.clock.advance(3_000);
  tokens.push("t3");
  subject.answers.refresh = () => ({ type: "error", code: "INVALID_CREDENTIAL", error: "no" });
  await subject.clock.advance(3_000);
  tokens.push("t4");
  subject.answers.refresh = () => ({ type: "ok", expires_at: 9 });
  await subject.clock.advance(3_000);
  deepEqual(subject.socket.asked.map(({ token }) => token), ["t2", "t3", "t4"]);
  deepEqual([realtime.session?.expiresAt, subject.sockets.length], [9, 1]);
});

Deno.test("one that is given by hand goes over the connection that is there, and is told when it is refused", async () => {
  const subject = new Subject();
  const realtime = await subject.connect({ token: "t1" });
  await realtime.authenticate("t2");
  deepEqual(subject.socket.asked, [{ id: 2, type: "refresh", token: "t2" }]);
  subject.answers.refresh = () => ({ type: "error", code: "INVALID_CREDENTIAL", error: "no" });
  await rejects(realtime.authenticate("t3"), withCode("INVALID_CREDENTIAL"));
  equal(realtime.state, "connected");
  subject.answers.refresh = () => undefined;
  const given = awaitedLater(realtime.authenticate("t4"));
  await settled();
  await subject.breakOff();
  await given;
  equal(JSON.parse(subject.socket.frames[0]!).token, "t4");
  const late = realtime.authenticate("t5").then(() => "taken", withCode("TIMEOUT"));
  await settled();
  await subject.clock.advance(10_000);
  equal(await late, true);
  realtime.close();
  equal(subject.clock.timers, 0);
});

Deno.test("a credential that cannot be had is asked for again, and one that never comes is not waited for", async () => {
  const subject = new Subject();
  let asked = 0;
  const realtime = subject.make({
    token: () => {
      if (++asked === 1) throw new Error("no network");
      return asked === 2 ? new Promise<string>(() => {}) : "t";
    },
  });
  await settled();
  deepEqual([subject.states, subject.sockets.length], [[["waiting", 1_000]], 0]);
  await subject.clock.advance(1_000 + 15_000 + 2_000);
  deepEqual([asked, realtime.state], [3, "connected"]);
});
