import { deepEqual, equal } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { most, somebody } from "./support/live.ts";
import { knownSession } from "./support/sessions.ts";

Deno.test("a credential that is revoked ends the socket with 4403 at the next look, within half a second", async () => {
  const { say, pass, authenticator, socket, pubsub } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "t", member: { id: "m" } });
  authenticator.known.delete("key");
  await pass(500);
  equal(socket.code(), 4403);
  equal(pubsub.count("shop", "t"), 0);
});

Deno.test("a credential that ends is told half a minute before, and ends the socket with 4401", async () => {
  const known = somebody({ expiresAt: 1_700_000_060_000 });
  const { pass, socket } = knownSession({ known });
  await pass(29_000);
  deepEqual(socket.take(), []);
  await pass(1_500);
  await pass(1_500);
  deepEqual(socket.take(), [{ type: "expiring", expires_at: 1_700_000_060_000 }]);
  await pass(28_500);
  equal(socket.code(), 4401);
});

Deno.test("a refresh takes the place of the credential before, for as long as it lives", async () => {
  const known = somebody({ kind: "jwt", id: "session", expiresAt: 1_700_000_010_000 });
  const { say, pass, authenticator, socket } = knownSession({ known });
  authenticator.known.set("new.token.x", { ...known, expiresAt: 1_700_000_100_000 });
  await pass(5_000);
  socket.take();
  const [answer] = await say({ id: 1, type: "refresh", token: "new.token.x" });
  deepEqual(answer, { id: 1, type: "ok", expires_at: 1_700_000_100_000 });
  await pass(10_000);
  equal(socket.code(), undefined);
  authenticator.known.delete("new.token.x");
  await pass(500);
  equal(socket.code(), 4403);
});

Deno.test("a refresh that is refused changes nothing", async () => {
  const { say, pass, authenticator, socket } = knownSession();
  authenticator.known.set("other", somebody({ namespace: "another" }));
  equal((await say({ id: 1, type: "refresh", token: "other" }))[0]?.code, "NAMESPACE_MISMATCH");
  equal((await say({ id: 2, type: "refresh", token: "unknown" }))[0]?.code, "INVALID_CREDENTIAL");
  equal((await say({ id: 3, type: "connect", token: "unknown" }))[0]?.code, "INVALID_CREDENTIAL");
  await pass(500);
  equal(socket.code(), undefined);
  equal((await say({ id: 4, type: "connect" }))[0]?.namespace, "shop");
});

Deno.test("a refresh with less rights ends the subscriptions that need more", async () => {
  const { say, authenticator, pubsub } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "a" }, { id: 2, type: "subscribe", topic: "b" });
  authenticator.known.set("narrow", somebody({ topics: { subscribe: ["a"] } }));
  const told = await say({ id: 3, type: "refresh", token: "narrow" });
  deepEqual(told, [{ type: "unsubscribed", topic: "b", reason: "right_lost" }, { id: 3, type: "ok" }]);
  deepEqual([pubsub.count("shop", "a"), pubsub.count("shop", "b")], [1, 0]);
});

Deno.test("rights that shrink without a refresh do the same", async () => {
  const { say, pass, authenticator, socket, pubsub } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "a", member: { id: "m" } }, { id: 2, type: "subscribe", topic: "b" });
  authenticator.known.set("key", somebody({ scopes: new Set(["pubsub:subscribe"] as const) }));
  await pass(500);
  deepEqual(socket.take(), [{ type: "unsubscribed", topic: "a", reason: "right_lost" }]);
  deepEqual([pubsub.count("shop", "a"), pubsub.count("shop", "b")], [0, 1]);
  equal(socket.code(), undefined);
});

Deno.test("a control plane that cannot be asked is waited for a minute, then the socket ends with 4503", async () => {
  const { pass, authenticator, socket } = knownSession();
  authenticator.identifyKey = () => {
    throw new GatewayError("UNAVAILABLE", "nobody knows");
  };
  for (let i = 0; i < 119; i++) await pass(500);
  equal(socket.code(), undefined);
  await pass(1_500);
  equal(socket.code(), 4503);
});

Deno.test("when the gateway stops, what waits goes out, and the socket ends with 1001", async () => {
  const { session, connections, socket, pubsub, say } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "t" });
  session.push({ type: "expiring", expires_at: 1 });
  connections.stop();
  deepEqual(socket.take(), [{ type: "expiring", expires_at: 1 }]);
  equal(socket.code(), 1001);
  equal(pubsub.count("shop", "t"), 0);
});

Deno.test("a socket that ends leaves nothing behind, not even what was being made", async () => {
  const { session, say, pubsub, connections, turn, socket } = knownSession();
  await say({ id: 1, type: "subscribe", topic: "a" });
  const gate = Promise.withResolvers<void>();
  pubsub.gate = gate.promise;
  await say({ id: 2, type: "subscribe", topic: "b" }, { id: 3, type: "publish", topic: "b", data: 1 });
  session.closed(1006, false);
  gate.resolve();
  await turn();
  await turn();
  deepEqual([pubsub.count("shop", "a"), pubsub.count("shop", "b"), pubsub.published.length], [0, 0, 0]);
  deepEqual(connections.figures().open, { realtime: 0, topic: 0, events: 0, function: 0 });
  deepEqual([...connections.figures().closed], [[1006, 1]]);
  deepEqual(socket.take(), []);
  session.message('{"id":1,"type":"ping"}');
  session.closed(1005, false);
  await turn();
  deepEqual(socket.take(), []);
  deepEqual([...connections.figures().closed], [[1006, 1]]);
});

Deno.test("a socket whose client never lets go counts until it does", () => {
  const known = somebody();
  const { session, connections } = knownSession({ known, settings: { perCredential: 1 } });
  session.end(4409, "slow");
  equal(connections.figures().open.realtime, 0);
  const tryAgain = () => {
    try {
      connections.enter("realtime", known, most(100)).release();
      return "room";
    } catch (error) {
      return (error as GatewayError).code;
    }
  };
  equal(tryAgain(), "TOO_MANY_SOCKETS");
  session.closed(1005, false);
  equal(tryAgain(), "room");
});
