import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { sessionOf } from "./support/sessions.ts";
import { liveGateway, most, somebody } from "./support/live.ts";

/** A gateway whose strangers have names, and what became of them. */
function strangersOf(unauthenticated: number) {
  const { connections } = liveGateway({ unauthenticated });
  const crowdedOut: string[] = [];
  const enter = (address: string, name = address) => {
    const place = connections.enterUnknown("realtime", address);
    place.whenCrowded(() => {
      crowdedOut.push(name);
      place.leave();
    });
    return place;
  };
  const count = () => connections.figures().unauthenticated;
  return { connections, crowdedOut, enter, count };
}

Deno.test("where there is no room, the stranger leaves who has been silent for longest, and nobody is refused", () => {
  const { crowdedOut, enter, count } = strangersOf(3);
  for (const address of ["a", "b", "c", "d", "e"]) enter(address);
  deepEqual(crowdedOut, ["a", "b"]);
  equal(count(), 3);
});

Deno.test("an address has 32 places for those who say nothing, and crowds out its own", () => {
  const { crowdedOut, enter, count } = strangersOf(1_000);
  enter("other");
  for (let i = 0; i < 40; i++) enter("busy", `busy ${i}`);
  deepEqual(crowdedOut, Array.from({ length: 8 }, (_, i) => `busy ${i}`));
  equal(count(), 33);
});

Deno.test("whoever opens many pushes out its own, and none of those who come one by one", () => {
  const { crowdedOut, enter } = strangersOf(64);
  const honest = Array.from({ length: 10 }, (_, i) => `home ${i}`);
  for (const address of honest) enter(address);
  for (let i = 0; i < 500; i++) enter(`flood ${i % 4}`);
  for (const address of honest) enter(address, `${address} again`);
  for (let i = 0; i < 500; i++) enter(`flood ${i % 4}`);
  ok(crowdedOut.length > 900);
  deepEqual(crowdedOut.filter((name) => name.startsWith("home")), []);
});

Deno.test("whoever comes from one of the largest addresses pushes out its own", () => {
  const { crowdedOut, enter } = strangersOf(4);
  for (const address of ["a", "b", "a", "b"]) enter(address);
  enter("b", "b again");
  deepEqual(crowdedOut, ["b"]);
});

Deno.test("who has begun to say who it is stays, and counts no more; who does in vain goes first", () => {
  const { crowdedOut, enter, count } = strangersOf(2);
  const decided = enter("a").speaks();
  for (const address of ["b", "c", "d"]) enter(address);
  deepEqual(crowdedOut, ["b"]);
  equal(count(), 3);
  decided();
  enter("e");
  deepEqual(crowdedOut, ["b", "a"]);
});

Deno.test("whoever is known, or gone, is asked for nothing", () => {
  const { connections, crowdedOut, enter, count } = strangersOf(2);
  const known = connections.enter("realtime", somebody(), most(10));
  known.whenCrowded(() => crowdedOut.push("known"));
  known.speaks()();
  const first = enter("a"), speaking = enter("b");
  const decided = speaking.speaks();
  first.release();
  speaking.release();
  decided();
  equal(count(), 0);
  for (const address of ["c", "d"]) enter(address);
  deepEqual(crowdedOut, []);
});

Deno.test("those who do not let go keep out their own address alone, and only many of them", () => {
  const { connections, enter } = strangersOf(1_000);
  const places = Array.from({ length: 256 }, () => enter("busy"));
  throws(() => enter("busy"), { code: "TOO_MANY_SOCKETS" });
  enter("other");
  places[0]!.release();
  places[0]!.release();
  enter("busy");
  throws(() => enter("busy"), { code: "TOO_MANY_SOCKETS" });
  equal(connections.figures().unauthenticated, 33);
});

Deno.test("one that is crowded out before its socket is open hears of it then", () => {
  const { connections } = liveGateway({ unauthenticated: 1 });
  const place = connections.enterUnknown("realtime", "a");
  connections.enterUnknown("realtime", "b");
  let told = 0;
  place.whenCrowded(() => told++);
  equal(told, 1);
});

Deno.test("a socket of a stranger that is crowded out ends with 4430; one that has sent its credential does not", async () => {
  const settings = { unauthenticated: 1 };
  const silent = sessionOf({ settings });
  silent.connections.enterUnknown("realtime", "198.51.100.1");
  equal(silent.socket.code(), 4430);
  equal(silent.connections.figures().open.realtime, 1);
  const speaking = sessionOf({ settings });
  const gate = Promise.withResolvers<ReturnType<typeof somebody>>();
  speaking.authenticator.identifyKey = () => gate.promise;
  await speaking.say({ id: 1, type: "connect", token: "key" });
  speaking.connections.enterUnknown("realtime", "198.51.100.1");
  gate.resolve(somebody());
  await speaking.turn();
  await speaking.turn();
  equal(speaking.socket.code(), undefined);
  equal(speaking.socket.take()[0]?.type, "ok");
  equal(speaking.connections.figures().unauthenticated, 1);
});
