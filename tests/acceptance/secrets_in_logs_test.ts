import { createHash } from "node:crypto";
import { equal, ok } from "node:assert/strict";
import { challenge, newOwner, proof, uniqueName } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { assertNoSecrets, gatewaySuite } from "../support/suite.ts";
import { ethereumWallet, solanaWallet } from "../support/wallet.ts";

const CALLBACK = "https://app.example/callback";
const config = { auth: { login: { callbacks: [CALLBACK] } } };
const suite = gatewaySuite({ driver: "sqlite", config });
const { test } = suite;

/** Everything that brings or gets a secret, done rightly and wrongly. The client's book notes each of them. */
async function useEverySecret(gateway: TestGateway): Promise<void> {
  await using owner = await newOwner(gateway);
  const { namespace, accessToken: token, apiKey: key, refreshToken } = owner;
  const solana = solanaWallet();
  await gateway.call("POST", "/v1/auth/verify", { body: await proof(gateway, solana, namespace) });
  await gateway.call("POST", "/v1/auth/verify", {
    body: await proof(gateway, ethereumWallet(), namespace, { form: "message" }),
  });
  const named = await gateway.call("POST", "/v1/auth/keys", {
    token,
    body: { name: "x", scopes: ["namespace:admin"] },
  });
  await gateway.call("POST", `/v1/auth/keys/${named.string("id")}/rotate`, { token });
  const verifier = "v".repeat(20) + crypto.randomUUID();
  gateway.secrets.note(verifier);
  const code_challenge = createHash("sha256").update(verifier).digest("base64url");
  const login = {
    ...await proof(gateway, owner.wallet, namespace),
    callback: CALLBACK,
    code_challenge,
    code_challenge_method: "S256",
  };
  const code = (await gateway.call("POST", "/v1/auth/login/code", { body: login })).expect(200).string("code");
  const redeem = { code, code_verifier: verifier, callback: CALLBACK };
  (await gateway.call("POST", "/v1/auth/login/token", { body: redeem })).expect(200);
  (await gateway.call("POST", "/v1/auth/login/token", { body: redeem })).expect(401);
  const refreshed = await gateway.call("POST", "/v1/auth/refresh", { body: { refresh_token: refreshToken } });
  const secrets = [key, token, refreshToken, refreshed.string("refresh_token"), code, verifier];
  for (const secret of secrets) await bringAround(gateway, secret);
  const bare = (await challenge(gateway, owner.wallet, namespace)).string("nonce");
  for (const secret of [bare, owner.wallet.sign(bare)]) await bringAround(gateway, secret);
}

/** Puts a secret into every corner of a request where a client may put it by mistake. */
async function bringAround(gateway: TestGateway, secret: string): Promise<void> {
  gateway.secrets.note(secret);
  const quoted = encodeURIComponent(secret);
  const places: readonly [string, string, Parameters<typeof gateway.call>[2]?][] = [
    ["GET", `/v1/auth/whoami?api_key=${quoted}`],
    ["GET", `/v1/auth/whoami?token=${quoted}`],
    ["GET", `//v1/auth/whoami?token=${quoted}`],
    ["GET", `/unknown?refresh_token=${quoted}`],
    ["GET", `/v1/auth/login?callback=https://evil.example/${quoted}`],
    ["GET", "/v1/auth/whoami", { headers: { authorization: secret } }],
    ["GET", "/v1/auth/whoami", { headers: { authorization: `Bearer ${secret}` } }],
    ["GET", "/v1/auth/whoami", { headers: { authorization: `Basic ${secret}` } }],
    ["GET", "/v1/auth/whoami", { headers: { "x-api-key": secret } }],
    ["GET", "/unknown", { headers: { cookie: `token=${secret}`, "user-agent": secret, traceparent: secret } }],
    ["POST", "/v1/auth/challenge", { raw: secret }],
    ["POST", "/v1/auth/challenge", { raw: `{"wallet":${secret}` }],
    ["POST", "/v1/auth/challenge", { raw: `${secret}{` }],
    ["POST", "/v1/auth/challenge", { body: { wallet: secret } }],
    ["POST", "/v1/auth/verify", { body: { wallet: secret, nonce: secret, signature: secret, namespace: secret } }],
    ["POST", "/v1/auth/verify", { body: { message: secret, signature: secret } }],
    ["POST", "/v1/auth/refresh", { body: { refresh_token: secret } }],
    ["POST", "/v1/auth/refresh", { body: { refresh_token: [secret] } }],
    ["POST", "/v1/auth/logout", { body: { refresh_token: secret, all: secret } }],
    ["POST", "/v1/auth/login/token", { body: { code: secret, code_verifier: secret, callback: secret } }],
  ];
  for (const [method, path, options] of places) {
    const answer = await gateway.call(method, path, options);
    ok(answer.status < 500, `${method} ${path}: ${answer.text}`);
  }
}

test("no secret of a full run is in the log, however it was brought", async () => {
  await useEverySecret(suite.gateway);
  suite.gateway.secrets.note((await Deno.readTextFile(`${suite.gateway.dataFolder}/root.key`)).trim());
  ok(suite.gateway.secrets.size > 20, `${suite.gateway.secrets.size} secrets`);
  await suite.gateway.call("GET", "/v1/version", { headers: { "x-request-id": "the-last-one" } });
  assertNoSecrets(suite.gateway.secrets, suite.gateway.log());
});

test("nor in a log for eyes", async () => {
  const log = { level: "trace", format: "text" };
  await using gateway = await TestGateway.start({ driver: "sqlite", config: { ...config, log } });
  await useEverySecret(gateway);
  await gateway.stop();
  assertNoSecrets(gateway.secrets, gateway.log());
  ok(gateway.log().split("\n").length > 100);
});

test("keys, tokens and refresh tokens are kept as hashes alone", async () => {
  const owner = await newOwner(suite.gateway);
  const refreshed = await suite.gateway.call("POST", "/v1/auth/refresh", {
    body: { refresh_token: owner.refreshToken },
  });
  const secrets = [owner.apiKey.slice(3, 27), owner.accessToken, owner.refreshToken, refreshed.string("refresh_token")];
  const names = [...Deno.readDirSync(suite.gateway.dataFolder)].map(({ name }) => name).filter((name) =>
    name.startsWith("control")
  );
  const texts = names.map((name) =>
    new TextDecoder("latin1").decode(Deno.readFileSync(`${suite.gateway.dataFolder}/${name}`))
  );
  ok(texts.some((text) => text.includes(owner.namespace)), "the files hold what they should");
  for (const text of texts) for (const secret of secrets) equal(text.includes(secret), false);
});

test("nor in what a client is told of a failure", async () => {
  const { apiKey } = await newOwner(suite.gateway, uniqueName());
  for (const options of [{ key: apiKey + "x" }, { headers: { authorization: `Bearer ${apiKey}x` } }]) {
    const answer = await suite.gateway.call("GET", "/v1/auth/whoami", options);
    equal(answer.expect(401).text.includes(apiKey.slice(3, 20)), false);
  }
});
