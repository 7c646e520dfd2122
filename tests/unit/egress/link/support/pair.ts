/** Both ends of a connection. */
export class Pair implements AsyncDisposable {
  private constructor(readonly here: Deno.Conn, readonly there: Deno.Conn) {}

  static async open(): Promise<Pair> {
    const listener = Deno.listen({ hostname: "127.77.0.1", port: 0 });
    try {
      const [here, there] = await Promise.all([
        Deno.connect({ hostname: "127.77.0.1", port: listener.addr.port }),
        listener.accept(),
      ]);
      return new Pair(here, there);
    } finally {
      listener.close();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    for (const one of [this.here, this.there]) {
      try {
        one.close();
      } catch {
        // It was closed already.
      }
    }
    return Promise.resolve();
  }
}

/** A frame as bytes. @param length that is announced, whatever follows */
export function frameOf(
  type: number,
  payload: string | Uint8Array = "",
  length = bytesOf(payload).length,
): Uint8Array<ArrayBuffer> {
  const bytes = bytesOf(payload);
  const frame = new Uint8Array(5 + bytes.length);
  frame[0] = type;
  new DataView(frame.buffer).setUint32(1, length);
  frame.set(bytes, 5);
  return frame;
}

const bytesOf = (payload: string | Uint8Array) =>
  typeof payload === "string" ? new TextEncoder().encode(payload) : payload;
