import { deepEqual, equal, ok } from "node:assert/strict";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const keyOf = (byte: string) => byte.repeat(32);
const network = (key: string, more: Readonly<Record<string, unknown>> = {}) => ({
  pubsub: { driver: "libp2p" },
  network: { key, ...more },
});

/** Where a gateway takes connections of others, as it tells operators: with its id, as in `network.bootstrap`. */
async function addressOf(gateway: TestGateway): Promise<string> {
  const { key } = await gateway.makeKey("--operator");
  const peers = (await gateway.call("GET", "/v1/network/peers", { key })).expect(200).list("peers").map(String);
  const [id, address] = [peers.find((one) => one.startsWith("/p2p/")), peers.find((one) => one.startsWith("/ip4/"))];
  ok(id !== undefined && address !== undefined, peers.join());
  return `${address}${id}`;
}

const peersOf = async (gateway: TestGateway) =>
  (await gateway.call("GET", "/v1/network/status")).expect(200).get("peer_count");

Deno.test("gateways that share nothing are connected by `network.bootstrap`, and again when one was away", async () => {
  await using one = await TestGateway.start({ driver: "sqlite", config: network(keyOf("a1")) });
  const bootstrap = [await addressOf(one)];
  const start = (key: string) => TestGateway.start({ driver: "sqlite", config: network(keyOf(key), { bootstrap }) });
  const meets = (gateway: TestGateway, count: number) =>
    until(`it has ${count} peers`, async () => await peersOf(gateway) === count);
  {
    await using other = await start("a1");
    for (const gateway of [one, other]) await meets(gateway, 1);
  }
  await meets(one, 0);
  await using again = await start("a1");
  for (const gateway of [one, again]) await meets(gateway, 1);
  // The same address with another key: it is dialled, and no peer.
  await using stranger = await start("b2");
  const { key } = await one.makeKey("--operator");
  await until("a stranger was refused", async () => {
    const { text } = await one.call("GET", "/metrics", { key });
    return Number(/^network_refused_total\{reason="stranger"\} (\d+)/m.exec(text)?.[1] ?? 0) > 0;
  });
  deepEqual([await peersOf(one), await peersOf(stranger)], [1, 0]);
});

engineTest(
  "a gateway with another network key than the others of its cluster is told by the status of all of them",
  ["rqlited"],
  async (engines) => {
    const [control, tenant] = await Promise.all([engines.rqlite({ nodes: 1 }), engines.rqlite({ nodes: 1 })]);
    await using database = await databaseOn(control, [tenant]);
    const start = (key: string) => TestGateway.start({ driver: "rqlite", database, config: network(keyOf(key)) });
    const seen = async (gateway: TestGateway) => {
      const status = (await gateway.call("GET", "/v1/status")).expect(200);
      const { status: is, details } = status.get("services.pubsub") as {
        readonly status: string;
        readonly details: Readonly<Record<string, number>>;
      };
      return `${is}: ${details.linked} of ${details.gateways}`;
    };
    const is = (gateway: TestGateway, state: string) =>
      until(`status says ${state}`, async () => await seen(gateway) === state);
    await using one = await start("a1");
    {
      await using other = await start("a1");
      for (const gateway of [one, other]) await is(gateway, "ok: 1 of 1");
      equal(await other.stop(), 0);
    }
    await is(one, "ok: 0 of 0");
    await using other = await start("b2");
    for (const gateway of [one, other]) await is(gateway, "degraded: 0 of 1");
    // Until all have it.
    equal(await one.stop(), 0);
    await using moved = await start("b2");
    for (const gateway of [other, moved]) await is(gateway, "ok: 1 of 1");
  },
);
