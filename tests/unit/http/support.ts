import { z } from "zod";
import { type AppOptions, createApp, type Fetch } from "../../../src/app.ts";
import type { Authenticator, Principal } from "../../../src/contracts/identity.ts";
import type { Observed, Outcome } from "../../../src/contracts/observation.ts";
import type { LimitDecision, LimitKind, RateLimits } from "../../../src/contracts/rate_limits.ts";
import type { Services } from "../../../src/contracts/services.ts";
import { defineRoute, type Route } from "../../../src/http/route.ts";
import { Chance } from "../control_plane/support/chance.ts";

/** A route for a test: public and without limits unless it says otherwise. */
export const route = (parts: Partial<Route>): Route =>
  defineRoute({
    method: "GET",
    path: "/v1/thing",
    summary: "Do a thing",
    tag: "Test",
    access: { kind: "public" },
    limit: "none",
    output: z.unknown(),
    handle: () => ({ status: 200, body: "{}" }),
    ...parts,
  });

/** Answers by a table; says at once or with a promise, as a warm and a cold cache do. */
export class TableAuthenticator implements Authenticator {
  /** What was asked, in order. */
  readonly asked: string[] = [];
  /** Credentials that need a look-up. */
  readonly cold = new Set<string>();

  constructor(readonly known: Map<string, Principal>) {}

  identifyKey(key: string, beforeLookup?: () => void) {
    return this.#answer("key", key, beforeLookup);
  }

  identifyToken(token: string, beforeLookup?: () => void) {
    return this.#answer("token", token, beforeLookup);
  }

  #answer(
    kind: string,
    credential: string,
    beforeLookup?: () => void,
  ): Principal | undefined | Promise<Principal | undefined> {
    this.asked.push(`${kind} ${credential}`);
    const found = this.known.get(credential);
    if (!this.cold.has(credential)) return found;
    beforeLookup?.();
    return Promise.resolve(found);
  }
}

/** Counts, and refuses whom it is told to. */
export class TestLimits implements RateLimits {
  readonly taken: string[] = [];
  readonly refused = new Set<LimitKind>();
  readonly off = new Set<LimitKind>();

  take(kind: LimitKind, id: string): LimitDecision | undefined {
    if (this.off.has(kind)) return undefined;
    this.taken.push(`${kind} ${id}`);
    return this.refused.has(kind)
      ? { allowed: false, remaining: 0, reset: 9, retryAfter: 1.2 }
      : { allowed: true, remaining: 5, reset: 1, retryAfter: 0 };
  }

  policy(kind: LimitKind): string {
    return `"${kind}";q=10;w=1`;
  }
}

/** The request path with stand-ins for all services, and what it said of each request. */
export function appOf(routes: readonly Route[], options: Partial<AppOptions> = {}) {
  const seen: { request: Observed; outcome: Outcome }[] = [];
  const authenticator = new TableAuthenticator(new Map());
  const limits = new TestLimits();
  const shutdown = new AbortController();
  const fetch: Fetch = createApp({
    routes,
    services: { authenticator, rateLimits: limits } as unknown as Services,
    body: { maxBytes: 1_000, stallTimeout: 1_000, timeout: 2_000, maxDepth: 8 },
    cors: { origins: ["*"] },
    facts: { shutdown: shutdown.signal, stopping: new AbortController().signal, addressOf: () => "192.0.2.1" },
    observe: (request, outcome) => void seen.push({ request, outcome }),
    random: new Chance(1).bytes,
    ...options,
  });
  /** Calls with a method and a path; the URL is taken as it is. */
  const call = async (line: string, init: RequestInit = {}) => {
    const [method, target] = line.split(" ") as [string, string];
    const url = target.startsWith("/") ? `http://gateway.example${target}` : target;
    const response = await fetch(rawRequest(url, { method, ...init }));
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: () => JSON.parse(text) };
  };
  return { call, fetch, seen, authenticator, limits, shutdown };
}

/** A request whose URL is as it came from the wire, as `Deno.serve` hands it out; the constructor would put it in order. */
function rawRequest(url: string, init: RequestInit): Request {
  const request = new Request("http://gateway.example/", init);
  return new Proxy(request, {
    get(target, property) {
      if (property === "url") return url;
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
