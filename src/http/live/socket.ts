/** One WebSocket that is open, as its handler sees it. */
export interface LiveSocket {
  /** Bytes that were sent and that the system has not taken yet. */
  readonly bufferedAmount: number;
  /** Bytes that the other side has taken, ever; `undefined` where the system does not tell. */
  readonly acknowledged: number | undefined;
  /** Sends a text frame. Does nothing once the socket is closing. */
  send(text: string): void;
  /** Ends the socket: what was sent before goes out first. @param reason ASCII, at most 123 characters */
  close(code: number, reason: string): void;
}

/** What is told of one WebSocket. */
export interface SocketHandler {
  /** A whole message, text or bytes. What is thrown ends the socket with 1011, and is told as a failure of the gateway. */
  message(data: string | ArrayBuffer): void;
  /**
   * It has ended; called once.
   * @param code as the other side, or the runtime, said; 1006 where nobody said any
   * @param owed whether the system may still hold on to what was sent, for a time that nobody tells
   */
  closed(code: number, owed: boolean): void;
}

/** What a route that answers an upgrade does with the WebSocket. */
export interface Upgrade {
  /** Subprotocol that is chosen; one that the client offered. */
  readonly protocol?: string | undefined;
  /** Milliseconds of silence after which it is pinged and, unanswered, ended. Pings go out at half of it. */
  readonly idleTimeout: number;
  /** Milliseconds after which it will not open any more. Default 10,000. */
  readonly openTimeout?: number;
  /**
   * Called when it is open. What it throws ends the socket, as with {@link SocketHandler.message}.
   * @param failed to tell of what failed later, for the log alone
   */
  readonly opened: (socket: LiveSocket, failed: (error: unknown) => void) => SocketHandler;
  /** Called in place of `opened` when it never opens: the client had left. That is known only after a while. */
  readonly lost: () => void;
}
