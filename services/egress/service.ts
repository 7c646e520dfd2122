import { EgressFailure } from "../../src/contracts/egress.ts";
import type {
  Egress,
  EgressContext,
  EgressFailureCode,
  EgressFigures,
  EgressOptions,
  EgressRequest,
  EgressResponse,
  EgressRoom,
} from "../../src/contracts/egress.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";
import type { EgressRules } from "../../src/contracts/settings.ts";
import type { Clock } from "../clock/clock.ts";
import { bounded, counted, toldOf } from "./body.ts";
import type { Hop, HopBounds, HopResponse, Hops, Target } from "./parts.ts";
import { Permission, type Permitted } from "./permission.ts";
import type { Proxies } from "./proxies.ts";
import type { Resolver } from "./resolver.ts";
import { Rooms, Slots } from "./slots.ts";
import { redirectHeaders, requestHeaders, responseHeaders } from "./targets/headers.ts";
import { methodOf } from "./targets/method.ts";
import { nextOf } from "./targets/redirect.ts";
import { targetOf } from "./targets/target.ts";

/** What requests outwards are sent with. */
export interface EgressServiceOptions {
  /** How requests leave that need not be anonymous. */
  readonly driver: "off" | "direct" | "socks5";
  /** Sends to addresses; absent where nothing is sent directly. */
  readonly direct: Hops | undefined;
  /** Sends to proxies. */
  readonly anonymous: Hops;
  readonly proxies: Proxies;
  readonly resolver: Pick<Resolver, "addresses">;
  readonly permission: Permission;
  readonly rulesOf: (namespace: string, request: Pick<EgressContext, "signal">) => EgressRules | Promise<EgressRules>;
  readonly bounds: HopBounds;
  /** Requests under way at once, of all namespaces. */
  readonly maxInFlight: number;
  /** Bytes of bodies that are held whole at once, of all namespaces, and of one. Default: 256 MiB and 96 MiB. */
  readonly held?: { readonly all: number; readonly each: number } | undefined;
  readonly clock: Pick<Clock, "after" | "monotonic">;
  /** Told of each request when its head is there, or is not going to be. */
  readonly observe?: ((event: EgressEvent) => void) | undefined;
  /** Told of what went wrong, for the log: who asked is told less. */
  readonly onFailure?: ((requestId: string, failure: EgressFailure) => void) | undefined;
}

/** What metrics count of a request. */
export interface EgressEvent {
  readonly way: "direct" | "socks5";
  readonly outcome: "response" | EgressFailureCode | "abandoned";
  /** Milliseconds until the head of the response. */
  readonly ms: number;
}

/** A request on its way, step by step. */
interface Step {
  readonly target: Target;
  readonly method: string;
  readonly headers: EgressRequest["headers"];
  readonly body: EgressRequest["body"];
  readonly length?: number | undefined;
}

/** Of one namespace as much as the largest answer that limits allow takes in base64: 64 MiB, and a third. */
const HELD = { all: 256 * 2 ** 20, each: 96 * 2 ** 20 };

/** Sends requests of namespaces, as far as they may be sent: each step of a redirect is looked at as the first. */
export class EgressService implements Egress {
  readonly #options: EgressServiceOptions;
  readonly #slots: Slots;
  readonly #rooms: Rooms;

  constructor(options: EgressServiceOptions) {
    this.#options = options;
    this.#slots = new Slots(options.maxInFlight);
    this.#rooms = new Rooms(options.held ?? HELD);
  }

  async fetch(
    namespace: string,
    request: EgressRequest,
    options: EgressOptions,
    context: EgressContext,
  ): Promise<EgressResponse> {
    const { clock, observe = () => {}, onFailure } = this.#options;
    const began = clock.monotonic();
    const way = this.#wayOf(options);
    const ended = (outcome: EgressEvent["outcome"]) => observe({ way, outcome, ms: clock.monotonic() - began });
    try {
      const response = await this.#fetch(namespace, way, request, options, context);
      ended("response");
      return response;
    } catch (error) {
      const told = toldOf(error);
      ended(told instanceof EgressFailure ? told.code : "abandoned");
      if (told instanceof EgressFailure) onFailure?.(context.requestId, told);
      throw told;
    }
  }

  room(namespace: string, least: number): EgressRoom {
    return this.#rooms.enter(namespace, least);
  }

  figures(): EgressFigures {
    const { proxies, direct, anonymous } = this.#options;
    return {
      inFlight: this.#slots.count,
      proxies: proxies.figures(),
      confinement: { direct: direct?.confined ?? false, anonymous: anonymous.confined },
    };
  }

  health(): Promise<ServiceHealth> {
    const { driver, proxies } = this.#options;
    const { inFlight: in_flight, proxies: all } = this.figures();
    const details = { in_flight, proxies: all.filter(({ healthy }) => healthy).length };
    const isDown = driver === "socks5" && (proxies.state === "lost" || proxies.state === "absent");
    // Many gateways have no proxy, and where requests need none, one that is lost takes away less.
    if (!isDown && proxies.state !== "lost") return Promise.resolve({ status: "ok", driver, details });
    const reason = "no anonymous proxy can be reached";
    return Promise.resolve({ status: isDown ? "down" : "degraded", driver, details, reason });
  }

  /** Looks after the proxies from now on. */
  start(): void {
    this.#options.proxies.start();
  }

  /** Ends what is under way. Whoever waits is told by what sends whether the server may have had it. */
  async close(): Promise<void> {
    this.#options.proxies.close();
    await Promise.all([this.#options.direct?.close(), this.#options.anonymous.close()]);
  }

  #wayOf({ way }: EgressOptions): "direct" | "socks5" {
    return way === "anonymous" || this.#options.driver === "socks5" ? "socks5" : "direct";
  }

  async #fetch(
    namespace: string,
    way: "direct" | "socks5",
    request: EgressRequest,
    options: EgressOptions,
    context: EgressContext,
  ): Promise<EgressResponse> {
    const { driver, rulesOf, clock } = this.#options;
    if (options.way === "configured" && driver === "off") {
      throw new EgressFailure("EGRESS_NOT_AVAILABLE", "outbound HTTP is switched off on this gateway");
    }
    const rules = await rulesOf(namespace, context);
    if (rules.assumed) {
      throw new EgressFailure("EGRESS_UNAVAILABLE", "what the namespace may reach cannot be looked up now");
    }
    const bounds = boundsOf(rules, options);
    const leave = this.#slots.enter(namespace, rules.maxInFlight);
    const late = new AbortController();
    const stop = clock.after(bounds.duration, () => late.abort(tooLate(bounds.duration)), true);
    const end = () => {
      stop();
      leave();
    };
    try {
      const signal = AbortSignal.any([context.signal, late.signal]);
      const first = {
        target: targetOf(request.url),
        method: methodOf(request.method),
        headers: requestHeaders(request.headers, { anonymous: way === "socks5" }),
        body: counted(request.body, bounds.request, request.length),
        length: request.body instanceof ReadableStream ? request.length : undefined,
      };
      const { status, headers, body } = await this.#follow(namespace, way, first, rules, bounds.redirects, signal);
      const guarded = bounded(body, { most: bounds.response, signal, failed: toldOf, onEnd: end });
      return { status, headers: responseHeaders(headers), body: guarded };
    } catch (error) {
      end();
      // The reason of a signal stands for whatever it made fail.
      context.signal.throwIfAborted();
      late.signal.throwIfAborted();
      throw error;
    }
  }

  async #follow(
    namespace: string,
    way: "direct" | "socks5",
    first: Step,
    rules: EgressRules,
    most: number,
    signal: AbortSignal,
  ): Promise<HopResponse> {
    for (let step = first, redirects = 0;; redirects++) {
      const response = await this.#send(namespace, way, step, rules, signal);
      const next = most === 0 ? undefined : followed(step, response);
      if (!next) return response;
      await response.body.cancel();
      if (redirects >= most) {
        throw new EgressFailure("EGRESS_TOO_MANY_REDIRECTS", `it was redirected more than ${most} times`);
      }
      step = next;
    }
  }

  async #send(
    namespace: string,
    way: "direct" | "socks5",
    { target, method, headers, body, length }: Step,
    rules: EgressRules,
    signal: AbortSignal,
  ): Promise<HopResponse> {
    const { permission, proxies, direct, anonymous, bounds } = this.#options;
    const permitted: Permitted = { target, method, rules };
    permission.ask(permitted, way);
    const hop = (by: Hop["way"]): Hop => ({ target, way: by, method, headers, body, length, bounds });
    if (way === "socks5") {
      const once = body instanceof ReadableStream;
      return await proxies.through(
        namespace,
        once,
        (through) => anonymous.send(hop({ kind: "socks", ...through }), signal),
        signal,
      );
    }
    const addresses = await this.#addresses(permitted, signal);
    return await direct!.send(hop({ kind: "direct", addresses }), signal);
  }

  async #addresses(permitted: Permitted, signal: AbortSignal): Promise<readonly string[]> {
    const { resolver, permission } = this.#options;
    const { target } = permitted;
    const addresses = target.kind === "name" ? await resolver.addresses(target.host, signal) : [target.host];
    for (const address of addresses) permission.askFor(address, permitted);
    return addresses;
  }
}

/** What a request and its response may have of time and room. */
function boundsOf(
  rules: EgressRules,
  { streamed = false, maxResponseBytes = Infinity, duration = Infinity, maxRedirects = Infinity }: EgressOptions,
): { readonly request: number; readonly response: number; readonly duration: number; readonly redirects: number } {
  const stream = rules.maxStreamBytes === 0 ? Infinity : rules.maxStreamBytes;
  return {
    request: streamed ? stream : rules.maxRequestBytes,
    response: Math.min(maxResponseBytes, streamed ? stream : rules.maxResponseBytes),
    duration: Math.min(duration, streamed ? rules.maxStreamDuration : rules.maxDuration),
    redirects: Math.min(maxRedirects, rules.maxRedirects),
  };
}

const tooLate = (ms: number) => new EgressFailure("EGRESS_TIMEOUT", `it took longer than the ${ms} ms that it may`);

/** The step that a response asks for; `undefined` for a response that is the answer. */
function followed({ target, method, headers, body }: Step, { status, headers: got }: HopResponse): Step | undefined {
  const location = got.find(([name]) => name.toLowerCase() === "location")?.[1];
  const next = nextOf({ status, location, method, target, hasReplayableBody: !(body instanceof ReadableStream) });
  if (next === "answer as is") return undefined;
  return {
    target: next.target,
    method: next.method,
    headers: redirectHeaders(headers, { crossOrigin: next.crossOrigin, dropBody: !next.keepsBody }),
    body: next.keepsBody ? body : undefined,
  };
}
