import { z } from "zod";
import { assertOrigin } from "../../src/http/live/admission.ts";
import { LiveContext } from "../../src/http/live/context.ts";
import { credentialOf } from "../../src/http/live/standing.ts";
import { switching } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CallSocket } from "./call_socket.ts";
import { FOUND_ERRORS } from "./errors.ts";
import { calledInPath, calledOf, namespaceOf, namespaceQuery } from "./fields.ts";

export const functionSocket = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/ws",
  summary: "Open a socket whose frames call a function",
  description: `
Each frame of the client, text or bytes, is a call; one runs after the other. Each is answered with a text frame, in that order:
\`{"request_id","status","duration_ms"}\`, with \`output\` where there is one (JSON as it is, else a text), and \`error\` and \`code\` where the
\`status\` is \`error\` or \`timeout\`. A call that runs when the socket ends goes on to its end; those that wait are not begun. The socket ends with 4403 when the credential
is revoked, 4429 when far too many frames come, 4409 when answers are not read.`.trim(),
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:invoke" },
  params: calledInPath,
  query: namespaceQuery,
  upgrades: true,
  status: 101,
  output: z.null(),
  errors: [...FOUND_ERRORS, "FORBIDDEN", "TOO_MANY_SOCKETS"],
  async handle(call, services) {
    const { principal, params } = call;
    const { connections, functions, settings } = services;
    const namespace = namespaceOf(call);
    const called = calledOf(params.name);
    const context = new LiveContext(call);
    const rules = await settings.rulesOf(namespace, context);
    assertOrigin(rules.pubsub, call.incoming.get("origin") ?? undefined);
    await functions.get(namespace, called.name, called.reference, context);
    const place = connections.enter("function", principal, rules.pubsub);
    const parts = { services, called, principal, credential: credentialOf(call), rules, context, place };
    return switching({
      idleTimeout: connections.settings.idleTimeout,
      opened: (socket, failed) => new CallSocket(parts, socket, failed),
      lost: () => place.release(),
    });
  },
});
