import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { createHmac } from "node:crypto";
import { generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { SECOND } from "../control_plane/support/clock.ts";
import { ALICE, code, Node, TOKEN_TTL } from "./support/node.ts";

const SUBJECT = {
  sub: "0xAlice",
  wallet: ALICE,
  namespace: "shop",
  role: "owner",
  scopes: ["sql:read", "sql:write"],
  sid: "ses_1",
  rev: 7,
} as const;

const base64url = (text: string) =>
  new TextEncoder().encode(text).toBase64({ alphabet: "base64url", omitPadding: true });
const decoded = (part: string | undefined) =>
  JSON.parse(new TextDecoder().decode(Uint8Array.fromBase64(part!, { alphabet: "base64url" })));

/** Claims that hold, signed with the node's own key, but for what a test changes. `undefined` takes a claim out. */
async function forged(node: Node, changes: JWTPayload = {}, header: Record<string, unknown> = {}): Promise<string> {
  const { kid, privateKey } = node.signingKeys.current();
  const now = Math.floor(node.clock.time / 1000);
  const claims = {
    iss: "orama-gateway",
    aud: "gateway",
    sub: ALICE,
    jti: "a",
    iat: now,
    nbf: now,
    exp: now + 900,
    namespace: "shop",
    scope: "sql:read",
    rev: 0,
    ...changes,
  };
  return await new SignJWT(JSON.parse(JSON.stringify(claims)))
    .setProtectedHeader({ alg: "EdDSA", kid, typ: "JWT", ...header } as { alg: string }).sign(privateKey);
}

Deno.test("verify() gives what issue() was told, and when", async () => {
  await using node = await Node.start();
  const claims = await node.tokens.verify((await node.tokens.issue(SUBJECT)).accessToken);
  ok(claims);
  const { jti, iss, aud, iat, nbf, exp, ...rest } = claims;
  deepEqual(rest, { ...SUBJECT, scopes: [...SUBJECT.scopes] });
  deepEqual([iss, aud], ["orama-gateway", "gateway"]);
  deepEqual([iat, nbf, exp - iat], [Math.floor(node.clock.time / 1000), iat - 60, TOKEN_TTL / 1000]);
  match(jti, /^[0-9a-f]{32}$/);
  notEqual((await node.tokens.verify((await node.tokens.issue(SUBJECT)).accessToken))?.jti, jti);
});

Deno.test("a token says EdDSA, its key's id and JWT in its header, and leaves out what its subject does not have", async () => {
  await using node = await Node.start();
  const token =
    (await node.tokens.issue({ sub: "key:1", namespace: "shop", scopes: [], key: "key_1", rev: 0 })).accessToken;
  const [header, payload] = token.split(".");
  deepEqual(decoded(header), { alg: "EdDSA", kid: node.signingKeys.current().kid, typ: "JWT" });
  const claims = decoded(payload);
  deepEqual(["wallet", "role", "sid"].filter((name) => name in claims), []);
  deepEqual((await node.tokens.verify(token))?.scopes, []);
});

Deno.test("a token that is as it should be passes, so that the refusals below are about what they change", async () => {
  await using node = await Node.start();
  ok(await node.tokens.verify(await forged(node)));
});

const now = 1_800_000_000;
const refusals: Record<string, [claims: JWTPayload, header?: Record<string, unknown>]> = {
  "another issuer": [{ iss: "somebody" }],
  "no issuer": [{ iss: undefined } as never],
  "another audience": [{ aud: "somebody" }],
  "no audience": [{ aud: undefined } as never],
  "an end that is long over": [{ exp: now - 60 }],
  "an end that is this second": [{ exp: now }],
  "no end": [{ exp: undefined } as never],
  "an end in words": [{ exp: "tomorrow" as never }],
  "a beginning that is far away": [{ nbf: now + 61 }],
  "a beginning that is the next second": [{ nbf: now + 1 }],
  "no beginning": [{ nbf: undefined } as never],
  "no time of issue": [{ iat: undefined } as never],
  "no id": [{ jti: undefined } as never],
  "no subject": [{ sub: undefined } as never],
  "no namespace": [{ namespace: undefined }],
  "no word on revocations": [{ rev: undefined }],
  "another type": [{}, { typ: "at+jwt" }],
  "no type": [{}, { typ: undefined }],
  "an unknown key id": [{}, { kid: "somebody" }],
  "no key id": [{}, { kid: undefined }],
  "a key id that is no text": [{}, { kid: 5 as never }],
};

for (const [what, [claims, header]] of Object.entries(refusals)) {
  Deno.test(`verify() refuses a token with ${what}`, async () => {
    await using node = await Node.start();
    equal(await node.tokens.verify(await forged(node, claims, header)), undefined);
  });
}

Deno.test("verify() refuses a critical header that it does not know", async () => {
  await using node = await Node.start();
  const { kid } = node.signingKeys.current();
  const [, payload, signature] = (await forged(node)).split(".");
  const header = base64url(JSON.stringify({ alg: "EdDSA", kid, typ: "JWT", crit: ["x"], x: 1 }));
  equal(await node.tokens.verify(`${header}.${payload}.${signature}`), undefined);
});

Deno.test("verify() refuses none and every other algorithm, with the public key as a secret too", async () => {
  await using node = await Node.start();
  const { kid } = node.signingKeys.current();
  const [, payload] = (await forged(node)).split(".");
  const unsigned = `${base64url(JSON.stringify({ alg: "none", kid, typ: "JWT" }))}.${payload}.`;
  equal(await node.tokens.verify(unsigned), undefined);
  const [jwk] = node.signingKeys.publicJwks();
  for (const secret of [JSON.stringify(jwk), jwk!.x!, Uint8Array.fromBase64(jwk!.x!, { alphabet: "base64url" })]) {
    const signed = `${base64url(JSON.stringify({ alg: "HS256", kid, typ: "JWT" }))}.${payload}`;
    equal(
      await node.tokens.verify(`${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`),
      undefined,
    );
  }
  const { privateKey } = await generateKeyPair("ES256");
  const es256 = await new SignJWT(decoded(payload)).setProtectedHeader({ alg: "ES256", kid, typ: "JWT" }).sign(
    privateKey,
  );
  equal(await node.tokens.verify(es256), undefined);
});

Deno.test("verify() refuses a token of another Ed25519 key that says it is ours", async () => {
  await using node = await Node.start();
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519" });
  const [, payload] = (await forged(node)).split(".");
  const header = { alg: "EdDSA", kid: node.signingKeys.current().kid, typ: "JWT" };
  equal(
    await node.tokens.verify(await new SignJWT(decoded(payload)).setProtectedHeader(header).sign(privateKey)),
    undefined,
  );
});

Deno.test("verify() refuses a token with one character changed, wherever", async () => {
  await using node = await Node.start();
  const token = (await node.tokens.issue(SUBJECT)).accessToken;
  for (let at = 0; at < token.length; at++) {
    // The last character of a part may hold bits that decode to nothing; another spelling of the same bytes is no forgery.
    if (token[at] === "." || token[at + 1] === "." || at === token.length - 1) continue;
    const changed = token.slice(0, at) + (token[at] === "A" ? "B" : "A") + token.slice(at + 1);
    equal(await node.tokens.verify(changed), undefined, `character ${at}`);
  }
});

Deno.test("verify() refuses what is no token at all, without a failure", async () => {
  await using node = await Node.start();
  const { kid } = node.signingKeys.current();
  const header = base64url(JSON.stringify({ alg: "EdDSA", kid, typ: "JWT" }));
  for (
    const text of [
      "",
      ".",
      "..",
      "...",
      "a.b.c",
      `${header}..`,
      `${header}.x.y`,
      `${header}.${base64url("[]")}.${base64url("x")}`,
      `${base64url("null")}.${base64url("{}")}.x`,
      `${base64url("{")}.x.x`,
      "ü.ü.ü",
      "\0.\0.\0",
    ]
  ) equal(await node.tokens.verify(text), undefined, text);
});

Deno.test("verify() looks at no token beyond 4096 characters", async () => {
  await using node = await Node.start();
  const token = await forged(node, { more: "x".repeat(4000) });
  ok(token.length > 4096);
  equal(await node.tokens.verify(token), undefined);
  ok(await node.tokens.verify(await forged(node, { more: "x".repeat(2000) })));
});

Deno.test("clocks of gateways may differ by a minute when a token is new, and at its end each goes by its own", async () => {
  await using node = await Node.start();
  const token = (await node.tokens.issue(SUBJECT)).accessToken;
  node.clock.advance(-60 * SECOND);
  ok(await node.tokens.verify(token));
  node.clock.advance(-1 * SECOND);
  equal(await node.tokens.verify(token), undefined);
  node.clock.advance(61 * SECOND + TOKEN_TTL - 1);
  ok(await node.tokens.verify(token));
  node.clock.advance(1);
  equal(await node.tokens.verify(token), undefined);
});

Deno.test("issue() makes no token that lives longer than what it is made from", async () => {
  await using node = await Node.start();
  const iat = Math.floor(node.clock.time / 1000);
  for (
    const [notAfter, life] of [[Infinity, 900], [node.clock.time + 2 * TOKEN_TTL, 900], [node.clock.time + 1_999, 1], [
      node.clock.time + 999,
      0,
    ], [node.clock.time - 5_000, 0]] as const
  ) {
    const { accessToken, expiresIn } = await node.tokens.issue(SUBJECT, notAfter);
    equal(expiresIn, life, String(notAfter));
    const { exp } = decoded(accessToken.split(".")[1]);
    ok(exp <= iat + life, String(notAfter));
    equal(await node.tokens.verify(accessToken) !== undefined, life > 0);
  }
});

Deno.test("a control plane that cannot tell a token's key is UNAVAILABLE, and no refusal", async () => {
  await using node = await Node.start();
  const token = await forged(node, {}, { kid: "made a moment ago elsewhere" });
  node.clock.advance(2 * SECOND);
  node.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  await rejects(node.tokens.verify(token), code("UNAVAILABLE"));
});
