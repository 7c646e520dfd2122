import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, tryToSignIn, uniqueName } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver, startTestDatabase } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite();
const { test } = suite;
const onTwoGateways = { ignore: chosenDriver() === "sqlite" || Deno.env.has("TEST_BASE_URL") };
const whoami = (key: string, gateway = suite.gateway) => gateway.call("GET", "/v1/auth/whoami", { key });

test("keys create makes a key that a running gateway takes at once", async () => {
  await using owner = await newOwner(suite.gateway);
  const made = await suite.gateway.cli(
    "keys",
    "create",
    "--namespace",
    owner.namespace,
    "--name",
    "from the shell",
    "--scopes",
    "cache:read,cache:write",
  );
  equal(made.code, 0, made.stderr);
  equal(made.stdout.trim().split("\n").length, 1);
  const line = JSON.parse(made.stdout);
  match(line.api_key, /^ak_[A-Za-z0-9_-]{24}:/);
  equal(line.name, "from the shell");
  const who = (await whoami(line.api_key)).expect(200);
  deepEqual(who.get("scopes"), ["cache:read", "cache:write"]);
  equal(who.get("namespace"), owner.namespace);
});

test("a key that the command line revokes is dead within a second, though it was just used", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, id } = await suite.gateway.makeKey("--namespace", owner.namespace);
  (await whoami(key)).expect(200);
  const revoked = await suite.gateway.cli("keys", "revoke", id, "--namespace", owner.namespace);
  equal(revoked.code, 0, revoked.stderr);
  await until("the key is refused", async () => (await whoami(key)).status === 401, 1_000);
});

test("keys list prints what the gateway knows, and no key", async () => {
  await using owner = await newOwner(suite.gateway);
  const { key, id } = await suite.gateway.makeKey("--namespace", owner.namespace, "--name", "one");
  const { stdout } = await suite.gateway.cli("keys", "list", "--namespace", owner.namespace);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line));
  equal(lines.length, 2);
  equal(lines.find((line) => line.id === id).name, "one");
  equal(stdout.includes(key.slice(3, 27)) || stdout.includes(owner.apiKey.slice(3, 27)), false);
});

test("an operator's key opens what is the operators', and no namespace", async () => {
  const { key, id } = await suite.gateway.makeKey("--operator", "--name", "prometheus");
  (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
  const who = (await whoami(key)).expect(200);
  equal(who.get("operator"), true);
  equal(who.get("namespace"), "");
  deepEqual(who.get("scopes"), []);
  for (
    const [method, path, body] of [
      ["GET", "/v1/auth/keys"],
      ["POST", "/v1/auth/keys", { name: "x", scopes: ["cache:read"] }],
      ["DELETE", `/v1/auth/keys/${id}`],
      ["POST", "/v1/auth/token"],
      ["POST", "/v1/namespaces", { name: uniqueName() }],
      ["GET", "/v1/auth/sessions"],
      ["GET", "/v1/namespaces/_operator/audit"],
      ["GET", "/v1/namespaces/default"],
    ] as const
  ) equal((await suite.gateway.call(method, path, { key, body })).status, 403, `${method} ${path}`);
});

test("an operator's key is revoked like any other", async () => {
  const { key, id } = await suite.gateway.makeKey("--operator");
  (await suite.gateway.call("GET", "/metrics", { key })).expect(200);
  equal((await suite.gateway.cli("keys", "revoke", id, "--operator")).code, 0);
  await until(
    "it is refused",
    async () => (await suite.gateway.call("GET", "/metrics", { key })).status === 401,
    1_000,
  );
});

test("the command line says what is wrong with its arguments, and makes nothing", async () => {
  const wrong = [
    ["keys", "create"],
    ["keys", "create", "--operator", "--namespace", "a"],
    ["keys", "create", "--operator", "--scopes", "cache:read"],
    ["keys", "create", "--namespace", "nobody-made-it"],
    ["keys", "create", "--namespace", "a", "--scopes", "cache:red"],
    ["keys", "create", "--namespace", "a", "--expires", "2020-01-01T00:00:00Z"],
    ["keys", "create", "--namespace", "../x", "--create-namespace"],
    ["keys", "revoke", "--namespace", "a"],
    ["keys", "revoke", "key_unknown", "--namespace", "a"],
    ["keys", "frobnicate"],
  ];
  for (const args of wrong) {
    const { code, stdout, stderr } = await suite.gateway.cli(...args);
    ok(code === 1 || code === 2, `${args.join(" ")}: ${code}`);
    equal(stdout, "", args.join(" "));
    ok(stderr.length > 0 && !stderr.includes("    at "), `${args.join(" ")}: ${stderr}`);
  }
});

test("a namespace of the command line's is a namespace that no wallet owns", async () => {
  const namespace = uniqueName();
  const { key } = await suite.gateway.makeKey(
    "--namespace",
    namespace,
    "--create-namespace",
    "--scopes",
    "namespace:admin",
  );
  equal((await whoami(key)).expect(200).get("namespace"), namespace);
  equal((await tryToSignIn(suite.gateway, ethereumWallet(), namespace)).status, 403);
  (await suite.gateway.call("GET", "/v1/auth/keys", { key })).expect(200);
});

Deno.test({
  name: "a key that one gateway revokes is dead on the other within a second, though it was just used there",
  ...onTwoGateways,
  async fn() {
    await using second = await suite.gateway.twin();
    await using owner = await newOwner(suite.gateway);
    const body = { name: "x" };
    const made = await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body });
    const key = made.expect(201).string("api_key");
    for (let i = 0; i < 3; i++) (await whoami(key, second)).expect(200);
    (await second.call("GET", "/v1/auth/whoami", { token: owner.accessToken })).expect(200);
    (await suite.gateway.call("DELETE", `/v1/auth/keys/${made.string("id")}`, { token: owner.accessToken })).expect(
      200,
    );
    await until("the key is refused", async () => (await whoami(key, second)).status === 401, 1_000);
    (await suite.gateway.call("POST", "/v1/auth/logout", { token: owner.accessToken })).expect(200);
    const dead = async () => (await second.call("GET", "/v1/auth/whoami", { token: owner.accessToken })).status === 401;
    await until("the token of the ended session is refused", dead, 1_000);
  },
});

Deno.test({
  name: "when a key was last used is told after the gateway was stopped",
  ignore: Deno.env.has("TEST_BASE_URL"),
  async fn() {
    const folder = await Deno.makeTempDir();
    await using database = await startTestDatabase(chosenDriver());
    try {
      await using before = await TestGateway.start({ folder, database });
      await using owner = await newOwner(before);
      const keys = async (gateway: TestGateway) => {
        const list = await gateway.call("GET", "/v1/auth/keys", { token: owner.accessToken });
        return list.expect(200).list("keys").find(({ wallet }) => wallet !== null)!;
      };
      equal((await keys(before)).last_used_at, null);
      const start = Date.now();
      (await before.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).expect(200);
      await before.stop();
      await using after = await TestGateway.start({ folder, database });
      const used = Date.parse(String((await keys(after)).last_used_at));
      ok(used >= start && used <= Date.now(), `last used ${used}, start ${start}`);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
