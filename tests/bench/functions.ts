// Calls of functions: the pool of hosts without a gateway, and through one against the bare pipe to a host.
// deno task bench:functions
import { out } from "../../src/cli/output.ts";
import { GENEROUS_LIMITS, startBare } from "./compare.ts";
import { cold, pipe, stopped } from "./functions/hosts.ts";
import { load, type LoadOptions, machine, residentMegabytes } from "./load.ts";
import { startGateway } from "./processes.ts";
import { ethereumWallet } from "../support/wallet.ts";
import { wasmOf } from "../support/wat.ts";

const INPUT = "x".repeat(100);
/** How many calls without an end run beside a neighbour. */
const RUNAWAYS = 100;

out(`# ${machine()}`);
out("\n## Hosts without a gateway\n");
const bare = await pipe(INPUT);
out(`bare pipe, 100 B there and back: p50 ${bare.p50.toFixed(3)} ms, p99 ${bare.p99.toFixed(3)} ms`);
for (const spares of [2, 0]) {
  const { p50, p99, count } = await cold(spares);
  out(`cold call, ${spares} spares: p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms of ${count}`);
}
const { p50, p99, count } = await stopped();
out(`endless loop: gone ${p50.toFixed(1)} ms after its deadline (p50), ${p99.toFixed(1)} ms (most) of ${count}`);

out("\n## Through a gateway\n");
const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
const gateway = await startGateway([
  "dev",
  "--listen",
  "127.0.0.1:0",
  "--data",
  folder,
  ...GENEROUS_LIMITS,
  "--set",
  `limits.functions.waiting=${RUNAWAYS * 2}`,
]);
try {
  const { url, api_key: key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  const headers = { "x-api-key": key };
  await deploy(url, key, "echo", "echo.wat");
  const call = {
    method: "POST",
    headers: { ...headers, accept: "application/octet-stream" },
    body: INPUT,
    pid: gateway.pid,
  } as const;
  const echo = `${url}/v1/functions/echo/invoke`;

  const server = await startBare({ "content-type": "application/octet-stream" }, INPUT);
  // What is asked at a pace waits for timers of whoever asks, and so does what a bare server answers.
  const measured = async (name: string, options: LoadOptions) => {
    const ours = await load(echo, { ...call, ...options });
    const plain = await load(server.url, { ...call, ...options, pid: server.pid });
    const over = (of: "p50" | "p99") => (ours[of] - plain[of] - bare[of]).toFixed(2);
    out(
      `| ${name} | ${ours.perSecond.toFixed(0)} | ${ours.p50.toFixed(2)} | ${ours.p99.toFixed(2)} | ` +
        `${ours.cpuPerRequest.toFixed(0)} | ${plain.p50.toFixed(2)} | ${plain.p99.toFixed(2)} | ${over("p50")} | ${
          over("p99")
        } |`,
    );
    return ours;
  };
  out(
    "| echo of 100 B | calls/s | p50 ms | p99 ms | gateway CPU µs | bare server: p50 ms | p99 ms | over both: p50 ms | p99 ms |",
  );
  out("|---|---|---|---|---|---|---|---|---|");
  await measured("one after the other", { connections: 1 });
  const most = await measured("as many as it takes", { connections: 32, seconds: 5 });
  for (let round = 1; round <= 3; round++) {
    await measured(`half of that, ${round}`, { connections: 32, seconds: 6, rate: most.perSecond / 2 });
  }
  await server.stop();

  const runaway = await neighbour(url);
  await deploy(url, runaway, "spin", "spin.wat", { timeout_seconds: "5" });
  const alone = await load(echo, { ...call, connections: 4, seconds: 4, rate: 100 });
  const runaways = Array.from({ length: RUNAWAYS }, async () => {
    const answer = await fetch(`${url}/v1/functions/spin/invoke`, {
      method: "POST",
      headers: { "x-api-key": runaway },
    });
    await answer.body?.cancel();
    return answer.status;
  });
  const beside = await load(echo, { ...call, connections: 4, seconds: 4, rate: 100 });
  out(
    `\nneighbour at 100 calls/s: p50 ${alone.p50.toFixed(2)} ms, p99 ${alone.p99.toFixed(2)} ms; ` +
      `beside ${RUNAWAYS} runaways p50 ${beside.p50.toFixed(2)} ms, p99 ${beside.p99.toFixed(2)} ms ` +
      `(${(beside.p99 / alone.p99).toFixed(1)} times)`,
  );
  const statuses = Map.groupBy(await Promise.all(runaways), (status) => status);
  out(`runaways were answered: ${[...statuses].map(([status, all]) => `${all.length} × ${status}`).join(", ")}`);
  out(`RSS of the gateway ${residentMegabytes(gateway.pid).toFixed(0)} MB`);
} finally {
  await gateway.stop();
  await Deno.remove(folder, { recursive: true });
}

async function deploy(
  url: string,
  key: string,
  name: string,
  file: string,
  options: Readonly<Record<string, string>> = {},
): Promise<void> {
  const form = new FormData();
  form.set("name", name);
  for (const [option, value] of Object.entries(options)) form.set(option, value);
  form.set("wasm", new Blob([await wasmOf(file)]), "module.wasm");
  const answer = await fetch(`${url}/v1/functions`, { method: "POST", headers: { "x-api-key": key }, body: form });
  if (answer.status !== 201) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  await answer.body?.cancel();
}

/** The key of a namespace of its own. */
async function neighbour(url: string): Promise<string> {
  const answer = await fetch(`${url}/v1/auth/simple-key`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ wallet: ethereumWallet().address, namespace: "runaways" }),
  });
  const { api_key: key } = await answer.json() as { api_key?: string };
  if (key === undefined) throw new Error(`a second namespace: ${answer.status}`);
  return key;
}
