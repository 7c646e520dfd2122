import { deepEqual, equal } from "node:assert/strict";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { newOwner } from "../support/accounts.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const config = { pubsub: { driver: "libp2p" } };
const stateOf = async (gateway: TestGateway) =>
  (await gateway.call("GET", "/v1/status")).expect(200).get("services.pubsub") as Record<string, unknown>;
const isLinked = async (gateway: TestGateway, others: number) => {
  const { status, details } = await stateOf(gateway) as { status: string; details: Record<string, number> };
  return status === "ok" && details.gateways === others && details.linked === others;
};

engineTest(
  "gateways on one control plane find each other, and status tells of those that cannot be reached",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
    await using database = await databaseOn(control, [tenant]);
    const start = () => TestGateway.start({ driver: "rqlite", database, config });
    await using one = await start();
    await until("it is alone, and well", () => isLinked(one, 0));
    await using other = await start();
    for (const gateway of [one, other]) {
      await until("they are linked", () => isLinked(gateway, 1));
      await until("status tells of its peer", async () => {
        const status = (await gateway.call("GET", "/v1/status")).expect(200);
        return status.get("network.connected") === true && status.get("network.peer_count") === 1;
      });
    }
    await using owner = await newOwner(one);
    const key = { key: owner.apiKey };
    for (const [from, to] of [[one, other], [other, one]] as const) {
      const topic = crypto.randomUUID();
      const body = { topic, data: { n: 1 } };
      (await from.call("POST", "/v1/pubsub/publish", { ...key, body })).expect(200);
      const kept = await to.call("GET", `/v1/pubsub/history?topic=${topic}`, key);
      deepEqual(kept.expect(200).list("messages").map(({ data }) => data), [{ n: 1 }]);
    }
    const named = (await one.call("POST", "/v1/auth/keys", { token: owner.accessToken, body: { name: "k" } }))
      .expect(201);
    const made = { key: named.string("api_key") };
    const token = (await one.call("POST", "/v1/pubsub/token", { ...made, body: { topics: { subscribe: ["a"] } } }))
      .expect(200).string("token");
    const whoami = async () => (await other.call("GET", "/v1/auth/whoami", { token })).status;
    equal(await whoami(), 200);
    const by = { token: owner.accessToken };
    (await one.call("DELETE", `/v1/auth/keys/${named.string("id")}`, by)).expect(200);
    await until("what was made with the key is dead elsewhere", async () => await whoami() === 401);

    other.signal("SIGKILL");
    await until("it is told that one cannot be reached", async () => {
      const { status, details } = await stateOf(one) as { status: string; details: Record<string, number> };
      return status === "degraded" && details.gateways === 1 && details.linked === 0;
    });
    const { text } = await one.call("GET", "/v1/status");
    for (const secret of ["127.0.0.1", "/tcp/", "12D3Koo", owner.namespace]) {
      equal(text.includes(secret), false, secret);
    }
  },
);

engineTest("a gateway that ends is missed by none of those that go on", ["rqlited"], async (engines) => {
  const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
  await using database = await databaseOn(control, [tenant]);
  const start = () => TestGateway.start({ driver: "rqlite", database, config });
  await using one = await start();
  await using other = await start();
  await until("they are linked", () => isLinked(one, 1));
  equal(await other.stop(), 0);
  await until("the one that is left is alone, and well", () => isLinked(one, 0));
});
