import { Hono } from "hono";
import { authenticate } from "../middleware/authenticate.ts";
import { authorize } from "../middleware/authorize.ts";
import { limit, limitLookups } from "../middleware/limit.ts";
import { validate } from "../middleware/validate.ts";
import type { Observe } from "./contracts/observation.ts";
import type { Services } from "./contracts/services.ts";
import type { BodyLimits } from "./http/body.ts";
import type { Call, ServerFacts } from "./http/call.ts";
import { corsHeaders, type CorsOptions, preflight } from "./http/cors.ts";
import { withoutLength } from "./http/head.ts";
import { optionsHeaders } from "./http/options.ts";
import { requestIds } from "./http/request_id.ts";
import type { Route } from "./http/route.ts";
import { FixedFirstRouter } from "./http/router.ts";
import { mount } from "./http/serve.ts";

/** What the request path is made of. */
export interface AppOptions {
  readonly routes: readonly Route[];
  readonly services: Services;
  readonly body: BodyLimits;
  readonly cors: CorsOptions;
  readonly facts: ServerFacts;
  readonly observe: Observe;
  readonly random: (n: number) => Uint8Array;
}

/** Answers one request. The second argument is what `Deno.serve` knows of the other end. */
export type Fetch = (request: Request, info?: Deno.ServeHandlerInfo) => Response | Promise<Response>;

/** The request path, in order: read it from top to bottom. */
export function createApp({ routes, services, body, cors, facts, observe, random }: AppOptions): Fetch {
  const app = new Hono({ router: new FixedFirstRouter() });
  const { authenticator, rateLimits } = services;
  const originHeaders = corsHeaders(cors);
  const identify = authenticate({ authenticator, beforeLookup: limitLookups(rateLimits) });
  const admit = async (call: Call) => {
    await identify(call);
    await authorize(call);
  };
  const chain = [identify, limit(rateLimits), authorize, validate(body, admit)];
  const newRequestId = requestIds(random);
  mount(app, routes, { chain, services, facts: { ...facts, admit }, observe, random, newRequestId, originHeaders });
  const told = optionsHeaders(routes, services);
  return (request, info) => {
    if (request.method === "OPTIONS") return preflight(originHeaders, request, told(request));
    const answer = app.fetch(request, info);
    return request.method === "HEAD" ? withoutLength(answer) : answer;
  };
}
