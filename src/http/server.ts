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

/** Milliseconds after which connections are taken again when the system could give none. */
const AGAIN = 1_000;

/** What listening needs beside an address. */
export interface ListenOptions {
  /** Aborted when a stop has run out of patience, so that drivers give up too. */
  readonly abort: AbortController;
  /** Told that no connection could be taken, most often for want of descriptors. It is tried again. */
  readonly onRefused: (error: unknown) => void;
}

/**
 * Listens.
 * @throws Deno.errors.AddrInUse
 */
export function listen(fetch: Fetch, { hostname, port }: ListenAddress, options: ListenOptions): RunningServer {
  const { abort, onRefused } = options;
  const servers: Deno.HttpServer[] = [];
  let isStopped = false;
  const serve = (port: number) => {
    const server = Deno.serve({ hostname, port, onListen: () => {}, onError: lastResort }, fetch);
    servers.push(server);
    // The runtime gives up listening at the first connection that it cannot take. Those that are there go on, until all are shut down.
    server.finished.catch((error) => {
      if (isStopped) return;
      onRefused(error);
      setTimeout(serveAgain, AGAIN);
    });
    return server;
  };
  const serveAgain = () => {
    if (isStopped) return;
    try {
      serve(addr.port);
    } catch {
      setTimeout(serveAgain, AGAIN);
    }
  };
  const { addr } = serve(port);
  return {
    url: `http://${callable(addr.hostname)}:${addr.port}`,
    address: { hostname: addr.hostname, port: addr.port },
    async stop(grace) {
      isStopped = true;
      const patience = setTimeout(
        () => abort.abort(new DOMException("the gateway is shutting down", "AbortError")),
        grace,
      );
      // One more second, so that requests cut off by the abort can still answer.
      const { promise: tooLate, resolve } = Promise.withResolvers<void>();
      const giveUp = setTimeout(resolve, grace + 1000);
      await Promise.race([Promise.all(servers.map((server) => server.shutdown().catch(() => {}))), tooLate]);
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
