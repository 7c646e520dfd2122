import { z } from "zod";
import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { Call } from "../../src/http/call.ts";
import type { Reply } from "../../src/http/reply.ts";
import type { Services } from "../../src/contracts/services.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { INVOKE_ERRORS } from "./errors.ts";
import { assertOwn, type Called, calledInPath, calledOf } from "./fields.ts";
import { invocationAnswer, invocationReply } from "./invocation_answer.ts";

/** Which namespace a request is for that has no credential and names none, as older clients know it. */
const NOBODYS = "default";
/** Characters of a namespace's name that are looked at. */
const MAX_NAMESPACE = 64;

const DESCRIPTION = `
The body, of any type, is what the function reads; its answer is what it wrote. An answer that begins with \`{\` or \`[\` comes as it is,
as JSON; any other in an object as its \`output\`, or as it is with \`Accept: application/octet-stream\`.

A public function anyone may call, any other whoever has a credential of its namespace with the scope \`functions:invoke\`. A call that
ran and failed is 422 with a code, or 409 \`OUTCOME_UNKNOWN\` where its process was ended from outside: none that older clients repeat,
because it did what it did. 429 \`TOO_MANY_INVOCATIONS\` is a call of which nothing ran.`.trim();

const shared = {
  method: "POST",
  description: DESCRIPTION,
  tag: "Functions",
  access: { kind: "public", identify: true },
  rawBody: {
    types: { "application/octet-stream": z.string().meta({ format: "binary" }), [ANY_TYPE]: z.unknown() },
    // The limit is the namespace's.
    maxBytes: Infinity,
    optional: true,
  },
  output: invocationAnswer,
  alsoProduces: { "application/octet-stream": z.string().meta({ format: "binary" }) },
  headers: ["X-Duration-Ms"],
  errorForm: "invocation",
  errors: INVOKE_ERRORS,
} as const;

export const invokeFunction = defineRoute({
  ...shared,
  path: "/v1/functions/:name/invoke",
  summary: "Call a function",
  params: calledInPath,
  query: z.object({
    namespace: z.string().max(MAX_NAMESPACE).optional().describe(
      "Whose function it is. Default: the credential's namespace; without a credential `default`.",
    ),
  }),
  handle(call, services) {
    const { caller, query: { namespace: said } } = call;
    if (caller && !caller.operator) assertOwn(caller, said, "namespace");
    const namespace = said || (caller?.namespace || saidInHeader(call.incoming) || NOBODYS);
    return invoked(call, services, namespace, calledOf(call.params.name));
  },
});

export const invokeFunctionOf = defineRoute({
  ...shared,
  path: "/v1/invoke/:ns/:name",
  summary: "Call a function of a namespace",
  missingParam: "Path must be /v1/invoke/{namespace}/{name}",
  params: z.object({
    ns: z.string().max(MAX_NAMESPACE).describe("Whose function it is."),
    ...calledInPath.shape,
  }),
  handle: (call, services) => invoked(call, services, call.params.ns, calledOf(call.params.name)),
});

/** The namespace that a header says, as older clients do. @throws GatewayError `INVALID_REQUEST` */
function saidInHeader(headers: Headers): string | undefined {
  const said = headers.get("x-namespace")?.trim();
  if (said === undefined || said.length <= MAX_NAMESPACE) return said;
  throw new GatewayError("INVALID_REQUEST", `x-namespace: at most ${MAX_NAMESPACE} characters`);
}

async function invoked(
  call:
    & Pick<Call, "caller" | "credentialRefused" | "upload" | "http" | "requestId" | "signal" | "clientAddress">
    & Call,
  { settings, invocations }: Pick<Services, "settings" | "invocations">,
  namespace: string,
  { name, reference }: Called,
): Promise<Reply> {
  if (name === "") throw new GatewayError("INVALID_REQUEST", "Function name required");
  const { functions: rules } = await settings.rulesOf(namespace, call);
  const input = await call.upload.bytes(rules.maxInputBytes);
  const { caller } = call;
  try {
    const invocation = { namespace, name, reference, input, trigger: "http", caller, depth: 0 } as const;
    return invocationReply(await invocations.invoke(invocation, call), call.http.req.raw);
  } catch (error) {
    throw refusalOf(error, call);
  }
}

/** A credential that was refused is told apart from none at all, as everywhere. */
export function refusalOf(error: unknown, { credentialRefused }: Pick<Call, "credentialRefused">): unknown {
  if (!hasCode(error, "UNAUTHENTICATED")) return error;
  return credentialRefused
    ? new GatewayError("INVALID_CREDENTIAL", "invalid API key or token", {
      headers: { "www-authenticate": 'Bearer error="invalid_token"' },
    })
    : new GatewayError("UNAUTHENTICATED", error.message, {
      headers: { "www-authenticate": 'Bearer realm="gateway", charset="UTF-8"' },
    });
}
