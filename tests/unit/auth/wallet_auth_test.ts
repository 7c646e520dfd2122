import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import { createHash } from "node:crypto";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { WalletGrant, WalletProof } from "../../../src/contracts/wallet_auth.ts";
import { MINUTE } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { ethereumKey } from "./crypto/fixtures/keys.ts";
import { ALICE, code, GRACE, Node, principal } from "./support/node.ts";

const wallet = ethereumKey(1);
const ORIGIN = { userAgent: "test" };

function proof(node: Node, more: { purpose?: string; namespace?: string; wallet?: string } = {}): WalletProof {
  const { purpose = "authentication", namespace = "shop", wallet: spelled = wallet.address } = more;
  const { nonce } = node.signIn.challenge({ wallet: spelled, namespace, purpose }, CONTEXT);
  return { kind: "nonce", wallet: spelled, nonce, signature: wallet.sign(nonce), namespace, chainType: "ETH" };
}

Deno.test("a sign-in gives tokens of one session, the wallet's key, and its role", async () => {
  await using node = await Node.start();
  const grant = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  deepEqual([grant.wallet, grant.role, grant.namespace, grant.expiresIn], [wallet.address, "owner", "shop", 900]);
  const byToken = await node.authenticator.identifyToken(grant.accessToken);
  const byKey = await node.authenticator.identifyKey(grant.apiKey);
  deepEqual([byToken?.wallet, byKey?.wallet], [wallet.address, wallet.address]);
  equal(byToken?.id, (await node.sessions.list("shop", wallet.address, CONTEXT))[0]!.id);
});

Deno.test("the subject is the wallet as its client spelled it, everything else has the one spelling", async () => {
  await using node = await Node.start();
  const spelled = "0X" + wallet.address.slice(2).toUpperCase();
  const grant = await node.signIn.verify(proof(node, { wallet: spelled }), ORIGIN, CONTEXT);
  deepEqual([grant.subject, grant.wallet], [spelled, wallet.address]);
  equal((await node.signIn.refresh(grant.refreshToken!, undefined, CONTEXT)).subject, spelled);
  const caller = await node.authenticator.identifyToken(grant.accessToken) as Principal;
  const key = await node.authenticator.identifyKey(grant.apiKey) as Principal;
  const renewed = await node.signIn.renew(caller, key);
  equal(renewed.subject, spelled);
  for (const { accessToken } of [grant, renewed]) {
    const found = await node.authenticator.identifyToken(accessToken);
    deepEqual([found?.describe.subject, found?.subject], [spelled, wallet.address]);
  }
});

Deno.test("signing in twice gives two sessions and one key", async () => {
  await using node = await Node.start();
  const [a, b] = [
    await node.signIn.verify(proof(node), ORIGIN, CONTEXT),
    await node.signIn.verify(proof(node), ORIGIN, CONTEXT),
  ];
  equal(a.apiKey, b.apiKey);
  notEqual(a.refreshToken, b.refreshToken);
  equal((await node.sessions.list("shop", wallet.address, CONTEXT)).length, 2);
});

Deno.test("a stranger's good signature opens nothing, and leaves no session and no key", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  for (const act of ["verify", "apiKey", "register"] as const) {
    const given = proof(node, { purpose: act === "register" ? "registration" : "authentication" });
    const trying = act === "verify"
      ? node.signIn.verify(given, ORIGIN, CONTEXT)
      : act === "apiKey"
      ? node.signIn.apiKey(given, CONTEXT)
      : node.signIn.register(given, "app", CONTEXT);
    await rejects(trying, code("FORBIDDEN"), act);
  }
  for (const table of ["sessions", "api_keys", "apps"] as const) {
    equal((await node.database.run(node.database.db.selectFrom(table).selectAll())).rows.length, 0, table);
  }
});

Deno.test("a sign-in right after a change of role gives a token that lives, in the same millisecond", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE, { [wallet.address]: "member" });
  const before = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  await node.members.set("shop", wallet.address, "viewer", principal({ wallet: ALICE, role: "owner" }), CONTEXT);
  const after = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  equal(await node.authenticator.identifyToken(before.accessToken), undefined);
  equal((await node.authenticator.identifyToken(after.accessToken))?.role, "viewer");
  const elsewhere = await node.another();
  await elsewhere.members.set("shop", wallet.address, "member", principal({ wallet: ALICE, role: "owner" }), CONTEXT);
  const here = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  equal(
    (await elsewhere.authenticator.identifyToken(here.accessToken))?.role,
    "member",
    "heard of before it was signed",
  );
});

Deno.test("a sign-in that crosses a removal gives a token that is dead when the removal is heard of", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE, { [wallet.address]: "member" });
  const other = await node.another();
  const given = proof(node);
  node.control.after = async (sql) => {
    if (!sql.includes('from "namespaces"')) return;
    node.control.after = () => {};
    await other.members.remove("shop", wallet.address, principal({ wallet: ALICE, role: "owner" }), CONTEXT);
  };
  const grant = await node.signIn.verify(given, ORIGIN, CONTEXT);
  await node.revocations.pull();
  for (const gateway of [node, other]) equal(await gateway.authenticator.identifyToken(grant.accessToken), undefined);
  equal(await node.authenticator.identifyKey(grant.apiKey), undefined);
  await rejects(node.signIn.refresh(grant.refreshToken!, undefined, CONTEXT), code("INVALID_CREDENTIAL"));
});

Deno.test("logging out ends the caller's session alone, or all of its wallet", async () => {
  await using node = await Node.start();
  const grants: WalletGrant[] = [];
  for (let i = 0; i < 3; i++) grants.push(await node.signIn.verify(proof(node), ORIGIN, CONTEXT));
  const callers = await Promise.all(
    grants.map(async ({ accessToken }) => await node.authenticator.identifyToken(accessToken) as Principal),
  );
  const living = async () => (await Promise.all(
    grants.map(async ({ accessToken }) => await node.authenticator.identifyToken(accessToken) !== undefined),
  ));
  await node.signIn.logoutCaller(callers[0]!, false, CONTEXT);
  deepEqual(await living(), [false, true, true]);
  await node.signIn.logout(grants[1]!.refreshToken!, CONTEXT);
  deepEqual(await living(), [false, false, true]);
  await node.signIn.logoutCaller(callers[2]!, true, CONTEXT);
  deepEqual(await living(), [false, false, false]);
  ok(await node.authenticator.identifyKey(grants[0]!.apiKey), "keys are revoked, not logged out");
});

Deno.test("logging out with a token that was made from a key ends that token on every gateway, and no other credential", async () => {
  await using node = await Node.start();
  const other = await node.another();
  const { apiKey, accessToken: ofSession } = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  for (const all of [false, true]) {
    const holder = await node.authenticator.identifyKey(apiKey) as Principal;
    const [dead, spared] = [await node.signIn.tokenForKey(holder), await node.signIn.tokenForKey(holder)];
    const caller = await node.authenticator.identifyToken(dead.accessToken) as Principal;
    for (const { accessToken } of [dead, spared]) ok(await other.authenticator.identifyToken(accessToken));
    await node.signIn.logoutCaller(caller, all, CONTEXT);
    await other.revocations.pull();
    for (const gateway of [node, other, await node.another()]) {
      equal(await gateway.authenticator.identifyToken(dead.accessToken), undefined);
      ok(await gateway.authenticator.identifyToken(spared.accessToken));
      ok(await gateway.authenticator.identifyKey(apiKey));
      equal(
        await gateway.authenticator.identifyToken(ofSession) === undefined,
        all,
        "all sessions, where that is asked",
      );
    }
    const [event] = await node.audit.list("shop", { limit: 1 }, CONTEXT);
    deepEqual([event?.action, event?.actor, event?.resource], ["token.revoked", wallet.address, caller.tokenId]);
  }
});

Deno.test("logging out with the token of a key without a wallet ends it too, also when all is asked", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  const owner = principal({ wallet: ALICE, role: "owner" });
  const { key } = await node.apiKeys.create("shop", { name: "k" }, owner, CONTEXT);
  for (const all of [false, true]) {
    const { accessToken } = await node.signIn.tokenForKey(await node.authenticator.identifyKey(key) as Principal);
    const caller = await node.authenticator.identifyToken(accessToken) as Principal;
    await node.signIn.logoutCaller(caller, all, CONTEXT);
    equal(await node.authenticator.identifyToken(accessToken), undefined);
  }
});

Deno.test("a token made from a key ends with the key, to the second, and says so", async () => {
  await using node = await Node.start();
  await node.namespace("shop", ALICE);
  const owner = principal({ wallet: ALICE, role: "owner" });
  const expiresAt = node.clock.time + 5 * MINUTE + 400;
  const { key } = await node.apiKeys.create("shop", { name: "k", expiresAt }, owner, CONTEXT);
  const grant = await node.signIn.tokenForKey(await node.authenticator.identifyKey(key) as Principal);
  equal(grant.expiresIn, 300);
  ok(await node.authenticator.identifyToken(grant.accessToken));
  node.clock.advance(5 * MINUTE + 400);
  await node.revocations.pull();
  for (const gateway of [node, await node.another()]) {
    equal(await gateway.authenticator.identifyToken(grant.accessToken), undefined);
  }
});

Deno.test("the key is given again by a signature, a login code and a sign-in alike", async () => {
  const callback = "https://app.example/cb";
  await using node = await Node.start({ callbacks: ["https://app.example"] });
  const { apiKey } = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  const bySignature = await node.signIn.apiKey(proof(node, { purpose: "api_key_generation" }), CONTEXT);
  deepEqual(bySignature, { apiKey, namespace: "shop", wallet: wallet.address.slice(2) });
  const verifier = "v".repeat(43);
  const codeChallenge = createHash("sha256").update(verifier).digest("base64url");
  const given = await node.signIn.loginCode(proof(node), { callback, codeChallenge }, CONTEXT);
  equal((await node.signIn.redeemLoginCode(given, verifier, callback, CONTEXT)).apiKey, apiKey);
});

Deno.test("a login code is worth nothing to a wallet that was removed meanwhile", async () => {
  const callback = "https://app.example/cb";
  await using node = await Node.start({ callbacks: ["https://app.example"] });
  await node.namespace("shop", ALICE, { [wallet.address]: "member" });
  const verifier = "v".repeat(43);
  const codeChallenge = createHash("sha256").update(verifier).digest("base64url");
  const given = await node.signIn.loginCode(proof(node), { callback, codeChallenge }, CONTEXT);
  await node.members.remove("shop", wallet.address, principal({ wallet: ALICE, role: "owner" }), CONTEXT);
  await rejects(node.signIn.redeemLoginCode(given, verifier, callback, CONTEXT), code("FORBIDDEN"));
});

Deno.test("a callback that is not allowed is refused before the nonce is used up", async () => {
  await using node = await Node.start();
  const given = proof(node);
  const login = { callback: "https://evil.example/", codeChallenge: "c".repeat(43) };
  await rejects(node.signIn.loginCode(given, login, CONTEXT), code("INVALID_REQUEST"));
  ok(await node.signIn.verify(given, ORIGIN, CONTEXT));
});

Deno.test("keys without a signature do not exist unless they are switched on, and are never the wallet's own", async () => {
  await using off = await Node.start();
  await rejects(off.signIn.simpleKey(wallet.address, "shop", CONTEXT), code("NOT_FOUND"));
  await using node = await Node.start({ simpleKey: true });
  const { apiKey } = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  const [a, b] = [
    await node.signIn.simpleKey(wallet.address, "shop", CONTEXT),
    await node.signIn.simpleKey(wallet.address, "shop", CONTEXT),
  ];
  equal(new Set([a.apiKey, b.apiKey, apiKey]).size, 3);
  const found = await node.authenticator.identifyKey(a.apiKey);
  deepEqual([found?.wallet, found?.scopes.has("namespace:admin")], [undefined, false]);
});

Deno.test("what a refresh gives hangs on the same session", async () => {
  await using node = await Node.start();
  const first = await node.signIn.verify(proof(node), ORIGIN, CONTEXT);
  const second = await node.signIn.refresh(first.refreshToken!, "shop", CONTEXT);
  const ids = await Promise.all(
    [first, second].map(async ({ accessToken }) => (await node.authenticator.identifyToken(accessToken))?.id),
  );
  equal(ids[0], ids[1]);
  node.clock.advance(GRACE + 1);
  await rejects(node.signIn.refresh(first.refreshToken!, undefined, CONTEXT), code("INVALID_CREDENTIAL"));
  for (const { accessToken } of [first, second]) equal(await node.authenticator.identifyToken(accessToken), undefined);
});
