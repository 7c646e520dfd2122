// SQL through the gateway on embedded SQLite.
// deno task bench:sqlite
import { out } from "../../src/cli/output.ts";
import { load, machine, type Measured, residentMegabytes } from "./load.ts";
import { type Running, startGateway } from "./processes.ts";

const ROWS = 1_000;
const STREAMED = 1_000_000;
const VALUE = "x".repeat(100);
const POINT = { sql: "SELECT v FROM t WHERE id = ?", args: [7] };
const RANGE = { sql: "SELECT id, v FROM t WHERE id > ? LIMIT 20", args: [7] };
const INSERT = { sql: "INSERT INTO log (v) VALUES (?)", args: [VALUE] };
const KILLS = 20;
/** Milliseconds. */
const DEADLINE = 1_000;
const ENDLESS = "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT count(*) FROM c";

/** One namespace of a running gateway, asked over HTTP. */
class Tenant {
  constructor(readonly gateway: Running, readonly url: string, private readonly key: string) {}

  post(body: unknown, connections: number) {
    return {
      method: "POST",
      headers: { "x-api-key": this.key, "content-type": "application/json" },
      body: JSON.stringify(body),
      connections,
      pid: this.gateway.pid,
    } as const;
  }

  /** @throws Error for an answer that is not 2xx */
  async sql(path: string, body: unknown, accept = "application/json"): Promise<Response> {
    const { method, headers, body: text } = this.post(body, 1);
    const response = await fetch(`${this.url}/v1/rqlite/${path}`, {
      method,
      headers: { ...headers, accept },
      body: text,
    });
    if (!response.ok) throw new Error(await response.text());
    return response;
  }

  async run(path: string, body: unknown): Promise<void> {
    await (await this.sql(path, body)).body?.cancel();
  }

  measure(path: string, body: unknown, connections: number, seconds = 3): Promise<Measured> {
    return load(`${this.url}/v1/rqlite/${path}`, { ...this.post(body, connections), seconds });
  }
}

const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
try {
  await bench();
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function bench(): Promise<void> {
  await Deno.writeTextFile(`${folder}/root.key`, crypto.getRandomValues(new Uint8Array(32)).toHex(), { mode: 0o600 });
  const config = {
    auth: { root_key_file: `${folder}/root.key`, simple_key: true },
    namespaces: { max_per_wallet: 100 },
    limits: { key: { rate: 0 }, address: { rate: 0 }, credentials: { rate: 0 } },
  };
  await Deno.writeTextFile(`${folder}/orama.yaml`, JSON.stringify(config));
  const places = ["--config", `${folder}/orama.yaml`, "--data", `${folder}/data`];
  const gateway = await startGateway(["dev", "--listen", "127.0.0.1:0", ...places]);
  try {
    const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
    const begun = performance.now();
    await (await fetch(`${url}/health`)).body?.cancel();
    const first = performance.now() - begun;
    out(`# ${machine()}; rows of ${VALUE.length} bytes, synchronous=FULL\n`);
    out(`start to the first line ${gateway.startup.toFixed(0)} ms, first answer ${first.toFixed(0)} ms later`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    out(`resident memory of the gateway, idle: ${residentMegabytes(gateway.pid).toFixed(0)} MB\n`);
    const tenant = new Tenant(gateway, url, api_key);
    await fill(tenant);
    await rates(tenant);
    const other = new Tenant(gateway, url, await keyOf("endless", places));
    await neighbours(tenant, other);
    await kills(other);
    await streamed(tenant);
  } finally {
    await gateway.stop();
  }
}

async function fill(tenant: Tenant): Promise<void> {
  for (const table of ["t", "log"]) {
    await tenant.run("exec", { sql: `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, v TEXT)` });
  }
  const ops = Array.from({ length: ROWS }, (_, i) => (
    { kind: "exec", sql: "INSERT INTO t VALUES (?, ?)", args: [i, VALUE] }
  ));
  await tenant.run("transaction", { ops });
}

async function rates(tenant: Tenant): Promise<void> {
  out("| | requests/s | p50 ms | p99 ms | gateway CPU µs |\n|---|---|---|---|---|");
  for (const connections of [64, 1]) {
    const measure = async (name: string, path: string, body: unknown) =>
      row(`${name}, ${connections} clients`, await tenant.measure(path, body, connections));
    await measure("SELECT by key", "query", POINT);
    await measure("SELECT 20 rows", "query", RANGE);
    await measure("INSERT", "exec", INSERT);
  }
}

/** What a namespace's clients notice while another one runs queries without end. */
async function neighbours(tenant: Tenant, other: Tenant): Promise<void> {
  out("\n| SELECT by key, 4 clients | requests/s | p50 ms | p99 ms | gateway CPU µs |\n|---|---|---|---|---|");
  row("quiet", await tenant.measure("query", POINT, 4));
  let going = true;
  const endless = (async () => {
    while (going) {
      await other.run("query", { sql: ENDLESS, timeout: DEADLINE }).catch((error) => {
        if (!String(error).includes("STATEMENT_TIMEOUT")) throw error;
      });
    }
  })();
  row("beside endless queries", await tenant.measure("query", POINT, 4, 5));
  going = false;
  await endless;
}

/** How long behind its deadline a query without end is answered, which is when its process is gone and the next one is there. */
async function kills(tenant: Tenant): Promise<void> {
  const late: number[] = [];
  for (let i = 0; i < KILLS; i++) {
    // Has the process ready: its start is no part of what is measured.
    await tenant.run("query", { sql: "SELECT 1" });
    const begun = performance.now();
    const error = await tenant.run("query", { sql: ENDLESS, timeout: DEADLINE }).then(() => "none", String);
    if (!error.includes("STATEMENT_TIMEOUT")) throw new Error(`an endless query ended with: ${error}`);
    late.push(performance.now() - begun - DEADLINE);
  }
  late.sort((a, b) => a - b);
  const [p50, max] = [late[Math.floor(late.length / 2)]!, late.at(-1)!];
  out(`\n${KILLS} endless queries, answered behind their deadline: p50 ${p50.toFixed(0)} ms, max ${max.toFixed(0)} ms`);
}

async function streamed(tenant: Tenant): Promise<void> {
  const sql =
    `WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${STREAMED}) SELECT i, '${VALUE}' AS v FROM c`;
  const before = residentMegabytes(tenant.gateway.pid);
  const begun = performance.now();
  const response = await tenant.sql("query", { sql }, "application/x-ndjson");
  let bytes = 0, most = before;
  for await (const chunk of response.body!) {
    bytes += chunk.length;
    most = Math.max(most, residentMegabytes(tenant.gateway.pid));
  }
  const seconds = (performance.now() - begun) / 1000;
  out(
    `\n${STREAMED} rows as NDJSON (${(bytes / 1e6).toFixed(0)} MB): ${(STREAMED / seconds).toFixed(0)} rows/s; ` +
      `resident memory of the gateway ${before.toFixed(0)} MB before, at most ${most.toFixed(0)} MB`,
  );
}

async function keyOf(namespace: string, places: readonly string[]): Promise<string> {
  const args = [
    "run",
    "-A",
    "--quiet",
    "main.ts",
    "keys",
    "create",
    "--namespace",
    namespace,
    "--create-namespace",
    ...places,
  ];
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), { args }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return (JSON.parse(new TextDecoder().decode(stdout)) as { api_key: string }).api_key;
}

function row(name: string, { perSecond, p50, p99, cpuPerRequest }: Measured): void {
  out(`| ${[name, perSecond.toFixed(0), p50.toFixed(2), p99.toFixed(2), cpuPerRequest.toFixed(1)].join(" | ")} |`);
}
