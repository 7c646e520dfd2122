import { AnswerTooLarge, type HttpAnswer, HttpConnection } from "./http_connection.ts";
import type { HttpTarget } from "./http_socket.ts";
import type { TlsOptions } from "./options.ts";
import { PoolStream } from "./pool_stream.ts";

export { PoolStream } from "./pool_stream.ts";

/** One request. `timeout` in milliseconds covers everything from the wait for a connection to the last byte. */
export interface PoolRequest {
  readonly method: "GET" | "POST";
  /** Node's address, then what is asked of it. */
  readonly url: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeout: number;
  /** Asked when that is over: how many milliseconds more it has, if any. */
  readonly more?: (() => number) | undefined;
  /** Asked again and again while there is no answer; when it fails, the request is given up before its time-out. */
  readonly alive?: { readonly every: number; readonly ask: () => Promise<unknown> } | undefined;
  readonly maxBytes: number;
  /** Whoever waits. The signal is first read a moment after the request was sent. */
  readonly waiter?: { readonly signal: AbortSignal } | undefined;
}

/** A complete answer. */
export type PoolAnswer = HttpAnswer;

/** A request without a complete answer. */
export class NoAnswer extends Error {
  override readonly name = "NoAnswer";
  /**
   * @param url the node's address
   * @param reason `connection`: refused, reset, or not HTTP; `timeout`: the node may be dead; `slow`: it lives
   * @param sent whether a connection stood, so that the request may have arrived
   */
  constructor(
    url: string,
    readonly reason: "timeout" | "slow" | "aborted" | "connection" | "too_large",
    readonly sent: boolean,
    cause?: unknown,
  ) {
    super(`no answer from ${url}: ${reason}`, { cause });
  }
}

/** How many requests one node gets at once; more of them wait here. */
const CONNECTIONS_PER_NODE = 128;
/** Milliseconds between two looks at deadlines and aborts. Timers and listeners of their own would cost each request more than sending it. */
const TICK = 20;

/** A request on its way. */
interface Job {
  readonly request: PoolRequest;
  readonly resolve: (answer: PoolAnswer) => void;
  readonly reject: (error: NoAnswer) => void;
  deadline: number;
  askAt: number;
  connection: HttpConnection | undefined;
  settled: boolean;
}

/** The connections to one node. */
interface Node extends HttpTarget {
  readonly host: string;
  readonly idle: HttpConnection[];
  readonly waiting: Job[];
  open: number;
}

/**
 * Kept-alive HTTP/1.1 connections that send a request once.
 *
 * Neither `fetch` nor `node:http`, because in Deno both send a body again by themselves when a reused connection closes
 * before the answer: a write would be applied twice. Sockets of our own also tell a refused connection from a broken one,
 * and take a third of the processor time.
 */
export class HttpPool {
  readonly #nodes = new Map<string, Node>();
  readonly #jobs = new Set<Job>();
  readonly #streams = new Set<PoolStream>();
  #ticking: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  constructor(private readonly tls: TlsOptions = {}) {}

  /** @throws NoAnswer */
  send(request: PoolRequest): Promise<PoolAnswer> {
    return new Promise((resolve, reject) => {
      const job = this.#begin(request, resolve, reject);
      const node = this.#node(request.url);
      const connection = node.idle.pop();
      if (connection) this.#start(job, connection, node);
      else if (node.open < CONNECTIONS_PER_NODE) this.#connect(job, node);
      else node.waiting.push(job);
    });
  }

  /**
   * Sends a request whose answer is read as the caller asks for it, on a connection of its own: a slow reader takes nobody's.
   * `timeout` and `alive` hold until the answer begins.
   * @throws NoAnswer
   */
  stream(request: PoolRequest): Promise<PoolStream> {
    return new Promise((resolve, reject) => {
      const job = this.#begin(request, () => {}, reject);
      const node = this.#node(request.url);
      const failed = (cause: unknown) => this.#giveUp(job, "connection", cause);
      HttpConnection.open(node, this.tls, () => {}).then((connection) => {
        if (job.settled) return connection.close();
        job.connection = connection;
        return connection.begin(encodeRequest(request, node.host)).then((answer) => {
          const stream = new PoolStream(answer, connection, request, () => this.#streams.delete(stream));
          if (!this.#settle(job) || this.#closed) return stream.close();
          this.#streams.add(stream);
          resolve(stream);
        });
      }).catch(failed);
    });
  }

  /** Closes all connections. Requests in flight fail. */
  close(): void {
    this.#closed = true;
    this.#stopTicking();
    for (const job of this.#jobs) this.#giveUp(job, "connection");
    for (const stream of [...this.#streams]) stream.close();
    for (const { idle } of this.#nodes.values()) {
      for (const connection of idle.splice(0)) connection.close();
    }
  }

  #begin(request: PoolRequest, resolve: Job["resolve"], reject: Job["reject"]): Job {
    const now = performance.now();
    const { timeout, alive } = request;
    const askAt = alive === undefined ? Infinity : now + alive.every;
    const job: Job = {
      request,
      resolve,
      reject,
      deadline: now + timeout,
      askAt,
      connection: undefined,
      settled: false,
    };
    this.#jobs.add(job);
    this.#ticking ??= setInterval(() => this.#tick(), TICK);
    return job;
  }

  #connect(job: Job, node: Node): void {
    node.open++;
    const lost = (connection: HttpConnection) => {
      node.open--;
      const at = node.idle.indexOf(connection);
      if (at >= 0) node.idle.splice(at, 1);
    };
    HttpConnection.open(node, this.tls, lost).then((connection) => {
      if (this.#closed) connection.close();
      else if (job.settled) this.#release(connection, node);
      else this.#start(job, connection, node);
    }, (cause) => {
      node.open--;
      this.#giveUp(job, "connection", cause);
      this.#next(node);
    });
  }

  #start(job: Job, connection: HttpConnection, node: Node): void {
    job.connection = connection;
    const { request } = job;
    connection.exchange(encodeRequest(request, node.host), request.maxBytes).then((answer) => {
      if (this.#settle(job)) job.resolve(answer);
    }, (cause) => this.#giveUp(job, cause instanceof AnswerTooLarge ? "too_large" : "connection", cause))
      .finally(() => this.#release(connection, node));
  }

  #release(connection: HttpConnection, node: Node): void {
    if (this.#closed) connection.close();
    if (!connection.usable) {
      node.open--;
      this.#next(node);
      return;
    }
    const job = nextOf(node.waiting);
    if (job) this.#start(job, connection, node);
    else node.idle.push(connection);
  }

  /** A place became free: whoever waits for one gets a new connection. */
  #next(node: Node): void {
    const job = node.open < CONNECTIONS_PER_NODE ? nextOf(node.waiting) : undefined;
    if (job) this.#connect(job, node);
  }

  #giveUp(job: Job, reason: NoAnswer["reason"], cause?: unknown): void {
    if (!this.#settle(job)) return;
    const sent = job.connection !== undefined && !job.connection.refused;
    job.reject(new NoAnswer(job.request.url, reason, sent, cause));
    job.connection?.close();
  }

  #settle(job: Job): boolean {
    if (job.settled) return false;
    job.settled = true;
    this.#jobs.delete(job);
    return true;
  }

  #tick(): void {
    // Not when the last request ends: one after the other, each of them would make a timer and take it away.
    if (this.#jobs.size === 0) return this.#stopTicking();
    const now = performance.now();
    for (const job of this.#jobs) {
      const signal = job.request.waiter?.signal;
      if (signal?.aborted === true) this.#giveUp(job, "aborted", signal.reason);
      else if (now >= job.deadline) this.#late(job, now);
      else if (now >= job.askAt) this.#ask(job);
    }
  }

  #late(job: Job, now: number): void {
    const more = job.request.more?.() ?? 0;
    if (more > 0) job.deadline = now + more;
    else this.#giveUp(job, job.request.alive === undefined ? "timeout" : "slow");
  }

  #stopTicking(): void {
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  #ask(job: Job): void {
    const { every, ask } = job.request.alive!;
    job.askAt = Infinity;
    ask().then(() => job.askAt = performance.now() + every, (cause) => this.#giveUp(job, "timeout", cause));
  }

  #node(url: string): Node {
    let node = this.#nodes.get(url);
    if (node === undefined) {
      const { protocol, hostname, host, port } = new URL(url);
      const tls = protocol === "https:";
      node = {
        tls,
        hostname: hostname.replace(/^\[|\]$/g, ""),
        port: Number(port || (tls ? 443 : 80)),
        host,
        idle: [],
        waiting: [],
        open: 0,
      };
      this.#nodes.set(url, node);
    }
    return node;
  }
}

function nextOf(waiting: Job[]): Job | undefined {
  let job = waiting.shift();
  while (job?.settled) job = waiting.shift();
  return job;
}

const encoder = new TextEncoder();

function encodeRequest({ method, path, headers = {}, body }: PoolRequest, host: string): Uint8Array {
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`;
  for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
  if (bytes !== undefined) head += `content-length: ${bytes.length}\r\n`;
  const start = encoder.encode(head + "\r\n");
  if (bytes === undefined) return start;
  const request = new Uint8Array(start.length + bytes.length);
  request.set(start);
  request.set(bytes, start.length);
  return request;
}
