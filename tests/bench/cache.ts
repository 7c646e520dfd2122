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
const KEYS = Array.from({ length: 100 }, (_, i) => `key-${i}`);
const VALUE = { text: "x".repeat(80), n: 7 };
const MAP = "bench";

/** The cache of one namespace of a running gateway. */
class Tenant {
  constructor(readonly gateway: Running, private readonly url: string, private readonly key: string) {}

  path(operation: string): string {
    return `${this.url}/v1/cache/${operation}`;
  }

  request(body: unknown): LoadOptions {
    return {
      method: "POST",
      headers: { "x-api-key": this.key },
      body: JSON.stringify({ dmap: MAP, ...body as object }),
    };
  }

  measure(operation: string, body: unknown, connections = CONNECTIONS): Promise<Measured> {
    return load(this.path(operation), { ...this.request(body), connections, pid: this.gateway.pid });
  }

  async fill(): Promise<void> {
    const { method, headers, body } = this.request({ entries: KEYS.map((key) => ({ key, value: VALUE })) });
    const answer = await fetch(this.path("mput"), { method: method!, headers: headers!, body: body! });
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

  put(client = this.#clients[0]!): Promise<unknown> {
    return client.call("DM.PUT", MAP, KEYS[0]!, this.#text);
  }

  /** Commands per second, with as many under way as there are callers of the gateway. */
  async rate(command: "get" | "put", seconds = 3): Promise<number> {
    const start = performance.now(), end = start + seconds * 1_000;
    let done = 0;
    const caller = async (client: Redis) => {
      for (; performance.now() < end; done++) {
        await (command === "get" ? client.call("DM.GET", MAP, KEYS[0]!) : this.put(client));
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, (_, i) => caller(this.#clients[i % TO_OLRIC]!)));
    return done / ((performance.now() - start) / 1_000);
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients) client.disconnect();
  }
}

const GET = { key: KEYS[0] }, PUT = { key: KEYS[0], value: VALUE }, MGET = { keys: KEYS };

out(
  `# ${machine()}; values of ${
    JSON.stringify(VALUE).length
  } bytes, best of ${ROUNDS} rounds, ${CONNECTIONS} connections\n`,
);
const embedded = await withGateway([], async (tenant) => {
  out(`## In the gateway's memory\n\n${HEAD}`);
  const compare = (name: string, operation: string, body: unknown) =>
    compareWithBare(name, tenant.path(operation), tenant.gateway, tenant.request(body));
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
    await direct.put();
    out("\n## On Olric, one member\n");
    out(
      "| | through the gateway/s | Olric itself/s | ratio | of the gateway's memory | p50 ms | p99 ms | gateway CPU µs |",
    );
    out("|---|---|---|---|---|---|---|---|");
    const row = async (
      name: string,
      operation: string,
      body: unknown,
      itself: () => Promise<number>,
      beside?: number,
    ) => {
      let best: Measured | undefined, bestItself = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const measured = await tenant.measure(operation, body);
        if (measured.perSecond > (best?.perSecond ?? 0)) best = measured;
        bestItself = Math.max(bestItself, await itself());
      }
      const { perSecond, p50, p99, cpuPerRequest } = best!;
      const percent = (other: number | undefined) =>
        other === undefined ? "" : `${(100 * perSecond / other).toFixed(0)} %`;
      const figures = [perSecond.toFixed(0), bestItself.toFixed(0), percent(bestItself), percent(beside)];
      out(`| ${[name, ...figures, p50.toFixed(2), p99.toFixed(2), cpuPerRequest.toFixed(1)].join(" | ")} |`);
    };
    await row("get, a hit", "get", GET, () => direct.rate("get"), embedded);
    await row("put", "put", PUT, () => direct.rate("put"));
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
