import { deepEqual, equal, ok } from "node:assert/strict";
import { challenge, newOwner, proof, uniqueName } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { anyGatewaySuite } from "../support/suite.ts";
import { ethereumWallet, solanaWallet, withHighS } from "../support/wallet.ts";

const suite = anyGatewaySuite();
const { test } = suite;
const verify = (body: unknown) => suite.gateway.call("POST", "/v1/auth/verify", { body });

/** One answer for all that does not hold: it must not tell an attacker how far it came. */
function isRefused(answer: Answer): void {
  equal(answer.status, 401, answer.text);
  equal(answer.get("error"), "signature verification failed");
  equal(answer.get("code"), "SIGNATURE_INVALID");
  equal(answer.get("details"), undefined);
}

for (const form of ["nonce", "message"] as const) {
  test(`a signed ${form} signs in once`, async () => {
    const wallet = ethereumWallet();
    await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
    const body = await proof(suite.gateway, wallet, owner.namespace, { form });
    (await verify(body)).expect(200);
    isRefused(await verify(body));
    for (const path of ["/v1/auth/api-key", "/v1/auth/register"]) {
      isRefused(await suite.gateway.call("POST", path, { body }));
    }
  });

  test(`of many uses of one signed ${form} at once, one wins`, async () => {
    const wallet = ethereumWallet();
    await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
    const body = await proof(suite.gateway, wallet, owner.namespace, { form });
    const answers = await Promise.all(Array.from({ length: 12 }, () => verify(body)));
    equal(answers.filter(({ status }) => status === 200).length, 1);
    equal(answers.filter(({ status }) => status === 401).length, 11);
  });
}

test("the nonce form and the message form of one challenge share its one use", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const asked = await challenge(suite.gateway, wallet, owner.namespace);
  const nonce = asked.string("nonce"), message = asked.string("message");
  (await verify({ message, signature: wallet.sign(message) })).expect(200);
  isRefused(await verify({ wallet: wallet.address, nonce, signature: wallet.sign(nonce), namespace: owner.namespace }));
});

test("a signature is not used up by a wrong one before it", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const body = await proof(suite.gateway, wallet, owner.namespace);
  isRefused(await verify({ ...body, signature: ethereumWallet().sign(String(body.nonce)) }));
  (await verify(body)).expect(200);
});

test("a nonce is good for its wallet, namespace and purpose alone", async () => {
  const wallet = ethereumWallet(), other = ethereumWallet();
  const namespace = uniqueName();
  const asked = (await challenge(suite.gateway, wallet, namespace)).string("nonce");
  const body = { wallet: wallet.address, nonce: asked, signature: wallet.sign(asked), namespace };
  isRefused(await verify({ ...body, wallet: other.address, signature: other.sign(asked) }));
  isRefused(await verify({ ...body, namespace: uniqueName() }));
  isRefused(await verify({ ...body, namespace: undefined }));
  for (const purpose of ["registration", "api_key_generation", "anything"]) {
    const foreign = await proof(suite.gateway, wallet, namespace, { purpose });
    isRefused(await verify(foreign));
    isRefused(await verify({ ...foreign, purpose: "authentication" }));
  }
  const forKey = await proof(suite.gateway, wallet, namespace, { purpose: "api_key_generation" });
  isRefused(await suite.gateway.call("POST", "/v1/auth/register", { body: forKey }));
});

test("a purpose of the client's own is good when it is named again, and not for another operation by accident", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const body = await proof(suite.gateway, wallet, owner.namespace, { purpose: "my-purpose" });
  isRefused(await verify(body));
  isRefused(await verify({ ...body, purpose: "other-purpose" }));
  (await verify({ ...body, purpose: "my-purpose" })).expect(200);
});

test("a text that the wallet signed elsewhere signs nobody in", async () => {
  const wallet = ethereumWallet();
  const invented = ["hello", "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw", "A".repeat(43), "z".repeat(43)];
  for (const nonce of invented) {
    isRefused(await verify({ wallet: wallet.address, nonce, signature: wallet.sign(nonce), namespace: uniqueName() }));
  }
});

test("a signature in the other half of the order is refused", async () => {
  const body = await proof(suite.gateway, ethereumWallet(), uniqueName());
  isRefused(await verify({ ...body, signature: withHighS(String(body.signature)) }));
});

test("signatures that are none are refused, whatever they are", async () => {
  const body = await proof(suite.gateway, ethereumWallet(), uniqueName());
  const signature = String(body.signature);
  const broken = ["x", "0x", signature.slice(0, -2), signature + "00", signature.replace("0x", "0y"), "ü".repeat(65)];
  const ends = ["02", "1d", "25", "ff"].map((v) => signature.slice(0, -2) + v);
  const zeros = "0x" + "00".repeat(64) + "1b";
  for (const wrong of [...broken, ...ends, zeros, "A".repeat(10_000)]) {
    isRefused(await verify({ ...body, signature: wrong }));
  }
});

test("another chain's signature is refused", async () => {
  const ethereum = ethereumWallet(), solana = solanaWallet();
  const body = await proof(suite.gateway, ethereum, uniqueName());
  isRefused(await verify({ ...body, signature: solana.sign(String(body.nonce)) }));
  const solanaBody = await proof(suite.gateway, solana, uniqueName());
  const flipped = Uint8Array.fromBase64(String(solanaBody.signature));
  flipped[0]! ^= 1;
  isRefused(await verify({ ...solanaBody, signature: flipped.toBase64() }));
  isRefused(await verify({ ...solanaBody, signature: ethereum.sign(String(solanaBody.nonce)) }));
});

test("a chain that is not known, or another one than the address is of, is a mistake of the field", async () => {
  const body = await proof(suite.gateway, ethereumWallet(), uniqueName());
  const field = (answer: Answer) => answer.get("details.0.field");
  const unknown = (await verify({ ...body, chain_type: "BTC" })).expect(400);
  equal(field(unknown), "chain_type");
  equal(field((await verify({ ...body, chain_type: "SOL" })).expect(400)), "wallet");
  equal(
    field(
      (await verify({ ...await proof(suite.gateway, solanaWallet(), uniqueName()), chain_type: "ETH" })).expect(400),
    ),
    "wallet",
  );
});

test("a message that was changed in any line is refused, and uses nothing up", async () => {
  const wallet = ethereumWallet();
  await using owner = await newOwner(suite.gateway, uniqueName(), wallet);
  const message = (await challenge(suite.gateway, wallet, owner.namespace)).string("message");
  const changes: readonly (readonly [RegExp | string, string])[] = [
    [/^[^ ]+ wants/, "evil.example wants"],
    [/URI: .*/, "URI: https://evil.example/"],
    [/Chain ID: .*/, "Chain ID: 424242"],
    [/Issued At: .*/, "Issued At: 2099-01-01T00:00:00.000Z"],
    [/Expiration Time: .*/, "Expiration Time: 2020-01-01T00:00:00.000Z"],
    [/namespace:.*/, `namespace:${uniqueName()}`],
    [/- urn:orama:namespace:.*\n/, ""],
  ];
  for (const [what, becomes] of changes) {
    const changed = message.replace(what, becomes);
    isRefused(await verify({ message: changed, signature: wallet.sign(changed) }));
    isRefused(await verify({ message: changed, signature: wallet.sign(message) }));
  }
  (await verify({ message, signature: wallet.sign(message) })).expect(200);
});

test("a message that names two namespaces is refused", async () => {
  const wallet = ethereumWallet(), namespace = uniqueName();
  const message = (await challenge(suite.gateway, wallet, namespace)).string("message");
  for (const second of [`- urn:orama:namespace:${uniqueName()}`, `- URN:ORAMA:namespace:${uniqueName()}`]) {
    const changed = `${message}\n${second}`;
    isRefused(await verify({ message: changed, signature: wallet.sign(changed) }));
  }
});

test("a text that is no message is 400 and says which line is wrong", async () => {
  const wallet = ethereumWallet();
  for (
    const message of [
      "hello",
      "a\r\nb",
      "x".repeat(9000),
      "gateway wants you to sign in with your Ethereum account:\n0x12",
    ]
  ) {
    const answer = (await verify({ message, signature: wallet.sign(message) })).expect(400);
    equal(answer.get("details.0.field"), "message");
  }
});

test("a second wallet does not get into a namespace that has an owner, by any door", async () => {
  await using owner = await newOwner(suite.gateway);
  const stranger = ethereumWallet();
  for (const path of ["/v1/auth/verify", "/v1/auth/api-key", "/v1/auth/register"]) {
    const body = await proof(suite.gateway, stranger, owner.namespace);
    const answer = (await suite.gateway.call("POST", path, { body })).expect(403);
    equal(answer.get("code"), "FORBIDDEN");
  }
  const members = await suite.gateway.call("GET", `/v1/namespaces/${owner.namespace}/members`, {
    token: owner.accessToken,
  });
  deepEqual(members.list("members").map(({ wallet }) => wallet), [owner.wallet.address]);
});

test("of two wallets that name a new namespace at once, one owns it", async () => {
  const namespace = uniqueName();
  const wallets = Array.from({ length: 6 }, () => ethereumWallet());
  const bodies = await Promise.all(wallets.map((wallet) => proof(suite.gateway, wallet, namespace)));
  const answers = await Promise.all(bodies.map(verify));
  const won = answers.findIndex(({ status }) => status === 200);
  ok(won >= 0);
  equal(answers.filter(({ status }) => status === 200).length, 1);
  equal(answers.filter(({ status }) => status === 403).length, 5, answers.map(({ status }) => status).join());
  await using _owner = await newOwner(suite.gateway, namespace, wallets[won]);
});

test("names that are no names of namespaces are 400 and make nothing", async () => {
  const wallet = ethereumWallet();
  const hostile = [
    "../x",
    "a/b",
    "a:b",
    "a.b",
    "-a",
    "_a",
    "a b",
    "ä",
    "a'--",
    "%2e%2e",
    "__proto__",
    "a+b",
    "a&b",
    "a#b",
  ];
  for (const namespace of hostile) {
    const asked = await suite.gateway.call("POST", "/v1/auth/challenge", {
      body: { wallet: wallet.address, namespace },
    });
    const given = await verify({ ...await proof(suite.gateway, wallet, uniqueName()), namespace });
    for (const answer of [asked, given]) {
      equal(answer.status, 400, `${JSON.stringify(namespace)}: ${answer.text}`);
      equal(answer.get("details.0.field"), "namespace");
    }
  }
  const long = { wallet: wallet.address, namespace: "a".repeat(65) };
  equal((await suite.gateway.call("POST", "/v1/auth/challenge", { body: long })).status, 400);
});

test("a challenge makes no namespace", async () => {
  const namespace = uniqueName();
  await challenge(suite.gateway, ethereumWallet(), namespace);
  await using owner = await newOwner(suite.gateway, namespace, ethereumWallet());
  equal(owner.role, "owner");
});

test("what is missing from a proof is named", async () => {
  const body = await proof(suite.gateway, ethereumWallet(), uniqueName());
  for (const field of ["wallet", "nonce", "signature"]) {
    for (const value of [undefined, "", null]) {
      const answer = (await verify({ ...body, [field]: value })).expect(400);
      equal(answer.get("details.0.field"), field);
    }
  }
  const answer = (await verify({ ...body, nonce: undefined })).expect(400);
  equal(answer.get("error"), "wallet, nonce and signature are required");
});

test("a challenge for what is no wallet is 400 and names the field", async () => {
  const wrong = ["", "   ", "0x", "0x12", "0x" + "g".repeat(40), "not a wallet", "1".repeat(128), "\u0000".repeat(42)];
  for (const wallet of wrong) {
    const answer = (await suite.gateway.call("POST", "/v1/auth/challenge", { body: { wallet } })).expect(400);
    equal(answer.get("details.0.field"), "wallet", wallet);
  }
});
