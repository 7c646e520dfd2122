// The request path against a bare `Deno.serve` that answers the same bytes, in one run.
// deno task bench:http
import { out } from "../../src/cli/output.ts";
import { load, type LoadOptions, machine, type Measured, residentMegabytes } from "./load.ts";
import { type Running, start, startGateway } from "./processes.ts";

const ROUNDS = 3;
/** The limiter counts, and never refuses. */
const LIMITS = [
  "key.rate=1000000",
  "key.burst=10000000",
  "address.rate=1000000",
  "address.burst=10000000",
  "credentials.burst=10000000",
]
  .flatMap((limit) => ["--set", `limits.${limit}`]);

const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
const dev = ["dev", "--listen", "127.0.0.1:0", "--data", folder];
await (await startGateway(dev)).stop(); // the second start is the one from a warm cache
const gateway = await startGateway([...dev, ...LIMITS]);
try {
  const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  const first = performance.now();
  await (await fetch(`${url}/health`)).text();
  out(`# ${machine()}; 64 connections, best of ${ROUNDS} rounds`);
  out(
    `start to ready ${gateway.startup.toFixed(0)} ms, first answer after ${
      (performance.now() - first).toFixed(1)
    } ms more`,
  );
  out(`idle RSS ${residentMegabytes(gateway.pid).toFixed(0)} MB`);
  const token = await fetch(`${url}/v1/auth/token`, { method: "POST", headers: { "x-api-key": api_key } });
  const { access_token } = await token.json() as { access_token: string };

  out("\n| | requests/s | of bare, same bytes | of bare, same body and one header | p50 ms | p99 ms | server CPU µs |");
  out("|---|---|---|---|---|---|---|");
  await compare("GET /health", `${url}/health`, {});
  await compare("GET /v1/auth/whoami, API key", `${url}/v1/auth/whoami`, { headers: { "x-api-key": api_key } });
  await compare("GET /v1/auth/whoami, access token", `${url}/v1/auth/whoami`, {
    headers: { authorization: `Bearer ${access_token}` },
  });
  out(`\nRSS after the load ${residentMegabytes(gateway.pid).toFixed(0)} MB`);
} finally {
  await gateway.stop();
  await Deno.remove(folder, { recursive: true });
}

async function compare(name: string, url: string, options: LoadOptions): Promise<void> {
  const sample = await fetch(url, options.headers ? { headers: options.headers } : {});
  const body = await sample.text();
  const headers = Object.fromEntries(sample.headers);
  for (const own of ["date", "content-length", "vary", "content-encoding"]) delete headers[own];
  const same = await bare(headers, body);
  const plain = await bare({ "content-type": headers["content-type"] ?? "application/json" }, body);
  try {
    let best: [Measured, Measured, Measured] | undefined;
    for (let round = 0; round < ROUNDS; round++) {
      const measured: [Measured, Measured, Measured] = [
        await load(url, { ...options, pid: gateway.pid }),
        await load(same.url, { ...options, pid: same.pid }),
        await load(plain.url, { ...options, pid: plain.pid }),
      ];
      best = best?.map((before, i) =>
        measured[i]!.perSecond > before.perSecond ? measured[i]! : before
      ) as typeof best ?? measured;
    }
    const [ours, sameBytes, oneHeader] = best!;
    const percent = (other: Measured) =>
      `${(100 * ours.perSecond / other.perSecond).toFixed(0)} % (CPU ${
        (100 * other.cpuPerRequest / ours.cpuPerRequest).toFixed(0)
      } %)`;
    out(
      `| ${name} | ${ours.perSecond.toFixed(0)} | ${percent(sameBytes)} | ${percent(oneHeader)} | ${
        ours.p50.toFixed(2)
      } | ` +
        `${ours.p99.toFixed(2)} | ${ours.cpuPerRequest.toFixed(1)} (bare ${sameBytes.cpuPerRequest.toFixed(1)}, ${
          oneHeader.cpuPerRequest.toFixed(1)
        }) |`,
    );
  } finally {
    await same.stop();
    await plain.stop();
  }
}

async function bare(headers: Record<string, string>, body: string): Promise<Running & { url: string }> {
  const server = await start(["tests/bench/bare.ts", JSON.stringify(headers), body]);
  return { ...server, url: `http://127.0.0.1:${server.firstLine}/` };
}
