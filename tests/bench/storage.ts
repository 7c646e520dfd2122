// Files through the gateway: in a folder against a bare server that hashes them, and on Kubo, where there is one, against Kubo
// itself. One file at a time, each upload of other bytes.
// deno task bench:storage [megabytes, default 200]
import { out } from "../../src/cli/output.ts";
import { KuboTestCluster } from "../engines/support/kubo.ts";
import { findProgram } from "../engines/support/programs.ts";
import { GENEROUS_LIMITS, ROUNDS } from "./compare.ts";
import { machine, residentMegabytes } from "./load.ts";
import { type Running, start, startGateway } from "./processes.ts";

const MEGABYTES = Number(Deno.args[0] ?? 200), MB = 1_000_000, PIECE = 250_000;
const BOUNDARY = "bench-boundary";
const LIMITS = ["--set", "limits.storage.object_bytes=4GiB", "--set", "limits.storage.bytes=0"];
const encoder = new TextEncoder();

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

/** The body of a form with so many bytes that nobody has seen before. */
async function* form(bytes: number): AsyncGenerator<Uint8Array, void> {
  yield encoder.encode(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n`);
  const piece = crypto.getRandomValues(new Uint8Array(65_536));
  for (let left = bytes, i = 0; left > 0; left -= PIECE, i++) {
    const chunk = new Uint8Array(Math.min(PIECE, left));
    for (let at = 0; at < chunk.length; at += piece.length) chunk.set(piece.subarray(0, chunk.length - at), at);
    new DataView(chunk.buffer).setUint32(0, i);
    yield chunk;
  }
  yield encoder.encode(`\r\n--${BOUNDARY}--\r\n`);
}

async function upload({ uploadTo, headers }: Place, bytes: number): Promise<string> {
  const answer = await fetch(uploadTo, {
    method: "POST",
    headers: { ...headers, "content-type": `multipart/form-data; boundary=${BOUNDARY}` },
    body: ReadableStream.from(form(bytes)),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(text);
  return text;
}

/** @returns milliseconds to the first byte */
async function download(place: Place, answer: string, range?: string): Promise<number> {
  const [method, url] = place.readFrom(answer);
  const begun = performance.now();
  const response = await fetch(url, { method, headers: { ...place.headers, ...(range && { range }) } });
  if (!response.ok || response.body === null) throw new Error(await response.text());
  let first: number | undefined;
  for await (const _ of response.body) first ??= performance.now() - begun;
  return first ?? NaN;
}

/** Measures both ways, the best of some rounds, and prints a row. @returns megabytes per second */
async function measure(place: Place, against?: readonly [up: number, down: number]): Promise<[number, number]> {
  const best: [number, number] = [0, 0];
  let peak = 0;
  const look = () => peak = Math.max(peak, place.pid === undefined ? 0 : residentMegabytes(place.pid));
  const timer = setInterval(look, 20);
  const idle = place.pid === undefined ? 0 : residentMegabytes(place.pid);
  for (let round = 0; round < ROUNDS; round++) {
    const begun = performance.now();
    const answer = await upload(place, MEGABYTES * MB);
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
  let peak = 0;
  const timer = setInterval(() => peak = Math.max(peak, residentMegabytes(place.pid!)), 20);
  await Promise.all(Array.from({ length: 20 }, () => upload(place, MEGABYTES * MB / 20)));
  clearInterval(timer);
  const answer = await upload(place, MEGABYTES * MB);
  const first = await download(place, answer, "bytes=-1000000");
  out(
    `\n20 uploads at once: ${peak.toFixed(0)} MB resident; first byte of the last megabyte after ${
      first.toFixed(1)
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
  const file = `${folder}/file`;
  await Deno.writeFile(file, ReadableStream.from(form(MEGABYTES * MB)));
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
