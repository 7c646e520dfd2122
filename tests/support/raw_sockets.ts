import { until } from "../engines/support/wait.ts";

const encoder = new TextEncoder();
const latin1 = new TextDecoder("latin1");

/** Kinds of frames (RFC 6455, 5.2). */
export const OPCODES = { continuation: 0, text: 1, bytes: 2, close: 8, ping: 9, pong: 10 } as const;

/** How a frame differs from an ordinary one. */
export interface FrameOptions {
  readonly fin?: boolean;
  /** Length that is announced, whatever follows. */
  readonly announced?: bigint;
}

/** A frame as a client sends it; masked by zeros, which changes nothing. */
export function frameOf(
  opcode: number,
  payload: string | Uint8Array = "",
  { fin = true, announced }: FrameOptions = {},
): Uint8Array {
  const bytes = typeof payload === "string" ? encoder.encode(payload) : payload;
  const length = announced ?? BigInt(bytes.length);
  const head = length < 126n ? 0 : length < 65_536n ? 2 : 8;
  const frame = new Uint8Array(2 + head + 4 + bytes.length);
  const view = new DataView(frame.buffer);
  frame[0] = (fin ? 0x80 : 0) | opcode;
  frame[1] = 0x80 | (head === 0 ? Number(length) : head === 2 ? 126 : 127);
  if (head === 2) view.setUint16(2, Number(length));
  if (head === 8) view.setBigUint64(2, length);
  frame.set(bytes, 2 + head + 4);
  return frame;
}

/** A frame as it came. */
export interface RawFrame {
  readonly opcode: number;
  /** The bits that extensions give a meaning; 0 without one. */
  readonly reserved: number;
  readonly payload: Uint8Array;
}

/** A WebSocket, byte by byte: it keeps to no rule, and may leave without a word, or stop reading. */
export class RawSocket implements AsyncDisposable {
  /** Frames that came. */
  readonly frames: RawFrame[] = [];
  /** The answer to the handshake. */
  head = "";
  /** Whether the other side has closed the connection. */
  ended = false;
  /** Whether it answers pings. */
  answers = false;
  /** Bytes that it has read. */
  received = 0;
  #buffer = new Uint8Array();
  #reads = true;
  /** How fast it reads, from which time and byte on. */
  #pace: { readonly rate: number; readonly since: number; readonly from: number } | undefined;
  #reading: Promise<void>;

  private constructor(private readonly connection: Deno.TcpConn) {
    this.#reading = this.#read();
  }

  /** Connects and asks for an upgrade. The answer may be a refusal. @param headers beside those of a handshake; `undefined` leaves one out */
  static async open(
    url: string,
    path: string,
    headers: Readonly<Record<string, string | undefined>> = {},
  ): Promise<RawSocket> {
    const { hostname, port } = new URL(url);
    const socket = new RawSocket(await Deno.connect({ hostname, port: Number(port) }));
    const all: Record<string, string | undefined> = {
      "Host": `${hostname}:${port}`,
      "Upgrade": "websocket",
      "Connection": "Upgrade",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
      ...headers,
    };
    const lines = Object.entries(all).filter(([, value]) => value !== undefined).map(([name, value]) =>
      `${name}: ${value}`
    );
    await socket.send(encoder.encode(`GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`));
    await until("the handshake is answered", () => socket.head !== "" || socket.ended);
    return socket;
  }

  /** Status of the answer to the handshake. */
  get status(): number {
    return Number(this.head.split(" ")[1]);
  }

  /** Sends bytes. @returns whether the other side still took them */
  async send(bytes: Uint8Array): Promise<boolean> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.connection.write(bytes.subarray(at));
      return true;
    } catch {
      return false;
    }
  }

  /** Reads nothing from now on: what comes stays in the network. */
  stopReading(): void {
    this.#reads = false;
  }

  /** Reads again. */
  startReading(): void {
    this.#reads = true;
  }

  /** Reads again, no more than so many bytes a second. */
  readSlowly(rate: number): void {
    this.#pace = { rate, since: performance.now(), from: this.received };
    this.#reads = true;
  }

  /** The code of the close frame that came; `undefined` where none has. */
  get closeCode(): number | undefined {
    const found = this.frames.find(({ opcode }) => opcode === OPCODES.close);
    return found && new DataView(found.payload.buffer, found.payload.byteOffset).getUint16(0);
  }

  /** The texts that came. */
  get texts(): string[] {
    return this.frames.filter(({ opcode }) => opcode === OPCODES.text).map(({ payload }) =>
      new TextDecoder().decode(payload)
    );
  }

  /** Waits until the other side has ended it, by a frame or by the connection. */
  async end(deadline?: number): Promise<void> {
    await until("the socket has ended", () => this.ended || this.closeCode !== undefined, deadline);
  }

  /** Leaves without a word. */
  leave(): void {
    this.#reads = true;
    try {
      this.connection.close();
    } catch {
      // It was closed already.
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.leave();
    await this.#reading;
  }

  async #read(): Promise<void> {
    const piece = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        while (!this.#reads) await new Promise((resolve) => setTimeout(resolve, 50));
        const count = await this.connection.read(piece);
        if (count === null) break;
        this.received += count;
        await this.#pause();
        const buffer = new Uint8Array(this.#buffer.length + count);
        buffer.set(this.#buffer);
        buffer.set(piece.subarray(0, count), this.#buffer.length);
        this.#buffer = buffer;
        this.#parse();
      }
    } catch {
      // Reset by the other side, or left: an end all the same.
    }
    this.ended = true;
  }

  async #pause(): Promise<void> {
    if (this.#pace === undefined) return;
    const { rate, since, from } = this.#pace;
    const early = (this.received - from) / rate * 1_000 - (performance.now() - since);
    if (early > 0) await new Promise((resolve) => setTimeout(resolve, early));
  }

  #parse(): void {
    if (this.head === "") {
      const end = latin1.decode(this.#buffer).indexOf("\r\n\r\n");
      if (end < 0) return;
      this.head = latin1.decode(this.#buffer.subarray(0, end));
      this.#buffer = this.#buffer.slice(end + 4);
    }
    if (this.status !== 101) return;
    for (;;) {
      const buffer = this.#buffer;
      if (buffer.length < 2) return;
      const view = new DataView(buffer.buffer);
      const short = buffer[1]! & 0x7f;
      const head = short === 126 ? 4 : short === 127 ? 10 : 2;
      if (buffer.length < head) return;
      const length = short === 126 ? view.getUint16(2) : short === 127 ? Number(view.getBigUint64(2)) : short;
      if (buffer.length < head + length) return;
      this.frames.push({
        opcode: buffer[0]! & 0x0f,
        reserved: buffer[0]! & 0x70,
        payload: buffer.slice(head, head + length),
      });
      if (this.answers && this.frames.at(-1)!.opcode === OPCODES.ping) void this.send(frameOf(OPCODES.pong));
      this.#buffer = buffer.slice(head + length);
    }
  }
}
