import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { InvocationFailure, InvocationResult } from "../../src/contracts/function_invocations.ts";
import { exceededBound, type JsonBounds } from "../../src/contracts/json_text.ts";
import { type Reply, toErrorReply, wantsProblemJson } from "../../src/http/reply.ts";

const BYTES = "application/octet-stream";
const BRACE = 0x7b, BRACKET = 0x5b;

/** What a call answers whose output is no JSON. */
export const invocationAnswer = z.union([
  z.object({
    request_id: z.string(),
    output: z.string(),
    status: z.literal("success"),
    duration_ms: z.int(),
  }),
  z.unknown().describe("The output itself, where it begins with `{` or `[`. It is passed on as it is."),
]);

/** Nothing that a function answers is what a browser may take for something else than it is said to be. */
const NOSNIFF = { "x-content-type-options": "nosniff" } as const;

/** The headers of each answer. */
export const invocationHeaders = ({ requestId, duration }: Pick<InvocationResult, "requestId" | "duration">) => ({
  "x-request-id": requestId,
  "x-duration-ms": String(Math.round(duration)),
  ...NOSNIFF,
});

/** Whether an output is taken for JSON: it is passed on as such, and nobody looks further. */
export const looksLikeJson = ([first]: Uint8Array): boolean => first === BRACE || first === BRACKET;

/** What JSON of a function may hold that the gateway itself parses: a few megabytes of `{}` would keep it from everything else. */
export const JSON_BOUNDS: JsonBounds = { maxDepth: 64, maxValues: 20_000 };

/** The value of an output that is JSON within {@link JSON_BOUNDS}; `undefined` for any other. */
export function parsedOutput(text: string): unknown {
  // Most text is told by its first character, without an error being made of it.
  const first = /^\s*(["[{\-\dtfn])/.exec(text)?.[1];
  const isContainer = first === "{" || first === "[";
  if (first === undefined || isContainer && exceededBound(text, JSON_BOUNDS) !== undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** How a call ended that brought no answer, as an error. */
export const failureOf = ({ code, message, exitCode }: InvocationFailure): GatewayError =>
  new GatewayError(code, message, exitCode === undefined ? {} : { details: { exit_code: exitCode } });

/** What a call of a function answers over HTTP. */
export function invocationReply(result: InvocationResult, request: Request): Reply {
  const { failure, requestId, output, duration } = result;
  const headers = invocationHeaders(result);
  if (failure !== undefined) {
    const told = toErrorReply(failureOf(failure), requestId, wantsProblemJson(request), "invocation", duration);
    return { ...told, headers: { ...told.headers, ...headers } };
  }
  const bytes = output as Uint8Array<ArrayBuffer>;
  // Nobody who asks for bytes by name wants them in JSON; `*/*` is no name.
  if (request.headers.get("accept")?.split(",").some((one) => one.split(";")[0]!.trim() === BYTES)) {
    return { status: 200, body: bytes, headers: { ...headers, "content-type": BYTES } };
  }
  if (looksLikeJson(output)) return { status: 200, body: bytes, headers };
  const body = JSON.stringify({
    request_id: requestId,
    output: new TextDecoder().decode(output),
    status: "success",
    duration_ms: Math.round(duration),
  });
  return { status: 200, body, headers };
}
