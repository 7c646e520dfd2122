import { deepEqual, equal, rejects } from "node:assert/strict";
import { IpfsDriver } from "../../../services/storage/ipfs/driver.ts";
import { usableOrigins } from "../../../services/storage/ipfs/origins.ts";
import { stateInCluster } from "../../../services/storage/ipfs/pin_state.ts";
import { cidOf, CODES, noise } from "../../support/blocks.ts";
import { refuses, WAITER } from "../../support/test_content.ts";
import { type Behaviour, FakeEngine, kuboError, linesOf } from "./support/fake_engine.ts";

const CID = cidOf(CODES.raw, noise(1)).toString();
const OPTIONS = { name: "a name", replication: { min: 1, max: 2 } };
const SECRET = "10.0.0.7:9096";
const refusal = (status: number, message: string) => Response.json({ code: status, message }, { status });
const missing = () => refusal(404, "pin is not part of the pinset");
const allocation = (more: object = {}) => ({
  name: "n",
  replication_factor_min: 1,
  replication_factor_max: 1,
  allocations: ["A"],
  origins: null,
  ...more,
});
const peer = (peername: string, status: string, error = "") => ({ peername, status, error });

/** A driver on peers that each do this. */
async function onPeers(
  behaviours: readonly Behaviour[],
  run: (driver: IpfsDriver, peers: readonly FakeEngine[]) => Promise<void>,
) {
  await using stack = new AsyncDisposableStack();
  const kubo = stack.use(new FakeEngine(({ url }) => url.includes("/version") ? Response.json({}) : kuboError("no")));
  const peers = behaviours.map((behaviour) => stack.use(new FakeEngine(behaviour)));
  const driver = new IpfsDriver({
    kubo: [kubo.url],
    cluster: peers.map(({ url }) => `${url}/`),
    clusterUsername: "gateway",
    clusterPassword: "päss:word",
    timeout: 300,
  });
  stack.defer(() => driver.close());
  await run(driver, peers);
}

Deno.test("what is wanted is sent in full, encoded, with the password in the header alone", async () => {
  await onPeers([() => Response.json(allocation())], async (driver, [fake]) => {
    const origins = ["/dns4/example.org/tcp/4001/p2p/12D3KooWG5xSH73SVtALakuK2BYku1ZaxEJMC32XU9TKuhxcZ5Pq"];
    await driver.pin(CID, { name: "a&replication-max=9#?/\r\nü", replication: { min: -1, max: -1 }, origins }, WAITER);
    const { method, path, args, headers } = fake!.heard[0]!;
    deepEqual([method, path], ["POST", `/pins/${CID}`]);
    deepEqual(Object.fromEntries(args), {
      name: "a&replication-max=9#?/\r\nü",
      "replication-min": "-1",
      "replication-max": "-1",
      origins: origins[0],
    });
    equal(headers.get("authorization"), `Basic ${new TextEncoder().encode("gateway:päss:word").toBase64()}`);
  });
});

Deno.test("a peer that is silent, ill or without its others is followed by the next; what is refused is not", async () => {
  const ill: readonly Behaviour[] = [
    () => new Promise(() => {}),
    () => refusal(500, `dial ${SECRET}: refused`),
    () => refusal(502, ""),
    () => new Response("<html>", { status: 503 }),
    () => new Response('{"cid":'),
  ];
  for (const behaviour of ill) {
    await onPeers([behaviour, () => Response.json(allocation())], async (driver, [first, second]) => {
      await driver.pin(CID, OPTIONS, WAITER);
      deepEqual([first!.heard.length, second!.heard.length], [1, 1]);
    });
    await onPeers([behaviour, behaviour], async (driver) => {
      const error = await driver.pin(CID, OPTIONS, WAITER).catch((error) => error);
      equal(error.code, "UNAVAILABLE");
      equal(error.message.includes(SECRET), false);
    });
  }
  const twice = `${JSON.stringify({ code: 400, message: "bad" })}\n${JSON.stringify(allocation())}\n`;
  const refused: readonly (readonly [Behaviour, string, RegExp])[] = [
    [() => refusal(401, "unauthorized: no auth provided"), "UNAVAILABLE", /refuses to serve/],
    [() => refusal(500, "cluster.replication_factor_min is larger than max"), "INVALID_REQUEST", /replication_min/],
    [() => new Response(twice, { status: 400 }), "UNAVAILABLE", /./],
  ];
  for (const [behaviour, code, pattern] of refused) {
    await onPeers([behaviour, () => Response.json(allocation())], async (driver, [, second]) => {
      await refuses(driver.pin(CID, OPTIONS, WAITER), code as "UNAVAILABLE", pattern);
      equal(second!.heard.length, 0);
    });
  }
});

Deno.test("too few peers are told as such, also where another peer is down", async () => {
  const few = () => refusal(500, "not enough peers to allocate CID. Needed at least: 9. Wanted at most: 9.");
  await onPeers([few, () => new Promise(() => {})], async (driver) => {
    await refuses(driver.pin(CID, OPTIONS, WAITER), "UNAVAILABLE", /fewer peers/);
  });
});

Deno.test("a peer is asked the same again and again, and the next one only while it is down", async () => {
  let down = false;
  const first: Behaviour = (_, { path }) =>
    down ? refusal(500, "") : Response.json(path.startsWith("/pins") ? {} : allocation());
  await onPeers([first, () => Response.json(allocation())], async (driver, [one, other]) => {
    for (let i = 0; i < 5; i++) await driver.pin(CID, OPTIONS, WAITER);
    deepEqual([one!.heard.length, other!.heard.length], [5, 0]);
    down = true;
    await driver.pin(CID, OPTIONS, WAITER);
    deepEqual([one!.heard.length, other!.heard.length], [6, 1]);
  });
});

Deno.test("an end of a pin that is not believed is said again, until there is none for a while", async () => {
  let deletes = 0, written = false;
  const peerThatBatches: Behaviour = (_, { method }) => {
    if (method === "POST") {
      setTimeout(() => written = true, 100);
      return Response.json(allocation());
    }
    if (method !== "DELETE") return missing();
    deletes++;
    if (!written) return missing();
    written = false;
    return Response.json(allocation());
  };
  await onPeers([peerThatBatches], async (driver) => {
    await driver.pin(CID, OPTIONS, WAITER);
    await driver.unpin(CID, WAITER);
    equal(written, false);
    equal(deletes > 2, true);
  });
  await onPeers([() => Response.json(allocation())], async (driver) => {
    const caller = new AbortController(), reason = new Error("gone");
    setTimeout(() => caller.abort(reason), 200);
    await rejects(driver.unpin(CID, { signal: caller.signal }), (error) => error === reason);
  });
});

Deno.test("the state says on how many peers it is, and only that", () => {
  const states: readonly (readonly [object, Record<string, ReturnType<typeof peer>>, string, number])[] = [
    [{}, { A: peer("a", "pinned"), B: peer("b", "remote") }, "pinned", 1],
    [{}, { A: peer("a", "pinning"), B: peer("b", "remote") }, "pinning", 1],
    [{}, { A: peer("a", "pin_queued") }, "queued", 1],
    [{}, { A: peer("a", "unpinned") }, "queued", 1],
    [{}, { A: peer("a", "pin_error", `dial ${SECRET}`) }, "error", 1],
    [{}, { A: peer("a", "cluster_error", `dial ${SECRET}`) }, "error", 1],
    [{}, { A: peer("a", "unexpectedly_unpinned") }, "error", 1],
    // One that has it still, although it is not meant to.
    [{}, { A: peer("a", "pinning"), B: peer("b", "pinned") }, "pinned", 2],
    [
      { replication_factor_min: 2, allocations: ["A", "B"] },
      { A: peer("a", "pinned"), B: peer("b", "pinning") },
      "pinning",
      2,
    ],
    [
      { replication_factor_min: 2, allocations: ["A", "B"] },
      { A: peer("a", "pinned"), B: peer("b", "pin_error") },
      "error",
      2,
    ],
    [
      { replication_factor_min: 1, allocations: ["A", "B"] },
      { A: peer("a", "pinned"), B: peer("b", "pin_error") },
      "pinned",
      2,
    ],
    [
      { replication_factor_min: -1, allocations: [] },
      { A: peer("a", "pinned"), B: peer("b", "cluster_error") },
      "error",
      2,
    ],
    [
      { replication_factor_min: -1, allocations: null },
      { A: peer("a", "pinned"), B: peer("b", "pinned") },
      "pinned",
      2,
    ],
    [{ replication_factor_min: 2, allocations: ["A", "B"] }, {}, "queued", 0],
    [{}, { A: peer("a", "something new") }, "queued", 1],
  ];
  for (const [wanted, peers, status, count] of states) {
    const state = stateInCluster(allocation(wanted), { peer_map: peers });
    deepEqual([state.status, state.peers.length], [status, count], JSON.stringify([wanted, peers]));
    equal(JSON.stringify(state).includes(SECRET), false);
    equal(state.error === undefined, status !== "error");
  }
});

Deno.test("answers come in pieces and lines; an empty list has no body", async () => {
  const lines = [{ id: "A", error: "" }, { id: "B", error: `dial ${SECRET}` }].map((line) => JSON.stringify(line)).join(
    "\n",
  );
  const bytes = new TextEncoder().encode(`${lines}\n`);
  const pieces = () =>
    new Response(ReadableStream.from((async function* () {
      for (const byte of bytes) yield Uint8Array.of(byte);
    })()));
  await onPeers([(_, { path }) => path === "/peers" ? pieces() : linesOf({ id: "A" })], async (driver) => {
    const health = await driver.health(WAITER.signal);
    deepEqual([health.status, health.reason], ["degraded", "the cluster does not reach 1 of its peers"]);
  });
  await onPeers(
    [(_, { path }) => path === "/peers" ? new Response(null, { status: 204 }) : linesOf({ id: "A" })],
    async (driver) => {
      equal((await driver.health(WAITER.signal)).status, "ok");
    },
  );
});

Deno.test("only addresses of peers on the network are tried, a few of them, and none of private networks", () => {
  const id = "12D3KooWG5xSH73SVtALakuK2BYku1ZaxEJMC32XU9TKuhxcZ5Pq";
  const good = [
    `/ip4/1.2.3.4/tcp/4001/p2p/${id}`,
    `/ip6/2a00:1450::1/udp/4001/quic-v1/p2p/${id}`,
    `/dns4/example.org/tcp/443/wss/p2p/${id}`,
    `/dnsaddr/bootstrap.example.org/p2p/${id}`,
  ];
  const bad = [
    "",
    "nonsense",
    `/ip4/1.2.3.4/tcp/4001`,
    `/unix/run/x.sock/p2p/${id}`,
    `/ip4/1.2.3.4/tcp/4001/p2p/${id}/p2p-circuit/p2p/${id}`.replace("/p2p-circuit", "/p2p-circuit?x"),
    `/ip4/1.2.3.4/tcp/4001/p2p/${id},/ip4/10.0.0.1/tcp/1/p2p/${id}`,
    `/ip4/1.2.3.4/tcp/4001/p2p/${id}\n`,
    `/ip4/999.2.3.4/tcp/4001/p2p/${id}`,
    `/ip4/1.2.3.4/tcp/${"4".repeat(300)}/p2p/${id}`,
  ];
  const own = [
    `/ip4/127.0.0.1/tcp/4001/p2p/${id}`,
    `/ip4/10.0.0.1/tcp/4001/p2p/${id}`,
    `/ip4/169.254.169.254/tcp/80/p2p/${id}`,
    `/ip4/0.0.0.0/tcp/80/p2p/${id}`,
    `/ip6/::1/tcp/80/p2p/${id}`,
    `/ip6/::ffff:127.0.0.1/tcp/80/p2p/${id}`,
    `/ip6/fd00::1/tcp/80/p2p/${id}`,
  ];
  deepEqual(usableOrigins([...good, ...bad, ...own], false), good);
  deepEqual(usableOrigins([...own, ...bad], true), own);
  equal(usableOrigins(Array(100).fill(good[0]), false).length, 20);
});
