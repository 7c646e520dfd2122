import { deepEqual, equal } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { challenge, newOwner, proof, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite({
  config: {
    auth: {
      nonce_ttl: "1s",
      sign_in: { origins: ["https://app.example"], chain_ids: [1, 8453], statement: "Welcome to the tests." },
    },
  },
});
const { test } = suite;
const ownerOfDefault = ethereumWallet();

test("a signature that comes after the challenge's end is refused", async () => {
  const wallet = ethereumWallet();
  const asked = await challenge(suite.gateway, wallet, uniqueName());
  const nonce = asked.string("nonce"), message = asked.string("message");
  const end = Date.parse(asked.string("expires_at"));
  await until("the challenge has expired", () => Date.now() > end);
  for (
    const body of [
      { wallet: wallet.address, nonce, signature: wallet.sign(nonce), namespace: asked.string("namespace") },
      { message, signature: wallet.sign(message) },
    ]
  ) equal((await suite.gateway.call("POST", "/v1/auth/verify", { body })).expect(401).get("code"), "SIGNATURE_INVALID");
});

test("the message of a challenge says what is configured, and the namespace it is for", async () => {
  const namespace = uniqueName();
  const message = (await challenge(suite.gateway, ethereumWallet(), namespace)).string("message");
  const { host } = new URL(suite.gateway.url);
  for (
    const line of [
      `URI: ${suite.gateway.url}`,
      "Version: 1",
      "Chain ID: 1",
      "Welcome to the tests.",
      `- urn:orama:namespace:${namespace}`,
    ]
  ) {
    equal(message.split("\n").includes(line), true, `${line} in\n${message}`);
  }
  equal(message.split(" ")[0], host);
});

test("a host that the client invents gets into no message", async () => {
  const body = { wallet: ethereumWallet().address };
  const headers = {
    origin: "https://evil.example",
    "x-forwarded-host": "evil.example",
    forwarded: "host=evil.example",
  };
  const answer = await suite.gateway.call("POST", "/v1/auth/challenge", { body, headers });
  equal(answer.expect(200).text.includes("evil.example"), false);
});

test("a trusted application's page signs in under its own name", async () => {
  const wallet = ethereumWallet(), namespace = uniqueName();
  const body = { wallet: wallet.address, namespace };
  const asked = await suite.gateway.call("POST", "/v1/auth/challenge", {
    body,
    headers: { origin: "https://app.example" },
  });
  const message = asked.string("message");
  equal(message.split(" ")[0], "app.example");
  const answer = await suite.gateway.call("POST", "/v1/auth/verify", {
    body: { message, signature: wallet.sign(message) },
  });
  await using _owner = await newOwner(suite.gateway, namespace, wallet);
  equal(answer.expect(200).get("namespace"), namespace);
});

test("a chain of the configuration can be asked for, and no other signs in", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  for (const [chain, status] of [[8453, 200], [424242, 401]] as const) {
    const body = { wallet: wallet.address, namespace: owner.namespace, chain_id: chain };
    const message = (await suite.gateway.call("POST", "/v1/auth/challenge", { body })).expect(200).string("message");
    const proved = { message, signature: wallet.sign(message) };
    (await suite.gateway.call("POST", "/v1/auth/verify", { body: proved })).expect(status);
  }
});

test("without development, nobody gets a key without a signature", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  for (const namespace of [owner.namespace, uniqueName(), undefined]) {
    const body = { wallet: wallet.address, namespace };
    const answer = (await suite.gateway.call("POST", "/v1/auth/simple-key", { body })).expect(404);
    equal(answer.text.includes("ak_"), false);
  }
});

test("the namespace default belongs to its first wallet like any other", async () => {
  await using owner = await newOwner(suite.gateway, "default", ownerOfDefault);
  equal(owner.role, "owner");
  equal((await tryToSignIn(suite.gateway, ethereumWallet(), "default")).status, 403);
  const blank = await proof(suite.gateway, ethereumWallet(), "");
  equal((await suite.gateway.call("POST", "/v1/auth/verify", { body: blank })).status, 403);
});

test("a blank namespace is default in the credentials, and echoed blank", async () => {
  await using _owner = await newOwner(suite.gateway, "default", ownerOfDefault);
  const { namespace: _, ...body } = await proof(suite.gateway, ownerOfDefault, "");
  for (const namespace of ["", undefined]) {
    const fresh = namespace === "" ? await proof(suite.gateway, ownerOfDefault, "") : body;
    const answer = (await suite.gateway.call("POST", "/v1/auth/verify", { body: { ...fresh, namespace } })).expect(200);
    equal(answer.get("namespace"), "");
    equal(answer.string("api_key").endsWith(":default"), true);
    const who = await suite.gateway.call("GET", "/v1/auth/whoami", { token: answer.string("access_token") });
    equal(who.get("namespace"), "default");
  }
});

Deno.test({
  name: "of two uses of one signature at once on two gateways, one wins",
  ignore: chosenDriver() === "sqlite" || Deno.env.has("TEST_BASE_URL"),
  async fn() {
    await using second = await suite.gateway.twin();
    const wallet = ethereumWallet();
    await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
    for (let round = 0; round < 5; round++) {
      const body = await proof(suite.gateway, wallet, owner.namespace);
      const both = [suite.gateway, second, suite.gateway, second];
      const answers = await Promise.all(both.map((gateway) => gateway.call("POST", "/v1/auth/verify", { body })));
      deepEqual(answers.map(({ status }) => status).sort(), [200, 401, 401, 401]);
    }
  },
});
