import { Counter, type Registry } from "prom-client";
import type { Config } from "../config/index.ts";
import { routes } from "../routes/index.ts";
import type { RootKey } from "../services/auth/crypto/root_key.ts";
import { createApp } from "./app.ts";
import { type Container, createContainer } from "./container.ts";
import { GatewayError } from "./contracts/errors.ts";
import type { Observe } from "./contracts/observation.ts";
import { clientAddresses } from "./http/client_address.ts";
import { listen } from "./http/server.ts";
import { accessLog } from "./observability/access_log.ts";
import type { LineWriter } from "./observability/line_writer.ts";
import { logger } from "./observability/log.ts";
import { SocketGuard } from "./kernel/socket_guard.ts";
import { RequestMetrics } from "./observability/request_metrics.ts";
import { Scraped } from "./observability/scraped.ts";

/**
 * Bytes that a WebSocket may have sent without having finished a message: more than any may have, with what systems hold of a
 * connection before it is read (`tcp_rmem`, 6 MiB).
 */
const HIDDEN = 16 * 1024 * 1024;

/** What one gateway is started with. */
export interface GatewayOptions {
  readonly config: Config;
  readonly rootKey: RootKey;
  /** Where access lines go. */
  readonly writer: LineWriter;
}

/** A gateway that serves. */
export interface Gateway {
  /** As it can be called from this machine. */
  readonly url: string;
  readonly container: Container;
  /** Stops in phases: says so, waits a moment for load balancers, takes no more, finishes what runs, closes services. */
  stop(): Promise<void>;
}

/**
 * Starts a gateway: services first, then the socket, so that the first answer is a true one.
 * @throws Deno.errors.AddrInUse, and what an embedded driver cannot open
 */
export async function startGateway({ config, rootKey, writer }: GatewayOptions): Promise<Gateway> {
  const abort = new AbortController();
  const stopping = new AbortController();
  const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
  let url = "";
  const container = await createContainer({ config, rootKey, now: Date.now, random, url: () => url });
  try {
    await container.start();
    const { body, max_json_depth: maxDepth, cors, trusted_proxies, listen: address, shutdown } = config.http;
    const guard = await SocketGuard.start({ limit: HIDDEN });
    tellOfGuard(guard, container);
    let port = 0;
    const sockets = guard && { guard, port: () => port };
    const app = createApp({
      routes,
      services: container.services,
      body: { maxBytes: body.max_bytes, stallTimeout: body.stall_timeout, timeout: body.timeout, maxDepth },
      cors,
      facts: {
        shutdown: abort.signal,
        stopping: stopping.signal,
        sockets,
        addressOf: clientAddresses(trusted_proxies),
      },
      observe: observer(config, container, writer),
      random,
    });
    const onRefused = (error: unknown) => logger("http").error("no connection can be taken for a moment", { error });
    const server = listen(app, address, { abort, onRefused });
    url = server.url;
    port = server.address.port;
    return {
      url,
      container,
      async stop() {
        await stop(container, server, shutdown, { abort, stopping });
        guard?.close();
      },
    };
  } catch (error) {
    await container.close();
    throw error;
  }
}

function observer({ log }: Config, { registry }: Container, writer: LineWriter): Observe {
  const errors = logger("http");
  const figures = new RequestMetrics();
  figures.register(registry);
  countDroppedLines(registry, writer);
  const write = log.access ? accessLog(writer, log.format, Date.now) : () => {};
  return (request, outcome) => {
    figures.observe(request, outcome);
    const { error } = outcome;
    if (!request.quiet || error !== undefined) write(request, outcome);
    if (error === undefined) return;
    const { requestId, template: route } = request;
    // What a client did wrong is in the access log; what went wrong here needs its cause.
    if (!(error instanceof GatewayError)) errors.error("unexpected failure", { request_id: requestId, route, error });
    else if (error.cause !== undefined) {
      const level = error.status >= 500 ? "warn" : "debug";
      errors[level]("request failed", { request_id: requestId, route, error_code: error.code, cause: error.cause });
    }
  };
}

/** Without it sockets open all the same; what they cannot be spared then is in the figures, and once in the log. */
function tellOfGuard(guard: SocketGuard | undefined, { registry }: Container): void {
  if (guard === undefined) {
    logger("gateway").warn("the system tells nothing of connections: sockets are not looked after");
  }
  new Scraped(registry).counter(
    "live_unguarded_total",
    "Sockets that opened though the system could not be asked about their connections.",
    () => guard?.unguarded,
  );
}

function countDroppedLines(registry: Registry, writer: LineWriter): void {
  new Counter({
    name: "log_lines_dropped_total",
    help: "Log lines that were dropped because nobody read fast enough.",
    registers: [registry],
    collect() {
      this.reset();
      this.inc(writer.dropped);
    },
  });
}

type Stoppable = { stop(grace: number): Promise<void> };

async function stop(
  container: Container,
  server: Stoppable,
  { grace, delay }: Config["http"]["shutdown"],
  { abort, stopping }: Readonly<Record<"abort" | "stopping", AbortController>>,
): Promise<void> {
  const log = logger("gateway");
  container.system.stopping();
  log.info("stopping", { grace_ms: grace, delay_ms: delay });
  await new Promise((resolve) => setTimeout(resolve, delay));
  stopping.abort(new DOMException("the gateway is stopping", "AbortError"));
  container.services.connections.stop();
  await server.stop(grace);
  abort.abort(new DOMException("the gateway has stopped", "AbortError"));
  await container.close();
  log.info("stopped");
}
