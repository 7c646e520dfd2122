import type { Fetch } from "../app.ts";

/** Where to listen. */
export interface ListenAddress {
  readonly hostname: string;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** A listening gateway. */
export interface RunningServer {
  /** `http://host:port` as it can be called from here. */
  readonly url: string;
  readonly address: ListenAddress;
  /**
   * Takes no new connections, lets running requests finish, and resolves when the last one did or when `grace`
   * milliseconds have passed; what still runs then is cut off.
   */
  stop(grace: number): Promise<void>;
}

/**
 * Listens.
 * @param abort aborted when a stop has run out of patience, so that drivers give up too
 * @throws Deno.errors.AddrInUse
 */
export function listen(fetch: Fetch, { hostname, port }: ListenAddress, abort: AbortController): RunningServer {
  const server = Deno.serve({ hostname, port, onListen: () => {}, onError: lastResort }, fetch);
  const { addr } = server;
  return {
    url: `http://${callable(addr.hostname)}:${addr.port}`,
    address: { hostname: addr.hostname, port: addr.port },
    async stop(grace) {
      const patience = setTimeout(
        () => abort.abort(new DOMException("the gateway is shutting down", "AbortError")),
        grace,
      );
      // One more second, so that requests cut off by the abort can still answer.
      const { promise: tooLate, resolve } = Promise.withResolvers<void>();
      const giveUp = setTimeout(resolve, grace + 1000);
      await Promise.race([server.shutdown(), tooLate]);
      clearTimeout(patience);
      clearTimeout(giveUp);
    },
  };
}

/** A wildcard address can be listened on but not called. */
function callable(hostname: string): string {
  if (hostname === "0.0.0.0") return "127.0.0.1";
  if (hostname === "::") return "[::1]";
  return hostname.includes(":") ? `[${hostname}]` : hostname;
}

/** Reached only by a defect in the request path itself, which answers its own errors. */
const lastResort = () =>
  new Response('{"error":"internal error","code":"INTERNAL","status":500}', {
    status: 500,
    headers: { "content-type": "application/json" },
  });
