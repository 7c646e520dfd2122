/** One connection of a client of a {@link HostileHttp}. */
export interface HostileConnection {
  /** Writes as it is. @throws when the client has gone */
  send(what: string | Uint8Array): Promise<void>;
  /** The next bytes that came; `undefined` at the end. */
  read(): Promise<Uint8Array | undefined>;
  /** Everything up to the empty line after the request's headers. What follows is read next. */
  head(): Promise<string>;
  /** Leaves. */
  close(): void;
  /** Resolves when the client has gone. What it sends until then is lost. */
  gone(): Promise<void>;
}

/** How a connection is served. It is closed when it resolves; what it throws ends it as well. */
export type HostileManner = (connection: HostileConnection) => Promise<void>;

/** A server of TCP or TLS that keeps to no rule, and knows who connected. */
export class HostileHttp implements AsyncDisposable {
  /** How many connections there were. */
  connections = 0;
  /** How many there are. */
  get open(): number {
    return this.#open.size;
  }
  /** How connections that come now are served. */
  manner: HostileManner;
  readonly #listener: Deno.Listener;
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  /** @param tls certificate and key in PEM; without them it is no TLS */
  constructor(
    manner: HostileManner = async (connection) => void await connection.head(),
    { hostname = "127.77.0.1", tls }: {
      readonly hostname?: string;
      readonly tls?: { readonly cert: string; readonly key: string };
    } = {},
  ) {
    this.manner = manner;
    this.#listener = tls
      ? Deno.listenTls({ hostname, port: 0, ...tls, alpnProtocols: ["h2", "http/1.1"] })
      : Deno.listen({ hostname, port: 0 });
    this.#accepting = this.#accept();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    close(this.#listener);
    for (const one of this.#open) close(one);
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    for (;;) {
      let connection: Deno.Conn;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) break;
        // A handshake of TLS that failed.
        continue;
      }
      this.connections++;
      this.#open.add(connection);
      serving.push(
        this.manner(connectionOf(connection)).catch(() => {}).finally(() => {
          this.#open.delete(connection);
          close(connection);
        }),
      );
    }
    await Promise.all(serving);
  }
}

const encoder = new TextEncoder(), latin1 = new TextDecoder("latin1");

function connectionOf(connection: Deno.Conn): HostileConnection {
  let rest = new Uint8Array();
  const read = async () => {
    if (rest.length > 0) {
      const piece = rest;
      rest = new Uint8Array();
      return piece;
    }
    const buffer = new Uint8Array(64 * 1024);
    const count = await connection.read(buffer);
    return count === null ? undefined : buffer.subarray(0, count);
  };
  return {
    read,
    async send(what) {
      const bytes = typeof what === "string" ? encoder.encode(what) : what;
      for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    },
    async head() {
      let bytes = new Uint8Array();
      for (;;) {
        const piece = await read();
        if (!piece) throw new Error("the client has left");
        bytes = joined(bytes, piece);
        // Each byte is one character, so that places in the text are places among the bytes.
        const end = latin1.decode(bytes).indexOf("\r\n\r\n");
        if (end < 0) continue;
        rest = bytes.slice(end + 4);
        return latin1.decode(bytes.subarray(0, end));
      }
    },
    close: () => close(connection),
    async gone() {
      try {
        while (await read());
      } catch {
        // Reset: an end as well.
      }
    },
  };
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

/** Answers every request with one text. */
export const answering = (raw: string): HostileManner => async (connection) => {
  await connection.head();
  await connection.send(raw);
};

function close(one: { close(): void }): void {
  try {
    one.close();
  } catch {
    // It was closed already.
  }
}
