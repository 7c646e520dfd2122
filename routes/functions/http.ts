import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { RouteMatch } from "../../src/contracts/function_triggers.ts";
import type { Call } from "../../src/http/call.ts";
import { defineRoute, type Method, METHODS } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { INVOKE_ERRORS } from "./errors.ts";
import { httpReply } from "./http_answer.ts";
import { httpInput } from "./http_request.ts";
import { JSON_BOUNDS } from "./invocation_answer.ts";
import { refusalOf } from "./invoke.ts";

const DESCRIPTION = `
The function of the namespace whose trigger of the kind \`route\` fits method and path best. It reads a JSON object
\`{method, path, params, query, headers, body}\`, \`body_base64\` in place of \`body\` where that is no UTF-8. The credential is not among the
headers, nor are cookies. What it writes is the answer's body, unless it is a JSON object with a whole \`status\`:
\`{status, headers, body}\`, or \`body_base64\`. Such an object holds at most ${JSON_BOUNDS.maxValues} values, nested at most
${JSON_BOUNDS.maxDepth} deep; one with more is the answer's body as it is. Text in \`body\` is one value, however long.

Of its headers those count that describe the content (\`Content-Type\`, \`Content-Language\`, \`Content-Disposition\`, \`ETag\`,
\`Last-Modified\`, \`Expires\`, \`Cache-Control\`), \`Location\`, \`Retry-After\` and those that begin with \`X-Fn-\`. None sets cookies, and what
comes is shown in a sandbox: it is not a page of the gateway's own.

The limit of an input is the limit of the whole object that the function reads: in base64 a body is a third longer than it came.

Only a route that is public is for anyone; credentials are minded in headers alone. Who calls is what the credential says also there,
and nobody without one.`.trim();

const SUMMARIES: Readonly<Record<Method, string>> = {
  GET: "Read what a function gives at a path of its own",
  POST: "Post to a function at a path of its own",
  PUT: "Put to a function at a path of its own",
  PATCH: "Patch by a function at a path of its own",
  DELETE: "Delete by a function at a path of its own",
};

/** The routes of functions: one for each method, because a path takes those that its triggers name. */
export const httpRoutes = METHODS.map((method) =>
  defineRoute({
    method,
    path: "/v1/http/:ns/:path{.+}",
    summary: SUMMARIES[method],
    description: DESCRIPTION,
    tag: "Functions",
    access: { kind: "public", identify: "headers" },
    params: z.object({
      ns: z.string().max(64).describe("Whose functions they are."),
      path: z.string().max(4_096).describe("What the trigger's path is held against, with a slash before it."),
    }),
    rawBody: {
      types: { "application/octet-stream": z.string().meta({ format: "binary" }), [ANY_TYPE]: z.unknown() },
      // The limit is the namespace's.
      maxBytes: Infinity,
      optional: true,
    },
    produces: ANY_TYPE,
    output: z.unknown().describe("Whatever the function answers, with any status from 200 to 599."),
    headers: ["X-Duration-Ms"],
    errorForm: "invocation",
    errors: INVOKE_ERRORS,
    async handle(call, { functionTriggers, invocations, settings }) {
      // A script that stands between a page and the gateway would see what others read here.
      if (call.incoming.has("service-worker")) throw noWorkers();
      const { ns } = call.params;
      const path = pathBelow(call.http.req.raw.url);
      const first = await functionTriggers.route(ns, method, path, call);
      if (first === undefined) throw noRoute();
      // Whom it is not for sends no body to the end.
      assertAdmitted(call, first, ns);
      const { functions: { maxInputBytes } } = await settings.rulesOf(ns, call);
      const body = await call.upload.bytes(maxInputBytes);
      // A body may be long in coming: the route may be gone, or another owner's, and the caller's right taken away.
      const match = await functionTriggers.route(ns, method, path, call);
      if (match === undefined || !isSame(first, match)) throw noRoute();
      assertAdmitted(call, match, ns);
      const { trigger: { functionName: name, reference, id: triggerId, source: { isPublic: admittedByRoute } } } =
        match;
      const input = httpInput(call, match, path, body);
      if (input.length > maxInputBytes) throw tooLong(body.length, input.length, maxInputBytes);
      const { caller } = call;
      const invocation = {
        namespace: ns,
        name,
        reference,
        input,
        trigger: "route",
        triggerId,
        caller,
        admittedByRoute,
        depth: 0,
      } as const;
      try {
        return httpReply(await invocations.invoke(invocation, call), call.http.req.raw);
      } catch (error) {
        throw refusalOf(error, call);
      }
    },
  })
);

/** @throws GatewayError where the route is not for this caller */
function assertAdmitted(call: Call, { trigger: { source } }: RouteMatch, namespace: string): void {
  const { caller } = call;
  if (source.isPublic || caller?.namespace === namespace && caller.scopes.has("functions:invoke")) return;
  if (caller === undefined) throw refusalOf(new GatewayError("UNAUTHENTICATED", "unauthorized"), call);
  throw new GatewayError("FORBIDDEN", "this route is for credentials of its namespace with the scope functions:invoke");
}

/** Whether both lead to the same: whatever leads elsewhere by now is not what the body was meant for. */
const isSame = ({ trigger: a }: RouteMatch, { trigger: b }: RouteMatch): boolean =>
  a.id === b.id && a.functionName === b.functionName && a.reference === b.reference;

/** Segments before those of the trigger's path: `v1`, `http` and the namespace. */
const BEFORE = 3;

/** The trigger's part of an address, as it came: what is encoded stays so. */
function pathBelow(url: string): string {
  const target = url.slice(url.indexOf("/", url.indexOf("://") + 3)).split(/[?#]/, 1)[0]!;
  return `/${target.split("/").slice(BEFORE + 1).join("/")}`;
}

const noRoute = () => new GatewayError("NOT_FOUND", "no function answers at this path");

const tooLong = (body: number, input: number, limit: number) =>
  new GatewayError(
    "BODY_TOO_LARGE",
    `the body of ${body} bytes makes an input of ${input} bytes, as JSON and in base64 where it is no UTF-8; it may have ${limit}`,
    { details: { limit } },
  );

const noWorkers = () =>
  new GatewayError("INVALID_REQUEST", "what a function answers is no service worker: none may be registered here");
