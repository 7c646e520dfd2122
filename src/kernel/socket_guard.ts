import { HiddenBytes, type HiddenBytesOptions } from "./hidden_bytes.ts";
import { type Ends, type KernelConnections, kernelConnections } from "./tcp.ts";

/**
 * Bytes that the system may hold of what a slow reader does not take: otherwise it takes megabytes, behind which a ping waits for
 * longer than its answer may take.
 */
const UNSENT = 128 * 1024;

/** One connection that became a WebSocket, as the system knows it. */
export interface GuardedSocket {
  /** A whole message came from it. */
  delivered(): void;
  /** Bytes that the other side has taken, over the whole life of the connection; `undefined` once it is gone. */
  acknowledged(): number | undefined;
  /** Ends it now, with all that waits for the other side. */
  cut(): void;
  /** It has ended. */
  release(): void;
}

/**
 * What a gateway can do about a WebSocket only by way of the system: end one whose other side does nothing, bound what it sends
 * that is no message yet, and see before it opens that its client has left.
 */
export class SocketGuard {
  readonly #connections: KernelConnections;
  readonly #hidden: HiddenBytes;
  #unguarded = 0;

  constructor(connections: KernelConnections, options: HiddenBytesOptions) {
    this.#connections = connections;
    this.#hidden = new HiddenBytes(options);
  }

  /** @returns `undefined` where the system cannot be asked ({@link kernelConnections}) */
  static async start(options: HiddenBytesOptions): Promise<SocketGuard | undefined> {
    const connections = await kernelConnections();
    return connections && new SocketGuard(connections, options);
  }

  /** Connections that it could not look after, ever. */
  get unguarded(): number {
    return this.#unguarded;
  }

  /**
   * Looks after a connection from here on. One that hides too much is cut.
   * @returns `left` where its client has left already; `undefined` where the system does not tell of it
   */
  guard(ends: Ends): GuardedSocket | "left" | undefined {
    const connection = this.#connections.find(ends);
    if (connection === "gone") return "left";
    if (connection === "unknown") {
      this.#unguarded++;
      return undefined;
    }
    if (!connection.isEstablished()) {
      connection.release();
      return "left";
    }
    connection.limitUnsent(UNSENT);
    const watched = this.#hidden.watch(connection, () => connection.cut());
    return {
      delivered: () => watched.delivered(),
      acknowledged: () => connection.acknowledged(),
      cut: () => connection.cut(),
      release() {
        watched.stop();
        connection.release();
      },
    };
  }

  close(): void {
    this.#hidden.close();
  }
}
