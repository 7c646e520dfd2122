import { out } from "../../../src/cli/output.ts";
import { databaseOn } from "../../support/test_database.ts";
import { newOwner } from "../../support/accounts.ts";
import { TestGateway } from "../../support/gateway.ts";
import { RqliteTestCluster } from "../../engines/support/rqlite.ts";
import { until } from "../../engines/support/wait.ts";
import { quantile } from "../pace.ts";

const MESSAGES = 1_000, WARM = 200;

/** Measures from the call that publishes by HTTP to the message on a socket, of another gateway and of the same one. */
export async function acrossGateways(): Promise<void> {
  await using control = await RqliteTestCluster.start({ nodes: 1 });
  await using tenant = await RqliteTestCluster.start({ nodes: 1 });
  await using database = await databaseOn(control, [tenant]);
  const config = { pubsub: { driver: "libp2p" }, log: { level: "info" } };
  await using one = await TestGateway.start({ driver: "rqlite", cacheDriver: "memory", database, config });
  await using other = await TestGateway.start({ driver: "rqlite", cacheDriver: "memory", database, config });
  for (const gateway of [one, other]) await until("they are linked", () => isLinked(gateway));
  await using owner = await newOwner(one);
  out(`## From a call that publishes to a socket\n\n| | p50 ms | p99 ms |\n|---|---|---|`);
  for (const [name, publisher] of [["the same gateway", one], ["another gateway", other]] as const) {
    const times = (await publishAll(publisher, one, owner.apiKey)).sort((a, b) => a - b);
    out(`| ${name} | ${quantile(times, 0.5).toFixed(2)} | ${quantile(times, 0.99).toFixed(2)} |`);
  }
}

async function isLinked(gateway: TestGateway): Promise<boolean> {
  const status = (await gateway.call("GET", "/v1/status")).expect(200);
  return status.get("services.pubsub.details.linked") === 1;
}

/** @returns milliseconds of each message */
async function publishAll(publisher: TestGateway, listener: TestGateway, key: string): Promise<number[]> {
  const socket = new WebSocket(`${listener.url.replace("http", "ws")}/v1/realtime?api_key=${key}`);
  let came = Promise.withResolvers<number>();
  socket.onmessage = () => came.resolve(performance.now());
  await new Promise((resolve) => socket.onopen = resolve);
  socket.send(JSON.stringify({ id: 1, type: "subscribe", topic: "bench" }));
  await came.promise;
  const headers = { "x-api-key": key, "content-type": "application/json" };
  const times: number[] = [];
  for (let i = 0; i < WARM + MESSAGES; i++) {
    came = Promise.withResolvers();
    const begun = performance.now();
    const body = JSON.stringify({ topic: "bench", data: i });
    const answer = fetch(`${publisher.url}/v1/pubsub/publish`, { method: "POST", headers, body });
    const at = await came.promise;
    const { ok, status } = await answer.then(async (given) => (await given.body?.cancel(), given));
    if (!ok) throw new Error(`publish: ${status}`);
    if (i >= WARM) times.push(at - begun);
  }
  socket.close();
  return times;
}
