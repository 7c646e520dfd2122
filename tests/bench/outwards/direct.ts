import { keepPace, quantile } from "../pace.ts";

/** Where a plain client goes, and through which proxy. */
export interface Direct {
  readonly proxyPort: number;
  readonly host: string;
  readonly port: number;
}

const encoder = new TextEncoder(), decoder = new TextDecoder();

/** Small requests of clients that each send one after the other, each over a connection of its own, as the gateway sends them. */
export async function loadDirectly(
  to: Direct,
  { connections, seconds }: { readonly connections: number; readonly seconds: number },
): Promise<{ readonly perSecond: number; readonly p50: number; readonly p99: number }> {
  const run = async (milliseconds: number, times?: number[]) => {
    const begin = performance.now(), pace = { begin, interval: 0, until: begin + milliseconds };
    await Promise.all(Array.from({ length: connections }, () => keepPace(pace, () => exchange(to), times)));
    return (performance.now() - begin) / 1_000;
  };
  await run(1_000);
  const times: number[] = [];
  const elapsed = await run(1_000 * seconds, times);
  times.sort((a, b) => a - b);
  return { perSecond: times.length / elapsed, p50: quantile(times, 0.5), p99: quantile(times, 0.99) };
}

/** One request through the proxy (RFC 1928), and its response. @throws Error for one that is not 200 */
async function exchange({ proxyPort, host, port }: Direct): Promise<void> {
  using socket = await Deno.connect({ hostname: "127.0.0.1", port: proxyPort });
  socket.setNoDelay(true);
  const buffer = new Uint8Array(4_096);
  const ask = async (bytes: Uint8Array, answer: number): Promise<void> => {
    await socket.write(bytes);
    for (let have = 0; have < answer;) have += await socket.read(buffer.subarray(have)) ?? Infinity;
  };
  await ask(Uint8Array.of(5, 1, 0), 2);
  const name = encoder.encode(host);
  await ask(Uint8Array.of(5, 1, 0, 3, name.length, ...name, port >> 8, port & 0xff), 10);
  await socket.write(encoder.encode(`GET / HTTP/1.1\r\nHost: ${host}:${port}\r\nConnection: close\r\n\r\n`));
  let text = "";
  for (let read = await socket.read(buffer); read !== null; read = await socket.read(buffer)) {
    text += decoder.decode(buffer.subarray(0, read));
  }
  if (!text.startsWith("HTTP/1.1 200")) throw new Error(text.slice(0, 200));
}
