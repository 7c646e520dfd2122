import { deepEqual, equal } from "node:assert/strict";
import type { Principal } from "../../../src/contracts/identity.ts";
import { most, somebody } from "./support/live.ts";
import { knownSession } from "./support/sessions.ts";

const token = (id: string, parts: Partial<Principal> = {}) =>
  somebody({ kind: "jwt", id, subject: id, expiresAt: 1_700_000_100_000, ...parts });

Deno.test("a token is renewed where the namespace and the credential are full, and nobody else gets in", async () => {
  const known = token("first");
  const { say, authenticator, connections, socket } = knownSession({
    known,
    settings: { perCredential: 1 },
    rules: { maxSockets: 1 },
  });
  for (const id of ["second", "third"]) {
    authenticator.known.set(`${id}.token.x`, token(id));
    equal((await say({ id: 1, type: "refresh", token: `${id}.token.x` }))[0]?.type, "ok");
  }
  deepEqual(connections.figures().open, { realtime: 1, topic: 0, events: 0, function: 0 });
  let refused;
  try {
    connections.enter("realtime", token("other"), most(1));
  } catch (error) {
    refused = (error as { readonly code?: string }).code;
  }
  equal(refused, "TOO_MANY_SOCKETS");
  equal(socket.code(), undefined);
  connections.enter("realtime", known, most(10));
});

Deno.test("where the new credential has all its sockets, the old one stays, with its place", async () => {
  const known = token("first");
  const { say, authenticator, connections, session } = knownSession({ known, settings: { perCredential: 1 } });
  const elsewhere = connections.enter("realtime", token("second"), most(10));
  authenticator.known.set("second.token.x", token("second"));
  equal((await say({ id: 1, type: "refresh", token: "second.token.x" }))[0]?.code, "TOO_MANY_SOCKETS");
  equal(session.standing?.principal.id, "first");
  elsewhere.release();
  equal((await say({ id: 2, type: "refresh", token: "second.token.x" }))[0]?.type, "ok");
});

Deno.test("what is found out of a credential that was replaced meanwhile changes nothing", async () => {
  const known = token("first", { topics: { subscribe: ["a"] } });
  const { say, pass, turn, authenticator, socket, pubsub } = knownSession({ known });
  const gate = Promise.withResolvers<Principal>();
  const { identifyKey } = authenticator;
  authenticator.identifyToken = () => gate.promise;
  await pass(500);
  authenticator.identifyToken = (credential) => identifyKey.call(authenticator, credential);
  authenticator.known.set("second.token.x", token("second", { topics: { subscribe: ["a", "b"] } }));
  await say({ id: 1, type: "refresh", token: "second.token.x" }, { id: 2, type: "subscribe", topic: "b" });
  await turn();
  equal(pubsub.count("shop", "b"), 1);
  gate.resolve(token("first", { topics: { subscribe: ["a"] }, scopes: new Set(["pubsub:subscribe"] as const) }));
  await turn();
  await pass(500);
  deepEqual(socket.take().filter(({ type }) => type === "unsubscribed"), []);
  equal(pubsub.count("shop", "b"), 1);
});
