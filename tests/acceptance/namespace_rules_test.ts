import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner, signIn, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { until } from "../engines/support/wait.ts";
import type { CallOptions } from "../support/client.ts";
import { TestGateway } from "../support/gateway.ts";
import { SqlCaller } from "../support/sql.ts";
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

test("where operators create namespaces, they do so for a wallet, which then signs in as the owner", async () => {
  await using gateway = await TestGateway.start({
    driver: "sqlite",
    config: { namespaces: { creation: "operator", max_per_wallet: 1 } },
  });
  const { key } = await gateway.makeKey("--operator");
  const wallet = ethereumWallet();
  const create = (body: Record<string, unknown>) => gateway.call("POST", "/v1/namespaces", { key, body });
  for (let i = 0; i < 2; i++) {
    const name = uniqueName();
    // In any letter case, as people copy addresses.
    const made = (await create({ name, owner: `0x${wallet.address.slice(2).toUpperCase()}` })).expect(201);
    deepEqual([made.get("name"), made.get("state")], [name, "active"]);
    equal((await signIn(gateway, wallet, name)).role, "owner");
    equal((await tryToSignIn(gateway, ethereumWallet(), name)).status, 403);
    (await create({ name: name.toUpperCase(), owner: wallet.address })).expect(409);
  }
  match((await create({ name: uniqueName() })).expect(403).string("error"), /owner/);
  for (const owner of ["", "x", "0x12", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2b", null, 1, {}, "a".repeat(129)]) {
    equal((await create({ name: uniqueName(), owner })).expect(400).get("details.0.field"), "owner", String(owner));
  }
});

test("an operator sees all namespaces, page by page; everybody else sees none but their own", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite" });
  const [one, two] = [
    await signIn(gateway, ethereumWallet(), "b-one"),
    await signIn(gateway, ethereumWallet(), "a-two"),
  ];
  const { key: named } = await gateway.makeKey("--namespace", "c-three", "--create-namespace");
  const { key } = await gateway.makeKey("--operator");
  const seen = async (credential: CallOptions, query = "") => {
    const answer = (await gateway.call("GET", `/v1/namespaces${query}`, credential)).expect(200);
    return [answer.list("namespaces").map(({ name, role }) => [name, role]), answer.get("next_cursor")];
  };
  deepEqual(await seen({ key }), [[["a-two", undefined], ["b-one", undefined], ["c-three", undefined]], null]);
  const first = await gateway.call("GET", "/v1/namespaces?limit=2", { key });
  deepEqual(first.list("namespaces").map(({ name }) => name), ["a-two", "b-one"]);
  deepEqual(await seen({ key }, `?limit=2&cursor=${first.string("next_cursor")}`), [[["c-three", undefined]], null]);
  // A cursor of somebody who sees more opens nothing.
  for (
    const query of [
      "",
      `?cursor=${(await gateway.call("GET", "/v1/namespaces?limit=1", { key })).string("next_cursor")}`,
    ]
  ) {
    deepEqual(await seen({ token: one.accessToken }, query), [[["b-one", "owner"]], null]);
    deepEqual(await seen({ key: one.apiKey }, query), [[["b-one", "owner"]], null]);
    deepEqual(await seen({ key: named }, query), [[["c-three", undefined]], null]);
  }
  deepEqual(await seen({ token: two.accessToken }), [[["a-two", "owner"]], null]);
});

test("the command line makes a namespace for a wallet, and gives one that exists another owner", async () => {
  await using gateway = await TestGateway.start({ driver: "sqlite", config: { namespaces: { creation: "operator" } } });
  const [first, second] = [ethereumWallet(), ethereumWallet()];
  const namespace = uniqueName();
  const run = (...args: string[]) => gateway.cli("namespaces", ...args);
  const made = await run("create", namespace, "--owner", first.address);
  equal(made.code, 0, made.stderr);
  deepEqual(JSON.parse(made.stdout), { namespace, owner: first.address });
  const owner = await signIn(gateway, first, namespace);
  equal(owner.role, "owner");
  equal((await tryToSignIn(gateway, second, namespace)).status, 403);
  equal((await run("add-owner", namespace, "--owner", second.address)).code, 0);
  equal((await signIn(gateway, second, namespace)).role, "owner");
  // One that was made together with a key belongs to nobody who could sign in.
  const orphan = uniqueName();
  await gateway.makeKey("--namespace", orphan, "--create-namespace");
  equal((await run("add-owner", orphan, "--owner", first.address)).code, 0);
  equal((await signIn(gateway, first, orphan)).role, "owner");
  const audit = await gateway.call("GET", `/v1/namespaces/${namespace}/audit`, { token: owner.accessToken });
  equal(audit.list("events").at(-1)!.actor, "command-line");
  const wrong = [
    ["create", namespace, "--owner", first.address],
    ["create", uniqueName()],
    ["create", "--owner", first.address],
    ["create", "../x", "--owner", first.address],
    ["create", uniqueName(), "--owner", "0x12"],
    ["create", uniqueName(), "--owner", "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2b"],
    ["add-owner", uniqueName(), "--owner", first.address],
    ["add-owner", namespace, "--owner", "x"],
    ["frobnicate"],
  ];
  for (const args of wrong) {
    const { code, stdout, stderr } = await run(...args);
    ok(code === 1 || code === 2, `${args.join(" ")}: ${code}`);
    equal(stdout, "", args.join(" "));
    ok(stderr.length > 0 && !stderr.includes("    at "), `${args.join(" ")}: ${stderr}`);
  }
});

test("a deletion that a crash broke off goes on at the next start", async () => {
  const folder = await Deno.makeTempDir({ prefix: "orama-deletion-" });
  try {
    const namespace = uniqueName();
    await using before = await TestGateway.start({ driver: "sqlite", folder });
    const owner = await signIn(before, ethereumWallet(), namespace);
    const db = new SqlCaller(before, { key: owner.apiKey });
    await db.run("CREATE TABLE left_behind (v TEXT)");
    (await before.call("DELETE", `/v1/namespaces/${namespace}`, { token: owner.accessToken })).expect(200);
    before.signal("SIGKILL");
    await before.exitCode();
    await using after = await TestGateway.start({ driver: "sqlite", folder });
    equal((await after.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).status, 401);
    const heir = ethereumWallet();
    await until("the name is free", async () => (await tryToSignIn(after, heir, namespace)).status === 200);
    const { apiKey: key } = await signIn(after, heir, namespace);
    equal((await new SqlCaller(after, { key }).schema()).expect(200).get("count"), 0);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
