/** Below the range from which systems take ports for outgoing connections, so that a restarted engine finds its own free. */
const FIRST = 20_000;
const LAST = 31_999;
/** Ports are given out in blocks; whoever listens on the first port of a block has the others. */
const BLOCK = 10;
const BLOCKS = Math.floor((LAST - FIRST + 1) / BLOCK);

/** Ports of 127.0.0.1 that no other test gets, in whatever process, until they are given back or this process ends. */
export class PortReservation implements Disposable {
  private constructor(readonly ports: readonly number[], private readonly guard: Deno.TcpListener) {}

  /** Reserves ports that nobody listens on. @param count at most 9 */
  static take(count: number): PortReservation {
    if (count >= BLOCK) throw new RangeError(`${count} ports: a block has ${BLOCK - 1}`);
    for (;;) {
      const first = FIRST + BLOCK * Math.floor(Math.random() * BLOCKS);
      const guard = listenerOn(first);
      const ports = Array.from({ length: count }, (_, i) => first + 1 + i);
      if (guard && ports.every(isFree)) {
        guard.unref();
        return new PortReservation(ports, guard);
      }
      guard?.close();
    }
  }

  [Symbol.dispose](): void {
    this.guard.close();
  }
}

function isFree(port: number): boolean {
  const listener = listenerOn(port);
  listener?.close();
  return listener !== undefined;
}

function listenerOn(port: number): Deno.TcpListener | undefined {
  try {
    return Deno.listen({ hostname: "127.0.0.1", port });
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return undefined;
    throw error;
  }
}
