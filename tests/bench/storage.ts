// Files through the gateway: in a folder against a bare server that hashes them, and on Kubo, where there is one, against Kubo
// itself. One file at a time, each upload of other bytes; curl is the client.
// deno task bench:storage [megabytes, default 200]
import { out } from "../../src/cli/output.ts";
import { KuboTestCluster } from "../engines/support/kubo.ts";
import { findProgram } from "../engines/support/programs.ts";
import { GENEROUS_LIMITS, ROUNDS } from "./compare.ts";
import { machine, residentMegabytes } from "./load.ts";
import { type Running, start, startGateway } from "./processes.ts";

const MEGABYTES = Number(Deno.args[0] ?? 200), LARGE = 1_000, MB = 1_000_000, PIECE = 2 ** 20;
const LIMITS = ["--set", "limits.storage.object_bytes=4GiB", "--set", "limits.storage.bytes=0"];

/** Where files go and come from. */
interface Place {
  readonly name: string;
  /** A process whose memory counts. */
  readonly pid?: number | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly uploadTo: string;
  /** Where the answer to an upload says that it is. */
  readonly readFrom: (answer: string) => readonly [method: "GET" | "POST", url: string];
}

/** A file with so many bytes that nobody has seen before. */
async function fresh(name: string, bytes: number): Promise<string> {
  const path = `${folder}/${name}`;
  const piece = new Uint8Array(PIECE);
  using file = await Deno.open(path, { write: true, create: true, truncate: true });
  for (let left = bytes; left > 0; left -= piece.length) {
    for (let at = 0; at < piece.length; at += 65_536) crypto.getRandomValues(piece.subarray(at, at + 65_536));
    for (let at = 0, end = Math.min(left, piece.length); at < end;) at += await file.write(piece.subarray(at, end));
  }
  return path;
}

/** As a client that costs the machine little: what a stream of JavaScript takes, the server would lack. @returns what came */
async function curl({ headers = {} }: Place, args: readonly string[]): Promise<string> {
  const given = Object.entries(headers).flatMap(([name, value]) => ["-H", `${name}: ${value}`]);
  const { success, stdout } = await new Deno.Command("curl", {
    args: ["-sS", "--fail-with-body", "-H", "expect:", ...given, ...args],
    stderr: "inherit",
  }).output();
  const text = new TextDecoder().decode(stdout);
  if (!success) throw new Error(text);
  return text;
}

const upload = (place: Place, path: string): Promise<string> =>
  curl(place, ["-F", `file=@${path};filename=f`, place.uploadTo]);

/** @returns milliseconds to the first byte */
async function download(place: Place, answer: string, ...more: readonly string[]): Promise<number> {
  const [method, url] = place.readFrom(answer);
  const seconds = await curl(place, ["-X", method, "-o", "/dev/null", "-w", "%{time_starttransfer}", ...more, url]);
  return 1_000 * Number(seconds);
}

/** Measures both ways, the best of some rounds, and prints a row. @returns megabytes per second */
async function measure(place: Place, against?: readonly [up: number, down: number]): Promise<[number, number]> {
  const best: [number, number] = [0, 0];
  let peak = 0;
  const look = () => peak = Math.max(peak, place.pid === undefined ? 0 : residentMegabytes(place.pid));
  const timer = setInterval(look, 20);
  const idle = place.pid === undefined ? 0 : residentMegabytes(place.pid);
  for (let round = 0; round < ROUNDS; round++) {
    const path = await fresh("sent", MEGABYTES * MB);
    const begun = performance.now();
    const answer = await upload(place, path);
    const between = performance.now();
    await download(place, answer);
    const rates = [between - begun, performance.now() - between].map((ms) => MEGABYTES / (ms / 1_000));
    rates.forEach((rate, i) => best[i] = Math.max(best[i]!, rate));
  }
  clearInterval(timer);
  const percent = (i: 0 | 1) => against === undefined ? "" : ` (${(100 * best[i] / against[i]).toFixed(0)} %)`;
  const memory = place.pid === undefined ? "–" : `${idle.toFixed(0)} → ${peak.toFixed(0)}`;
  out(`| ${place.name} | ${best[0].toFixed(0)}${percent(0)} | ${best[1].toFixed(0)}${percent(1)} | ${memory} |`);
  return best;
}

function placeOf(name: string, gateway: Running): Place {
  const { url, api_key } = JSON.parse(gateway.firstLine) as { url: string; api_key: string };
  return {
    name,
    pid: gateway.pid,
    headers: { "x-api-key": api_key },
    uploadTo: `${url}/v1/storage/upload`,
    readFrom: (answer) => ["GET", `${url}/v1/storage/get/${JSON.parse(answer).cid}`],
  };
}

/** Many uploads at once, and the end of a file: what has to stay small. */
async function stress(place: Place): Promise<void> {
  const idle = residentMegabytes(place.pid!);
  const files = await Promise.all(Array.from({ length: 20 }, (_, i) => fresh(`sent ${i}`, MEGABYTES * MB / 20)));
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, residentMegabytes(place.pid!)), 20);
  const begun = performance.now();
  await Promise.all(files.map((path) => upload(place, path)));
  const rate = MEGABYTES / ((performance.now() - begun) / 1_000);
  clearInterval(timer);
  const answer = await upload(place, await fresh("sent", LARGE * MB));
  const firsts: number[] = [];
  for (let i = 0; i < 5; i++) firsts.push(await download(place, answer, "-r", "-1000000"));
  out(
    `\n20 uploads at once: ${rate.toFixed(0)} MB/s together, RSS ${idle.toFixed(0)} → ${peak.toFixed(0)} MB; ` +
      `first byte of the last megabyte of ${LARGE} MB after ${firsts[0]!.toFixed(1)} ms, then ${
        Math.min(...firsts).toFixed(1)
      } ms`,
  );
}

const folder = await Deno.makeTempDir({ prefix: "orama-bench-" });
const dev = (name: string, more: readonly string[] = []) =>
  startGateway([
    "dev",
    "--listen",
    "127.0.0.1:0",
    "--data",
    `${folder}/${name}`,
    ...GENEROUS_LIMITS,
    ...LIMITS,
    ...more,
  ]);
try {
  out(`# ${machine()}; ${MEGABYTES} MB in one file, best of ${ROUNDS} rounds\n`);
  out("| | upload MB/s | download MB/s | RSS idle → peak, MB |\n|---|---|---|---|");
  const file = await fresh("file", MEGABYTES * MB);
  const bare = await start(["tests/bench/hashing.ts", file]);
  const url = `http://127.0.0.1:${bare.firstLine}/`;
  const hashing = await measure({ name: "bare, hashing", pid: bare.pid, uploadTo: url, readFrom: () => ["GET", url] });
  await bare.stop();
  const gateway = await dev("local");
  await measure(placeOf("gateway, in a folder", gateway), hashing);
  await stress(placeOf("", gateway));
  await gateway.stop();
  if (findProgram("ipfs") === undefined) out("\nNo ipfs on PATH or in TEST_ENGINES_DIR: that was all.");
  else await onKubo();
} finally {
  await Deno.remove(folder, { recursive: true });
}

async function onKubo(): Promise<void> {
  await using kubo = await KuboTestCluster.start({ nodes: 1 });
  const [rpc = ""] = kubo.urls;
  out("\n| | upload MB/s | download MB/s | RSS idle → peak, MB |\n|---|---|---|---|");
  const direct = await measure({
    name: "Kubo itself",
    uploadTo: `${rpc}/api/v0/add?cid-version=1&raw-leaves=true&pin=true`,
    readFrom: (answer) => ["POST", `${rpc}/api/v0/cat?arg=${JSON.parse(answer).Hash}`],
  });
  const gateway = await dev("ipfs", [
    "--set",
    "storage.driver=ipfs",
    "--set",
    `storage.ipfs.kubo=${JSON.stringify(kubo.urls)}`,
  ]);
  await measure(placeOf("gateway, on Kubo", gateway), direct);
  await stress(placeOf("", gateway));
  await gateway.stop();
}
