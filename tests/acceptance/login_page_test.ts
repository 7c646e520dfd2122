import { createHash, randomBytes } from "node:crypto";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { challenge, newMember, newOwner, signIn, uniqueName } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet, solanaWallet, type TestWallet } from "../support/wallet.ts";

const APP = "https://app.example/back?from=login";
const suite = gatewaySuite({
  config: { auth: { login: { callbacks: ["https://app.example", "https://exact.example/callback"] } } },
});
const { test } = suite;

const open = (query: Record<string, string> | string): Promise<Answer> =>
  suite.gateway.call("GET", `/v1/auth/login?${new URLSearchParams(query)}`);

/** What the page was given, by the names of its attributes. */
function dataOf({ text }: Answer): Record<string, string> {
  const [, attributes = ""] = /<main([^>]*)>/.exec(text) ?? [];
  const unescaped = (value: string) => value.replaceAll(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)));
  return Object.fromEntries(
    [...attributes.matchAll(/data-(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, unescaped(value!)]),
  );
}

const newPair = () => {
  const verifier = randomBytes(32).toString("base64url");
  return { verifier, codeChallenge: createHash("sha256").update(verifier).digest("base64url") };
};

const LOOPBACK = [
  "http://localhost:49152/callback",
  "http://127.0.0.1:49152/callback?a=1&b=%20",
  "http://[::1]:49152/",
  "http://localhost",
  "http://LOCALHOST:1/x",
];
for (const callback of LOOPBACK) {
  test(`a program on the user's own machine may open it: ${callback}`, async () => {
    const page = (await open({ callback })).expect(200);
    deepEqual(dataOf(page), { mode: "key", callback, state: "", challenge: "", chosen: "no" });
    ok(page.text.includes(`a program on this computer (${new URL(callback).host})`));
  });
}

const HOSTILE = [
  "javascript:alert(1)",
  "JavaScript:alert(1)//http://localhost",
  "data:text/html,<script>alert(1)</script>",
  "vbscript:x",
  "file:///etc/passwd",
  "//evil.example/",
  "/relative",
  "localhost:49152/callback",
  "http:localhost@evil.example",
  "http:localhost:1",
  "http:/localhost:1",
  "http:\\\\localhost:1",
  "http://evil.example/",
  "https://evil.example/http://localhost/",
  "http://localhost@evil.example/",
  "http://localhost:1@evil.example/",
  "http://user@localhost:1/",
  "http://user:password@127.0.0.1:1/",
  "http://localhost.evil.example/",
  "http://localhost./",
  "http://127.0.0.1.evil.example/",
  "http://localhost%2eevil.example/",
  "http://localhost%00.evil.example/",
  "http://localhost\\@evil.example/",
  "http://evil.example\\@localhost/",
  "http://localhost#@evil.example/",
  "http://localhost:1/#fragment",
  "http://localhost:1/#",
  "https://localhost:1/",
  "http://[::ffff:192.0.2.1]/",
  "http://0.0.0.0/",
  "http://ⓛocalhost:1/",
  "http://аpp.example/",
  "https://аpp.example/",
  "https://app.example.evil.example/",
  "https://app.example@evil.example/",
  "https://user@app.example/",
  "https://app.example:444/",
  "http://app.example/",
  "https://exact.example/callback/more",
  "https://exact.example/callback?more",
  "https://exact.example/",
  "http://localhost:1/\r\nSet-Cookie: a=b",
  "http://local\nhost:1/",
  "http://localhost:1/\t",
  " http://localhost:1/",
  "http://localhost:1/</script><script>alert(1)</script>",
  'http://localhost:1/"onload="alert(1)',
  "http://localhost:1/\u202e",
  "http://localhost:99999/",
  `http://localhost:1/${"a".repeat(2048)}`,
];
for (const callback of HOSTILE) {
  test(`no page leads to ${JSON.stringify(callback).slice(0, 80)}`, async () => {
    const { codeChallenge } = newPair();
    const answer = (await open({ callback, code_challenge: codeChallenge })).expect(400);
    equal(answer.get("code"), "INVALID_REQUEST");
    equal(answer.get("details.0.field"), "callback");
    equal(answer.headers.get("content-type"), "application/json");
    ok(!answer.text.includes(callback), "the callback is repeated");
  });
}

test("without a callback there is no page", async () => {
  for (const query of ["", "callback=", "namespace=shop"]) {
    match((await open(query)).expect(400).string("error"), /callback parameter is required/);
  }
  (await suite.gateway.call("POST", "/v1/auth/login?callback=http://localhost/")).expect(405);
});

test("of two callbacks the page gets the one that was checked", async () => {
  const good = "http://localhost:1/", bad = "https://evil.example/";
  const page = (await open(`callback=${bad}&callback=${good}`)).expect(200);
  equal(dataOf(page)["callback"], good);
  ok(!page.text.includes("evil"));
  (await open(`callback=${good}&callback=${bad}`)).expect(400);
});

test("an application's page comes with a challenge and takes its state along", async () => {
  const { codeChallenge } = newPair();
  const state = `"'><script>alert(1)</script>&amp;{{callback}}é`;
  const page = (await open({ callback: APP, code_challenge: codeChallenge, code_challenge_method: "S256", state }))
    .expect(200);
  deepEqual(dataOf(page), { mode: "code", callback: APP, state, challenge: codeChallenge, chosen: "no" });
  ok(page.text.includes("<strong>https://app.example</strong>"));
  ok(!page.text.includes("<script>"));
});

test("an application's page needs a challenge, and no other method than S256", async () => {
  equal((await open({ callback: APP })).expect(400).get("details.0.field"), "code_challenge");
  equal((await open({ callback: APP, code_challenge: "short" })).expect(400).get("details.0.field"), "code_challenge");
  const { codeChallenge } = newPair();
  const plain = await open({ callback: APP, code_challenge: codeChallenge, code_challenge_method: "plain" });
  equal(plain.expect(400).get("details.0.field"), "code_challenge_method");
});

test("a namespace that is asked for stands in the page; one that cannot exist is refused", async () => {
  const page = (await open({ callback: LOOPBACK[0]!, namespace: "shop-1" })).expect(200);
  equal(dataOf(page)["chosen"], "yes");
  match(page.text, /<input[^>]*\svalue="shop-1"/);
  match((await open({ callback: LOOPBACK[0]!, namespace: "" })).expect(200).text, /<input[^>]*\svalue="default"/);
  for (const namespace of [`"><script>`, "a b", "-a", "a".repeat(65)]) {
    equal((await open({ callback: LOOPBACK[0]!, namespace })).expect(400).get("details.0.field"), "namespace");
  }
});

test("the page runs nothing but its own parts, is kept nowhere and framed by nobody", async () => {
  const page = (await open({ callback: LOOPBACK[0]! })).expect(200);
  const headers = Object.fromEntries(page.headers);
  equal(
    headers["content-security-policy"],
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; " +
      "form-action 'none'",
  );
  equal(headers["content-type"], "text/html; charset=utf-8");
  equal(headers["cache-control"], "no-store");
  equal(headers["referrer-policy"], "no-referrer");
  equal(headers["x-frame-options"], "DENY");
  equal(headers["x-content-type-options"], "nosniff");
  ok(!/<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=/.test(page.text));
  ok(!page.text.includes("{{"));
  const references = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, reference]) => reference!);
  equal(references.length, 2);
  for (const reference of references) {
    const { pathname, search } = new URL(reference, `${suite.gateway.url}/v1/auth/login`);
    const part = (await suite.gateway.call("GET", pathname + search)).expect(200);
    match(part.headers.get("content-type")!, pathname.endsWith(".css") ? /^text\/css;/ : /^text\/javascript;/);
  }
});

/** What the page does once its wallet is there: a challenge, a signature, a code. */
async function askForCode(
  wallet: TestWallet,
  namespace: string,
  callback: string,
  codeChallenge: string,
): Promise<Answer> {
  const message = (await challenge(suite.gateway, wallet, namespace, "api_key_generation")).string("message");
  const body = {
    message,
    signature: wallet.sign(message),
    callback,
    code_challenge: codeChallenge,
    code_challenge_method: "S256",
  };
  return await suite.gateway.call("POST", "/v1/auth/login/code", { body });
}

const redeem = (code: string, verifier: string, callback = APP) =>
  suite.gateway.call("POST", "/v1/auth/login/token", { body: { code, code_verifier: verifier, callback } });

for (const [chain, make] of [["ETH", ethereumWallet], ["SOL", solanaWallet]] as const) {
  test(`${chain}: a code gives the wallet's key of the namespace, once`, async () => {
    const wallet = make(), namespace = uniqueName();
    await using owner = await newOwner(suite.gateway, namespace, wallet);
    const { verifier, codeChallenge } = newPair();
    const given = (await askForCode(wallet, namespace, APP, codeChallenge)).expect(200);
    equal(given.headers.get("cache-control"), "no-store");
    const grant = (await redeem(given.string("code"), verifier)).expect(200);
    equal(grant.get("api_key"), owner.apiKey);
    equal(grant.get("namespace"), namespace);
    equal(grant.headers.get("cache-control"), "no-store");
    equal((await redeem(given.string("code"), verifier)).expect(401).get("code"), "INVALID_CREDENTIAL");
  });
}

test("a code is worth nothing without its verifier and its callback, and is used up by the attempt", async () => {
  await using owner = await newOwner(suite.gateway);
  for (
    const [otherVerifier, callback] of [[newPair().verifier, APP], [
      undefined,
      "https://app.example/elsewhere",
    ]] as const
  ) {
    const { verifier, codeChallenge } = newPair();
    const code = (await askForCode(owner.wallet, owner.namespace, APP, codeChallenge)).expect(200).string("code");
    (await redeem(code, otherVerifier ?? verifier, callback)).expect(401);
    (await redeem(code, verifier)).expect(401);
  }
});

test("two at once cannot both use a code", async () => {
  await using owner = await newOwner(suite.gateway);
  const { verifier, codeChallenge } = newPair();
  const code = (await askForCode(owner.wallet, owner.namespace, APP, codeChallenge)).expect(200).string("code");
  const answers = await Promise.all(Array.from({ length: 5 }, () => redeem(code, verifier)));
  deepEqual(answers.map(({ status }) => status).toSorted(), [200, 401, 401, 401, 401]);
});

test("codes are for allowed applications alone", async () => {
  await using owner = await newOwner(suite.gateway);
  const { codeChallenge } = newPair();
  for (const callback of [...LOOPBACK.slice(0, 1), "https://evil.example/", "javascript:alert(1)"]) {
    equal(
      (await askForCode(owner.wallet, owner.namespace, callback, codeChallenge)).expect(400).get("details.0.field"),
      "callback",
    );
  }
});

test("a code needs a proof of the wallet, which counts once", async () => {
  await using owner = await newOwner(suite.gateway);
  const { codeChallenge } = newPair();
  const pkce = { callback: APP, code_challenge: codeChallenge, code_challenge_method: "S256" };
  const message = (await challenge(suite.gateway, owner.wallet, owner.namespace, "api_key_generation")).string(
    "message",
  );
  const ask = (signature: string) =>
    suite.gateway.call("POST", "/v1/auth/login/code", { body: { message, signature, ...pkce } });
  (await ask(ethereumWallet().sign(message))).expect(401);
  const signature = owner.wallet.sign(message);
  (await ask(signature)).expect(200);
  (await ask(signature)).expect(401);
});

test("a stranger gets no code for a namespace of others", async () => {
  await using owner = await newOwner(suite.gateway);
  const { codeChallenge } = newPair();
  (await askForCode(ethereumWallet(), owner.namespace, APP, codeChallenge)).expect(403);
});

test("a code of a wallet that was removed meanwhile gives no key", async () => {
  await using owner = await newOwner(suite.gateway);
  const member = await newMember(suite.gateway, owner, "member");
  const { verifier, codeChallenge } = newPair();
  const code = (await askForCode(member.wallet, owner.namespace, APP, codeChallenge)).expect(200).string("code");
  const path = `/v1/namespaces/${owner.namespace}/members/${member.wallet.address}`;
  (await suite.gateway.call("DELETE", path, { token: owner.accessToken })).expect(200);
  (await redeem(code, verifier)).expect(403);
});

test("what the page posts for a program on the user's machine gives key, namespace, wallet and plan", async () => {
  const wallet = ethereumWallet(), namespace = uniqueName();
  await using owner = await newOwner(suite.gateway, namespace, wallet);
  const message = (await challenge(suite.gateway, wallet, namespace, "api_key_generation")).string("message");
  const body = { message, signature: wallet.sign(message) };
  const grant = (await suite.gateway.call("POST", "/v1/auth/api-key", { body })).expect(200);
  const { api_key, wallet: named, plan } = grant.body;
  deepEqual({ api_key, namespace: grant.get("namespace"), named, plan }, {
    api_key: (await signIn(suite.gateway, wallet, namespace)).apiKey,
    namespace: owner.namespace,
    named: wallet.address.slice(2),
    plan: "free",
  });
});
