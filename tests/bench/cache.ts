// The cache through the gateway: in its own memory against a bare `Deno.serve` that answers the same bytes, and on Olric, where
// there is an olric-server, against the same client asking Olric itself.
// deno task bench:cache
import { Redis } from "ioredis";
import { out } from "../../src/cli/output.ts";
import { OlricTestCluster } from "../engines/support/olric.ts";
import { findProgram } from "../engines/support/programs.ts";
import { compareWithBare, GENEROUS_LIMITS, HEAD, ROUNDS } from "./compare.ts";
import { load, type LoadOptions, machine, type Measured, residentMegabytes } from "./load.ts";
import { type Running, startGateway } from "./processes.ts";

const CONNECTIONS = 64;
/** Connections to Olric, of the gateway as of the client beside it. */
const TO_OLRIC = 8;
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

/** Asks Olric without a gateway, by the client that the gateway has. */
class OlricClient implements Disposable {
  readonly #clients: readonly Redis[];
  readonly #text = JSON.stringify(VALUE);

  constructor(address: string) {
    const [host = "", port] = address.split(":");
    const options = {
      host,
      port: Number(port),
      protocol: 2,
      enableReadyCheck: false,
      disableClientInfo: true,
    } as const;
    this.#clients = Array.from({ length: TO_OLRIC }, () => new Redis(options));
  }

  /** Commands per second, and milliseconds, with as many under way as there are callers of the gateway. */
  async measure(command: "get" | "put", rate?: number, seconds = 3): Promise<{ perSecond: number; p99: number }> {
    const start = performance.now(), end = start + seconds * 1_000, times: number[] = [];
    const interval = rate === undefined ? 0 : 1_000 * CONNECTIONS / rate;
    const caller = async (client: Redis, key: string, begin: number) => {
      for (let now = performance.now(), due = begin; now < end;) {
        if (interval > 0 && due > now) {
          await new Promise((resolve) => setTimeout(resolve, due - now));
          now = performance.now();
        }
        due = Math.max(due + interval, now);
        await (command === "get" ? client.call("DM.GET", MAP, key) : client.call("DM.PUT", MAP, key, this.#text));
        const done = performance.now();
        times.push(done - now);
        now = done;
      }
    };
    const callers = Array.from(
      { length: CONNECTIONS },
      (_, i) => caller(this.#clients[i % TO_OLRIC]!, KEYS[i]!, start + interval * i / CONNECTIONS),
    );
    await Promise.all(callers);
    const perSecond = times.length / ((performance.now() - start) / 1_000);
    return { perSecond, p99: times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? NaN };
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.disconnect();
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
  const settings = ["cache.driver=olric", `cache.olric.addresses=${address}`, `cache.olric.connections=${TO_OLRIC}`];
  await withGateway(settings.flatMap((setting) => ["--set", setting]), async (tenant) => {
    using direct = new OlricClient(address);
    await direct.measure("put", undefined, 0.1);
    out("\n## On Olric, one member\n");
    out(
      "| | through the gateway/s | Olric itself/s | ratio | of the gateway's memory | p50 ms | p99 ms | gateway CPU µs |",
    );
    out("|---|---|---|---|---|---|---|---|");
    const row = async (name: string, operation: "get" | "put", bodies: readonly object[], beside?: number) => {
      let best: Measured | undefined, bestItself = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const measured = await tenant.measure(operation, bodies);
        if (measured.perSecond > (best?.perSecond ?? 0)) best = measured;
        bestItself = Math.max(bestItself, (await direct.measure(operation)).perSecond);
      }
      const { perSecond, p50, p99, cpuPerRequest } = best!;
      const percent = (other: number | undefined) =>
        other === undefined ? "" : `${(100 * perSecond / other).toFixed(0)} %`;
      const figures = [perSecond.toFixed(0), bestItself.toFixed(0), percent(bestItself), percent(beside)];
      out(`| ${[name, ...figures, p50.toFixed(2), p99.toFixed(2), cpuPerRequest.toFixed(1)].join(" | ")} |`);
      return perSecond;
    };
    const most = await row("get, a hit", "get", GET, embedded);
    await row("put", "put", PUT);
    const half = most / 2, through = await tenant.measure("get", GET, half), itself = await direct.measure("get", half);
    out(
      `\nget at half of that, ${half.toFixed(0)}/s: p99 ${through.p99.toFixed(2)} ms through the gateway, ` +
        `${itself.p99.toFixed(2)} ms asking Olric`,
    );
  });
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
