// The cache through the gateway: in its own memory against a bare `Deno.serve` that answers the same bytes, and on Olric, where
// there is an olric-server, against the same client asking Olric itself, over as many connections as suit it best.
// deno task bench:cache
import { out } from "../../src/cli/output.ts";
import { OlricTestCluster } from "../engines/support/olric.ts";
import { findProgram } from "../engines/support/programs.ts";
import { compareWithBare, GENEROUS_LIMITS, HEAD, ROUNDS } from "./compare.ts";
import { load, type LoadOptions, machine, type Measured, residentMegabytes } from "./load.ts";
import { OlricClient, type OlricCommand } from "./olric_client.ts";
import { type Running, startGateway } from "./processes.ts";

const CONNECTIONS = 64;
/** Connections to Olric, of the client beside the gateway. The gateway itself has two to a member that is alone. */
const TO_OLRIC = [1, 2, 8];
/** Parts of the most that the gateway gives, at which times are measured. */
const LOADS = [0.25, 0.5, 0.75];
/** As long as each other, and more than there are connections: writes of one entry take turns. */
const KEYS = Array.from({ length: 100 }, (_, i) => `key-${100 + i}`);
const VALUE = { text: "x".repeat(80), n: 7 };
const MAP = "bench";

/** The cache of one namespace of a running gateway. */
class Tenant {
  constructor(readonly gateway: Running, private readonly url: string, private readonly key: string) {}

  path(operation: string): string {
    return `${this.url}/v1/cache/${operation}`;
  }

  /** @param bodies of which each connection sends one */
  request(...bodies: readonly object[]): LoadOptions {
    return {
      method: "POST",
      headers: { "x-api-key": this.key },
      body: bodies.map((body) => JSON.stringify({ dmap: MAP, ...body })),
    };
  }

  measure(operation: string, bodies: readonly object[], rate?: number): Promise<Measured> {
    const options = { ...this.request(...bodies), connections: CONNECTIONS, pid: this.gateway.pid };
    return load(this.path(operation), rate === undefined ? options : { ...options, rate });
  }

  async fill(): Promise<void> {
    const body = JSON.stringify({ dmap: MAP, entries: KEYS.map((key) => ({ key, value: VALUE })) });
    const answer = await fetch(this.path("mput"), { method: "POST", headers: { "x-api-key": this.key }, body });
    if (!answer.ok) throw new Error(await answer.text());
    await answer.body?.cancel();
  }
}

const GET = KEYS.map((key) => ({ key })), PUT = KEYS.map((key) => ({ key, value: VALUE })), MGET = [{ keys: KEYS }];

out(
  `# ${machine()}; values of ${
    JSON.stringify(VALUE).length
  } bytes, best of ${ROUNDS} rounds, ${CONNECTIONS} connections\n`,
);
const embedded = await withGateway([], async (tenant) => {
  out(`## In the gateway's memory\n\n${HEAD}`);
  const compare = (name: string, operation: string, bodies: readonly object[]) =>
    compareWithBare(name, tenant.path(operation), tenant.gateway, tenant.request(...bodies));
  const get = await compare("get, a hit", "get", GET);
  await compare("put", "put", PUT);
  await compare(`mget of ${KEYS.length}`, "mget", MGET);
  out(`\nRSS after the load ${residentMegabytes(tenant.gateway.pid).toFixed(0)} MB`);
  return get;
});
if (findProgram("olric-server") === undefined) out("\nNo olric-server on PATH or in TEST_ENGINES_DIR: that was all.");
else await onOlric(embedded);

async function onOlric({ perSecond: embedded }: Measured): Promise<void> {
  await using cluster = await OlricTestCluster.start({ members: 1 });
  const [address = ""] = cluster.addresses;
  const settings = ["cache.driver=olric", `cache.olric.addresses=${address}`];
  await withGateway(settings.flatMap((setting) => ["--set", setting]), async (tenant) => {
    await using owned = new AsyncDisposableStack();
    const entries = { map: MAP, keys: KEYS, value: JSON.stringify(VALUE) };
    const clients = TO_OLRIC.map((connections) => owned.use(new OlricClient(address, connections, entries)));
    // A caller for each key, so that there is something to read.
    await clients[0]!.measure("put", KEYS.length, { seconds: 0.1 });
    out(`\n## On Olric, one member, itself asked over ${TO_OLRIC.join(", ")} connections\n`);
    out(
      `| | through the gateway/s | Olric itself/s | of its best | of the gateway's memory | p50 ms | p99 ms | CPU µs |`,
    );
    out("|---|---|---|---|---|---|---|---|");
    const get = await compareWithOlric("get, a hit", "get", GET, tenant, clients, embedded);
    await compareWithOlric("put", "put", PUT, tenant, clients);
    const mget = await compareWithOlric(`mget of ${KEYS.length}`, "mget", MGET, tenant, clients);
    out(
      "\n### By rate\n\nTimes count from when a request was due, so what waits behind a slow answer counts as well, and so does a " +
        "late timer of the load generator, on both sides. Overhead is the p99 through the gateway less the p99 of Olric " +
        `itself at the same rate (over the connections of its best; an mget there is ${KEYS.length} reads at once): the ` +
        "difference of two quantiles, not of the times of one request.\n",
    );
    out("| | wanted/s | gateway/s | p50 ms | p99 ms | Olric itself/s | p50 ms | p99 ms | p99 overhead ms |");
    out("|---|---|---|---|---|---|---|---|---|");
    await byRate("get", GET, tenant, get);
    await byRate("mget", MGET, tenant, mget);
  });
}

/** The most that the gateway gave, and whoever got the most of Olric itself. */
interface Most {
  readonly perSecond: number;
  readonly direct: OlricClient;
}

async function compareWithOlric(
  name: string,
  operation: OlricCommand,
  bodies: readonly object[],
  tenant: Tenant,
  clients: readonly OlricClient[],
  beside?: number,
): Promise<Most> {
  let best: Measured | undefined;
  const direct = clients.map((client) => ({ client, perSecond: 0 }));
  for (let round = 0; round < ROUNDS; round++) {
    const measured = await tenant.measure(operation, bodies);
    if (measured.perSecond > (best?.perSecond ?? 0)) best = measured;
    for (const one of direct) {
      one.perSecond = Math.max(one.perSecond, (await one.client.measure(operation, CONNECTIONS)).perSecond);
    }
  }
  const { perSecond, p50, p99, cpuPerRequest } = best!;
  const most = direct.reduce((a, b) => b.perSecond > a.perSecond ? b : a);
  const percent = (other: number | undefined) => other === undefined ? "" : `${(100 * perSecond / other).toFixed(0)} %`;
  const itself = direct.map((one) => one.perSecond.toFixed(0)).join(", ");
  const figures = [perSecond.toFixed(0), itself, percent(most.perSecond), percent(beside)];
  out(`| ${[name, ...figures, p50.toFixed(2), p99.toFixed(2), cpuPerRequest.toFixed(1)].join(" | ")} |`);
  return { perSecond, direct: most.client };
}

async function byRate(
  operation: "get" | "mget",
  bodies: readonly object[],
  tenant: Tenant,
  { perSecond: most, direct }: Most,
): Promise<void> {
  for (const part of LOADS) {
    const rate = most * part;
    const through = await tenant.measure(operation, bodies, rate);
    const itself = await direct.measure(operation, CONNECTIONS, { rate });
    const figures = [through, itself].flatMap(({ perSecond, p50, p99 }) => [
      perSecond.toFixed(0),
      p50.toFixed(2),
      p99.toFixed(2),
    ]);
    out(`| ${[operation, rate.toFixed(0), ...figures, (through.p99 - itself.p99).toFixed(2)].join(" | ")} |`);
  }
}

async function withGateway<T>(settings: readonly string[], work: (tenant: Tenant) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
  const gateway = await startGateway([
    "dev",
    "--listen",
    "127.0.0.1:0",
    "--data",
    folder,
    ...GENEROUS_LIMITS,
    ...settings,
  ]);
  try {
    const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
    const tenant = new Tenant(gateway, url, api_key);
    await tenant.fill();
    return await work(tenant);
  } finally {
    await gateway.stop();
    await Deno.remove(folder, { recursive: true });
  }
}
