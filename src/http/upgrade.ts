import { GatewayError } from "../contracts/errors.ts";
import type { Context } from "hono";
import type { GuardedSocket } from "../kernel/socket_guard.ts";
import type { Call, ServerFacts } from "./call.ts";
import { OpenSocket } from "./live/open_socket.ts";
import type { SocketHandler, Upgrade } from "./live/socket.ts";

/** Version of the protocol (RFC 6455, 4.1). */
const VERSION = "13";
/** Sixteen bytes in base64. */
const KEY = /^[A-Za-z0-9+/]{22}==$/;
/** Milliseconds after which a socket that is not open will not be: its client left, of which the runtime tells nobody. */
const OPENING = 10_000;

/**
 * Refuses what is no opening handshake of a WebSocket (RFC 6455, 4.2.1). Stricter than that: the runtime (Deno 2.9) reads these headers
 * at two places that do not agree on lists of several protocols, and ends the process where they differ.
 * @throws GatewayError `UPGRADE_REQUIRED`, `INVALID_REQUEST`
 */
export function expectUpgrade({ incoming, method }: Pick<Call, "incoming" | "method">): void {
  const isAsked = method === "GET" && incoming.get("upgrade")?.trim().toLowerCase() === "websocket" &&
    listed(incoming, "connection").includes("upgrade");
  if (!isAsked) {
    throw new GatewayError("UPGRADE_REQUIRED", "this address is for WebSockets: ask for an upgrade (RFC 6455)", {
      headers: { upgrade: "websocket" },
    });
  }
  if (incoming.get("sec-websocket-version")?.trim() !== VERSION) {
    throw new GatewayError("UPGRADE_REQUIRED", `Sec-WebSocket-Version: must be ${VERSION}`, {
      headers: { upgrade: "websocket", "sec-websocket-version": VERSION },
    });
  }
  if (!KEY.test(incoming.get("sec-websocket-key")?.trim() ?? "")) {
    throw refused("Sec-WebSocket-Key", "must be 16 bytes in base64, and come once");
  }
}

const listed = (headers: Headers, name: string): string[] =>
  headers.get(name)?.split(",").map((token) => token.trim().toLowerCase()) ?? [];

const refused = (field: string, problem: string) =>
  new GatewayError("INVALID_REQUEST", `${field}: ${problem}`, { details: [{ field, problem }] });

/** The subprotocol of ours, where the client offers it as browsers do: the runtime knows lists by comma and blank alone. */
export const offered = (headers: Headers, protocol: string): string | undefined =>
  headers.get("sec-websocket-protocol")?.split(", ").includes(protocol) ? protocol : undefined;

/**
 * Finds the connection of a request that is about to become a WebSocket.
 * @throws GatewayError `INVALID_REQUEST` when its client has left: the runtime would keep what it made for it for ever
 */
export function guarded(http: Context, { sockets }: ServerFacts): GuardedSocket | undefined {
  const peer = (http.env as Partial<Deno.ServeHandlerInfo> | undefined)?.remoteAddr;
  if (sockets === undefined || peer === undefined || !("hostname" in peer)) return undefined;
  const found = sockets.guard.guard({ hostname: peer.hostname, port: peer.port, localPort: sockets.port() });
  if (found === "left") throw new GatewayError("INVALID_REQUEST", "the client left before the socket was open");
  return found;
}

/**
 * Answers an upgrade. The answer must reach the server as it is: where another one does, the server takes no more connections.
 * @param failed told of what a handler throws: from a listener it would end the process
 * @param guard of its connection, where there is one
 */
export function upgraded(
  request: Request,
  { protocol, idleTimeout, openTimeout = OPENING, opened, lost }: Upgrade,
  failed: (error: unknown) => void,
  guard?: GuardedSocket,
): Response {
  const { response, socket } = Deno.upgradeWebSocket(request, {
    idleTimeout: idleTimeout / 1000,
    ...(protocol !== undefined && { protocol }),
  });
  socket.binaryType = "arraybuffer";
  const open = new OpenSocket(socket, guard);
  let handler: SocketHandler | undefined;
  let over = false;
  const attempt = (work: () => void) => {
    try {
      work();
    } catch (error) {
      failed(error);
      open.close(1011, "internal error");
    }
  };
  // The runtime may say so twice.
  const end = (code: number, clean = false) => {
    if (over) return;
    over = true;
    settle();
    const owed = open.ended(clean);
    attempt(() => handler ? handler.closed(code, owed) : lost());
  };
  let opening: ReturnType<typeof setTimeout> | undefined = setTimeout(() => end(1006), openTimeout);
  // A timer is an object, and there may be very many sockets.
  const settle = () => {
    clearTimeout(opening);
    opening = undefined;
  };
  // Listeners, as handlers (`onopen`) cost twice as much memory.
  socket.addEventListener("open", () => {
    settle();
    if (over) return open.close(1001, "it took too long to open");
    attempt(() => handler = opened(open, failed));
  }, { once: true });
  socket.addEventListener("message", ({ data }) => {
    guard?.delivered();
    attempt(() => handler?.message(data));
  });
  // Of an end without a code the runtime says 0.
  socket.addEventListener("close", ({ code, wasClean }) => end(code || 1006, wasClean));
  socket.addEventListener("error", () => {
    // One that was open closes as well.
    if (socket.readyState === WebSocket.CONNECTING) end(1006);
  });
  return response;
}
