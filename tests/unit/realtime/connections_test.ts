import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { Watched } from "../../../src/contracts/live_connections.ts";
import { Pace } from "../../../src/http/live/pace.ts";
import { principal } from "../auth/support/node.ts";
import { liveGateway, most } from "./support/live.ts";

const TOO_MANY = { code: "TOO_MANY_SOCKETS" };
const caller = (id: string, namespace = "shop") => principal({ id, subject: id, namespace });

Deno.test("a namespace and a credential have so many places, and get them back", () => {
  const { connections } = liveGateway({ perCredential: 2 });
  const first = connections.enter("topic", caller("a"), most(3));
  connections.enter("realtime", caller("a"), most(3));
  throws(() => connections.enter("events", caller("a"), most(3)), TOO_MANY);
  connections.enter("events", caller("b"), most(3));
  throws(() => connections.enter("topic", caller("c"), most(3)), TOO_MANY);
  connections.enter("topic", caller("a", "other"), most(3));
  first.release();
  first.release();
  connections.enter("topic", caller("c"), most(3));
  throws(() => connections.enter("topic", caller("d"), most(3)), TOO_MANY);
  deepEqual(connections.figures().open, { topic: 2, realtime: 1, events: 1, function: 0 });
});

Deno.test("who takes the place of somebody needs no more room than the two differ", () => {
  const { connections } = liveGateway({ perCredential: 1 });
  const first = connections.enter("realtime", caller("a"), most(1));
  const second = connections.enter("realtime", caller("b"), most(1), caller("a"));
  first.release();
  throws(() => connections.enter("realtime", caller("c"), most(1)), TOO_MANY, "the namespace is full all the same");
  const same = connections.enter("realtime", caller("b"), most(0), caller("b"));
  second.release();
  connections.enter("realtime", caller("c"), most(5));
  throws(
    () => connections.enter("realtime", caller("c"), most(5), caller("b")),
    TOO_MANY,
    "the other credential has one",
  );
  throws(() => connections.enter("realtime", caller("b", "other"), most(0), caller("b")), TOO_MANY);
  same.release();
  connections.enter("realtime", caller("b"), most(5));
  deepEqual(connections.figures().open, { realtime: 2, topic: 0, events: 0, function: 0 });
});

Deno.test("every connection is looked at once in a round, and told once when the gateway stops", async () => {
  const { connections, pass, turn } = liveGateway();
  const looks: number[] = [], stops: number[] = [];
  const watched = (n: number): Watched => ({ look: () => void looks.push(n), stop: () => void stops.push(n) });
  const ends = Array.from({ length: 25 }, (_, n) => connections.watch(watched(n)));
  await pass(500);
  deepEqual(looks.toSorted((a, b) => a - b), Array.from({ length: 25 }, (_, n) => n));
  ends[3]!();
  connections.stop();
  deepEqual(stops.includes(3), false);
  equal(stops.length, 24);
  connections.watch(watched(99));
  await turn();
  equal(stops.at(-1), 99);
});

Deno.test("a connection that throws stops no other", async () => {
  const failures: string[] = [];
  const { connections, pass, turn } = liveGateway({}, (error) => void failures.push((error as Error).message));
  const done: string[] = [];
  const thrower = (what: string) => () => {
    throw new Error(what);
  };
  connections.watch({ look: thrower("look"), stop: thrower("stop") });
  connections.watch({ look: () => void done.push("look"), stop: () => void done.push("stop") });
  connections.soon({ run: thrower("soon") });
  connections.soon({ run: () => void done.push("soon") });
  connections.often({ run: thrower("often") });
  connections.often({ run: () => void done.push("often") });
  await turn();
  await pass(500);
  connections.runOften();
  connections.stop();
  deepEqual(failures, ["soon", "look", "often", "stop"]);
  deepEqual(done, failures);
});

Deno.test("long work is done in slices, in the order of asking", async () => {
  const { connections, clock, turn } = liveGateway();
  const done: number[] = [];
  for (let n = 0; n < 1_000; n++) {
    connections.soon({
      run() {
        clock.monotonic += 0.1;
        done.push(n);
      },
    });
  }
  await turn();
  ok(done.length > 50 && done.length < 300, `${done.length} in one turn`);
  for (let i = 0; i < 20; i++) await turn();
  deepEqual(done, Array.from({ length: 1_000 }, (_, n) => n));
});

Deno.test("a pace lets a burst pass, then so many a second, and knows a flood", () => {
  const pace = new Pace(10);
  const verdicts = (now: number, count: number) => {
    const found = { taken: 0, refused: 0, flood: 0 };
    for (let i = 0; i < count; i++) found[pace.take(now)]++;
    return found;
  };
  deepEqual(verdicts(0, 100), { taken: 100, refused: 0, flood: 0 });
  deepEqual(verdicts(0, 10), { taken: 0, refused: 10, flood: 0 });
  equal(pace.retryAfter(0).toFixed(3), "0.100");
  deepEqual(verdicts(100, 2), { taken: 1, refused: 1, flood: 0 });
  deepEqual(verdicts(100, 1_000).flood > 900, true);
  deepEqual(verdicts(60_000, 100), { taken: 100, refused: 0, flood: 0 });
  const large = new Pace(10);
  equal(large.take(0, 50 * 65_536), "taken");
  equal(large.take(0, 50 * 65_536), "refused");
  equal(new Pace(0).take(0, 2 ** 30), "taken");
});

Deno.test("one credential has a share of the sockets of its namespace: a token by itself, a member with all of its tokens", () => {
  const { connections } = liveGateway({ perCredential: 1_000 });
  const bounds = { maxSockets: 20, credentialShare: 80, guestShare: 10 };
  const enter = (parts: Partial<Principal>) => connections.enter("topic", principal(parts), bounds);
  const guest = { kind: "jwt", subject: "key:a", topics: { subscribe: ["a"] } } as const;
  const alice = enter({ ...guest, id: "token 1", memberId: "alice" });
  enter({ ...guest, id: "token 2", memberId: "alice" });
  throws(() => enter({ ...guest, id: "token 3", memberId: "alice" }), TOO_MANY);
  for (let i = 0; i < 2; i++) enter({ ...guest, id: "token 4" });
  throws(() => enter({ ...guest, id: "token 4" }), TOO_MANY);
  alice.release();
  enter({ ...guest, id: "token 3", memberId: "alice" });
  // A key, and all that is of the same wallet.
  for (let i = 0; i < 16; i++) enter({ id: `key ${i}`, subject: "0xowner" });
  throws(() => enter({ id: "key", subject: "0xother" }), TOO_MANY, "the namespace is full");
  const wide = { ...bounds, maxSockets: 30 };
  for (let i = 16; i < 24; i++) connections.enter("topic", principal({ id: `key ${i}`, subject: "0xowner" }), wide);
  throws(() => connections.enter("topic", principal({ id: "key", subject: "0xowner" }), wide), TOO_MANY);
  connections.enter("topic", principal({ id: "key", subject: "0xother" }), wide);
});
