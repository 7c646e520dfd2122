import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { challenge, newOwner, proof, signIn, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet, solanaWallet, type TestWallet } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const WALLETS: readonly [string, () => TestWallet][] = [["ETH", ethereumWallet], ["SOL", solanaWallet]];
const checksummed = (address: string) =>
  address.replace(/[a-f]/g, (letter) => letter.toUpperCase()).replace("0X", "0x");

test("the wallets of these tests sign as the wire format's vectors say", () => {
  const nonce = "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw";
  const ethereum = ethereumWallet(new Uint8Array(32).fill(0x11)), solana = solanaWallet(new Uint8Array(32).fill(0x22));
  equal(ethereum.address, "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A".toLowerCase());
  equal(
    ethereum.sign(nonce),
    "0x10ed907818944bbfb13dd2c594d5d247d7bba8a7d63de2d171613d1ab0b91820703b322700d3cb5e9207f1a460ad80fbaaffd43a4b0aef0fd60d0c8590410cff1b",
  );
  equal(solana.address, "Bow1CGKGDB9mNxeWdw85E2aCthQ1oZX4oFEe7fYT17ew");
  equal(
    solana.sign(nonce),
    "+o5HYpLcAzsKVjNehESP5THLul3TmM3vW+BaXImgyTmA3A4K7WnBUwxIlVuHjtSlFRZGW9FEx5WXZW2r6KxQCA==",
  );
});

test("a challenge has the members that clients read, and echoes what they sent", async () => {
  const wallet = ethereumWallet();
  const spelled = checksummed(wallet.address);
  const body = { wallet: spelled, namespace: "some-name", purpose: "authentication" };
  const answer = (await suite.gateway.call("POST", "/v1/auth/challenge", { body })).expect(200);
  equal(answer.get("wallet"), spelled);
  equal(answer.get("namespace"), "some-name");
  equal(answer.get("purpose"), "authentication");
  match(answer.string("nonce"), /^[A-Za-z0-9]{43}$/);
  const life = Date.parse(answer.string("expires_at")) - Date.now();
  ok(life > 4 * 60_000 && life < 6 * 60_000, `lives ${life} ms`);
  match(answer.string("expires_at"), /Z$/);
  equal(answer.headers.get("cache-control"), "no-store");
});

test("a challenge for a blank namespace echoes it blank", async () => {
  for (const namespace of ["", "  "]) {
    const body = { wallet: ethereumWallet().address, namespace };
    equal((await suite.gateway.call("POST", "/v1/auth/challenge", { body })).expect(200).get("namespace"), namespace);
  }
});

test("null in a field that may be left out is the same as leaving it out", async () => {
  await using owner = await newOwner(suite.gateway);
  const { wallet, namespace, accessToken: token } = owner;
  const post = (path: string, body: unknown) => suite.gateway.call("POST", `/v1/auth/${path}`, { token, body });
  const asked = { purpose: null, namespace: null, chain_type: null, chain_id: null };
  const open = (await post("challenge", { wallet: wallet.address, ...asked })).expect(200);
  deepEqual([open.get("namespace"), open.get("purpose")], ["", ""], "echoed as when they are left out");
  const bare = { message: null, chain_type: null, purpose: null };
  for (const form of ["nonce", "message"] as const) {
    const none = form === "nonce" ? bare : { wallet: null, nonce: null, namespace: null, ...bare, message: undefined };
    const proved = async (purpose?: string) => ({
      ...none,
      ...await proof(suite.gateway, wallet, namespace, { form, ...(purpose && { purpose }) }),
      ...(form === "nonce" && { chain_type: null }),
    });
    (await post("verify", await proved())).expect(200);
    equal((await post("api-key", { ...await proved(), plan: null })).expect(200).get("plan"), "free");
    equal((await post("register", { ...await proved(), name: null })).expect(201).get("app.name"), "");
  }
  const made = (await post("keys", { name: "k", scopes: null, expires_at: null })).expect(201);
  deepEqual([made.get("scopes"), made.get("expires_at")], [null, null]);
  (await post("refresh", { refresh_token: owner.refreshToken, namespace: null })).expect(200);
});

test("null in a field that is needed is refused, and named", async () => {
  const bodies: readonly [string, Record<string, unknown>, string][] = [
    ["challenge", { wallet: null }, "wallet"],
    ["verify", { wallet: "0x" + "a".repeat(40), nonce: "n", signature: null }, "signature"],
    ["verify", { wallet: null, nonce: null, message: null, signature: "s" }, "wallet"],
    ["login/token", { code: null, code_verifier: "v".repeat(43), callback: "https://app.example/" }, "code"],
  ];
  for (const [path, body, field] of bodies) {
    equal((await suite.gateway.call("POST", `/v1/auth/${path}`, { body })).expect(400).get("details.0.field"), field);
  }
});

test("two challenges never have the same nonce", async () => {
  const wallet = ethereumWallet();
  const [one, two] = await Promise.all([challenge(suite.gateway, wallet, "a"), challenge(suite.gateway, wallet, "a")]);
  notEqual(one.string("nonce"), two.string("nonce"));
});

for (const [chain, make] of WALLETS) {
  for (const form of ["nonce", "message"] as const) {
    test(`${chain}: a signed ${form} gives tokens and the wallet's key`, async () => {
      const wallet = make(), namespace = uniqueName();
      await using owner = await newOwner(suite.gateway, namespace, wallet);
      const answer = (await tryToSignIn(suite.gateway, wallet, namespace, form)).expect(200);
      equal(
        answer.get("subject"),
        wallet.address.startsWith("0x") && form === "message" ? answer.get("subject") : wallet.address,
      );
      equal(answer.string("subject").toLowerCase(), wallet.address.toLowerCase());
      equal(answer.get("namespace"), namespace);
      equal(answer.get("token_type"), "Bearer");
      equal(answer.get("signature_verified"), true);
      equal(answer.get("role"), "owner");
      equal(answer.get("token"), answer.get("access_token"));
      equal(answer.get("expires_in"), 900);
      equal(answer.get("api_key"), owner.apiKey);
      match(answer.string("api_key"), /^ak_[A-Za-z0-9_-]{24}:[^:]+$/);
      ok(answer.string("api_key").endsWith(`:${namespace}`));
      match(answer.string("refresh_token"), /^[A-Za-z0-9_-]{43}$/);
      equal(answer.headers.get("cache-control"), "no-store");
    });
  }
}

test("an Ethereum signature with v as 0 or 1 is the same signature", async () => {
  const wallet = ethereumWallet();
  const body = await proof(suite.gateway, wallet, uniqueName());
  const signature = String(body.signature);
  const v = (parseInt(signature.slice(-2), 16) - 27).toString(16).padStart(2, "0");
  const sent = { ...body, signature: signature.slice(2, -2) + v };
  await using _owner = await newOwner(suite.gateway, String(body.namespace), wallet);
  (await suite.gateway.call("POST", "/v1/auth/verify", { body: sent })).expect(200);
});

test("chain_type is taken in any letter case", async () => {
  const wallet = solanaWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const body = { ...await proof(suite.gateway, wallet, owner.namespace), chain_type: "sol" };
  (await suite.gateway.call("POST", "/v1/auth/verify", { body })).expect(200);
});

test("a wallet in another letter case is the same wallet, with the same key and namespace", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  for (const address of [checksummed(wallet.address), wallet.address.slice(2)]) {
    const other = { ...wallet, address };
    const answer = (await tryToSignIn(suite.gateway, other, owner.namespace)).expect(200);
    equal(answer.get("subject"), address);
    equal(answer.get("api_key"), owner.apiKey);
    equal(answer.get("role"), "owner");
    const path = `/v1/namespaces/${owner.namespace}`;
    (await suite.gateway.call("GET", path, { token: answer.string("access_token") })).expect(200);
  }
});

test("a Solana wallet's letters keep their case", async () => {
  const wallet = solanaWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const members = await suite.gateway.call("GET", `/v1/namespaces/${owner.namespace}/members`, {
    token: owner.accessToken,
  });
  equal(members.expect(200).get("members.0.wallet"), wallet.address);
});

test("api-key gives the wallet's one key of the namespace, without tokens", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  for (const purpose of ["authentication", "api_key_generation"]) {
    const body = { ...await proof(suite.gateway, wallet, owner.namespace, { purpose }), plan: "pro" };
    const answer = (await suite.gateway.call("POST", "/v1/auth/api-key", { body })).expect(200);
    deepEqual(answer.body, {
      api_key: owner.apiKey,
      namespace: owner.namespace,
      wallet: wallet.address.slice(2),
      plan: "pro",
    });
  }
  const body = await proof(suite.gateway, wallet, owner.namespace);
  equal((await suite.gateway.call("POST", "/v1/auth/api-key", { body })).expect(200).get("plan"), "free");
});

test("register answers 201 with an application of the wallet", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const body = { ...await proof(suite.gateway, wallet, owner.namespace, { purpose: "registration" }), name: "my app" };
  const answer = (await suite.gateway.call("POST", "/v1/auth/register", { body })).expect(201);
  equal(answer.get("signature_verified"), true);
  match(answer.string("client_id"), /^app_/);
  deepEqual(answer.get("app"), {
    app_id: answer.get("client_id"),
    name: "my app",
    namespace: owner.namespace,
    wallet: wallet.address,
  });
});

test("whoami tells a key's holder who it is, and never the key", async () => {
  await using owner = await newOwner(suite.gateway);
  const answer = (await suite.gateway.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).expect(200);
  equal(answer.get("authenticated"), true);
  equal(answer.get("method"), "api_key");
  equal(answer.get("namespace"), owner.namespace);
  ok(!answer.text.includes(owner.apiKey) && !answer.text.includes(owner.apiKey.slice(3, 27)), answer.text);
});

test("whoami tells a token's holder subject, namespace and times", async () => {
  await using owner = await newOwner(suite.gateway);
  const answer = (await suite.gateway.call("GET", "/v1/auth/whoami", { token: owner.accessToken })).expect(200);
  equal(answer.get("authenticated"), true);
  equal(answer.get("method"), "jwt");
  equal(answer.get("subject"), owner.wallet.address);
  equal(answer.get("namespace"), owner.namespace);
  equal(answer.get("role"), "owner");
  equal(Number(answer.get("expires_at")) - Number(answer.get("issued_at")), 900);
  equal(answer.get("not_before"), Number(answer.get("issued_at")) - 60, "clocks differ");
  ok(Math.abs(Number(answer.get("issued_at")) - Date.now() / 1000) < 60);
});

test("a key is taken from every place of the wire format", async () => {
  await using owner = await newOwner(suite.gateway);
  const { apiKey } = owner;
  const places: Record<string, string>[] = [
    { "x-api-key": apiKey },
    { "x-api-key": `  ${apiKey} ` },
    { "x-api-key": apiKey, authorization: "Bearer something-else" },
    { authorization: `Bearer ${apiKey}` },
    { authorization: `bEARER ${apiKey}` },
    { authorization: `ApiKey ${apiKey}` },
    { authorization: apiKey },
  ];
  for (const headers of places) {
    equal(
      (await suite.gateway.call("GET", "/v1/auth/whoami", { headers })).status,
      200,
      JSON.stringify(Object.keys(headers)),
    );
  }
  for (const query of [`api_key=${apiKey}`, `token=${apiKey}`, `api_key=${encodeURIComponent(apiKey)}`]) {
    equal((await suite.gateway.call("GET", `/v1/auth/whoami?${query}`)).status, 200);
  }
});

test("a wallet gets one key for each namespace", async () => {
  const wallet = ethereumWallet();
  await using one = await newOwner(suite.gateway, uniqueName(), wallet);
  await using two = await newOwner(suite.gateway, uniqueName(), wallet);
  notEqual(one.apiKey, two.apiKey);
  equal((await signIn(suite.gateway, wallet, one.namespace)).apiKey, one.apiKey);
}, { namespaces: 2 });

Deno.test({
  name: "the key that these tests were given is good",
  ignore: !Deno.env.has("TEST_API_KEY"),
  async fn() {
    const key = await suite.gateway.defaultKey();
    equal((await suite.gateway.call("GET", "/v1/auth/whoami", { key })).expect(200).get("authenticated"), true);
  },
});
