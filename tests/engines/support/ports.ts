/** Below the range from which systems take ports for outgoing connections, so that a restarted engine finds its own free. */
const FIRST = 20_000;
const LAST = 31_999;

/** So many ports of 127.0.0.1 that nobody listens on, all different. */
export function freePorts(count: number): number[] {
  const held: Deno.TcpListener[] = [];
  try {
    while (held.length < count) {
      const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
      try {
        held.push(Deno.listen({ hostname: "127.0.0.1", port }));
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      }
    }
    return held.map((listener) => listener.addr.port);
  } finally {
    for (const listener of held) listener.close();
  }
}
