import { out } from "../../src/cli/output.ts";
import { load, type LoadOptions, type Measured } from "./load.ts";
import { type Running, start } from "./processes.ts";

/** How many rounds a row is the best of. */
export const ROUNDS = 3;

/** What begins a table of {@link compareWithBare}. */
export const HEAD =
  "| | requests/s | of bare, same bytes | of bare, same body and one header | p50 ms | p99 ms | server CPU µs |\n" +
  "|---|---|---|---|---|---|---|";

/** Settings with which the limiter counts, and never refuses. */
export const GENEROUS_LIMITS = [
  "key.rate=1000000",
  "key.burst=10000000",
  "address.rate=1000000",
  "address.burst=10000000",
  "credentials.burst=10000000",
].flatMap((limit) => ["--set", `limits.${limit}`]);

/** Measures a route against a bare `Deno.serve` that answers the same bytes, in turn, and prints a row. */
export async function compareWithBare(
  name: string,
  url: string,
  gateway: Running,
  options: LoadOptions = {},
): Promise<Measured> {
  const { method = "GET", headers: sent = {} } = options;
  const given = typeof options.body === "object" ? options.body[0] : options.body;
  const sample = await fetch(url, { method, headers: sent, ...(given !== undefined && { body: given }) });
  const body = await sample.text();
  if (!sample.ok) throw new Error(`${name}: ${sample.status} ${body}`);
  const headers = Object.fromEntries(sample.headers);
  for (const own of ["date", "content-length", "vary", "content-encoding"]) delete headers[own];
  const same = await startBare(headers, body);
  const plain = await startBare({ "content-type": headers["content-type"] ?? "application/json" }, body);
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
    return ours;
  } finally {
    await same.stop();
    await plain.stop();
  }
}

/** Starts a bare `Deno.serve` that answers every request so. */
export async function startBare(headers: Record<string, string>, body: string): Promise<Running & { url: string }> {
  const server = await start(["tests/bench/bare.ts", JSON.stringify(headers), body]);
  return { ...server, url: `http://127.0.0.1:${server.firstLine}/` };
}
