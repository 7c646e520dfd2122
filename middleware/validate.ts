import type { ZodType } from "zod";
import { type BodyLimits, parseJson, readBody } from "../src/http/body.ts";
import type { Call, Middleware } from "../src/http/call.ts";
import { check } from "../src/http/problems.ts";
import { assertUtf8, queryOf } from "../src/http/query.ts";
import { streamBody } from "../src/http/streaming_body.ts";

/**
 * Milliseconds for a body after which its sender is looked at again. A client decides how long it takes, and must not keep a
 * right for so long that was taken from it meanwhile.
 */
const PATIENCE = 500;

/**
 * Reads and checks what the client sent against the route's schemas. Runs last: a stranger's body is never read.
 * @param admit finds out anew whether the call may pass; run when a body was long in coming
 */
export function validate(limits: BodyLimits, admit: Middleware): Middleware {
  return function validate(call) {
    const { params, query, body, rawBody } = call.route;
    if (params) call.params = check(params, call.http.req.param());
    if (query) {
      const { url } = call.http.req.raw;
      const given = call.query = check(query, queryOf(url));
      if (typeof given === "object" && given !== null) assertUtf8(url, given);
    }
    // The content type is not asked for: older clients send JSON without it.
    if (body) return checkBody(call, body, limits, admit);
    if (rawBody) {
      const around = { admit: () => admit(call), isStopped: () => call.signal.aborted };
      call.upload = streamBody(call.http.req.raw, rawBody, limits, around);
    }
  };
}

async function checkBody(call: Call, schema: ZodType, limits: BodyLimits, admit: Middleware): Promise<void> {
  const { bodyOptional, bodyHint, idempotent } = call.route;
  const start = performance.now();
  const bytes = await readBody(call.http.req.raw, limits);
  if (performance.now() - start > PATIENCE) await admit(call);
  call.source = bytes;
  const value = bytes.byteLength === 0 && bodyOptional ? {} : parseJson(bytes, limits.maxDepth);
  // A literal `null` means that every field is absent, as it always has on this wire.
  call.body = check(schema, value ?? {}, { prefix: bodyHint && `invalid body: ${bodyHint}; `, idempotent });
}
