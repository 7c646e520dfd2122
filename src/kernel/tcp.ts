import ipaddr from "ipaddr.js";
import { Descriptors, type Wanted } from "./descriptors.ts";
import { Libc, nameOf, type TcpFigures } from "./libc.ts";

/** Both ends of a connection, as a server knows them. */
export interface Ends {
  /** Address and port of the other side. */
  readonly hostname: string;
  readonly port: number;
  /** Port of this side: of its other connections, too, one may go to that address and port. */
  readonly localPort: number;
}

/** What the system itself says and does of one TCP connection of this process. */
export interface KernelConnection {
  /** Bytes that came, over its whole life; `undefined` once it is gone, or those of another connection that has its number by then. */
  received(): number | undefined;
  /** Bytes that the other side has taken, likewise. */
  acknowledged(): number | undefined;
  /** Whether both sides can still send. */
  isEstablished(): boolean;
  /** From now on the system takes no more than about so many bytes that it cannot send yet: the rest waits in the process. */
  limitUnsent(bytes: number): void;
  /** Ends it now. What still waits for the other side is thrown away, in the process and in the system. */
  cut(): void;
  /** Forgets it: its number may be another connection's from now on. */
  release(): void;
}

/** Finds connections of this process. */
export interface KernelConnections {
  /**
   * Whoever finds one has it alone until it is released.
   * @returns `gone` where it has ended; `unknown` where that cannot be told
   */
  find(ends: Ends): KernelConnection | "gone" | "unknown";
}

/**
 * Connections as the system knows them: what a runtime keeps to itself of a WebSocket (Deno 2.9), how much has come that is no
 * message yet, how much has been read, and a way to end it whose other side does nothing. It is tried out on one of its own first.
 * @returns `undefined` where that cannot be asked: elsewhere than on Linux, without the right to call foreign functions, and where
 * the answers are not Linux's
 */
export async function kernelConnections(): Promise<KernelConnections | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  try {
    const connections = new LinuxConnections(new Libc());
    return await isTrue(connections) ? connections : undefined;
  } catch {
    return undefined;
  }
}

/** Milliseconds that a connection from this machine to itself takes at most. */
const PROBE = 5_000;

/** Whether what is told of a connection is so. */
async function isTrue(connections: KernelConnections): Promise<boolean> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port: localPort } = listener.addr as Deno.NetAddr;
  // An accept has no signal; closing the listener ends it.
  const patience = setTimeout(() => listener.close(), PROBE);
  try {
    using client = await Deno.connect({ hostname: "127.0.0.1", port: localPort });
    using server = await listener.accept();
    const { hostname, port } = server.remoteAddr as Deno.NetAddr;
    const found = connections.find({ hostname, port, localPort });
    if (typeof found === "string") return false;
    await client.write(Uint8Array.of(1));
    await server.read(new Uint8Array(1));
    const isSo = found.isEstablished() && found.received() === 1 && found.acknowledged()! <= 1;
    found.release();
    return isSo;
  } finally {
    clearTimeout(patience);
  }
}

class LinuxConnections implements KernelConnections {
  readonly #libc: Libc;
  readonly #descriptors: Descriptors;
  /** By descriptor. */
  readonly #found = new Map<number, LinuxConnection>();
  /** Where one was found before: only there, not to find one says something. */
  readonly #proved = new Set<string>();

  constructor(libc: Libc) {
    this.#libc = libc;
    this.#descriptors = new Descriptors(libc);
  }

  find({ hostname, port, localPort }: Ends): KernelConnection | "gone" | "unknown" {
    const name = nameOf(ipaddr.parse(hostname).toByteArray(), port);
    const wanted: Wanted = { name, port, localPort };
    const kind = `${localPort}/${name.split(".").length}`;
    const fd = this.#descriptors.find(wanted);
    if (fd === "none") return this.#proved.has(kind) ? "gone" : "unknown";
    if (typeof fd === "string") return fd;
    // Two that differ in the address of this side alone: nobody can tell which of them is meant.
    const others = this.#descriptors.alike(fd, wanted);
    for (const other of others) this.#found.get(other)?.release();
    if (others.length > 0) return "unknown";
    this.#proved.add(kind);
    // Its number was another's, of whose end nobody has told yet.
    this.#found.get(fd)?.release();
    this.#descriptors.take(fd, port);
    const connection = new LinuxConnection(this.#libc, fd, wanted, () => {
      this.#found.delete(fd);
      this.#descriptors.forget(fd);
    });
    this.#found.set(fd, connection);
    return connection;
  }
}

class LinuxConnection implements KernelConnection {
  #isReleased = false;

  constructor(
    private readonly libc: Libc,
    private readonly fd: number,
    private readonly wanted: Wanted,
    private readonly released: () => void,
  ) {}

  received(): number | undefined {
    return this.#figures()?.received;
  }

  acknowledged(): number | undefined {
    return this.#figures()?.acknowledged;
  }

  isEstablished(): boolean {
    return this.#isOurs() && this.#figures()?.isEstablished === true;
  }

  limitUnsent(bytes: number): void {
    if (this.#isOurs()) this.libc.limitUnsent(this.fd, bytes);
  }

  cut(): void {
    if (this.#isOurs()) this.libc.cut(this.fd);
  }

  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.released();
  }

  /** Often asked, so without asking first whose they are: a stranger's do no harm, since what ends it makes sure. */
  #figures(): TcpFigures | undefined {
    return this.#isReleased ? undefined : this.libc.figures(this.fd);
  }

  /** A descriptor is given to the next connection as soon as one is gone. */
  #isOurs(): boolean {
    const { libc, fd, wanted } = this;
    return !this.#isReleased && libc.peer(fd)?.name() === wanted.name && libc.localPort(fd) === wanted.localPort;
  }
}
