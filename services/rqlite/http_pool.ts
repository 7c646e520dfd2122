import { Buffer } from "node:buffer";
import http from "node:http";
import https from "node:https";

/** One request. `timeout` in milliseconds covers everything from the wait for a connection to the last byte. */
export interface PoolRequest {
  readonly method: "GET" | "POST";
  /** Node's address, then what is asked of it. */
  readonly url: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeout: number;
  /** Asked again and again while there is no answer; when it fails, the request is given up like at its time-out. */
  readonly alive?: { readonly every: number; readonly ask: () => Promise<unknown> } | undefined;
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** A complete answer. */
export interface PoolAnswer {
  readonly status: number;
  readonly text: string;
}

/** A request without a complete answer. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /**
   * @param reason `connection`: refused, reset, or not HTTP
   * @param sent whether a connection stood, so that the request may have arrived
   */
  constructor(
    readonly reason: "timeout" | "aborted" | "connection" | "too_large",
    readonly sent: boolean,
    cause?: unknown,
  ) {
    super(`no answer: ${reason}`, { cause });
  }
}

/** How many requests one node gets at once; more of them wait here. */
const CONNECTIONS_PER_NODE = 128;

interface Target {
  readonly request: typeof http.request;
  readonly agent: http.Agent;
  readonly host: string;
  readonly port: string | undefined;
}

/**
 * Kept-alive HTTP/1.1 connections that send a request once.
 *
 * This is `node:http` and not `fetch`, because Deno's `fetch` sends a body again by itself when a reused connection closes
 * before the answer: a write would be applied twice. `node:http` in Deno does the same, but only for requests that say they
 * took a used connection, so they are told not to. It also tells a refused connection from a broken one, and is quicker.
 */
export class HttpPool {
  readonly #agents = {
    "http:": new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS_PER_NODE }),
    "https:": new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS_PER_NODE }),
  };
  readonly #targets = new Map<string, Target>();

  /** @throws NoAnswer */
  send(request: PoolRequest): Promise<PoolAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<PoolAnswer>();
    const { signal, alive } = request;
    if (signal?.aborted === true) return Promise.reject(new NoAnswer("aborted", false, signal.reason));

    let sent = false;
    const giveUp = (reason: NoAnswer["reason"], cause?: unknown) => {
      done();
      reject(new NoAnswer(reason, sent, cause));
      outgoing.destroy();
    };
    const onAbort = () => giveUp("aborted", signal?.reason);
    const timer = setTimeout(() => giveUp("timeout"), request.timeout);
    let watch: ReturnType<typeof setTimeout> | undefined;
    const watchOn = ({ every, ask }: NonNullable<typeof alive>) => {
      watch = setTimeout(() => {
        ask().then(() => watch !== undefined && watchOn({ every, ask }), (cause) => giveUp("timeout", cause));
      }, every);
    };
    if (alive !== undefined) watchOn(alive);
    const done = () => {
      clearTimeout(timer);
      clearTimeout(watch);
      watch = undefined;
      signal?.removeEventListener("abort", onAbort);
    };
    signal?.addEventListener("abort", onAbort, { once: true });

    const { request: open, ...target } = this.#target(request.url);
    const body = typeof request.body === "string" ? Buffer.from(request.body) : request.body;
    const headers = body === undefined ? request.headers : { ...request.headers, "content-length": body.byteLength };
    const outgoing = open({ ...target, path: request.path, method: request.method, ...(headers && { headers }) });
    outgoing.on("socket", (socket) => {
      outgoing.reusedSocket = false;
      if (!socket.connecting) sent = true;
      else socket.once(open === https.request ? "secureConnect" : "connect", () => sent = true);
    });
    outgoing.on("error", (error) => giveUp("connection", error));
    outgoing.on("response", (incoming) => {
      const chunks: Uint8Array[] = [];
      let bytes = 0;
      incoming.on("data", (chunk: Uint8Array) => {
        chunks.push(chunk);
        if ((bytes += chunk.byteLength) > request.maxBytes) giveUp("too_large");
      });
      incoming.on("error", (error) => giveUp("connection", error));
      incoming.on("end", () => {
        done();
        if (incoming.complete) {
          resolve({ status: incoming.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") });
        } else reject(new NoAnswer("connection", true));
      });
    });
    outgoing.end(body);
    return promise;
  }

  /** Closes the idle connections, and those in use with their requests. */
  close(): void {
    for (const agent of Object.values(this.#agents)) agent.destroy();
  }

  #target(url: string): Target {
    let target = this.#targets.get(url);
    if (target === undefined) {
      const { protocol, hostname, port } = new URL(url);
      target = {
        request: protocol === "https:" ? https.request : http.request,
        agent: this.#agents[protocol === "https:" ? "https:" : "http:"],
        host: hostname.replace(/^\[|\]$/g, ""),
        port: port || undefined,
      };
      this.#targets.set(url, target);
    }
    return target;
  }
}
