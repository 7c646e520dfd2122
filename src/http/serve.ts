import type { Context, Handler, Hono } from "hono";
import { TrieRouter } from "hono/router/trie-router";
import { GatewayError } from "../contracts/errors.ts";
import type { Observe, Observed } from "../contracts/observation.ts";
import type { Services } from "../contracts/services.ts";
import type { GuardedSocket } from "../kernel/socket_guard.ts";
import { Call, type CallFacts, type Middleware, type ServerFacts } from "./call.ts";
import { type Reply, toErrorReply, wantsProblemJson } from "./reply.ts";
import { isRequestId } from "./request_id.ts";
import type { OriginHeaders } from "./cors.ts";
import { type Method, METHODS, type Route } from "./route.ts";
import { discard, type Streamed, type StreamedReply, streamOf } from "./streamed_reply.ts";
import type { Upgrade } from "./live/socket.ts";
import { continueTrace } from "./trace.ts";
import { expectUpgrade, guarded, upgraded } from "./upgrade.ts";

/** What {@link mount} needs beside the routes. */
export interface ServeOptions {
  /** Run for every request of every route, in this order. */
  readonly chain: readonly Middleware[];
  readonly services: Services;
  readonly facts: CallFacts;
  readonly observe: Observe;
  readonly newRequestId: () => string;
  readonly random: (n: number) => Uint8Array;
  /** Adds what this request's origin needs (CORS) to the headers of its answer. */
  readonly originHeaders: OriginHeaders;
}

/**
 * Gives each route its handler. The chain is run here, in one loop, and not as nested Hono middlewares: ours only ever let
 * a call pass or refuse it, and a loop that waits only for promises serves twice as many requests.
 */
export function mount(app: Hono, routes: readonly Route[], options: ServeOptions): void {
  for (const route of routes) app.on(route.method, route.path, handlerOf(route, options));
  app.notFound(unmatched(routes, options));
}

function handlerOf(route: Route, options: ServeOptions): Handler {
  const { services, facts, observe, newRequestId, random, originHeaders } = options;
  const chain = route.upgrades ? [...options.chain, expectUpgrade] : options.chain;
  const steps = chain.length;

  function serve(c: Context): Response | Promise<Response> {
    const start = performance.now();
    const { headers } = c.req.raw;
    const given = headers.get("x-request-id");
    const call = new Call(c, route, given !== null && isRequestId(given) ? given : newRequestId(), facts);
    const traceparent = headers.get("traceparent");
    if (traceparent !== null) call.traceparent = continueTrace(traceparent, random);
    try {
      assertHost(headers.get("host"));
      for (let i = 0; i < steps; i++) {
        const pending = chain[i]!(call);
        if (pending) return resume(call, start, pending, i + 1);
      }
      const reply = route.handle(call, services);
      return reply instanceof Promise ? finish(call, start, reply) : answer(call, start, reply, undefined);
    } catch (thrown) {
      return answer(call, start, undefined, thrown);
    }
  }

  /** Goes on after a step that had to wait. Kept apart so that a call which never waits never makes a promise. */
  async function resume(call: Call, start: number, pending: Promise<void>, next: number): Promise<Response> {
    try {
      call.keepAddress();
      await pending;
      for (let i = next; i < steps; i++) {
        const more = chain[i]!(call);
        if (more) await more;
      }
      return answer(call, start, await route.handle(call, services), undefined);
    } catch (thrown) {
      return answer(call, start, undefined, thrown);
    }
  }

  async function finish(call: Call, start: number, pending: Promise<Reply>): Promise<Response> {
    try {
      call.keepAddress();
      return answer(call, start, await pending, undefined);
    } catch (thrown) {
      return answer(call, start, undefined, thrown);
    }
  }

  function answer(call: Call, start: number, given: Reply | undefined, thrown: unknown): Response {
    if (given?.upgrade) return switched(call, start, given.upgrade);
    const { requestId } = call;
    const request = call.http.req.raw;
    const error = thrown instanceof DOMException ? brokenOff(thrown, request, facts) : thrown;
    const milliseconds = performance.now() - start;
    const reply = given ?? toErrorReply(error, requestId, wantsProblemJson(request), route.errorForm, milliseconds);
    const { status } = reply;
    const stream = streamIn(reply.body);
    if (stream) call.keepAddress();
    else observe(call, { status, milliseconds, error });
    const headers: Record<string, string> = { "content-type": "application/json", "x-request-id": requestId };
    originHeaders(request, headers);
    if (call.headers) Object.assign(headers, call.headers);
    if (route.alwaysHeaders) Object.assign(headers, route.alwaysHeaders);
    if (reply.headers) {
      const { vary } = headers;
      Object.assign(headers, reply.headers);
      if (vary !== undefined && vary !== headers["vary"]) headers["vary"] += `, ${vary}`;
    }
    // Otherwise the server would first take in the rest of a body that nobody wants, however long that is.
    if (thrown !== undefined && call.upload?.ended === false) {
      headers["connection"] = "close";
      // One that is being read is let go by its reader.
      request.body?.cancel().catch(() => {});
    }
    const head = request.method === "HEAD";
    if (stream) {
      const ended = (how: Streamed) => endedAs(call, start, status, headers["content-length"], how);
      return new Response(head ? discard(stream, ended) : streamOf(stream, ended, reply.patience), { status, headers });
    }
    if (head && status !== 204 && status !== 304) headers["content-length"] ??= String(lengthOf(reply.body));
    return new Response(reply.body as BodyInit | null, { status, headers });
  }

  /** What fails in a WebSocket later is told as a request that failed. */
  function switched(call: Call, start: number, upgrade: Upgrade): Response {
    // Not the call: it would hold on to all of the request for as long as the socket is open.
    const told = tellOf(observe, observedOf(call), start);
    let guard: GuardedSocket | undefined;
    try {
      guard = guarded(call.http, facts);
      const response = upgraded(
        call.http.req.raw,
        upgrade,
        (error) => told(error instanceof GatewayError ? error.status : 500, error),
        guard,
      );
      told(101, undefined);
      return response;
    } catch (thrown) {
      guard?.release();
      upgrade.lost();
      return answer(call, start, undefined, thrown);
    }
  }

  /** Whoever was told a length takes no more, and asks for no end. */
  function endedAs(call: Call, start: number, status: number, length: string | undefined, how: Streamed): void {
    const { bytes } = how;
    const told = how.error instanceof DOMException ? brokenOff(how.error, call.http.req.raw, facts) : how.error;
    // The signal of who leaves may end what is being made before the server lets go of the stream.
    const gone = told !== how.error && !facts.shutdown.aborted;
    const left = gone || how.end === "left";
    const end = left ? length === String(bytes) ? "complete" : "left" : how.end;
    const error = gone ? undefined : told;
    observe(call, { status, milliseconds: performance.now() - start, error, streamed: { bytes, end } });
  }

  return serve as Handler;
}

const streamIn = (body: Reply["body"]): StreamedReply | undefined =>
  typeof body === "string" || body === null || body instanceof Uint8Array ? undefined : body;

/** What the body of a `GET` would have as its length (RFC 9110, 9.3.2): Hono drops the body before the server counts it. */
const lengthOf = (body: Reply["body"]): number =>
  typeof body === "string" ? new TextEncoder().encode(body).byteLength : body instanceof Uint8Array ? body.length : 0;

/** A call that its signal ended: neither a mistake of ours nor one worth an entry in the log. */
function brokenOff(thrown: DOMException, { signal }: Request, { shutdown }: ServerFacts): unknown {
  if (thrown.name !== "AbortError") return thrown;
  // Whoever had begun to change something has said so by an error of its own.
  if (shutdown.aborted) return new GatewayError("UNAVAILABLE", "the gateway is shutting down; repeat the request");
  return signal.aborted ? new GatewayError("REQUEST_TIMEOUT", "the client left before it was answered") : thrown;
}

/** What a host and port are made of (RFC 3986, 3.2). */
const HOST = /^[\w.~!$&'()*+,;=:%[\]-]*$/;

/**
 * A request's URL is its `Host` and its target put together, so a `/` or `?` in the former would make another path of the
 * latter: one that a proxy in front has not seen.
 */
function assertHost(host: string | null): void {
  if (host === null || HOST.test(host)) return;
  throw new GatewayError("INVALID_REQUEST", "the Host header must be a host name, with a port if need be", {
    headers: { connection: "close" },
  });
}

/**
 * Paths and methods without a route walk the same chain, so that a stranger learns 401 and not what exists. Paths that
 * are not in normal form are redirected to the one that is, as the original's clients may expect.
 */
function unmatched(routes: readonly Route[], options: ServeOptions): (c: Context) => Promise<Response> {
  const known = new TrieRouter<Route>();
  for (const route of routes) known.add(route.method, route.path, route);
  return async (c) => {
    const found = METHODS.flatMap((method) => known.match(method, c.req.path)[0].map(([route]) => route));
    const location = cleanLocation(c.req.raw.url);
    const route = location !== undefined
      ? redirection(location)
      : found.length > 0
      ? wrongMethod(found)
      : missingParam(known, c.req) ?? nothingHere;
    return await handlerOf(route, options)(c, () => Promise.resolve()) as Response;
  };
}

/**
 * Where a path that is not in normal form leads, its query with it; `undefined` for one that is.
 * @param url as it came: its host may be anything, so no URL parser sees it
 */
function cleanLocation(url: string): string | undefined {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  const target = start < 0 ? "/" : url.slice(start);
  const query = target.indexOf("?");
  // An encoded dot is a dot (RFC 3986, 6.2.2.2); anything else stays encoded, or it could not stand in a header. A backslash
  // is encoded below: behind the first slash, browsers take it for a second one, and what follows for a host.
  const path = (query < 0 ? target : target.slice(0, query)).replaceAll(/%2e/gi, ".");
  const clean = cleanPath(path);
  if (clean === path) return undefined;
  return (clean + (query < 0 ? "" : target.slice(query))).replaceAll(/[^\x21-\x5b\x5d-\x7e]+/g, encodeURIComponent);
}

/** Collapses `//`, `/./` and `/../` (RFC 3986, 5.2.4). The result begins with exactly one `/`, so it never names a host. */
function cleanPath(path: string): string {
  if (!/\/\/|\/\.{1,2}(\/|$)/.test(path)) return path;
  const kept: string[] = [];
  const segments = path.split("/");
  for (const segment of segments) {
    if (segment === "..") kept.pop();
    else if (segment !== "" && segment !== ".") kept.push(segment);
  }
  const last = segments.at(-1);
  const folder = last === "" || last === "." || last === "..";
  return "/" + kept.join("/") + (folder && kept.length > 0 ? "/" : "");
}

const synthetic = (access: Route["access"], handle: Route["handle"]): Route => ({
  method: "GET",
  path: "*",
  summary: "",
  tag: "",
  access,
  output: undefined as never,
  handle,
});

const nothingHere = synthetic({ kind: "authenticated" }, () => {
  throw new GatewayError("NOT_FOUND", "no such route; the API is described at /openapi.json");
});

/** What stands for a route whose last parameter is missing, where that has a sentence of its own. */
function missingParam(known: TrieRouter<Route>, { method, path }: Context["req"]): Route | undefined {
  if (!path.endsWith("/")) return undefined;
  const [[[route] = []]] = known.match(method === "HEAD" ? "GET" : method, `${path}-`);
  const sentence = route?.missingParam;
  if (!route || sentence === undefined) return undefined;
  const field = /:(\w+)[^:]*$/.exec(route.path)?.[1];
  return synthetic({ kind: route.access.kind === "public" ? "public" : "authenticated" }, () => {
    throw new GatewayError("INVALID_REQUEST", sentence, { details: [{ field, problem: "is missing in the path" }] });
  });
}

const redirection = (location: string) =>
  synthetic({ kind: "public" }, ({ http }) => ({
    // 308 keeps method and body, which a 301 would lose for anything but a read.
    status: http.req.method === "GET" || http.req.method === "HEAD" ? 301 : 308,
    body: null,
    headers: { location },
  }));

function wrongMethod(found: readonly Route[]): Route {
  const methods = new Set<Method | "HEAD" | "OPTIONS">(found.map(({ method }) => method));
  if (methods.has("GET")) methods.add("HEAD");
  const allow = [...methods, "OPTIONS"].join(", ");
  const access = found.some(({ access }) => access.kind === "public") ? "public" : "authenticated";
  return synthetic({ kind: access }, () => {
    throw new GatewayError("METHOD_NOT_ALLOWED", `method not allowed; this path takes ${allow}`, {
      headers: { allow },
    });
  });
}

/** What is told of a request, without the request: its socket may be open for days. */
function observedOf(
  { requestId, method, template, path, clientAddress, caller, traceparent, quiet }: Observed,
): Observed {
  return { requestId, method, template, path, clientAddress, caller, traceparent, quiet };
}

const tellOf = (observe: Observe, observed: Observed, start: number) => (status: number, error: unknown): void =>
  observe(observed, { status, milliseconds: performance.now() - start, error });
