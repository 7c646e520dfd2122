import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newMember, newOwner } from "../support/accounts.ts";
import { gatewaySuite } from "../support/suite.ts";
import { chosenDriver } from "../support/test_database.ts";

const suite = gatewaySuite();
const { test } = suite;

const WANTED = { url: "https://app.example/hook", events: ["function.*"] };

test("a webhook is made, read, changed, given another key and deleted, and its secret is seen once", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  const made = (await gateway.call("POST", "/v1/webhooks", { ...credential, body: WANTED })).expect(201);
  const secret = made.string("secret"), id = made.string("id");
  match(secret, /^whsec_[A-Za-z0-9_-]{43}$/);
  equal(made.headers.get("cache-control"), "no-store");
  deepEqual([made.get("url"), made.get("algorithm"), made.get("enabled")], [WANTED.url, "hmac-sha256", true]);
  const path = `/v1/webhooks/${id}`;
  const read = (await gateway.call("GET", path, credential)).expect(200);
  equal(read.get("secret"), undefined);
  const changes = { description: "ours", enabled: false, events: ["*"] };
  const changed = (await gateway.call("PATCH", path, { ...credential, body: changes })).expect(200);
  deepEqual([changed.get("description"), changed.get("enabled"), changed.get("url")], ["ours", false, WANTED.url]);
  const rotated = (await gateway.call("POST", `${path}/rotate`, credential)).expect(200);
  ok(rotated.string("secret") !== secret);
  equal(rotated.list("keys").length, 2);
  const listed = (await gateway.call("GET", "/v1/webhooks", credential)).expect(200);
  equal(listed.get("count"), 1);
  for (const text of [read.text, changed.text, listed.text, gateway.log()]) equal(text.includes("whsec_"), false);
  if (chosenDriver() === "sqlite") {
    const held = new TextDecoder("latin1").decode(Deno.readFileSync(`${gateway.dataFolder}/control.sqlite`));
    equal(held.includes(secret.slice("whsec_".length)), false);
  }
  const deliveries = (await gateway.call("GET", `${path}/deliveries?state=dead`, credential)).expect(200);
  deepEqual([deliveries.get("count"), deliveries.get("next_cursor")], [0, null]);
  equal((await gateway.call("POST", `${path}/deliveries/whd_1/redeliver`, credential)).status, 404);
  (await gateway.call("DELETE", path, credential)).expect(200);
  equal((await gateway.call("GET", path, credential)).expect(404).get("error"), "webhook not found");
});

test("a webhook whose address is an inner one is refused when something is sent, and told so", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const credential = { token: owner.accessToken };
  let asked = 0;
  await using canary = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, () => {
    asked++;
    return new Response();
  });
  const { port } = canary.addr;
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`, `2130706433:${port}`, "169.254.169.254"];
  for (const host of [...hosts, `[::ffff:127.0.0.1]:${port}`, `127.0.0.1.:${port}`]) {
    const body = { url: `http://${host}/`, events: ["*"] };
    const made = (await gateway.call("POST", "/v1/webhooks", { ...credential, body })).expect(201);
    const path = `/v1/webhooks/${made.string("id")}`;
    const trial = (await gateway.call("POST", `${path}/test`, credential)).expect(200);
    deepEqual([trial.get("delivered"), trial.get("status")], [false, undefined], host);
    ok(trial.string("error").length > 0);
    (await gateway.call("DELETE", path, credential)).expect(200);
  }
  equal(asked, 0);
});

test("webhooks are for admins, and another namespace's are not found", async () => {
  await using owner = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const { gateway } = suite;
  const viewer = await newMember(gateway, owner, "viewer");
  const make = (token: string) => gateway.call("POST", "/v1/webhooks", { token, body: WANTED });
  equal((await make(viewer.accessToken)).expect(403).get("code"), "INSUFFICIENT_SCOPE");
  equal((await gateway.call("GET", "/v1/webhooks", { token: viewer.accessToken })).status, 403);
  const path = `/v1/webhooks/${(await make(owner.accessToken)).expect(201).string("id")}`;
  const { accessToken: token } = other;
  for (
    const [method, at, body] of [
      ["GET", path],
      ["PATCH", path, { enabled: false }],
      ["DELETE", path],
      ["POST", `${path}/rotate`],
      ["POST", `${path}/test`],
      ["GET", `${path}/deliveries`],
      ["POST", `${path}/deliveries/whd_1/redeliver`],
    ] as const
  ) equal((await gateway.call(method, at, { token, ...(body && { body }) })).status, 404, `${method} ${at}`);
  equal((await gateway.call("GET", "/v1/webhooks", { token })).get("count"), 0);
  equal((await gateway.call("GET", path, { token: owner.accessToken })).expect(200).get("enabled"), true);
}, { namespaces: 2 });

test("twenty webhooks are all that a namespace has, and what is wrong with one is told by name", async () => {
  await using owner = await newOwner(suite.gateway);
  const { gateway } = suite;
  const make = (body: unknown) => gateway.call("POST", "/v1/webhooks", { token: owner.accessToken, body });
  for (const [field, value] of [["url", "ftp://a.example/"], ["url", "https://u:p@a.example/"], ["events", ["A"]]]) {
    const answer = (await make({ ...WANTED, [field as string]: value })).expect(400);
    ok(String(answer.list("details")[0]!.field).startsWith(field as string), answer.text);
  }
  const made = await Promise.all(Array.from({ length: 22 }, () => make(WANTED)));
  deepEqual(made.map(({ status }) => status).toSorted(), [...Array(20).fill(201), 403, 403]);
  equal(made.find(({ status }) => status === 403)!.get("code"), "QUOTA_EXCEEDED");
});

test(
  "an operator limits the webhooks of one namespace alone; lowered under what is there, it takes none away",
  async () => {
    await using owner = await newOwner(suite.gateway);
    await using other = await newOwner(suite.gateway);
    const { gateway } = suite;
    const { key } = await gateway.makeKey("--operator");
    const make = (token: string) => gateway.call("POST", "/v1/webhooks", { token, body: WANTED });
    const limit = async (webhooks: unknown) => {
      const path = `/v1/namespaces/${owner.namespace}/limits`;
      return (await gateway.call("PATCH", path, { key, body: { webhooks } })).expect(200);
    };
    await limit({ endpoints: 2 });
    const ids = [];
    for (let i = 0; i < 2; i++) ids.push((await make(owner.accessToken)).expect(201).string("id"));
    const refused = (await make(owner.accessToken)).expect(403);
    deepEqual([refused.get("code"), refused.get("details")], ["QUOTA_EXCEEDED", {
      quota: "webhooks.endpoints",
      limit: 2,
    }]);
    for (let i = 0; i < 3; i++) (await make(other.accessToken)).expect(201);
    equal((await limit({ endpoints: 1 })).get("effective.webhooks.endpoints"), 1);
    const token = owner.accessToken;
    equal((await gateway.call("GET", "/v1/webhooks", { token })).get("count"), 2);
    (await gateway.call("PATCH", `/v1/webhooks/${ids[1]}`, { token, body: { enabled: false } })).expect(200);
    (await gateway.call("DELETE", `/v1/webhooks/${ids[0]}`, { token })).expect(200);
    equal((await make(token)).status, 403);
    await limit({ endpoints: null });
    (await make(token)).expect(201);
    equal(
      (await gateway.call("PATCH", `/v1/namespaces/${owner.namespace}/limits`, {
        token,
        body: { webhooks: { endpoints: 9 } },
      })).status,
      403,
      "the owner raises none",
    );
  },
  { namespaces: 2 },
);
