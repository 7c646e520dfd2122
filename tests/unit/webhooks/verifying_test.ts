import { createHash, createHmac } from "node:crypto";
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { open, seal } from "../../../services/auth/crypto/seal.ts";
import { type KeptKey, type KeyOwner, Keys } from "../../../services/webhooks/keys.ts";
import { signedHeaders } from "../../../services/webhooks/signing.ts";
import { OramaError } from "../../../src/client/errors.ts";
import { verifyWebhook, type VerifyWebhookOptions } from "../../../src/client/webhooks/verify.ts";
import { KEY, NOON } from "./support/world.ts";

const URL_OF = "https://app.example/hook?a=1";
const EVENT = { id: "evt_1", type: "test.done", namespace: "shop", created_at: "2026-01-06T12:00:00.000Z", data: 1 };
const TEXT = JSON.stringify(EVENT);
const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
const keys = new Keys({
  seal: (text, context) => seal(KEY, text, context, random),
  open: (sealed, context) => open(KEY, sealed, context),
}, random);

const ownerOf = (algorithm: string, ...kept: KeptKey[]): KeyOwner => ({
  id: "whe_1",
  namespace: "shop",
  namespace_created_at: 1,
  algorithm,
  keys: JSON.stringify(kept),
});

/** A signed request, its headers by name, and the key that its receiver knows. */
async function signed({ algorithm = "hmac-sha256", at = NOON, nonce = "n1", text = TEXT } = {}) {
  const { key, secret } = await keys.make(ownerOf(algorithm));
  const opened = await keys.opened(ownerOf(algorithm, key), at);
  const pairs = await signedHeaders({ url: URL_OF, body: new TextEncoder().encode(text), nonce }, opened, at);
  return { headers: Object.fromEntries(pairs), key: secret ?? key.public!, opened };
}

type Change = { url?: string; method?: string; body?: BodyInit; headers?: Record<string, string> };

const requestOf = (
  headers: Record<string, string>,
  { url = URL_OF, method = "POST", body = TEXT, ...rest }: Change = {},
) => new Request(url, { method, body, headers: { ...headers, ...rest.headers } });

/** A receiver that remembers. */
function memory(more: Partial<VerifyWebhookOptions> = {}) {
  const nonces = new Map<string, Date>();
  const seen = (nonce: string, until: Date) => nonces.has(nonce) || !nonces.set(nonce, until);
  return { nonces, options: { seen, now: () => NOON, ...more } };
}

const refusal = (reason: string, status = 401) => (error: unknown) => {
  ok(error instanceof OramaError);
  deepEqual([error.code, error.status, error.details], ["WEBHOOK_REFUSED", status, { reason }]);
  return true;
};

for (const algorithm of ["hmac-sha256", "ed25519"]) {
  Deno.test(`${algorithm}: what was signed is taken once, and the second time refused as a replay`, async () => {
    const { headers, key } = await signed({ algorithm });
    const { nonces, options } = memory();
    deepEqual(await verifyWebhook(requestOf(headers), key, options), {
      id: "evt_1",
      type: "test.done",
      namespace: "shop",
      createdAt: new Date(NOON),
      data: 1,
    });
    deepEqual([...nonces], [["n1", new Date(NOON + 330_000)]]);
    await rejects(verifyWebhook(requestOf(headers), key, options), refusal("replayed"));
  });
}

Deno.test("the signature is that of RFC 9421 and the digest that of RFC 9530, made by hand", async () => {
  const { headers, key } = await signed();
  const digest = createHash("sha256").update(TEXT).digest("base64");
  equal(headers["content-digest"], `sha-256=:${digest}:`);
  const [, input, id] =
    /^sig1=(\("@method" "@target-uri" "content-digest" "content-type"\);.*keyid="(whk_[0-9a-f]{16})".*)$/
      .exec(headers["signature-input"]!)!;
  const seconds = NOON / 1_000;
  equal(
    input!.slice(input!.indexOf(";")),
    `;created=${seconds};expires=${seconds + 300};nonce="n1";keyid="${id}";alg="hmac-sha256"`,
  );
  const base = [
    '"@method": POST',
    `"@target-uri": ${URL_OF}`,
    `"content-digest": sha-256=:${digest}:`,
    '"content-type": application/json',
    `"@signature-params": ${input}`,
  ].join("\n");
  const secret = Uint8Array.fromBase64(key.slice("whsec_".length), { alphabet: "base64url" });
  equal(headers["signature"], `sig1=:${createHmac("sha256", secret).update(base).digest("base64")}:`);
});

Deno.test("whatever of a request is changed, it is refused and nothing is remembered of it", async () => {
  const { headers, key } = await signed();
  const { headers: others } = await signed();
  const { nonces, options } = memory();
  const input = headers["signature-input"]!, signature = headers["signature"]!;
  const later = (by: number) => input.replace(/expires=(\d+)/, (_, at) => `expires=${Number(at) + by}`);
  const changes: [string, Change, string][] = [
    ["the body", { body: TEXT.replace("test", "best") }, "forged"],
    ["the body, digest with it", { body: "{}", headers: { "content-digest": digestOf("{}") } }, "forged"],
    ["an empty body", { body: "" }, "forged"],
    ["the path", { url: "https://app.example/admin?a=1" }, "forged"],
    ["the query", { url: "https://app.example/hook?a=2" }, "forged"],
    ["the host", { url: "https://other.example/hook?a=1" }, "forged"],
    ["the scheme", { url: "http://app.example/hook?a=1" }, "forged"],
    ["the method", { method: "PUT" }, "forged"],
    ["the type", { headers: { "content-type": "text/plain" } }, "forged"],
    ["the nonce", { headers: { "signature-input": input.replace("n1", "n2") } }, "forged"],
    ["the end", { headers: { "signature-input": later(3_000) } }, "forged"],
    ["the signature", { headers: { signature: others["signature"]! } }, "forged"],
    ["half the signature", { headers: { signature: signature.slice(0, 20) + "=:" } }, "forged"],
    ["no signature", { headers: { signature: "sig1=::" } }, "forged"],
    ["another label", { headers: { signature: signature.replace("sig1", "sig2") } }, "forged"],
    ["nothing covered", { headers: { "signature-input": input.replace(/\(.*\)/, "()") } }, "forged"],
    ["less covered", { headers: { "signature-input": input.replace(' "content-digest"', "") } }, "forged"],
    ["one twice", { headers: { "signature-input": input.replace(' "content-type"', ' "@method"') } }, "forged"],
    [
      "a component of another",
      { headers: { "signature-input": input.replace('"@method"', '"@method";req') } },
      "forged",
    ],
    ["no time", { headers: { "signature-input": input.replace(/created=\d+;/, "") } }, "forged"],
    ["a long header", { headers: { "signature-input": input + ` `.repeat(10) + "," + "a".repeat(9_000) } }, "forged"],
    ["no dictionary", { headers: { "signature-input": '"""(((', signature: ",,,\\" } }, "forged"],
  ];
  for (const [what, change, reason] of changes) {
    await rejects(verifyWebhook(requestOf(headers, change), key, options), refusal(reason), what);
  }
  for (const name of ["signature", "signature-input"]) {
    const { [name]: _, ...less } = headers;
    await rejects(verifyWebhook(requestOf(less), key, options), refusal("unsigned"), name);
  }
  const { "content-digest": _, ...bare } = headers;
  await rejects(verifyWebhook(requestOf(bare), key, options), refusal("forged"));
  deepEqual([...nonces], []);
  await verifyWebhook(requestOf(headers), key, options);
});

Deno.test("a signature is for five minutes, but for what clocks may differ", async () => {
  const { headers, key } = await signed();
  const at = (ms: number, tolerance?: number) =>
    verifyWebhook(requestOf(headers), key, memory({ now: () => NOON + ms, tolerance }).options);
  for (const good of [0, 329_000, -29_000]) await at(good);
  for (const bad of [331_000, -31_000, 24 * 60 * 60_000]) await rejects(at(bad), refusal("expired"), String(bad));
  await rejects(at(1_000_000, 0), refusal("expired"));
});

Deno.test("a signature that would be good for a day is refused, whoever made it", async () => {
  const { opened, key } = await signed();
  const body = new TextEncoder().encode(TEXT);
  const pairs = await signedHeaders({ url: URL_OF, body, nonce: "n" }, [{
    ...opened[0]!,
    sign: (data) => opened[0]!.sign(new TextEncoder().encode(stretched(new TextDecoder().decode(data)))),
  }], NOON);
  const headers = Object.fromEntries(pairs);
  const stretch = { ...headers, "signature-input": stretched(headers["signature-input"]!) };
  await rejects(verifyWebhook(requestOf(stretch), key, memory().options), refusal("expired"));
});

const stretched = (text: string) => text.replace(/expires=\d+/, `expires=${NOON / 1_000 + 86_400}`);

Deno.test("a public key is no secret: what is signed with it as one is refused", async () => {
  const { key } = await signed({ algorithm: "ed25519" });
  const bytes = Uint8Array.fromBase64(key.slice("whpk_".length), { alphabet: "base64url" });
  const hmac = await crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  for (const algorithm of ["hmac-sha256", "ed25519"] as const) {
    const forged = await signedHeaders({ url: URL_OF, body: new TextEncoder().encode(TEXT), nonce: "n" }, [{
      id: "whk_1",
      algorithm,
      sign: async (data) => new Uint8Array(await crypto.subtle.sign("HMAC", hmac, data)),
    }], NOON);
    await rejects(verifyWebhook(requestOf(Object.fromEntries(forged)), key, memory().options), refusal("forged"));
  }
});

Deno.test("while a key is replaced either of both is enough, and signatures of others are passed over", async () => {
  const [one, two] = [await signed(), await signed()];
  const body = new TextEncoder().encode(TEXT);
  const both = Object.fromEntries(
    await signedHeaders({ url: URL_OF, body, nonce: "n" }, [...two.opened, ...one.opened], NOON),
  );
  match(both["signature-input"]!, /^sig1=.*, sig2=/);
  for (const key of [one.key, two.key, [one.key, two.key]]) await verifyWebhook(requestOf(both), key, memory().options);
  await rejects(verifyWebhook(requestOf(both), (await signed()).key, memory().options), refusal("forged"));
  const around = {
    "signature-input": `cdn=("@authority" "via";sf);created=1;tag="a,\\"b", ${one.headers["signature-input"]}`,
    signature: `cdn=:AAAA:, ${one.headers["signature"]}`,
  };
  await verifyWebhook(requestOf(one.headers, { headers: around }), one.key, memory().options);
});

Deno.test("behind a proxy the address is the one that the gateway was told", async () => {
  const { headers, key } = await signed();
  const inner = () => requestOf(headers, { url: "http://10.0.0.7:8080/hook?a=1" });
  await rejects(verifyWebhook(inner(), key, memory().options), refusal("forged"));
  await verifyWebhook(inner(), key, memory({ url: URL_OF }).options);
});

Deno.test("a body is not read before its signature held, and no further than it may be long", async () => {
  let pulled = 0;
  const endless = () =>
    new ReadableStream({ pull: (controller) => (pulled++, controller.enqueue(new Uint8Array(65_536))) }, {
      highWaterMark: 0,
    });
  const { headers, key } = await signed();
  const forged = { ...headers, "content-type": "text/plain" };
  await rejects(verifyWebhook(requestOf(forged, { body: endless() }), key, memory().options), refusal("forged"));
  ok(pulled <= 1, String(pulled));
  pulled = 0;
  const { nonces, options } = memory({ maxBytes: 200_000 });
  await rejects(verifyWebhook(requestOf(headers, { body: endless() }), key, options), refusal("too_large", 413));
  ok(pulled <= 5, String(pulled));
  deepEqual([...nonces], []);
});

Deno.test("what a key signed and is no event is refused", async () => {
  for (const text of ["", "[]", "null", "{", '{"id":1}', "\u0000"]) {
    const { headers, key } = await signed({ text });
    await rejects(verifyWebhook(requestOf(headers, { body: text }), key, memory().options), refusal("malformed"), text);
  }
});

Deno.test("a key that is none is the receiver's own mistake", async () => {
  const { headers } = await signed();
  for (const key of ["", "secret", "whsec_", `whsec_${"A".repeat(42)}`, `whsk_${"A".repeat(43)}`]) {
    await rejects(verifyWebhook(requestOf(headers), key, memory().options), TypeError, key);
  }
  await rejects(verifyWebhook(requestOf(headers), [], memory().options), refusal("forged"));
});

const digestOf = (text: string) => `sha-256=:${createHash("sha256").update(text).digest("base64")}:`;
