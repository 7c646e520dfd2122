import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newMember, newOwner, uniqueName } from "../support/accounts.ts";
import { deploy, hostCalls } from "../support/functions.ts";
import { TestGateway } from "../support/gateway.ts";
import { SecretBook } from "../support/secrets.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";

const suite = gatewaySuite();
const { test } = suite;

test("a secret is set, read by functions of its namespace, replaced and deleted, and never read back", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  const set = (name: string, value: unknown) =>
    gateway.call("PUT", `/v1/functions/secrets/${name}`, { ...credential, body: { value } });
  await deploy(gateway, credential, "reader", "calls.wat");
  const read = async (name: string) => (await hostCalls(gateway, credential, "reader", ["get_secret", name]))[0];
  equal(await read("API_TOKEN"), "0");
  const made = (await set("API_TOKEN", "s3cret-value-one")).expect(200);
  deepEqual(Object.keys(made.body).toSorted(), ["created_at", "name", "updated_at"]);
  equal(await read("API_TOKEN"), "s3cret-value-one");
  (await set("API_TOKEN", "s3cret-value-two")).expect(200);
  equal(await read("API_TOKEN"), "s3cret-value-two");
  const listed = (await gateway.call("GET", "/v1/functions/secrets", credential)).expect(200);
  deepEqual(listed.list("secrets").map(({ name }) => name), ["API_TOKEN"]);
  equal(listed.text.includes("s3cret"), false);
  for (const method of ["GET", "POST"]) {
    const { status, text } = await gateway.call(method, "/v1/functions/secrets/API_TOKEN", credential);
    ok(status === 404 || status === 405, String(status));
    equal(text.includes("s3cret"), false);
  }
  equal(gateway.log().includes("s3cret-value"), false);
  if (chosenDriver() === "sqlite") {
    const held = new TextDecoder("latin1").decode(Deno.readFileSync(`${gateway.dataFolder}/control.sqlite`));
    ok(held.length > 0);
    equal(held.includes("s3cret-value"), false);
  }
  (await gateway.call("DELETE", "/v1/functions/secrets/API_TOKEN", credential)).expect(200);
  equal(await read("API_TOKEN"), "0");
  equal(
    (await gateway.call("DELETE", "/v1/functions/secrets/API_TOKEN", credential)).expect(404).get("error"),
    "secret not found",
  );
  for (const name of ["1A", "a-b", "a%2Fb", "a%00", "x".repeat(129), "%C3%A9"]) {
    equal((await set(name, "x")).status, 400, name);
  }
  for (const value of [1, null, "x".repeat(70_000)]) {
    const { status } = await set("A", value);
    ok(status === 400 || status === 413, `${String(value).slice(0, 10)}: ${status}`);
  }
});

test("secrets are for admins to set, and another namespace has its own", async () => {
  await using owner = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const { gateway } = suite;
  const viewer = await newMember(gateway, owner, "viewer");
  const put = (token: string, query = "") =>
    gateway.call("PUT", `/v1/functions/secrets/KEY${query}`, { token, body: { value: "hidden-value-of-one" } });
  equal((await put(viewer.accessToken)).expect(403).get("code"), "INSUFFICIENT_SCOPE");
  equal((await gateway.call("GET", "/v1/functions/secrets", { token: viewer.accessToken })).status, 403);
  (await put(owner.accessToken)).expect(200);
  equal((await put(other.accessToken, `?namespace=${owner.namespace}`)).expect(403).get("code"), "NAMESPACE_MISMATCH");
  const credential = { token: other.accessToken };
  await deploy(gateway, credential, "reader", "calls.wat");
  const [found] = await hostCalls(gateway, credential, "reader", ["get_secret", "KEY"]);
  equal(found, "0");
  equal((await gateway.call("GET", "/v1/functions/secrets", credential)).get("count"), 0);
}, { namespaces: 2 });

test("a namespace that takes a deleted one's name has neither its secrets nor its functions", async () => {
  const { gateway } = suite;
  const namespace = uniqueName();
  const first = await newOwner(gateway, namespace);
  const credential = { token: first.accessToken };
  await deploy(gateway, credential, "reader", "calls.wat", { is_public: "true" });
  const body = { value: "hidden-value-of-two" };
  (await gateway.call("PUT", "/v1/functions/secrets/KEY", { ...credential, body })).expect(200);
  deepEqual(await hostCalls(gateway, credential, "reader", ["get_secret", "KEY"]), [body.value]);
  (await gateway.call("DELETE", `/v1/namespaces/${namespace}`, credential)).expect(200);
  let second: Awaited<ReturnType<typeof newOwner>> | undefined;
  await until("the name is free", async () => {
    second = await newOwner(gateway, namespace, ethereumWallet()).catch(() => undefined);
    return second !== undefined;
  });
  const taken = { token: second!.accessToken };
  const before = await gateway.call("POST", `/v1/invoke/${namespace}/reader`, { raw: "get_secret\tKEY" });
  equal(before.status, 401);
  equal((await gateway.call("GET", "/v1/functions/secrets", taken)).get("count"), 0);
  await deploy(gateway, taken, "reader", "calls.wat");
  deepEqual(await hostCalls(gateway, taken, "reader", ["get_secret", "KEY"]), ["0"]);
  await second![Symbol.asyncDispose]();
});

test("a key of the configuration seals from the next start on, and opens what the one before sealed", async () => {
  const folder = await Deno.makeTempDir({ prefix: "orama-gateway-" });
  const secrets = new SecretBook();
  const [one, two] = ["ab".repeat(32), "cd".repeat(32)];
  const started = (config?: Record<string, unknown>) =>
    TestGateway.start({
      driver: "sqlite",
      cacheDriver: "memory",
      folder,
      secrets,
      config: { functions: { secrets: { ...config, reseal_after: "0s" } } },
    });
  try {
    let key: string;
    {
      await using gateway = await started();
      key = await gateway.defaultKey();
      await deploy(gateway, { key }, "reader", "calls.wat");
      (await gateway.call("PUT", "/v1/functions/secrets/KEY", { key, body: { value: "kept-for-long" } })).expect(200);
    }
    const read = async (
      gateway: TestGateway,
    ) => (await hostCalls(gateway, { key }, "reader", ["get_secret", "KEY"], ["last_error"]));
    for (const config of [{ key: one }, { key: two, old_keys: [one] }, { key: two }]) {
      await using gateway = await started(config);
      equal((await read(gateway))[0], "kept-for-long", JSON.stringify(config).slice(0, 20));
      // It is sealed anew in the background.
      const rewritten = config.key !== two || config.old_keys ? 1 : 0;
      const sealed = new RegExp(`sealed with the newest key.*"rewritten":${rewritten},"unreadable":0`);
      await until("it is sealed anew, and said what came of it", () => sealed.test(gateway.log()));
      const printed = await gateway.cli("config", "print");
      equal([one, two].some((text) => (gateway.log() + printed.stdout).includes(text)), false);
    }
    await using gateway = await started({ key: one });
    const [nothing, why] = await read(gateway);
    equal(nothing, "0");
    match(why!, /cannot be read/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
