import { GatewayError } from "../contracts/errors.ts";
import type { Principal } from "../contracts/identity.ts";
import type { Services } from "../contracts/services.ts";
import type { Call } from "./call.ts";
import { credentialOf, type Ending, EXPIRED, REVOKED, Standing } from "./live/standing.ts";
import type { Reply } from "./reply.ts";
import type { StreamedReply } from "./streamed_reply.ts";

/** Server-sent events (html.spec.whatwg.org, 9.2). */
export const EVENT_STREAM = "text/event-stream";

/** One event of a stream. */
export interface ServerSentEvent {
  /** Its type; `message` where there is none. */
  readonly event?: string;
  /** What a reader that comes back sends as `Last-Event-ID`. */
  readonly id?: string;
  /** Text of any kind. */
  readonly data: string;
}

/** How a stream is kept. */
export interface EventStreamOptions {
  /** Where a reader could go on if the stream ended now; said with each heartbeat, because not everything is an event. */
  readonly position?: () => string;
  /** Milliseconds of silence after which a sign of life is sent. Default 15,000. */
  readonly heartbeat?: number;
  /** Milliseconds after which a browser comes back. Default 1,000. */
  readonly retry?: number;
  /** Characters that wait for the reader beyond which it is too slow. Default 1 MiB. */
  readonly maxWaiting?: number;
  /** Told when the caller's rights are other ones; what it throws ends the stream. Default: the scope of the route is asked for. */
  readonly changed?: (now: Principal) => void;
}

/** What of a call a stream holds on to. */
export type ListeningCall = Pick<Call, "signal" | "stopping" | "incoming" | "http" | "principal" | "route">;

/** Characters beyond which whoever can wait should. */
const ENOUGH = 64 * 1024;

const encoder = new TextEncoder();

/**
 * A stream of events to one reader: a bounded buffer that is emptied at the reader's pace. Whoever sends may wait for it
 * ({@link drained}); a reader that falls too far behind one who does not gets `overflow` as its last event.
 */
export class EventStream implements AsyncIterable<Uint8Array, unknown> {
  readonly #options: EventStreamOptions;
  readonly #over = new AbortController();
  #text: string;
  #failure: unknown = undefined;
  /** Told that there is something to hand out, or that nothing will come. */
  #reader: (() => void) | undefined = undefined;
  /** When it was first seen that the reader waits, of this time. */
  #silentSince: number | undefined = undefined;
  #sender = Promise.withResolvers<void>();
  #begin: (() => void) | undefined;

  /** @param begin called when somebody begins to read */
  constructor(options: EventStreamOptions, begin: () => void) {
    this.#options = options;
    this.#begin = begin;
    this.#text = `retry: ${options.retry ?? 1_000}\n\n`;
  }

  /** Fires when the stream is over, for whatever reason. */
  get signal(): AbortSignal {
    return this.#over.signal;
  }

  /** Sends an event. @returns false when the stream is over, or has just ended because the reader is too slow */
  send(event: ServerSentEvent): boolean {
    if (this.signal.aborted) return false;
    const fits = this.#text.length <= (this.#options.maxWaiting ?? 2 ** 20);
    this.#text += eventText(fits ? event : { event: "overflow", data: "{}" });
    if (fits) this.#reader?.();
    else this.end();
    return fits;
  }

  /** Resolves when the reader has room, or when the stream is over. At once unless much is waiting. */
  async drained(): Promise<void> {
    while (this.#text.length > ENOUGH && !this.signal.aborted) await this.#sender.promise;
  }

  /** Gives a sign of life where one is due; called now and then. @param now milliseconds that never run backwards */
  look(now: number): void {
    if (this.#reader === undefined) return;
    const { heartbeat = 15_000, position } = this.#options;
    this.#silentSince ??= now;
    if (now - this.#silentSince < heartbeat) return;
    this.#text += `:\n${position ? `id: ${oneLine(position())}\n` : ""}\n`;
    this.#reader();
  }

  /** Ends the stream behind what was sent. */
  end(): void {
    if (this.signal.aborted) return;
    this.#over.abort(new DOMException("the stream has ended", "AbortError"));
    this.#reader?.();
    this.#sender.resolve();
  }

  /** Ends it with the event `failure`, which says why. */
  fail(error: unknown): void {
    if (this.signal.aborted) return;
    const { code, message } = error instanceof GatewayError ? error : new GatewayError("INTERNAL", "internal error");
    this.#text += eventText({ event: "failure", data: JSON.stringify({ code, error: message }) });
    this.#failure = error;
    this.end();
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, unknown> {
    return {
      next: () => this.#next(),
      return: () => {
        this.end();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  async #next(): Promise<IteratorResult<Uint8Array, unknown>> {
    this.#begin?.();
    this.#begin = undefined;
    if (this.#text === "" && !this.signal.aborted) await this.#something();
    const text = this.#text;
    this.#text = "";
    this.#sender.resolve();
    this.#sender = Promise.withResolvers();
    if (text !== "") return { done: false, value: encoder.encode(text) };
    return { done: true, value: this.#failure };
  }

  #something(): Promise<void> {
    this.#silentSince = undefined;
    return new Promise((resolve) => {
      this.#reader = () => {
        this.#reader = undefined;
        resolve();
      };
    });
  }
}

function eventText({ event, id, data }: ServerSentEvent): string {
  // JSON has no line breaks, and splitting it would be a copy for each reader.
  const lines = /[\r\n]/.test(data)
    ? data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`).join("")
    : `data: ${data}\n`;
  return `${event === undefined ? "" : `event: ${oneLine(event)}\n`}${
    id === undefined ? "" : `id: ${oneLine(id)}\n`
  }${lines}\n`;
}

/** A line break would begin another field, and U+0000 makes a browser ignore an id. */
const oneLine = (text: string) => text.replaceAll(/[\r\n]/g, "").replaceAll("\0", "");

/**
 * Answers with a stream of events. It ends when the client leaves, when the gateway stops, and within a second when the
 * caller's credential is revoked, expires or loses its right; where nobody can say, after as long as a socket does.
 * @param produce sends the events; the stream ends when it is done, and is over when the stream's signal fires
 */
export function eventStream(
  call: ListeningCall,
  services: Pick<Services, "authenticator" | "connections">,
  options: EventStreamOptions,
  produce: (stream: EventStream) => Promise<void>,
): Reply {
  const stream = new EventStream(options, () => void keep(stream, call, services, options, produce));
  const body: StreamedReply = stream;
  return {
    status: 200,
    body,
    headers: {
      "content-type": EVENT_STREAM,
      // A proxy that compresses or buffers would hold events back.
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
    },
  };
}

async function keep(
  stream: EventStream,
  call: ListeningCall,
  { authenticator, connections }: Pick<Services, "authenticator" | "connections">,
  { changed = (now) => assertScope(call, now) }: EventStreamOptions,
  produce: (stream: EventStream) => Promise<void>,
): Promise<void> {
  const end = () => stream.end();
  const signals = [call.signal, call.stopping];
  for (const signal of signals) signal.addEventListener("abort", end, { once: true });
  if (signals.some(({ aborted }) => aborted)) end();
  const monotonic = () => connections.monotonic();
  const standing = new Standing(authenticator, credentialOf(call), call.principal, monotonic, (now) => {
    try {
      changed(now);
    } catch (error) {
      stream.fail(error);
    }
  });
  const unwatch = connections.watch({
    look(now) {
      if (stream.signal.aborted) return;
      const ending = standing.check(now);
      if (ending) stream.fail(failureOf(ending));
      else stream.look(monotonic());
    },
    stop: end,
  });
  try {
    await produce(stream);
    stream.end();
  } catch (error) {
    stream.fail(error);
  } finally {
    unwatch();
    for (const signal of signals) signal.removeEventListener("abort", end);
  }
}

function assertScope({ route: { access } }: ListeningCall, { scopes }: Principal): void {
  if (access.kind !== "namespace" || scopes.has(access.scope)) return;
  throw new GatewayError("INSUFFICIENT_SCOPE", `this credential lacks the scope ${access.scope}`);
}

const failureOf = ({ code, reason }: Ending) =>
  new GatewayError(code === EXPIRED.code || code === REVOKED.code ? "INVALID_CREDENTIAL" : "UNAVAILABLE", reason);
