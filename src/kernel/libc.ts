const SYMBOLS = {
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getpeername: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  getsockopt: { parameters: ["i32", "i32", "i32", "buffer", "buffer"], result: "i32" },
  setsockopt: { parameters: ["i32", "i32", "i32", "buffer", "u32"], result: "i32" },
  shutdown: { parameters: ["i32", "i32"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** Of socket(7), tcp(7) and shutdown(2) on Linux, on every processor that Deno runs on. */
const SOL_SOCKET = 1,
  SO_LINGER = 13,
  IPPROTO_TCP = 6,
  TCP_INFO = 11,
  TCP_NOTSENT_LOWAT = 25,
  SHUT_RDWR = 2,
  AF_INET = 2,
  AF_INET6 = 10;
/** Of `struct tcp_info` (linux/tcp.h): `tcpi_state`, `tcpi_bytes_acked` and `tcpi_bytes_received`, there since Linux 4.1. */
const STATE = 0, BYTES_ACKED = 120, BYTES_RECEIVED = 128, INFO_BYTES = 256;
const ESTABLISHED = 1, CLOSED = 7;

/** What the system tells of a TCP connection. */
export interface TcpFigures {
  /** Whether both sides can still send. */
  readonly isEstablished: boolean;
  /** Whether it has ended, and only its descriptor is left. */
  readonly isClosed: boolean;
  /** Bytes that the other side has taken, over its whole life. */
  readonly acknowledged: number;
  /** Bytes that came, over its whole life. */
  readonly received: number;
}

/** The other end of a descriptor. */
export interface Peer {
  readonly port: number;
  /** Address and port in one text, of {@link nameOf}. Made when it is asked for, before the next question. */
  readonly name: () => string;
}

/** What the C library of Linux says of a descriptor of this process. */
export class Libc {
  readonly #libc: Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];
  /** Filled anew by each question: a search asks many. */
  readonly #info = new Uint8Array(INFO_BYTES);
  readonly #infoView = new DataView(this.#info.buffer);
  readonly #address = new Uint8Array(128);
  readonly #addressView = new DataView(this.#address.buffer);
  readonly #length = new Uint8Array(4);
  readonly #lengthView = new DataView(this.#length.buffer);
  readonly #peer = { port: 0, name: () => this.#name() };

  /** @throws Error where it cannot be called */
  constructor() {
    this.#libc = Deno.dlopen("libc.so.6", SYMBOLS).symbols;
  }

  /** Who is at the other end; `undefined` where nobody is, as for a file. It holds until the next question. */
  peer(fd: number): Peer | undefined {
    this.#lengthView.setUint32(0, this.#address.length, true);
    if (this.#libc.getpeername(fd, this.#address, this.#length) !== 0 || !this.#isInternet()) return undefined;
    this.#peer.port = this.#addressView.getUint16(2);
    return this.#peer;
  }

  /** Port of this end; `undefined` for what has none. */
  localPort(fd: number): number | undefined {
    this.#lengthView.setUint32(0, this.#address.length, true);
    if (this.#libc.getsockname(fd, this.#address, this.#length) !== 0 || !this.#isInternet()) return undefined;
    return this.#addressView.getUint16(2);
  }

  /** @returns `undefined` for what is no TCP connection, and where the system does not count */
  figures(fd: number): TcpFigures | undefined {
    this.#lengthView.setUint32(0, INFO_BYTES, true);
    const failed = this.#libc.getsockopt(fd, IPPROTO_TCP, TCP_INFO, this.#info, this.#length) !== 0;
    if (failed || this.#lengthView.getUint32(0, true) < BYTES_RECEIVED + 8) return undefined;
    const state = this.#infoView.getUint8(STATE);
    return {
      isEstablished: state === ESTABLISHED,
      isClosed: state === CLOSED,
      acknowledged: Number(this.#infoView.getBigUint64(BYTES_ACKED, true)),
      received: Number(this.#infoView.getBigUint64(BYTES_RECEIVED, true)),
    };
  }

  /** Bounds what the system takes of a connection that it cannot send yet. */
  limitUnsent(fd: number, bytes: number): void {
    this.#libc.setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, new Uint8Array(new Uint32Array([bytes]).buffer), 4);
  }

  /** Ends a connection for both sides, and throws away what waits. */
  cut(fd: number): void {
    // On, for 0 seconds: closing then throws away what waits, instead of trying to send it for minutes.
    this.#libc.setsockopt(fd, SOL_SOCKET, SO_LINGER, new Uint8Array(new Int32Array([1, 0]).buffer), 8);
    this.#libc.shutdown(fd, SHUT_RDWR);
  }

  #isInternet(): boolean {
    const family = this.#family();
    return family === AF_INET || family === AF_INET6;
  }

  #family = () => this.#addressView.getUint16(0, true);

  #name(): string {
    const bytes = this.#family() === AF_INET ? this.#address.subarray(4, 8) : this.#address.subarray(8, 24);
    return nameOf(bytes, this.#addressView.getUint16(2));
  }
}

const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];

/** Address and port in one text; an address of IPv4 within IPv6 is that of IPv4. */
export function nameOf(address: ArrayLike<number>, port: number): string {
  const bytes = Array.from(address);
  const plain = bytes.length === 16 && MAPPED.every((byte, i) => bytes[i] === byte) ? bytes.slice(12) : bytes;
  return `${plain.join(".")}:${port}`;
}
