import { createHmac, generateKeyPairSync } from "node:crypto";
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import {
  createLocalJWKSet,
  exportSPKI,
  importJWK,
  type JWK,
  type JWTHeaderParameters,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from "jose";
import { newOwner, type SignedIn } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { decodeToken, encodePart, stealSigningKey } from "../support/signing_key.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({ driver: "sqlite" });
const { test } = suite;
const whoami = (token: string, headers: Record<string, string> = {}) =>
  suite.gateway.call("GET", "/v1/auth/whoami", { token, headers });

function isRefused(answer: Answer): void {
  equal(answer.status, 401, answer.text);
  equal(answer.get("code"), "INVALID_CREDENTIAL");
  equal(answer.headers.get("www-authenticate"), 'Bearer error="invalid_token"');
}

/** Refused wherever it is put. */
async function isWorthless(token: string): Promise<void> {
  isRefused(await whoami(token));
  isRefused(await suite.gateway.call("GET", `/v1/auth/whoami?token=${encodeURIComponent(token)}`));
}

/** The claims of a live token, changed. */
function changed({ accessToken }: SignedIn, change: JWTPayload): JWTPayload {
  return { ...decodeToken(accessToken).claims, ...change };
}

test("a token says who it is for, and holds no key", async () => {
  await using owner = await newOwner(suite.gateway);
  const { header, claims } = decodeToken(owner.accessToken);
  equal(header.alg, "EdDSA");
  equal(header.typ, "JWT");
  equal(claims.iss, "orama-gateway");
  equal(claims.aud, "gateway");
  equal(claims.sub, owner.wallet.address);
  equal(claims.namespace, owner.namespace);
  match(String(claims.jti), /^[0-9a-f]{32}$/);
  equal(claims.exp! - claims.iat!, 900);
  equal(JSON.stringify(claims).includes("ak_"), false);
});

test("anyone can check a token with the published keys", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const path of ["/v1/auth/jwks", "/.well-known/jwks.json"]) {
    const keys = (await suite.gateway.call("GET", path)).expect(200);
    for (const key of keys.list("keys")) {
      deepEqual(Object.keys(key).filter((name) => ["d", "p", "q"].includes(name)), []);
    }
    const set = createLocalJWKSet(JSON.parse(keys.text));
    const { payload } = await jwtVerify(owner.accessToken, set, { issuer: "orama-gateway", audience: "gateway" });
    equal(payload.namespace, owner.namespace);
  }
});

test("a token whose signature or claims were touched is refused", async () => {
  await using owner = await newOwner(suite.gateway);
  const [header = "", claims = "", signature = ""] = owner.accessToken.split(".");
  const otherClaims = encodePart(changed(owner, { namespace: "default" }));
  const flipped = (signature[0] === "A" ? "B" : "A") + signature.slice(1);
  for (
    const token of [
      `${header}.${otherClaims}.${signature}`,
      `${header}.${claims}.${flipped}`,
      `${header}.${claims}.`,
      `${header}..${signature}`,
      `.${claims}.${signature}`,
      `${header}.${claims}.${signature.slice(0, -4)}`,
      `${header}.${claims}.${signature}A`,
      "..",
      "a.b.c",
      `${encodePart("text")}.${encodePart([])}.${signature}`,
    ]
  ) await isWorthless(token);
});

test("a token without a signature is refused, however its algorithm is spelled", async () => {
  await using owner = await newOwner(suite.gateway);
  const [, claims = "", signature = ""] = owner.accessToken.split(".");
  const { header } = decodeToken(owner.accessToken);
  for (const alg of ["none", "None", "NONE", "nOnE", "", undefined, null, "Ed25519ph", ["EdDSA"]]) {
    const unsigned = encodePart({ ...header, alg });
    for (const token of [`${unsigned}.${claims}.`, `${unsigned}.${claims}.${signature}`]) await isWorthless(token);
  }
});

test("the public key is no secret to sign with", async () => {
  await using owner = await newOwner(suite.gateway);
  const { publicJwk, kid } = await stealSigningKey(suite.gateway.dataFolder);
  const pem = await exportSPKI(await importJWK(publicJwk, "EdDSA") as CryptoKey);
  const raw = Uint8Array.fromBase64(publicJwk.x!, { alphabet: "base64url" });
  const secrets = [
    new TextEncoder().encode(pem),
    raw,
    new TextEncoder().encode(publicJwk.x),
    new TextEncoder().encode(JSON.stringify(publicJwk)),
  ];
  for (const alg of ["HS256", "HS512"]) {
    const signed = `${encodePart({ alg, kid, typ: "JWT" })}.${encodePart(changed(owner, {}))}`;
    for (const secret of secrets) {
      const mac = createHmac(alg === "HS256" ? "sha256" : "sha512", secret).update(signed).digest();
      await isWorthless(`${signed}.${new Uint8Array(mac).toBase64({ alphabet: "base64url", omitPadding: true })}`);
    }
  }
});

test("a token of somebody else's key is refused, also when it names ours or brings its own", async () => {
  await using owner = await newOwner(suite.gateway);
  const { kid } = await stealSigningKey(suite.gateway.dataFolder);
  const pairs = [["EdDSA", generateKeyPairSync("ed25519")], [
    "RS256",
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ]] as const;
  for (const [alg, { privateKey, publicKey }] of pairs) {
    const jwk = publicKey.export({ format: "jwk" }) as JWK;
    const headers: Partial<JWTHeaderParameters>[] = [{ kid }, { kid: "unknown" }, {}, { kid, jwk }, { kid: "", jwk }, {
      kid: "../../root.key",
    }];
    for (const header of headers) {
      const token = new SignJWT(changed(owner, {})).setProtectedHeader({ alg, typ: "JWT", ...header });
      await isWorthless(await token.sign(privateKey));
    }
  }
});

test("a token of another issuer, audience, time or type is refused though our key signed it", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = await stealSigningKey(suite.gateway.dataFolder);
  (await whoami(await key.sign(changed(owner, {})))).expect(200);
  const now = Math.floor(Date.now() / 1000);
  const wrong: JWTPayload[] = [
    { iss: "debros-gateway" },
    { iss: "" },
    { iss: ["orama-gateway"] as unknown as string },
    { aud: "other" },
    { aud: [] },
    { exp: now - 61, iat: now - 1000, nbf: now - 1000 },
    { exp: 0 },
    { exp: String(now + 900) as unknown as number },
    { nbf: now + 120 },
  ];
  for (const change of wrong) isRefused(await whoami(await key.sign(changed(owner, change))));
  for (const header of [{ typ: "at+jwt" }, { typ: "" }]) {
    isRefused(await whoami(await key.sign(changed(owner, {}), header)));
  }
});

test("a token that lacks a claim is refused", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = await stealSigningKey(suite.gateway.dataFolder);
  for (const claim of ["iss", "aud", "sub", "jti", "iat", "nbf", "exp", "namespace"]) {
    const { [claim]: _, ...claims } = changed(owner, {});
    isRefused(await whoami(await key.sign(claims)));
  }
});

test("a token is good from its beginning to its end, exactly, and begins a minute before its issue: clocks differ", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = await stealSigningKey(suite.gateway.dataFolder);
  const now = Math.floor(Date.now() / 1000);
  const { iat, nbf } = decodeToken(owner.accessToken).claims;
  equal(iat! - nbf!, 60);
  const described = (await whoami(owner.accessToken)).expect(200);
  deepEqual([described.get("issued_at"), described.get("not_before")], [iat, nbf]);
  (await whoami(await key.sign(changed(owner, { iat: now + 59, nbf: now - 1 })))).expect(200);
  for (const change of [{ nbf: now + 30 }, { exp: now }, { exp: now - 1 }]) {
    isRefused(await whoami(await key.sign(changed(owner, change))));
  }
});

test("a token made from a key that ends soon ends with it, and says so", async () => {
  await using owner = await newOwner(suite.gateway);
  const end = Math.floor(Date.now() / 1000) + 120;
  const made = await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "short", scopes: null, expires_at: new Date(end * 1000).toISOString() },
  });
  const answer = await suite.gateway.call("POST", "/v1/auth/token", { key: made.expect(201).string("api_key") });
  const { exp, iat } = decodeToken(answer.expect(200).string("access_token")).claims;
  deepEqual([exp, answer.get("expires_in")], [end, exp! - iat!]);
});

test("a token that is too long is refused, however good", async () => {
  await using owner = await newOwner(suite.gateway);
  const key = await stealSigningKey(suite.gateway.dataFolder);
  isRefused(await whoami(await key.sign(changed(owner, { padding: "x".repeat(8 * 1024) }))));
});

test("a token has no more rights than its scopes", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = await suite.gateway.call("POST", "/v1/auth/keys", {
    token: owner.accessToken,
    body: { name: "narrow", scopes: ["cache:read"] },
  });
  const answer = await suite.gateway.call("POST", "/v1/auth/token", { key: made.expect(201).string("api_key") });
  const token = answer.expect(200).string("access_token");
  equal(decodeToken(token).claims.scope, "cache:read");
  equal(decodeToken(token).claims.sub, `key:${made.string("id")}`);
  equal((await suite.gateway.call("GET", "/v1/auth/keys", { token })).expect(403).get("code"), "INSUFFICIENT_SCOPE");
});

test("a token works in a query, as token and as jwt, for browsers' WebSockets", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const name of ["token", "jwt"]) {
    const answer = await suite.gateway.call("GET", `/v1/auth/whoami?${name}=${owner.accessToken}`);
    equal(answer.expect(200).get("method"), "jwt");
  }
});

test("a bad token gives way to a good key, wherever the key stands", async () => {
  await using owner = await newOwner(suite.gateway);
  const bad = owner.accessToken.slice(0, -6) + "AAAAAA";
  const beside = await whoami(bad, { "x-api-key": owner.apiKey });
  equal(beside.expect(200).get("method"), "api_key");
  const inQuery = await suite.gateway.call("GET", `/v1/auth/whoami?api_key=${owner.apiKey}`, { token: bad });
  equal(inQuery.expect(200).get("method"), "api_key");
});

test("a good token wins over a key, good or bad", async () => {
  await using owner = await newOwner(suite.gateway);
  for (const key of [owner.apiKey, "ak_garbage"]) {
    equal((await whoami(owner.accessToken, { "x-api-key": key })).expect(200).get("method"), "jwt");
  }
});

test("tokens, sessions and keys outlive a restart", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using before = await TestGateway.start({ driver: "sqlite", folder });
    await using owner = await newOwner(before);
    const keys = (await before.call("GET", "/v1/auth/jwks")).text;
    equal(await before.stop(), 0);
    await using after = await TestGateway.start({ driver: "sqlite", folder });
    notEqual(after.url, before.url);
    equal((await after.call("GET", "/v1/auth/jwks")).text, keys);
    (await after.call("GET", "/v1/auth/whoami", { token: owner.accessToken })).expect(200);
    (await after.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).expect(200);
    (await after.call("POST", "/v1/auth/refresh", { body: { refresh_token: owner.refreshToken } })).expect(200);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("a token of a gateway with another name is refused, on the same keys", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using before = await TestGateway.start({ driver: "sqlite", folder, config: { auth: { issuer: "one" } } });
    await using owner = await newOwner(before);
    await before.stop();
    for (const auth of [{ issuer: "two" }, { issuer: "one", audience: "another" }]) {
      await using after = await TestGateway.start({ driver: "sqlite", folder, config: { auth } });
      isRefused(await after.call("GET", "/v1/auth/whoami", { token: owner.accessToken }));
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("token needs a key, and says what is missing as it always did", async () => {
  await using owner = await newOwner(suite.gateway);
  const exchange = (options: Parameters<typeof suite.gateway.call>[2]) =>
    suite.gateway.call("POST", "/v1/auth/token", options);
  const none = await exchange({});
  equal(none.expect(401).get("error"), "missing API key");
  const tokenAlone = await exchange({ token: owner.accessToken });
  equal(tokenAlone.expect(401).get("error"), "missing API key");
  const unknown = await exchange({
    token: owner.accessToken,
    headers: { "x-api-key": "ak_AAAAAAAAAAAAAAAAAAAAAAAA:default" },
  });
  equal(unknown.expect(401).get("code"), "INVALID_CREDENTIAL");
  const twice = { token: owner.accessToken, headers: { "x-api-key": owner.accessToken } };
  equal((await exchange(twice)).expect(401).get("error"), "invalid API key", "a token is no key, though it is known");
  const both = await exchange({ token: owner.accessToken, headers: { "x-api-key": owner.apiKey } });
  equal(both.expect(200).get("namespace"), owner.namespace);
  ok(!both.text.includes(owner.apiKey));
});
