import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { TestGateway } from "../support/gateway.ts";
import { anyGatewaySuite, gatewaySuite } from "../support/suite.ts";

const any = anyGatewaySuite();
const alone = gatewaySuite({ config: { pubsub: { driver: "local" } } });
const member = gatewaySuite({ config: { pubsub: { driver: "libp2p" }, network: { key: "a1".repeat(32) } } });

const ELSEWHERE = "/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";

any.test("the state of the network is told to anybody, in the members that older clients read", async () => {
  const status = (await any.gateway.call("GET", "/v1/network/status")).expect(200);
  deepEqual(
    Object.entries(status.body).map(([name, value]) => [name, typeof value]).sort(),
    [
      ["connected", "boolean"],
      ["database_size", "number"],
      ["node_id", "string"],
      ["peer_count", "number"],
      ["peer_id", "string"],
      ["uptime", "number"],
    ],
  );
  equal(status.get("connected"), status.get("peer_count") !== 0);
  const peers = (await any.gateway.call("GET", "/v1/network/peers")).expect(200);
  for (const peer of peers.list("peers")) match(String(peer), /^\/p2p\//, "addresses are not for everybody");
  for (const { addresses } of peers.list("peer_infos")) deepEqual(addresses, []);
});

alone.test("a gateway alone says so, and cannot be connected", async () => {
  const { gateway } = alone;
  const { key } = await gateway.makeKey("--operator");
  deepEqual((await gateway.call("GET", "/v1/network/peers")).expect(200).body, { peers: [], peer_infos: [] });
  const status = (await gateway.call("GET", "/v1/network/status")).expect(200);
  deepEqual([status.get("connected"), status.get("peer_count"), status.get("peer_id")], [false, 0, ""]);
  const multiaddr = `/ip4/127.0.0.1/tcp/1${ELSEWHERE}`;
  const connect = (await gateway.call("POST", "/v1/network/connect", { key, body: { multiaddr } })).expect(409);
  equal(connect.get("code"), "CONFLICT");
  const peer_id = ELSEWHERE.slice(5);
  (await gateway.call("POST", "/v1/network/disconnect", { key, body: { peer_id } })).expect(404);
});

alone.test("only an operator connects and disconnects gateways", async () => {
  const { gateway } = alone;
  const key = await gateway.defaultKey();
  for (const path of ["/v1/network/connect", "/v1/network/disconnect"]) {
    const body = { multiaddr: `/ip4/127.0.0.1/tcp/1${ELSEWHERE}`, peer_id: ELSEWHERE.slice(5) };
    (await gateway.call("POST", path, { body })).expect(401);
    (await gateway.call("POST", path, { key, body })).expect(403);
  }
});

member.test("what is no address of a gateway is 400, whichever member it is in, and reaches nothing", async () => {
  const { gateway } = member;
  const { key } = await gateway.makeKey("--operator");
  const connect = (body: unknown) => gateway.call("POST", "/v1/network/connect", { key, body });
  for (
    const address of [
      "/ip4/127.0.0.1/tcp/6001",
      `/unix/%2Frun%2Fdocker.sock${ELSEWHERE}`,
      `/dnsaddr/bootstrap.libp2p.io${ELSEWHERE}`,
      `/ip4/127.0.0.1/udp/53${ELSEWHERE}`,
      "http://127.0.0.1:6001",
      "",
    ]
  ) {
    for (const member of ["multiaddr", "peer_addr"]) {
      const answer = (await connect({ [member]: address })).expect(400);
      equal(answer.get("code"), "INVALID_REQUEST");
    }
  }
  match((await connect({})).expect(400).string("error"), /invalid body: expected \{multiaddr\}/);
  const own = (await gateway.call("GET", "/v1/network/peers", { key })).list("peers").map(String);
  const address = own.find((one) => one.startsWith("/ip4/"));
  match((await connect({ multiaddr: `${address}${own[0]}` })).expect(400).string("error"), /another gateway/);
});

member.test("an open port that is no gateway, and a closed one, are answered alike", async () => {
  const { gateway } = member;
  const { key } = await gateway.makeKey("--operator");
  const { port } = new URL(gateway.url);
  const answers = await Promise.all([port, "1"].map(async (at) => {
    const multiaddr = `/ip4/127.0.0.1/tcp/${at}${ELSEWHERE}`;
    const answer = (await gateway.call("POST", "/v1/network/connect", { key, body: { multiaddr } })).expect(503);
    return [answer.string("error"), answer.get("code"), answer.headers.get("retry-after")];
  }));
  deepEqual(answers[0], answers[1]);
  deepEqual(answers[0]?.slice(1), ["UNAVAILABLE", "5"]);
});

member.test("two gateways with one network key are connected by an operator, see each other, and part", async () => {
  const { gateway } = member;
  await using other = await TestGateway.start({
    config: { pubsub: { driver: "libp2p" }, network: { key: "a1".repeat(32) } },
    driver: "sqlite",
  });
  const { key } = await gateway.makeKey("--operator"), { key: otherKey } = await other.makeKey("--operator");
  const addressesOf = async (one: TestGateway, key: string) =>
    (await one.call("GET", "/v1/network/peers", { key })).expect(200).list("peers").map(String);
  const [id, address] = await addressesOf(other, otherKey);
  ok(id?.startsWith("/p2p/") && address?.startsWith("/ip4/127.0.0.1/tcp/"), `${id} ${address}`);
  const body = { peer_addr: `${address}${id}` };
  deepEqual((await gateway.call("POST", "/v1/network/connect", { key, body })).expect(200).body, { status: "ok" });
  for (const one of [gateway, other]) {
    await until("they see each other", async () => {
      const status = (await one.call("GET", "/v1/network/status")).expect(200);
      return status.get("connected") === true && status.get("peer_count") === 1;
    });
  }
  const peers = (await gateway.call("GET", "/v1/network/peers", { key })).expect(200);
  deepEqual(peers.list("peer_infos").map(({ id }) => `/p2p/${id}`), [id]);
  ok(peers.list("peers").every((text) => String(text).startsWith("/")));

  const peer_id = id!.slice(5);
  const part = () => gateway.call("POST", "/v1/network/disconnect", { key, body: { peer_id } });
  deepEqual((await part()).expect(200).body, { status: "ok" });
  await until("it is gone", async () => (await gateway.call("GET", "/v1/network/status")).get("peer_count") === 0);
  equal((await part()).expect(404).get("code"), "NOT_FOUND");
});
