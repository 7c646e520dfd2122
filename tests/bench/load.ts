import { cpus } from "node:os";

/** One measurement: requests answered, and what the server's process spent on them. */
export interface Measured {
  readonly perSecond: number;
  /** Microseconds of CPU time of the server's process per request; NaN where /proc is not there. */
  readonly cpuPerRequest: number;
  /** Milliseconds. */
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
 * Loads a server on loopback: keep-alive connections that each send the next request when the answer to the one before is
 * there. Plain sockets, because `fetch` costs more than the servers under test.
 * @throws Error on any answer that is not 2xx
 */
export async function load(url: string, options: LoadOptions = {}): Promise<Measured> {
  const { connections = 64, seconds = 3, pid, rate } = options;
  const { hostname, port } = new URL(url);
  const bodies = typeof options.body === "string" || options.body === undefined ? [options.body] : options.body;
  const requests = bodies.map((body) => requestOf(url, options, body));
  const interval = rate === undefined ? 0 : 1_000 * connections / rate;
  const times: number[] = [];
  const run = async (until: number, record: boolean) => {
    await Promise.all(
      Array.from(
        { length: connections },
        (_, i) =>
          oneConnection({ hostname, port: Number(port) }, requests[i % requests.length]!, {
            until,
            begin: performance.now() + interval * i / connections,
            interval,
            times: record ? times : undefined,
          }),
      ),
    );
  };
  await run(performance.now() + 1000, false);
  const cpuBefore = cpuTime(pid), start = performance.now();
  await run(start + seconds * 1000, true);
  const elapsed = (performance.now() - start) / 1000, cpu = cpuTime(pid) - cpuBefore;
  times.sort((a, b) => a - b);
  const quantile = (q: number) => times[Math.floor(times.length * q)] ?? NaN;
  return {
    perSecond: times.length / elapsed,
    cpuPerRequest: cpu / times.length,
    p50: quantile(0.5),
    p99: quantile(0.99),
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

interface Schedule {
  readonly until: number;
  readonly begin: number;
  /** Milliseconds from one request to the next, if the answer is there by then. */
  readonly interval: number;
  readonly times: number[] | undefined;
}

async function oneConnection(
  address: Deno.ConnectOptions,
  request: Uint8Array,
  { until, begin, interval, times }: Schedule,
): Promise<void> {
  const socket = await Deno.connect(address);
  socket.setNoDelay(true);
  const buffer = new Uint8Array(1 << 20);
  const decoder = new TextDecoder();
  let length: number | undefined;
  try {
    for (let now = performance.now(), due = begin; now < until;) {
      if (interval > 0 && due > now) {
        await new Promise((resolve) => setTimeout(resolve, due - now));
        now = performance.now();
      }
      due = Math.max(due + interval, now);
      await writeAll(socket, request);
      let have = 0;
      do {
        const n = await socket.read(buffer.subarray(have));
        if (n === null) throw new Error("the server closed the connection");
        have += n;
        // All answers of one run look alike, so the first one's length is looked up and the others' only checked.
        length ??= answerLength(decoder.decode(buffer.subarray(0, have)));
      } while (have < (length ?? Infinity) && !isComplete(decoder, buffer, have));
      if (buffer[9] !== 0x32) throw new Error(decoder.decode(buffer.subarray(0, Math.min(have, 400))));
      const done = performance.now();
      times?.push(done - now);
      now = done;
    }
  } finally {
    socket.close();
  }
}

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
const isComplete = (decoder: TextDecoder, buffer: Uint8Array, have: number) =>
  have >= (answerLength(decoder.decode(buffer.subarray(0, have))) ?? Infinity);

/** Microseconds of CPU time that a process has used (Linux: proc(5), stat). */
function cpuTime(pid: number | undefined): number {
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
