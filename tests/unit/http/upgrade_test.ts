import { equal, throws } from "node:assert/strict";
import { expectUpgrade, offered } from "../../../src/http/upgrade.ts";

const HANDSHAKE = {
  "upgrade": "websocket",
  "connection": "keep-alive, Upgrade",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

const asked = (changes: Readonly<Record<string, string | undefined>> = {}, method = "GET") => {
  const incoming = new Headers(HANDSHAKE);
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) incoming.delete(name);
    else incoming.set(name, value);
  }
  return () => expectUpgrade({ incoming, method });
};

Deno.test("a handshake as browsers and programs send it is taken", () => {
  asked()();
  asked({ upgrade: " WebSocket ", connection: "upgrade" })();
});

Deno.test("what asks for no upgrade to a WebSocket is 426, and told what would be", () => {
  const refused: Readonly<Record<string, string | undefined>>[] = [
    { upgrade: undefined },
    { upgrade: "h2c" },
    // Each of these is read differently at two places of the runtime, which ends it.
    { upgrade: "h2c, websocket" },
    { upgrade: "websocket, h2c" },
    { upgrade: "websocket/13" },
    { connection: undefined },
    { connection: "close" },
    { connection: "Upgrade;UPGRADE" },
    { connection: "upgradex Upgrade" },
  ];
  for (const changes of refused) {
    throws(asked(changes), { code: "UPGRADE_REQUIRED", extra: { headers: { upgrade: "websocket" } } });
  }
  for (const method of ["HEAD", "POST", "PUT"]) throws(asked({}, method), { code: "UPGRADE_REQUIRED" });
  for (const version of [undefined, "8", "13, 8", ""]) {
    throws(asked({ "sec-websocket-version": version }), {
      code: "UPGRADE_REQUIRED",
      extra: { headers: { upgrade: "websocket", "sec-websocket-version": "13" } },
    });
  }
});

Deno.test("a key that is none is a mistake of the request", () => {
  for (const key of [undefined, "", "abc", "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==", "x".repeat(24)]) {
    throws(asked({ "sec-websocket-key": key }), { code: "INVALID_REQUEST" });
  }
});

Deno.test("a subprotocol is chosen where it is offered in a way that the runtime understands", () => {
  const of = (text?: string) =>
    offered(new Headers(text === undefined ? {} : { "sec-websocket-protocol": text }), "orama.v1");
  equal(of(), undefined);
  equal(of("other"), undefined);
  equal(of("other, orama.v1"), "orama.v1");
  equal(of("orama.v1"), "orama.v1");
  equal(of("other,orama.v1"), undefined);
});
