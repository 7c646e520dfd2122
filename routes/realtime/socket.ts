import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { Services } from "../../src/contracts/services.ts";
import type { NamespaceRules } from "../../src/contracts/settings.ts";
import type { Call } from "../../src/http/call.ts";
import { addressGroup } from "../../src/http/client_address.ts";
import { assertOrigin, lookupGuard } from "../../src/http/live/admission.ts";
import { LiveContext } from "../../src/http/live/context.ts";
import { credentialOf } from "../../src/http/live/standing.ts";
import { type Reply, switching } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { offered } from "../../src/http/upgrade.ts";
import { PROTOCOL } from "./frames.ts";
import { Session } from "./session.ts";
import type { Known } from "./start.ts";

export const realtimeSocket = defineRoute({
  method: "GET",
  path: "/v1/realtime",
  summary: "Open a socket for many topics",
  description: `
A WebSocket for any number of topics of one namespace: commands and what is delivered are JSON objects, one per line of a text
frame. \`/asyncapi.json\` describes each of them. The credential comes with the address, or with the command \`connect\` within
10 seconds. The subprotocol \`${PROTOCOL}\` is chosen where it is offered.`.trim(),
  tag: "Pub/sub",
  access: { kind: "public", identify: true },
  upgrades: true,
  status: 101,
  output: z.null(),
  errors: ["INVALID_CREDENTIAL", "FORBIDDEN", "TOO_MANY_SOCKETS"],
  handle(call, services) {
    const context = new LiveContext(call);
    const known = knownOf(call, services, context);
    // At once where it can be: the runtime forgets nothing of a client that leaves before the answer.
    return known instanceof Promise
      ? known.then((found) => open(call, services, context, found))
      : open(call, services, context, known);
  },
});

function open(call: Call, services: Services, context: LiveContext, known: Known | undefined): Reply {
  const { connections, rateLimits } = services;
  const place = known
    ? connections.enter("realtime", known.principal, known.rules)
    : connections.enterUnknown("realtime", addressGroup(call.clientAddress));
  const beforeLookup = lookupGuard(rateLimits, call.clientAddress);
  const start = { services, context, origin: originOf(call), beforeLookup, place, known };
  return switching({
    protocol: offered(call.incoming, PROTOCOL),
    idleTimeout: connections.settings.idleTimeout,
    opened: (socket, failed) => new Session(start, socket, failed),
    lost: () => place.release(),
  });
}

/** Who comes with a credential in the request. @throws GatewayError for one that is not good, or may not be used so */
function knownOf(call: Call, { settings }: Services, context: LiveContext): Known | undefined | Promise<Known> {
  const { caller: principal } = call;
  if (!principal) {
    if (!call.credentialRefused) return undefined;
    throw new GatewayError("INVALID_CREDENTIAL", "invalid API key or token", {
      headers: { "www-authenticate": 'Bearer error="invalid_token"' },
    });
  }
  if (principal.operator) {
    throw new GatewayError("FORBIDDEN", "an operator's credential has no namespace; use one of the namespace");
  }
  const by = ({ pubsub: rules }: NamespaceRules): Known => {
    assertOrigin(rules, originOf(call));
    return { principal, rules, credential: credentialOf(call) };
  };
  const rules = settings.rulesOf(principal.namespace, context);
  return rules instanceof Promise ? rules.then(by) : by(rules);
}

const originOf = ({ incoming }: Call): string | undefined => incoming.get("origin") ?? undefined;
