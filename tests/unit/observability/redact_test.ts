import { deepEqual, equal, ok } from "node:assert/strict";
import { deriveWalletKey, randomKey } from "../../../services/auth/crypto/api_key.ts";
import { Node } from "../auth/support/node.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { redact, redactText } from "../../../src/observability/redact.ts";

const KEY = randomKey("shop", new Chance(1).bytes);
const TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl-_0";
const leaks = (value: unknown) => {
  const text = JSON.stringify(value);
  return [KEY.slice(3, 27), "c2lnbmF0dXJl", "hunter2"].filter((secret) => text.includes(secret));
};

Deno.test("keys and tokens go out of any text, and the rest of it stays", () => {
  equal(redactText(`GET /x?api_key=${KEY}&a=1 failed`), "GET /x?api_key=[secret]&a=1 failed");
  equal(redactText(`Bearer ${TOKEN}, "${TOKEN}"`), 'Bearer [secret], "[secret]"');
  equal(redactText(`${KEY} ${KEY}`), "[secret] [secret]");
  equal(redactText("nothing to hide: ak_short, eyJ is no token"), "nothing to hide: ak_short, eyJ is no token");
});

Deno.test("every key that can be made is recognised, and every token", async () => {
  const chance = new Chance(2);
  for (let i = 0; i < 300; i++) {
    const namespace = "a".repeat(1 + chance.below(64));
    const wallet = deriveWalletKey(new Uint8Array(32).fill(i), { namespace, wallet: "0x1", serial: i });
    for (const key of [randomKey(namespace, chance.bytes), wallet]) equal(redactText(`<${key}>`), "<[secret]>");
  }
  await using node = await Node.start();
  const { accessToken: token } = await node.tokens.issue({ sub: "a", namespace: "shop", scopes: ["sql:read"], rev: 0 });
  equal(redactText(`token=${token}`), "token=[secret]");
});

Deno.test("members that are named like secrets are hidden at any depth, whatever they hold", () => {
  const names = [
    "authorization",
    "Authorization",
    "cookie",
    "x-api-key",
    "api_key",
    "apiKey",
    "password",
    "secret",
    "signature",
    "nonce",
    "token",
    "access_token",
    "accessToken",
    "refreshToken",
    "refresh_token",
    "id_token",
    "root_key",
    "private_jwk",
    "privateKey",
    "code",
    "code_verifier",
  ];
  for (const name of names) {
    for (const value of ["hunter2", { deep: "hunter2" }, ["hunter2"], new TextEncoder().encode("hunter2")]) {
      deepEqual(redact({ outer: [{ [name]: value }] }), { outer: [{ [name]: "[secret]" }] }, name);
    }
  }
  deepEqual(redact({ status_code: 5, key_id: "key_1", tokens: 3 }), { status_code: 5, key_id: "key_1", tokens: 3 });
});

Deno.test("errors keep name, message, stack and causes, without secrets in any of them", () => {
  const root = new Error(`refused for ${KEY}`);
  const error = new GatewayError("UNAVAILABLE", `with ${TOKEN}`, { cause: new TypeError("between", { cause: root }) });
  const redacted = redact({ error }) as {
    error: { name: string; message: string; stack: string; cause: { cause: { message: string } } };
  };
  equal(redacted.error.name, "GatewayError");
  equal(redacted.error.message, "with [secret]");
  ok(redacted.error.stack.includes("redact_test.ts"));
  equal(redacted.error.cause.cause.message, "refused for [secret]");
  deepEqual(leaks(redacted), []);
});

Deno.test("a cause may be anything, a secret too", () => {
  const redacted = redact(new Error("x", { cause: { apiKey: KEY, text: KEY, list: [TOKEN] } }));
  deepEqual(leaks(redacted), []);
});

Deno.test("what goes round in circles comes to an end, and soon", () => {
  const self: Record<string, unknown> = { text: KEY };
  self.self = self;
  deepEqual(redact(self), { text: "[secret]", self: "[circular]" });
  const error = new Error("x");
  error.cause = error;
  equal((redact(error) as { cause: unknown }).cause, "[circular]");
  // Each names all others: written out in every combination this would be 20^7 objects.
  const friends: Record<string, unknown>[] = Array.from({ length: 20 }, () => ({}));
  for (const friend of friends) friend.friends = friends;
  const start = performance.now();
  ok(JSON.stringify(redact(friends)));
  ok(performance.now() - start < 2_000);
});

Deno.test("the same object twice is no circle", () => {
  const shared = { a: 1 };
  deepEqual(redact([shared, { shared }, shared]), [{ a: 1 }, { shared: { a: 1 } }, { a: 1 }]);
});

Deno.test("what is absurdly deep is cut, bytes and dates are told shortly, big integers as text", () => {
  let deep: unknown = KEY;
  for (let i = 0; i < 10_000; i++) deep = { deep };
  deepEqual(leaks(redact(deep)), []);
  ok(JSON.stringify(redact(deep)).includes("[deep]"));
  deepEqual(
    redact({ body: new Uint8Array(100_000), at: new Date(0).getTime(), n: 2n ** 70n, no: undefined, f: null }),
    {
      body: "[100000 bytes]",
      at: 0,
      n: String(2n ** 70n),
      no: undefined,
      f: null,
    },
  );
  equal(typeof redact(new Date(0)), "string");
});

Deno.test("looking for secrets takes no time even in a text that is made to take long", () => {
  const start = performance.now();
  for (
    const text of [
      "ak_".repeat(2_000),
      "-ak_".repeat(2_000),
      "eyJ-".repeat(2_000),
      "eyJ.".repeat(2_000),
      "eyJa.b.".repeat(2_000),
    ]
  ) redactText(text);
  ok(performance.now() - start < 2_000);
});
