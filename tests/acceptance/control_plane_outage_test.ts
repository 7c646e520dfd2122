import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { challenge, newOwner, proof } from "../support/accounts.ts";
import { TestGateway } from "../support/gateway.ts";
import { encodePart } from "../support/signing_key.ts";
import { chosenDriver, startTestDatabase } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";

/** These need a control plane that can be hurt; the embedded one lives and dies with the gateway. */
function test(name: string, fn: () => Promise<void>): void {
  Deno.test({ name, ignore: chosenDriver() !== "rqlite" || Deno.env.has("TEST_BASE_URL"), fn });
}

const MAX_STALE = 2_000;
const config = {
  auth: { principal_cache: { max_stale: `${MAX_STALE}ms` } },
  database: { rqlite: { request_timeout: "500ms" } },
};

test("without its control plane a gateway says 503 and never 401, believes what it knows for a while, and recovers", async () => {
  await using database = await startTestDatabase("rqlite");
  const rqlite = { ...database.config.database!.rqlite as object, ...config.database.rqlite };
  await using gateway = await TestGateway.start({
    database,
    config: { auth: { ...database.config.auth, ...config.auth }, database: { driver: "rqlite", rqlite } },
  });
  await using owner = await newOwner(gateway);
  const { accessToken: token, apiKey: warm, refreshToken: refresh_token } = owner;
  const made = await gateway.call("POST", "/v1/auth/keys", { token, body: { name: "cold" } });
  const cold = made.expect(201).string("api_key");
  const wallet = ethereumWallet();
  const proved = await proof(gateway, wallet, owner.namespace);
  const whoami = (credential: { key?: string; token?: string }) => gateway.call("GET", "/v1/auth/whoami", credential);
  (await whoami({ key: warm })).expect(200);
  (await whoami({ token })).expect(200);

  for (const node of database.control!.nodes) node.pause();
  const since = performance.now();
  try {
    (await whoami({ key: warm })).expect(200);
    (await whoami({ token })).expect(200);
    ok(performance.now() - since < MAX_STALE, "what is remembered needs no trip");
    (await gateway.call("GET", "/health")).expect(200);
    (await challenge(gateway, wallet, owner.namespace)).expect(200);
    const asked = performance.now();
    const unknown = token.replace(/^[^.]+/, encodePart({ alg: "EdDSA", typ: "JWT", kid: "made elsewhere" }));
    const strangers = await Promise.all([
      whoami({ key: cold }),
      whoami({ key: `ak_AAAAAAAAAAAAAAAAAAAAAAAA:${owner.namespace}` }),
      ...Array.from({ length: 5 }, () => whoami({ token: unknown })),
    ]);
    ok(performance.now() - asked < 4_500, "nobody waits longer to hear who it is");
    for (const answer of strangers) equal(answer.status, 503, answer.text);
    const again = performance.now();
    (await whoami({ token: unknown })).expect(503);
    ok(performance.now() - again < 500, "what was just looked up in vain is not looked up again");
    const answers = await Promise.all([
      gateway.call("POST", "/v1/auth/refresh", { body: { refresh_token } }),
      gateway.call("POST", "/v1/auth/verify", { body: proved }),
    ]);
    for (const answer of [...strangers, ...answers]) {
      ok([503, 409].includes(answer.status), answer.text);
      if (answer.status === 503) ok(Number(answer.headers.get("retry-after")) >= 1);
      ok(!/https?:\/\/127|rqlite/.test(answer.text), answer.text);
    }
    await until(
      "what was remembered is believed no more",
      async () => (await whoami({ key: warm })).status === 503,
      10_000,
    );
    equal((await whoami({ token })).status, 503);
    await until("status says so", async () => {
      const status = await gateway.call("GET", "/v1/status");
      return status.get("status") === "degraded" && status.get("services.control_plane.status") === "down";
    });
  } finally {
    for (const node of database.control!.nodes) node.resume();
  }
  await until("keys are taken again", async () => (await whoami({ key: warm })).status === 200);
  for (const credential of [{ key: warm }, { key: cold }, { token }]) (await whoami(credential)).expect(200);
  equal((await whoami({ key: `ak_AAAAAAAAAAAAAAAAAAAAAAAA:${owner.namespace}` })).status, 401);
});

test("a gateway with another root key, whose control plane comes later, says so, lets nobody in and goes on telling", async () => {
  await using database = await startTestDatabase("rqlite");
  await using right = await TestGateway.start({ database });
  await using owner = await newOwner(right);
  const rootKey = `${right.folder}/other.key`;
  await Deno.writeTextFile(rootKey, crypto.getRandomValues(new Uint8Array(32)).toHex(), { mode: 0o600 });
  for (const node of database.control!.nodes) node.pause();
  const start = performance.now();
  const starting = TestGateway.start({ database, config: { auth: { root_key_file: rootKey } } });
  await starting.finally(() => database.control!.nodes.forEach((node) => node.resume()));
  const took = performance.now() - start;
  ok(took < 8_000, `a control plane that hangs holds the start no longer than some seconds: ${took}`);
  await using wrong = await starting;
  await until("its state tells", async () => {
    const status = await wrong.call("GET", "/v1/status");
    return status.get("services.control_plane.reason") === "this gateway's root key is not the one of the cluster";
  });
  const status = await wrong.call("GET", "/v1/status");
  deepEqual([status.get("status"), status.get("services.control_plane.status")], ["degraded", "degraded"]);
  (await wrong.call("GET", "/health")).expect(200);
  for (const credential of [{ key: owner.apiKey }, { token: owner.accessToken }]) {
    for (let i = 0; i < 2; i++) (await wrong.call("GET", "/v1/auth/whoami", credential)).expect(503);
  }
  const told = () => wrong.log().match(/"the control plane is not in order"[^\n]*signing keys lie/g)?.length ?? 0;
  await until("it is told again", () => told() >= 3);
});

test("a gateway that starts before its control plane serves what it can, and the rest once it is there", async () => {
  await using database = await startTestDatabase("rqlite");
  for (const node of database.control!.nodes) node.pause();
  const started = TestGateway.start({ database });
  let gateway: TestGateway;
  try {
    gateway = await started;
    (await gateway.call("GET", "/health")).expect(200);
    equal((await gateway.call("GET", "/v1/status")).get("status"), "degraded");
    const key = "ak_AAAAAAAAAAAAAAAAAAAAAAAA:default";
    equal((await gateway.call("GET", "/v1/auth/whoami", { key })).expect(503).get("code"), "UNAVAILABLE");
    equal((await gateway.call("GET", "/v1/auth/whoami")).status, 401);
  } finally {
    for (const node of database.control!.nodes) node.resume();
  }
  await using running = gateway;
  await until("it is whole", async () => (await running.call("GET", "/v1/status")).get("status") === "ok");
  await using owner = await newOwner(running);
  (await running.call("GET", "/v1/auth/whoami", { key: owner.apiKey })).expect(200);
});
