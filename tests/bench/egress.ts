// Requests through a proxy: by the gateway, and by the same client that goes to the proxy itself. Needs microsocks, curl, and Linux
// that gives namespaces.
// deno task bench:egress
import { out } from "../../src/cli/output.ts";
import { Microsocks } from "../engines/support/socks_programs.ts";
import { hostsOf } from "../support/host_processes.ts";
import { GENEROUS_LIMITS, ROUNDS } from "./compare.ts";
import { cpuTime, load, machine, residentMegabytes } from "./load.ts";
import { loadDirectly } from "./outwards/direct.ts";
import { start, startGateway } from "./processes.ts";

const MIB = 2 ** 20, SIZE = 256 * MIB, LARGE = 1_024 * MIB, SECONDS = 5;
const HOST = "open.example", ADDRESS = "127.77.0.1";

await using owned = new AsyncDisposableStack();
const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
owned.defer(() => Deno.remove(folder, { recursive: true }));
const server = await start(["tests/bench/outwards/server.ts", ADDRESS]);
owned.defer(() => server.stop());
const port = Number(server.firstLine);
const socks = owned.use(await Microsocks.start({ proxies: 1, names: { [HOST]: ADDRESS } }));
const gateway = await startGateway([
  "dev",
  ...["--listen", "127.0.0.1:0", "--data", folder],
  ...GENEROUS_LIMITS,
  ...["--set", `egress.proxies=${JSON.stringify(socks.urls)}`, "--set", `egress.ports=["${port}"]`],
]);
owned.defer(() => gateway.stop());
const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
const proxyPort = socks.proxies[0]!.port;
const small = JSON.stringify({ url: `http://${HOST}:${port}/` });
const key = { "x-api-key": api_key };

// Starts the process that sends.
const first = await fetch(`${url}/v1/proxy/anon`, { method: "POST", headers: key, body: small });
if (!first.ok) throw new Error(await first.text());
await first.body?.cancel();

const sent = `${folder}/sent`;
await Deno.writeTextFile(sent, "");

/** A body in one direction, by curl. @returns MiB per second */
async function body(way: "gateway" | "direct", direction: "down" | "up", bytes: number): Promise<number> {
  const target = `http://${HOST}:${port}/${direction === "down" ? `bytes/${bytes}` : ""}`;
  const there = way === "direct"
    ? ["--socks5-hostname", `127.0.0.1:${proxyPort}`, target]
    : ["-H", `x-api-key: ${api_key}`, "-H", `x-target-url: ${target}`, "-X", "POST", `${url}/v1/proxy/anon/stream`];
  if (direction === "up") await Deno.truncate(sent, bytes);
  const given = direction === "up" ? ["-X", "POST", "-T", sent, "-H", "content-type: application/octet-stream"] : [];
  const begun = performance.now();
  const { stdout } = await new Deno.Command("curl", {
    args: [
      "-sS",
      "--fail",
      "-H",
      "expect:",
      "-o",
      "/dev/null",
      "-w",
      "%{http_code} %{size_download}",
      ...given,
      ...there,
    ],
    stderr: "inherit",
  }).output();
  const seconds = (performance.now() - begun) / 1_000;
  const [status, size] = new TextDecoder().decode(stdout).split(" ").map(Number);
  if (status !== 200 || direction === "down" && size !== bytes) throw new Error(`${status}, ${size} bytes`);
  return bytes / MIB / seconds;
}

const percent = (part: number, whole: number) => `${(100 * part / whole).toFixed(0)} %`;

out(`# ${machine()}; best of ${ROUNDS} rounds\n`);
out(
  `| ${
    SIZE / MIB
  } MiB through one proxy | gateway MiB/s | without it MiB/s | ratio | CPU ms: gateway | its process |\n|---|---|---|---|---|---|`,
);
for (const direction of ["down", "up"] as const) {
  let ours = 0, itself = 0, cpu: readonly number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const pids = [gateway.pid, ...hostsOf(gateway.pid, "egress")], before = pids.map(cpuTime);
    const rate = await body("gateway", direction, SIZE);
    if (rate > ours) cpu = pids.map((pid, i) => (cpuTime(pid) - before[i]!) / 1_000);
    ours = Math.max(ours, rate);
    itself = Math.max(itself, await body("direct", direction, SIZE));
  }
  const [own = 0, ...hosts] = cpu;
  const times = `${own.toFixed(0)} | ${Math.max(...hosts).toFixed(0)}`;
  out(`| ${direction} | ${ours.toFixed(0)} | ${itself.toFixed(0)} | ${percent(ours, itself)} | ${times} |`);
}

out(
  "\n| answers of 100 B | requests/s | p50 ms | p99 ms | without it: requests/s | p50 ms | p99 ms | ratio | added at p50, ms |",
);
out("|---|---|---|---|---|---|---|---|---|");
for (const connections of [1, 32]) {
  let best:
    | { ours: Awaited<ReturnType<typeof loadDirectly>>; itself: Awaited<ReturnType<typeof loadDirectly>> }
    | undefined;
  for (let round = 0; round < ROUNDS; round++) {
    const options = { method: "POST", body: small, headers: { ...key, "content-type": "application/json" } } as const;
    const ours = await load(`${url}/v1/proxy/anon`, { ...options, connections, seconds: SECONDS });
    const itself = await loadDirectly({ proxyPort, host: HOST, port }, { connections, seconds: SECONDS });
    best = {
      ours: best && best.ours.perSecond > ours.perSecond ? best.ours : ours,
      itself: best && best.itself.perSecond > itself.perSecond ? best.itself : itself,
    };
  }
  const { ours, itself } = best!;
  const figures = [ours, itself].map(({ perSecond, p50, p99 }) =>
    `${perSecond.toFixed(0)} | ${p50.toFixed(2)} | ${p99.toFixed(2)}`
  );
  const added = (ours.p50 - itself.p50).toFixed(2);
  out(`| ${connections} at once | ${figures.join(" | ")} | ${percent(ours.perSecond, itself.perSecond)} | ${added} |`);
}

out(`\n| RSS in MB, ${LARGE / MIB} MiB | before | at most | after |\n|---|---|---|---|`);
for (const direction of ["down", "up"] as const) {
  const all = [gateway.pid, ...hostsOf(gateway.pid, "egress")];
  const before = all.map(residentMegabytes), most = [...before];
  const look = () => all.forEach((pid, i) => most[i] = Math.max(most[i]!, residentMegabytes(pid)));
  const timer = setInterval(look, 20);
  await body("gateway", direction, LARGE);
  clearInterval(timer);
  all.forEach((pid, i) => {
    const figures = [before[i]!, most[i]!, residentMegabytes(pid)].map((megabytes) => megabytes.toFixed(0));
    out(`| ${i === 0 ? "gateway" : "process that sends"}, ${direction} | ${figures.join(" | ")} |`);
  });
}
