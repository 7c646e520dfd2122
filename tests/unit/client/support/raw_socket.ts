import type { Asked } from "./realtime.ts";
import type { SeenRequest } from "./scripted_server.ts";

const encoder = new TextEncoder();

/** A WebSocket at its server's end, byte by byte (RFC 6455): whatever a server may do, it can do. */
export class RawSocket {
  readonly #connection: Deno.TcpConn;
  #rest = new Uint8Array();
  #lines: string[] = [];

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Takes a request for one. */
  static async accept({ headers }: SeenRequest, connection: Deno.TcpConn): Promise<RawSocket> {
    const key = `${headers.get("sec-websocket-key")}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
    const accept = new Uint8Array(await crypto.subtle.digest("SHA-1", encoder.encode(key))).toBase64();
    const socket = new RawSocket(connection);
    const head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n";
    await socket.write(
      encoder.encode(`${head}sec-websocket-accept: ${accept}\r\nsec-websocket-protocol: orama.v1\r\n\r\n`),
    );
    return socket;
  }

  /** Objects in one text frame. */
  async tell(...objects: readonly unknown[]): Promise<void> {
    await this.frame(0x81, encoder.encode(objects.map((object) => JSON.stringify(object)).join("\n")));
  }

  /** A frame. @param first its first byte: 0x81 is a whole text */
  async frame(first: number, payload: Uint8Array): Promise<void> {
    const { length } = payload;
    const head = length < 126 ? [length] : [126, length >> 8, length & 255];
    await this.write(Uint8Array.from([first, ...head, ...payload]));
  }

  /** Bytes as they are. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  /** The next command; `undefined` when the client has left. */
  async next(): Promise<Asked | undefined> {
    while (this.#lines.length === 0) {
      const frame = await this.#read();
      if (frame === undefined || frame.opcode === 8) return undefined;
      if (frame.opcode === 1) this.#lines = new TextDecoder().decode(frame.payload).split("\n");
    }
    return JSON.parse(this.#lines.shift()!);
  }

  /** Takes the credential, and then the next command. */
  async connected(): Promise<Asked | undefined> {
    const connect = await this.next();
    if (connect === undefined) return undefined;
    await this.tell({ id: connect.id, type: "ok", ping_interval: 1_000, max_frame_bytes: 65_536 });
    return await this.next();
  }

  async #read(): Promise<{ readonly opcode: number; readonly payload: Uint8Array } | undefined> {
    const head = await this.#take(2);
    if (head === undefined) return undefined;
    let length = head[1]! & 127;
    const longer = length === 126 ? await this.#take(2) : new Uint8Array();
    if (longer === undefined) return undefined;
    if (length === 126) length = longer[0]! * 256 + longer[1]!;
    const mask = await this.#take(4), payload = await this.#take(length);
    if (mask === undefined || payload === undefined) return undefined;
    return { opcode: head[0]! & 15, payload: payload.map((byte, at) => byte ^ mask[at % 4]!) };
  }

  async #take(length: number): Promise<Uint8Array | undefined> {
    const buffer = new Uint8Array(64 * 1024);
    while (this.#rest.length < length) {
      const count = await this.#connection.read(buffer);
      if (count === null) return undefined;
      this.#rest = Uint8Array.from([...this.#rest, ...buffer.subarray(0, count)]);
    }
    const taken = this.#rest.slice(0, length);
    this.#rest = this.#rest.slice(length);
    return taken;
  }
}
