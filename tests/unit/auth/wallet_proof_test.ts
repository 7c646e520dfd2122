import { deepEqual, equal, match, notEqual, ok, rejects, throws } from "node:assert/strict";
import { Nonces } from "../../../services/auth/crypto/nonce.ts";
import { PURPOSES, WalletProofs } from "../../../services/auth/wallet_proof.ts";
import { removeExpired } from "../../../services/control_plane/expiry.ts";
import type { ControlDatabase } from "../../../services/control_plane/control_database.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ChallengeRequest, WalletProof } from "../../../src/contracts/wallet_auth.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { MINUTE, TestClock } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { ethereumKey } from "./crypto/fixtures/keys.ts";
import { code, Node } from "./support/node.ts";

const wallet = ethereumKey(1);
const refused = code("SIGNATURE_INVALID", /^signature verification failed$/);

const challenge = (node: Node, more: Partial<ChallengeRequest> = {}) =>
  node.proofs.challenge({ wallet: wallet.address, namespace: "shop", purpose: "authentication", ...more });

const ofNonce = (nonce: string, more: Partial<Extract<WalletProof, { kind: "nonce" }>> = {}): WalletProof => ({
  kind: "nonce",
  wallet: wallet.address,
  nonce,
  signature: wallet.sign(nonce),
  namespace: "shop",
  chainType: "ETH",
  ...more,
});
const ofMessage = (message: string, signature = wallet.sign(message)): WalletProof => ({
  kind: "message",
  message,
  signature,
});

/** Why a proof was refused, which only the log may say. */
const reasonOf = async (proving: Promise<unknown>): Promise<string> => {
  try {
    await proving;
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== "SIGNATURE_INVALID") throw error;
    equal(error.message, "signature verification failed");
    return (error.cause as Error).message;
  }
  throw new Error("the proof was taken");
};

Deno.test("a signed nonce and a signed message prove the same wallet", async () => {
  await using node = await Node.start();
  const first = challenge(node);
  const byNonce = await node.proofs.prove(ofNonce(first.nonce), PURPOSES.verify, CONTEXT);
  const byMessage = await node.proofs.prove(ofMessage(challenge(node).message), PURPOSES.verify, CONTEXT);
  equal(byNonce.wallet.canonical, wallet.address);
  equal(byMessage.wallet.canonical, wallet.address);
  deepEqual([byNonce.namespace, byMessage.namespace], ["shop", "shop"]);
  deepEqual([byNonce.subject, byNonce.nonce], [wallet.address, first.nonce]);
});

Deno.test("a nonce is used up by either form", async () => {
  await using node = await Node.start();
  for (
    const [first, second] of [["nonce", "message"], ["message", "nonce"], ["nonce", "nonce"], ["message", "message"]]
  ) {
    const { nonce, message } = challenge(node);
    const proof = (kind: string | undefined) => kind === "nonce" ? ofNonce(nonce) : ofMessage(message);
    await node.proofs.prove(proof(first), PURPOSES.verify, CONTEXT);
    equal(await reasonOf(node.proofs.prove(proof(second), PURPOSES.verify, CONTEXT)), "nonce was used");
  }
});

Deno.test("of two verifications at once on two gateways one succeeds, in whatever order", async () => {
  await everySchedule(async (schedule) => {
    await using database = await openControl();
    const { now } = new TestClock();
    const proofsOn = (control: ControlDatabase, seed: number) =>
      new WalletProofs({
        control,
        nonces: new Nonces(new Uint8Array(32).fill(7), now, new Chance(seed).bytes),
        now,
        nonceTtl: 5 * MINUTE,
        site: () => ({ origins: ["https://gateway.example"], chainIds: [1] }),
        contracts: undefined,
      });
    const { nonce } = proofsOn(database, 1)
      .challenge({ wallet: wallet.address, namespace: "shop", purpose: "authentication" });
    const gateways = [1, 2, 3].map((seed) => proofsOn(schedule.client(database), seed));
    const results = await schedule.run(
      gateways.map((proofs) => () => proofs.prove(ofNonce(nonce), PURPOSES.verify, CONTEXT)),
    );
    equal(results.filter(({ status }) => status === "fulfilled").length, 1);
  });
});

Deno.test("a wrong signature does not use a nonce up: nobody locks an owner out by guessing", async () => {
  await using node = await Node.start();
  const { nonce } = challenge(node);
  const wrong = ofNonce(nonce, { signature: ethereumKey(2).sign(nonce) });
  equal(await reasonOf(node.proofs.prove(wrong, PURPOSES.verify, CONTEXT)), "signature does not match");
  ok(await node.proofs.prove(ofNonce(nonce), PURPOSES.verify, CONTEXT));
});

Deno.test("a failure to write is not a success: the nonce counts only once it is stored", async () => {
  await using node = await Node.start();
  const { nonce } = challenge(node);
  node.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  await rejects(node.proofs.prove(ofNonce(nonce), PURPOSES.verify, CONTEXT), code("UNAVAILABLE"));
  node.control.before = () => {};
  ok(await node.proofs.prove(ofNonce(nonce), PURPOSES.verify, CONTEXT));
});

Deno.test("a nonce is good for its wallet and its namespace alone", async () => {
  await using node = await Node.start();
  const { nonce } = challenge(node);
  const other = ethereumKey(2);
  for (
    const proof of [
      ofNonce(nonce, { wallet: other.address, signature: other.sign(nonce) }),
      ofNonce(nonce, { namespace: "other" }),
      ofNonce(nonce, { namespace: "Shop" }),
      ofNonce(nonce, { namespace: "" }),
    ]
  ) match(await reasonOf(node.proofs.prove(proof, PURPOSES.verify, CONTEXT)), /^nonce is foreign$/);
  ok(
    await node.proofs.prove(
      ofNonce(nonce, { wallet: wallet.address.slice(2).toUpperCase() }),
      PURPOSES.verify,
      CONTEXT,
    ),
  );
});

Deno.test("a nonce ends with its time, for either form", async () => {
  await using node = await Node.start();
  const [a, b, c] = [challenge(node), challenge(node), challenge(node)];
  equal(a.expiresAt, node.clock.time + 5 * MINUTE);
  node.clock.advance(5 * MINUTE - 1);
  ok(await node.proofs.prove(ofNonce(a.nonce), PURPOSES.verify, CONTEXT));
  node.clock.advance(1);
  equal(await reasonOf(node.proofs.prove(ofNonce(b.nonce), PURPOSES.verify, CONTEXT)), "nonce is expired");
  match(await reasonOf(node.proofs.prove(ofMessage(c.message), PURPOSES.verify, CONTEXT)), /expirationTime has passed/);
});

Deno.test("a used nonce is remembered until it has expired on every clock", async () => {
  await using node = await Node.start();
  const { nonce } = challenge(node);
  await node.proofs.prove(ofNonce(nonce), PURPOSES.verify, CONTEXT);
  node.clock.advance(5 * MINUTE - 1);
  await removeExpired(node.database, node.clock.time);
  equal(await reasonOf(node.proofs.prove(ofNonce(nonce), PURPOSES.verify, CONTEXT)), "nonce was used");
  const stored = async () =>
    (await node.database.run(node.database.db.selectFrom("consumed_nonces").selectAll())).rows.length;
  node.clock.advance(5 * MINUTE);
  await removeExpired(node.database, node.clock.time);
  equal(await stored(), 1);
  node.clock.advance(2);
  await removeExpired(node.database, node.clock.time);
  equal(await stored(), 0);
});

const operations = Object.entries(PURPOSES);
for (const purpose of new Set(operations.flatMap(([, purposes]) => [...purposes]))) {
  for (const [operation, accepted] of operations) {
    const good = (accepted as readonly string[]).includes(purpose);
    Deno.test(`a challenge for ${purpose} ${good ? "works" : "does not work"} for ${operation}, whatever the proof says of it`, async () => {
      await using node = await Node.start();
      for (const named of [undefined, purpose, "authentication", "api_key_generation", "registration", "my-own"]) {
        const { nonce } = challenge(node, { purpose });
        const proving = node.proofs.prove(ofNonce(nonce, { purpose: named }), accepted, CONTEXT);
        if (good && (named === undefined || named === purpose)) ok(await proving);
        else await rejects(proving, refused, `${named}`);
      }
      const proving = node.proofs.prove(ofMessage(challenge(node, { purpose }).message), accepted, CONTEXT);
      if (good) ok(await proving);
      else await rejects(proving, refused);
    });
  }
}

Deno.test("a purpose of the client's own works if it is named again, and not otherwise", async () => {
  await using node = await Node.start();
  const { nonce } = challenge(node, { purpose: "my-own" });
  for (const purpose of [undefined, "authentication", "another"]) {
    await rejects(node.proofs.prove(ofNonce(nonce, { purpose }), PURPOSES.verify, CONTEXT), refused);
  }
  ok(await node.proofs.prove(ofNonce(nonce, { purpose: "my-own" }), PURPOSES.verify, CONTEXT));
  const { message } = challenge(node, { purpose: "my-own" });
  await rejects(node.proofs.prove(ofMessage(message), PURPOSES.verify, CONTEXT), refused);
});

Deno.test("a message that was changed after the challenge is refused though its signature is right", async () => {
  await using node = await Node.start();
  const { message } = challenge(node);
  const changes: [from: string, to: string, reason: RegExp][] = [
    ["namespace:shop", "namespace:other", /nonce is foreign/],
    ["gateway.example wants", "evil.example wants", /domain/],
    ["URI: https://gateway.example", "URI: https://evil.example", /uri/],
    ["Chain ID: 1", "Chain ID: 10", /chainId/],
    ["- urn:orama:purpose:authentication", "- urn:orama:purpose:other", /nonce is foreign/],
  ];
  for (const [from, to, reason] of changes) {
    const changed = message.replace(from, to);
    notEqual(changed, message);
    match(await reasonOf(node.proofs.prove(ofMessage(changed), PURPOSES.verify, CONTEXT)), reason);
  }
  ok(await node.proofs.prove(ofMessage(message), PURPOSES.verify, CONTEXT), "none of this used the nonce up");
});

Deno.test("a message stands in the name of a trusted application's page, and of no other page", async () => {
  await using node = await Node.start({ site: { origins: ["https://gateway.example", "https://app.example:8443"] } });
  const domainOf = (origin?: string) => challenge(node, { origin }).message.split(" ", 1)[0];
  equal(domainOf(), "gateway.example");
  equal(domainOf("https://app.example:8443"), "app.example:8443");
  for (const origin of ["https://evil.example", "null", "", "https://app.example", "app.example:8443"]) {
    equal(domainOf(origin), "gateway.example", origin);
  }
  const { message } = challenge(node, { origin: "https://app.example:8443" });
  ok(await node.proofs.prove(ofMessage(message), PURPOSES.verify, CONTEXT));
});

Deno.test("a challenge stores nothing", async () => {
  await using node = await Node.start();
  const calls = node.control.calls.length;
  for (let i = 0; i < 10; i++) challenge(node);
  equal(node.control.calls.length, calls);
});

Deno.test("what is no wallet gets no challenge", async () => {
  await using node = await Node.start();
  for (const wallet of ["", "0x", "0x123", "not a wallet", "0x" + "g".repeat(40)]) {
    throws(() => challenge(node, { wallet }), code("INVALID_REQUEST", /wallet/), wallet);
  }
});
