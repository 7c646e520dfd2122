import { withinDeadline } from "./deadline.ts";

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** A connection whose every byte is the test's: for what `fetch` would put right, or refuse to send. */
export class RawConnection implements Disposable {
  #received = "";
  #ended = false;
  #changed = Promise.withResolvers<void>();
  readonly #reading: Promise<void>;

  private constructor(private readonly socket: Deno.TcpConn) {
    this.#reading = this.#read();
  }

  /** @param url of the gateway */
  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    return new RawConnection(await Deno.connect({ hostname, port: Number(port) }));
  }

  /** Whether the other side has closed. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Everything that came and belongs to no answer yet. */
  get received(): string {
    return this.#received;
  }

  /** Sends text (as UTF-8) or bytes. @returns whether the other side still took them */
  async send(data: string | Uint8Array): Promise<boolean> {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    try {
      for (let at = 0; at < bytes.length;) at += await this.socket.write(bytes.subarray(at));
      return true;
    } catch {
      return false;
    }
  }

  /** Says that nothing more will come, and goes on listening. */
  async endSending(): Promise<void> {
    await this.socket.closeWrite();
  }

  /** The next answer. @param head whether it answers a HEAD, and so has no body */
  async answer({ head = false, deadline = 5_000 } = {}): Promise<RawAnswer> {
    const found = await this.#wait(
      "an answer came",
      deadline,
      () => this.#take(head) ?? (this.#ended ? null : undefined),
    );
    if (found === null) throw new Error(`the connection ended without an answer: ${this.#received.slice(0, 300)}`);
    return found;
  }

  /** Waits until the other side has closed. */
  async closed(deadline = 5_000): Promise<void> {
    await this.#wait("the gateway closed the connection", deadline, () => this.#ended || undefined);
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }

  /** Closes, and waits for the end of reading, as tests that count resources want. */
  async close(): Promise<void> {
    this.socket.close();
    await this.#reading;
  }

  /** Looks at each change until it finds something. @throws Error after the deadline */
  async #wait<T>(what: string, deadline: number, look: () => T | undefined): Promise<T> {
    const end = performance.now() + deadline;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      await withinDeadline(this.#changed.promise, what, end - performance.now());
    }
  }

  #tellChange(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  #take(head: boolean): RawAnswer | undefined {
    const end = this.#received.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [first = "", ...lines] = this.#received.slice(0, end).split("\r\n");
    const headers = new Map(lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }));
    const length = head ? 0 : Number(headers.get("content-length") ?? 0);
    const start = end + 4;
    if (this.#received.length < start + length) return undefined;
    const body = this.#received.slice(start, start + length);
    this.#received = this.#received.slice(start + length);
    return { status: Number(first.split(" ")[1]), headers, body };
  }

  async #read(): Promise<void> {
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await this.socket.read(buffer);
        if (count === null) break;
        this.#received += latin1.decode(buffer.subarray(0, count));
        this.#tellChange();
      }
    } catch {
      // Reset by the other side, or closed by the test: an end all the same.
    }
    this.#ended = true;
    this.#tellChange();
  }
}

/** Sends one request, byte for byte, and gives its answer. */
export async function rawRequest(url: string, request: string | Uint8Array): Promise<RawAnswer> {
  const connection = await RawConnection.open(url);
  try {
    await connection.send(request);
    const head = typeof request === "string" && request.startsWith("HEAD ");
    return await connection.answer({ head });
  } finally {
    await connection.close();
  }
}
