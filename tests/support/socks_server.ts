/** What a client of a {@link SocksServer} said. */
export interface SocksSession {
  /** RFC 1928, 3. */
  readonly methods: readonly number[];
  username?: string;
  password?: string;
  /** What it wanted to be connected to. */
  host?: string;
  port?: number;
  /** RFC 1928, 5: 1 IPv4, 3 name, 4 IPv6. */
  addressKind?: number;
  /** Bytes that came after the request. */
  received: number;
  ended: boolean;
}

/** How a {@link SocksServer} differs from a sound one. */
export interface SocksManner {
  /** Bytes in place of the answer to the greeting; `hang` for none. */
  readonly greeting?: readonly number[] | "hang" | "close";
  /** Bytes in place of the answer to the password. */
  readonly login?: readonly number[] | "hang" | "close";
  /** Bytes in place of the answer to the request; nothing is connected to then. */
  readonly reply?: readonly number[] | "hang" | "close";
  /** Answers byte by byte, each in a packet of its own. */
  readonly slowly?: boolean;
  /** Chooses no password although it is offered. */
  readonly open?: boolean;
  /** What it sends in the same packet as the reply, before the target says anything. */
  readonly ahead?: string;
  /** What BND.ADDR is (RFC 1928, 6). Default IPv4. */
  readonly bound?: "ipv4" | "ipv6" | "name";
}

const BOUND = { ipv4: [1, 0, 0, 0, 0], ipv6: [4, ...new Array<number>(16).fill(0)], name: [3, 2, 0x61, 0x62] } as const;
const decoder = new TextDecoder(), encoder = new TextEncoder();

/**
 * A SOCKS5 server (RFC 1928, 1929) that records what it is told, and lies, hangs or answers partly where it is told to. Whatever name it is
 * given leads to one target.
 */
export class SocksServer implements AsyncDisposable {
  /** In the order of the connections. */
  readonly sessions: SocksSession[] = [];
  /** How connections that come now are answered. */
  manner: SocksManner = {};
  /** Where all names lead. */
  target: { readonly hostname: string; readonly port: number } | undefined;
  readonly #listener: Deno.TcpListener;
  readonly #open = new Set<Deno.Conn>();
  readonly #accepting: Promise<void>;

  constructor(hostname = "127.77.0.1") {
    this.#listener = Deno.listen({ hostname, port: 0 });
    this.#accepting = this.#accept();
  }

  /** What a client is given. */
  get address(): { readonly host: string; readonly port: number } {
    return { host: this.#listener.addr.hostname, port: this.#listener.addr.port };
  }

  /** The only client there was. */
  get session(): SocksSession {
    if (this.sessions.length !== 1) throw new Error(`${this.sessions.length} connections, not one`);
    return this.sessions[0]!;
  }

  /** Ends all connections that there are. */
  cut(): void {
    for (const one of this.#open) close(one);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    close(this.#listener);
    this.cut();
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    const serving: Promise<void>[] = [];
    for await (const client of this.#listener) {
      this.#open.add(client);
      serving.push(this.#serve(client).catch(() => {}).finally(() => close(client)));
    }
    await Promise.all(serving);
  }

  async #serve(client: Deno.Conn): Promise<void> {
    const { greeting, login, reply, slowly, open, ahead = "", bound = "ipv4" } = this.manner;
    const [, count] = await take(client, 2);
    const session: SocksSession = { methods: [...await take(client, count!)], received: 0, ended: false };
    this.sessions.push(session);
    try {
      await say(client, greeting ?? [5, open ? 0 : 2], slowly);
      if (!open) {
        session.username = await text(client, (await take(client, 2))[1]!);
        session.password = await text(client, (await take(client, 1))[0]!);
        await say(client, login ?? [1, 0], slowly);
      }
      const [, , , kind] = await take(client, 4);
      session.addressKind = kind!;
      session.host = kind === 3
        ? await text(client, (await take(client, 1))[0]!)
        : (await take(client, kind === 1 ? 4 : 16)).join(".");
      const [high, low] = await take(client, 2);
      session.port = high! * 256 + low!;
      await say(client, reply ?? [5, 0, 0, ...BOUND[bound], 0, 0, ...encoder.encode(ahead)], slowly);
      if (reply === undefined) await this.#pass(client, session);
      else await drain(client);
    } finally {
      session.ended = true;
    }
  }

  async #pass(client: Deno.Conn, session: SocksSession): Promise<void> {
    if (!this.target) return await drain(client);
    const behind = await Deno.connect(this.target);
    this.#open.add(behind);
    try {
      await Promise.race([
        copy(client, behind, (bytes) => session.received += bytes),
        copy(behind, client, () => {}),
      ]);
    } finally {
      close(behind);
    }
  }
}

async function take(from: Deno.Conn, count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await from.read(bytes.subarray(at));
    if (read === null) throw new Error("the client has left");
    at += read;
  }
  return bytes;
}

const text = async (from: Deno.Conn, length: number) => decoder.decode(await take(from, length));

async function say(to: Deno.Conn, what: readonly number[] | "hang" | "close", slowly = false): Promise<void> {
  if (what === "close") throw new Error("it leaves");
  if (what === "hang") {
    await drain(to);
    throw new Error("the client has left");
  }
  if (!slowly) return void await write(to, Uint8Array.from(what));
  for (const byte of what) {
    await write(to, Uint8Array.of(byte));
    // Another packet.
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function write(to: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await to.write(bytes.subarray(at));
}

async function drain(from: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(1_024);
  while (await from.read(buffer) !== null);
}

async function copy(from: Deno.Conn, to: Deno.Conn, told: (bytes: number) => void): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
    told(read);
    await write(to, buffer.subarray(0, read));
  }
}

function close(one: { close(): void }): void {
  try {
    one.close();
  } catch {
    // It was closed already.
  }
}
