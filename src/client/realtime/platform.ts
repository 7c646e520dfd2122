import { type ClientClock, PLATFORM_CLOCK } from "../clock.ts";
import { OramaError } from "../errors.ts";

/** What a socket tells: `data` of a message, `code` and `reason` of a close. */
export interface SocketEvent {
  readonly type: string;
  readonly data?: unknown;
  readonly code?: number;
  readonly reason?: string;
}

/** What the client needs of a socket: browsers, Deno and Node 22 have one, and so has the library `ws`. */
export interface SocketLike {
  send(text: string): void;
  close(code?: number, reason?: string): void;
  addEventListener(type: "open" | "message" | "close" | "error", listener: (event: SocketEvent) => void): void;
}

/** Makes sockets, as the platform's `WebSocket` does. */
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike;

/** What is done when the page, if there is one, comes and goes. */
export interface PageListener {
  /** It is seen again, or there is a network again. */
  woken(): void;
  /** It goes, and may come back. */
  left(): void;
}

/** Time and chance. */
export interface RealtimeClock extends Pick<ClientClock, "after" | "random"> {
  /** Milliseconds that never run backwards. */
  monotonic(): number;
}

/** Time, chance, and the page around. */
export interface RealtimePlatform {
  readonly clock: RealtimeClock;
  /** @returns what ends it */
  watchPage(listener: PageListener): () => void;
}

/** What there is of it in a browser. */
interface Page {
  readonly addEventListener?: (type: string, listener: () => void) => void;
  readonly removeEventListener?: (type: string, listener: () => void) => void;
  readonly document?: Page & { readonly visibilityState?: string };
}

/** The platform on which this runs; where there are no pages, none comes or goes. */
export const PLATFORM: RealtimePlatform = {
  clock: { ...PLATFORM_CLOCK, monotonic: () => performance.now() },
  watchPage({ woken, left }) {
    const page = globalThis as unknown as Page;
    const seen = () => {
      if (page.document?.visibilityState === "visible") woken();
    };
    const events: readonly (readonly [Page | undefined, string, () => void])[] = [
      [page, "online", woken],
      [page, "pageshow", woken],
      [page, "pagehide", left],
      [page.document, "visibilitychange", seen],
    ];
    for (const [target, type, listener] of events) target?.addEventListener?.(type, listener);
    return () => {
      for (const [target, type, listener] of events) target?.removeEventListener?.(type, listener);
    };
  },
};

/** The platform's own sockets. @throws OramaError `NOT_SUPPORTED` where there are none */
export function platformSocket(): SocketConstructor {
  const { WebSocket } = globalThis as { readonly WebSocket?: SocketConstructor };
  if (WebSocket !== undefined) return WebSocket;
  throw new OramaError("there is no WebSocket here, as before Node 22: give one as webSocket, or use subscribeEvents", {
    code: "NOT_SUPPORTED",
  });
}
