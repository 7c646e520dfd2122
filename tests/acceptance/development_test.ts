import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { signIn, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite({ command: "dev", driver: "sqlite" });
const { test } = suite;

/** What `dev` printed. */
function printed(gateway: TestGateway): { url: string; api_key: string; namespace: string } {
  const lines = gateway.output().trimEnd().split("\n");
  equal(lines.length, 1, gateway.output());
  return JSON.parse(lines[0]!);
}

const simpleKey = (wallet: string, namespace?: string) =>
  suite.gateway.call("POST", "/v1/auth/simple-key", { body: { wallet, namespace } });

test("dev prints one line of JSON where nobody watches, and logs elsewhere", async () => {
  const line = printed(suite.gateway);
  deepEqual(Object.keys(line), ["url", "api_key", "namespace"]);
  equal(line.url, suite.gateway.url);
  equal(line.namespace, "default");
  match(line.api_key, /^ak_[A-Za-z0-9_-]{24}:default$/);
  match(line.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  suite.gateway.secrets.note(line.api_key);
  await suite.gateway.call("GET", "/v1/version");
  equal(suite.gateway.log().includes(line.api_key), false);
});

test("the key that dev prints has every right that a key can have", async () => {
  const { api_key: key } = printed(suite.gateway);
  const who = (await suite.gateway.call("GET", "/v1/auth/whoami", { key })).expect(200);
  equal((who.get("scopes") as string[]).length, 17);
  equal(who.get("namespace"), "default");
  (await suite.gateway.call("GET", "/v1/auth/keys", { key })).expect(200);
});

test("the key outlives a restart, and another data folder has another", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await using before = await TestGateway.start({ command: "dev", folder });
    const { api_key: key } = printed(before);
    equal(await before.stop(), 0);
    await using after = await TestGateway.start({ command: "dev", folder });
    equal(printed(after).api_key, key);
    (await after.call("GET", "/v1/auth/whoami", { key })).expect(200);
    notEqual(key, printed(suite.gateway).api_key);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

test("in development the namespace default is everybody's", async () => {
  const [one, two] = [
    await signIn(suite.gateway, ethereumWallet(), "default"),
    await signIn(suite.gateway, ethereumWallet(), ""),
  ];
  for (const { accessToken, role } of [one, two]) {
    equal(role, "member");
    equal((await suite.gateway.call("GET", "/v1/auth/whoami", { token: accessToken })).get("namespace"), "default");
  }
  notEqual(one.apiKey, two.apiKey);
  const members = await suite.gateway.call("GET", "/v1/namespaces/default/members", { token: one.accessToken });
  equal(members.status, 403);
});

test("other namespaces belong to their first wallet, in development too", async () => {
  const namespace = uniqueName();
  const owner = await signIn(suite.gateway, ethereumWallet(), namespace);
  equal(owner.role, "owner");
  equal((await tryToSignIn(suite.gateway, ethereumWallet(), namespace)).status, 403);
});

test("simple-key gives a new key each time, never one that was there", async () => {
  const wallet = ethereumWallet();
  const own = await signIn(suite.gateway, wallet, "default");
  const keys = new Set([own.apiKey, printed(suite.gateway).api_key]);
  for (let i = 0; i < 3; i++) {
    const answer = (await simpleKey(wallet.address)).expect(200);
    equal(answer.get("namespace"), "default");
    equal(answer.get("wallet"), wallet.address.slice(2));
    match(answer.string("created"), /^\d{4}-/);
    ok(!keys.has(answer.string("api_key")));
    keys.add(answer.string("api_key"));
    const who = await suite.gateway.call("GET", "/v1/auth/whoami", { key: answer.string("api_key") });
    equal((who.expect(200).get("scopes") as string[]).includes("namespace:admin"), false);
  }
});

test("simple-key gives nobody a way into another wallet's namespace", async () => {
  const namespace = uniqueName();
  const owner = await signIn(suite.gateway, ethereumWallet(), namespace);
  equal((await simpleKey(ethereumWallet().address, namespace)).status, 403);
  equal((await simpleKey("not a wallet", namespace)).status, 400);
  const list = await suite.gateway.call("GET", "/v1/auth/keys", { token: owner.accessToken });
  equal(list.list("keys").length, 1);
});

test("simple-key answers with the namespace that it gave the key for", async () => {
  for (const [namespace, expected] of [["", "default"], ["  ", "default"], [undefined, "default"]] as const) {
    const answer = (await simpleKey(ethereumWallet().address, namespace)).expect(200);
    equal(answer.get("namespace"), expected);
    ok(answer.string("api_key").endsWith(":default"));
  }
});
