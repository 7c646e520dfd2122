import { deepEqual, equal, match } from "node:assert/strict";
import { newOwner, signIn, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite({ driver: "sqlite", config: { namespaces: { max_per_wallet: 2 } } });
const { test } = suite;

test("a wallet owns as many namespaces as it may, by whichever door", async () => {
  const wallet = ethereumWallet();
  const first = await signIn(suite.gateway, wallet, uniqueName());
  const create = (name: string) =>
    suite.gateway.call("POST", "/v1/namespaces", { token: first.accessToken, body: { name } });
  (await create(uniqueName())).expect(201);
  equal((await create(uniqueName())).expect(403).get("code"), "FORBIDDEN");
  match(
    (await tryToSignIn(suite.gateway, wallet, uniqueName())).expect(403).string("error"),
    /2 namespaces, which is the limit/,
  );
  await signIn(suite.gateway, wallet, first.namespace);
});

test("of many namespaces at once, no more are made than a wallet may own", async () => {
  const owner = await newOwner(suite.gateway);
  const create = () =>
    suite.gateway.call("POST", "/v1/namespaces", { token: owner.accessToken, body: { name: uniqueName() } });
  const answers = await Promise.all(Array.from({ length: 6 }, create));
  deepEqual(answers.map(({ status }) => status).sort(), [201, 403, 403, 403, 403, 403]);
});

test("being a member of others' namespaces counts for nothing", async () => {
  const wallet = ethereumWallet();
  for (let i = 0; i < 3; i++) {
    const owner = await newOwner(suite.gateway);
    const path = `/v1/namespaces/${owner.namespace}/members/${wallet.address}`;
    (await suite.gateway.call("PUT", path, { token: owner.accessToken, body: { role: "admin" } })).expect(200);
  }
  equal((await signIn(suite.gateway, wallet, uniqueName())).role, "owner");
});

test("where operators create namespaces, no wallet does, and a member of one signs in", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite", config: { namespaces: { creation: "operator" } } });
  const namespace = uniqueName();
  const wallet = ethereumWallet();
  for (const name of [namespace, "default", ""]) equal((await tryToSignIn(gateway, wallet, name)).status, 403);
  const { key } = await gateway.makeKey("--namespace", namespace, "--create-namespace");
  const made = await gateway.call("POST", "/v1/namespaces", { key, body: { name: uniqueName() } });
  equal(made.status, 403);
  equal((await gateway.call("GET", "/v1/auth/whoami", { key })).get("namespace"), namespace);
  equal((await tryToSignIn(gateway, wallet, namespace)).status, 403);
});
