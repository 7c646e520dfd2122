import { cpus } from "node:os";
import { keepPace, quantile } from "./pace.ts";

/** One measurement: requests answered, and what the server's process spent on them. */
export interface Measured {
  readonly perSecond: number;
  /** Microseconds of CPU time of the server's process per request; NaN where /proc is not there. */
  readonly cpuPerRequest: number;
  /** Milliseconds; with a rate, from when a request was due. */
  readonly p50: number;
  readonly p99: number;
}

export interface LoadOptions {
  readonly method?: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  /** What each request sends; of several, each connection sends another one in turn. They must be equally long. */
  readonly body?: string | readonly string[];
  readonly connections?: number;
  /** Requests per second of all connections together. Default: as many as are answered. */
  readonly rate?: number;
  readonly seconds?: number;
  /** Process whose CPU time is counted. */
  readonly pid?: number;
}

/**
 * Loads a server on loopback: keep-alive connections that each send the next request when it is due and the answer to the one
 * before is there. Plain sockets, because `fetch` costs more than the servers under test. With a rate, times count from when a
 * request was due ({@link keepPace}).
 * @throws Error on any answer that is not 2xx
 */
export async function load(url: string, options: LoadOptions = {}): Promise<Measured> {
  const { connections = 64, seconds = 3, pid, rate } = options;
  const { hostname, port } = new URL(url);
  const bodies = typeof options.body === "string" || options.body === undefined ? [options.body] : options.body;
  const requests = bodies.map((body) => requestOf(url, options, body));
  const interval = rate === undefined ? 0 : 1_000 * connections / rate;
  const run = async (milliseconds: number, times?: number[]) => {
    const open = Array.from(
      { length: connections },
      (_, i) => Connection.open({ hostname, port: Number(port) }, requests[i % requests.length]!),
    );
    // Connecting is nobody's delay.
    const all = await Promise.all(open);
    try {
      const start = performance.now(), until = start + milliseconds;
      await Promise.all(
        all.map((connection, i) =>
          keepPace({ begin: start + interval * i / connections, interval, until }, () => connection.exchange(), times)
        ),
      );
      return (performance.now() - start) / 1_000;
    } finally {
      for (const connection of all) connection.close();
    }
  };
  await run(1_000);
  const times: number[] = [];
  const cpuBefore = cpuTime(pid), elapsed = await run(seconds * 1_000, times), cpu = cpuTime(pid) - cpuBefore;
  times.sort((a, b) => a - b);
  return {
    perSecond: times.length / elapsed,
    cpuPerRequest: cpu / times.length,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
  };
}

function requestOf(url: string, { method = "GET", headers = {} }: LoadOptions, body: string | undefined): Uint8Array {
  const { host, pathname, search } = new URL(url);
  const lines = [
    `${method} ${pathname}${search} HTTP/1.1`,
    `Host: ${host}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ...(body === undefined ? [] : [`Content-Length: ${new TextEncoder().encode(body).length}`]),
  ];
  return new TextEncoder().encode(lines.join("\r\n") + "\r\n\r\n" + (body ?? ""));
}

class Connection {
  readonly #buffer = new Uint8Array(1 << 20);
  #length: number | undefined;

  private constructor(private readonly socket: Deno.TcpConn, private readonly request: Uint8Array) {}

  static async open(address: Deno.ConnectOptions, request: Uint8Array): Promise<Connection> {
    const socket = await Deno.connect(address);
    socket.setNoDelay(true);
    return new Connection(socket, request);
  }

  /** Sends the request and reads the answer. */
  async exchange(): Promise<void> {
    const buffer = this.#buffer;
    await writeAll(this.socket, this.request);
    let have = 0;
    do {
      const n = await this.socket.read(buffer.subarray(have));
      if (n === null) throw new Error("the server closed the connection");
      have += n;
      // All answers of one run look alike, so the first one's length is looked up and the others' only checked.
      this.#length ??= answerLength(decoder.decode(buffer.subarray(0, have)));
    } while (have < (this.#length ?? Infinity) && !isComplete(buffer, have));
    if (buffer[9] !== 0x32) throw new Error(decoder.decode(buffer.subarray(0, Math.min(have, 400))));
  }

  close(): void {
    this.socket.close();
  }
}

const decoder = new TextDecoder();

async function writeAll(socket: Deno.TcpConn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await socket.write(bytes.subarray(at));
}

/** Length of head and body; `undefined` while the head is not complete. */
function answerLength(text: string): number | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const declared = /content-length: (\d+)/i.exec(text.slice(0, end))?.[1];
  return end + 4 + Number(declared ?? 0);
}

/** Answers whose counters have fewer digits than the first one's are shorter than it. */
const isComplete = (buffer: Uint8Array, have: number) =>
  have >= (answerLength(decoder.decode(buffer.subarray(0, have))) ?? Infinity);

/** Microseconds of CPU time that a process has used (Linux: proc(5), stat). */
export function cpuTime(pid: number | undefined): number {
  if (pid === undefined) return NaN;
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10_000;
  } catch {
    return NaN;
  }
}

/** Resident memory of a process in MB; NaN where /proc is not there. */
export function residentMegabytes(pid: number): number {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1]) / 1024;
  } catch {
    return NaN;
  }
}

/** The machine, for the head of a report. */
export const machine = (): string => `${cpus().length} × ${cpus()[0]?.model ?? "?"}, Deno ${Deno.version.deno}`;
