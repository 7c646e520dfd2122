import { type ClientRequest, type IncomingMessage, request as requestOf, type RequestOptions } from "node:http";
import type { Socket } from "node:net";
import { Deadline } from "../../../src/hosts/deadline.ts";
import type { HeaderPairs } from "../../../src/contracts/egress.ts";
import { HopFailure, type Target } from "../parts.ts";
import { Buffered, type BufferedOptions } from "../wire/buffered.ts";
import { type HeadMessage, type OpenMessage, problemOfHead } from "../wire/messages.ts";
import { guarded } from "./sockets.ts";
import { invalidResponse, ofResponse } from "./failures.ts";
import type { RequestBody } from "./request_body.ts";

/** Who hears a response. */
export interface ResponseListener {
  /** Resolves when more may come. @param followed whether it need not be told before what comes next, which is there already */
  head(head: HeadMessage, followed: boolean): Promise<void>;
  /** Resolves when more may come. @param chunk is not kept @param followed as {@link head} */
  data(chunk: Uint8Array, followed: boolean): Promise<void>;
}

/** What belongs to the connection (RFC 9112, 9110, 7.6.1), and is set here alone. */
const OWN_HEADERS =
  /^(?:host|content-length|transfer-encoding|connection|keep-alive|proxy-connection|te|trailer|upgrade|expect)$/i;
/** Methods of which nobody expects a body (RFC 9110, 8.6): with no body their requests have no length either. */
const BODILESS = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"]);

/**
 * One request and its response over a connection that stands; the connection is no more afterwards. The response may come before the
 * end of the request's body, and ends the exchange.
 */
export class HttpExchange {
  readonly #open: OpenMessage;
  readonly #body: RequestBody;
  readonly #listener: ResponseListener;
  readonly #over = Promise.withResolvers<never>();
  readonly #clock = new Deadline(() => this.#late());
  /** Of the request's body. */
  readonly #buffered: Buffered;
  #response: IncomingMessage | undefined;
  /** Whether the system does not take more of the request's body yet, or not all of it: what lies there has its time. */
  #isFull = false;
  #sent = false;
  /** Whether the gateway has not taken yet what came of the response. */
  #held = false;

  constructor(open: OpenMessage, body: RequestBody, listener: ResponseListener, buffered?: BufferedOptions) {
    this.#open = open;
    this.#body = body;
    this.#listener = listener;
    this.#buffered = new Buffered(buffered);
    this.#over.promise.catch(() => {});
  }

  /** Resolves at the end of the response. @throws HopFailure; what the listener throws; the signal's reason */
  async run(socket: Socket, signal: AbortSignal): Promise<void> {
    const leave = () => this.#over.reject(signal.reason);
    signal.addEventListener("abort", leave);
    let request: ClientRequest | undefined;
    try {
      signal.throwIfAborted();
      request = this.#begin(socket);
      // Both ends of it are told by #over as well.
      this.#send(request).catch((error) => this.#fail(error));
      const response = await Promise.race([this.#responseTo(request), this.#over.promise]);
      await Promise.race([this.#hear(response), this.#over.promise]);
    } finally {
      signal.removeEventListener("abort", leave);
      this.#clock.close();
      request?.destroy();
      socket.destroy();
    }
  }

  #begin(socket: Socket): ClientRequest {
    const { target, method, headers, bounds } = this.#open;
    const own = headers.find(([name]) => OWN_HEADERS.test(name));
    if (own) {
      throw new HopFailure("EGRESS_RESPONSE_INVALID", "The request has a header that concerns the connection.", own[0]);
    }
    this.#clock.start(this.#open.body === "none" ? bounds.head : bounds.idle);
    const request = requested({
      createConnection: () => socket,
      method,
      path: target.path,
      // In this form they are sent as they are, in this order, and none is added.
      headers: [["Host", hostOf(target)], ...headers, ...this.#framing(), ["Connection", "close"]].flat(),
      maxHeaderSize: bounds.headBytes,
      setHost: false,
    });
    // Its default is to leave those away that are too many; here all are counted.
    request.maxHeadersCount = 0;
    return request;
  }

  /** How the body's end is told (RFC 9112, 6). */
  #framing(): HeaderPairs {
    const { body, method } = this.#open;
    if (body === "stream") return [["Transfer-Encoding", "chunked"]];
    if (body === "none") return BODILESS.has(method) ? [] : [["Content-Length", "0"]];
    return [["Content-Length", String(body)]];
  }

  #responseTo(request: ClientRequest): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request.on("response", (response) => {
      this.#response = response;
      // Whoever reads it learns of it; until somebody does it must not be nobody's.
      response.on("error", () => {});
      resolve(response);
    });
    request.on("upgrade", (_response, socket) => {
      guarded(socket);
      reject(invalidResponse("changes the protocol, which nobody asked for"));
    });
    request.on("close", () => {
      if (!this.#response) reject(ofResponse(undefined, false));
    });
    request.on("error", (error) => {
      // What comes after a response that is whole concerns nobody.
      if (this.#response) return this.#response.complete ? undefined : this.#fail(ofResponse(error, true));
      reject(ofResponse(error, false));
    });
    promise.catch(() => {});
    return promise;
  }

  async #send(request: ClientRequest): Promise<void> {
    if (this.#open.body !== "none") {
      for (let piece = await this.#body.next(); piece; piece = await this.#body.next()) {
        if (request.destroyed) return;
        this.#isFull = !request.write(piece);
        this.#buffered.sent(piece.length);
        this.#progress();
        if (this.#isFull) {
          await drained(request);
          this.#isFull = false;
          this.#progress();
        }
        this.#body.passedOn();
      }
      this.#isFull = true;
      this.#progress();
    }
    request.end(() => {
      this.#isFull = false;
      this.#sent = true;
      if (!this.#response) this.#clock.start(this.#open.bounds.head + this.#buffered.ms);
    });
  }

  async #hear(response: IncomingMessage): Promise<void> {
    const status = response.statusCode ?? 0, headers = pairsOf(response.rawHeaders);
    const problem = problemOfHead(status, headers);
    if (problem !== undefined) throw invalidResponse(problem);
    // Once it is whole, or a piece of it lies here, something follows whatever happens: a piece, the end, or a failure.
    const isFollowed = () => response.complete || response.readableLength > 0;
    await this.#whileHeard(this.#listener.head({ status, headers }, isFollowed()));
    try {
      for await (const chunk of response) {
        await this.#whileHeard(this.#listener.data(chunk as Uint8Array, isFollowed()));
      }
    } catch (error) {
      throw ofResponse(error, true);
    }
    if (!response.complete) throw ofResponse(undefined, true);
  }

  /** While the gateway reads nothing more the server is not waited for. */
  async #whileHeard(told: Promise<void>): Promise<void> {
    this.#held = true;
    this.#clock.stop();
    await told;
    this.#held = false;
    this.#progress();
  }

  /** A piece of a body went on. */
  #progress(): void {
    if (!this.#held) this.#clock.start(this.#open.bounds.idle + (this.#isFull ? this.#buffered.ms : 0));
  }

  #fail(error: unknown): void {
    this.#over.reject(error);
  }

  #late(): void {
    const sentence = this.#response
      ? "The server sent nothing more of its response for too long."
      : this.#sent || this.#open.body === "none"
      ? "The server did not answer in time."
      : "The request's body did not go on for too long.";
    this.#fail(new HopFailure("EGRESS_TIMEOUT", sentence));
  }
}

/** @throws HopFailure where a method, path or header has characters that would make another request of it */
function requested(options: RequestOptions): ClientRequest {
  try {
    return requestOf(options);
  } catch (error) {
    throw new HopFailure("EGRESS_RESPONSE_INVALID", "The request cannot be sent as it is.", error);
  }
}

/** Resolves when a request takes more, or nothing any more. */
function drained(request: ClientRequest): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  request.once("drain", resolve).once("close", resolve);
  return promise.finally(() => request.off("drain", resolve).off("close", resolve));
}

/** RFC 9110, 7.2: with the port where it is not the scheme's. */
function hostOf({ scheme, host, kind, port }: Target): string {
  const name = kind === "ipv6" ? `[${host}]` : host;
  return port === (scheme === "http" ? 80 : 443) ? name : `${name}:${port}`;
}

function pairsOf(raw: readonly string[]): HeaderPairs {
  return Array.from({ length: raw.length / 2 }, (_, at) => [raw[at * 2]!, raw[at * 2 + 1]!] as const);
}
