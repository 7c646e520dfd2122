import type { z, ZodType } from "zod";
import { type FieldProblem, GatewayError } from "../src/contracts/errors.ts";
import { type BodyLimits, parseJson, readBody } from "../src/http/body.ts";
import type { Call, Middleware } from "../src/http/call.ts";
import { unknownMember } from "../src/http/names.ts";
import { streamBody } from "../src/http/streaming_body.ts";

/**
 * Milliseconds for a body after which its sender is looked at again. A client decides how long it takes, and must not keep a
 * right for so long that was taken from it meanwhile.
 */
const PATIENCE = 500;

/** How many problems of one request are told. */
const TOLD = 20;

/**
 * Reads and checks what the client sent against the route's schemas. Runs last: a stranger's body is never read.
 * @param admit finds out anew whether the call may pass; run when a body was long in coming
 */
export function validate(limits: BodyLimits, admit: Middleware): Middleware {
  return function validate(call) {
    const { params, query, body, rawBody } = call.route;
    if (params) call.params = check(params, call.http.req.param(), "");
    if (query) call.query = check(query, queryOf(call.http.req.raw.url), "");
    // The content type is not asked for: older clients send JSON without it.
    if (body) return checkBody(call, body, limits, admit);
    if (rawBody) {
      const around = { admit: () => admit(call), isStopped: () => call.signal.aborted };
      call.upload = streamBody(call.http.req.raw, rawBody, limits, around);
    }
  };
}

async function checkBody(call: Call, schema: ZodType, limits: BodyLimits, admit: Middleware): Promise<void> {
  const { bodyOptional, bodyHint } = call.route;
  const start = performance.now();
  const bytes = await readBody(call.http.req.raw, limits);
  if (performance.now() - start > PATIENCE) await admit(call);
  const value = bytes.byteLength === 0 && bodyOptional ? {} : parseJson(bytes, limits.maxDepth);
  // A literal `null` means that every field is absent, as it always has on this wire.
  call.body = check(schema, value ?? {}, bodyHint ? `invalid body: ${bodyHint}; ` : "");
}

function queryOf(url: string): Record<string, string> {
  const start = url.indexOf("?");
  return start < 0 ? {} : Object.fromEntries(new URLSearchParams(url.slice(start + 1)));
}

function check(schema: ZodType, value: unknown, prefix: string): unknown {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const details = result.error.issues.slice(0, TOLD).flatMap((issue): FieldProblem[] => {
    const { path } = issue;
    if (issue.code !== "unrecognized_keys") return [{ field: path.join(".") || "body", problem: problemOf(issue) }];
    return issue.keys.slice(0, TOLD).map((name) => unknownMember(schema, path, name));
  }).slice(0, TOLD);
  const [first] = details;
  throw new GatewayError("INVALID_REQUEST", `${prefix}${first?.field}: ${first?.problem}`, { details });
}

/** zod says what it received in its own terms (`undefined`, `NaN`), which no client has sent. */
function problemOf({ code, message, ...issue }: z.core.$ZodIssue): string {
  if (code !== "invalid_type" || !("expected" in issue)) return message;
  if (message.endsWith("received undefined")) return `is missing; expected ${issue.expected}`;
  return message.endsWith("received NaN") ? `must be a ${issue.expected}` : message;
}
