import { ERROR_STATUS, type ErrorCode, GatewayError } from "../../contracts/errors.ts";
import { toErrorReply } from "../reply.ts";
import type { Access, ErrorForm, Route } from "../route.ts";
import type { JsonSchema } from "./json_schema.ts";

/** What each code tells the caller. */
const ERROR_MEANING: Readonly<Record<ErrorCode, string>> = {
  INVALID_REQUEST: "A part of the request does not fit; `details` names the fields.",
  INVALID_JSON: "The body is not one JSON value in UTF-8, or nests too deep.",
  MODULE_INVALID: "The module is none that can be deployed; the sentence says what is wrong with it. Nothing was kept.",
  SQL_INVALID: "The statement has a mistake.",
  SQL_NOT_ALLOWED: "The statement is one that this gateway does not run.",
  UNAUTHENTICATED: "No credential came with the request.",
  INVALID_CREDENTIAL: "The credential is unknown, expired or revoked.",
  SIGNATURE_INVALID: "The proof of the wallet does not hold.",
  FORBIDDEN: "The caller is known, and may not do this.",
  INSUFFICIENT_SCOPE: "The credential lacks a scope; `details.required_scope` names it.",
  NAMESPACE_MISMATCH: "The path names another namespace than the credential's.",
  NOT_FOUND: "There is nothing of this name.",
  METHOD_NOT_ALLOWED: "The path takes other methods; `Allow` names them.",
  NOT_ACCEPTABLE: "What is there is given in other forms than the one that was asked for.",
  REQUEST_TIMEOUT: "The body did not arrive in time. Nothing was done.",
  QUOTA_EXCEEDED: "The namespace may not hold more of this. Nothing was done.",
  IDEMPOTENCY_KEY_IN_USE: "A request with the same `Idempotency-Key` is still running.",
  IDEMPOTENCY_KEY_REUSED: "The `Idempotency-Key` stands for another request. Nothing was done.",
  POSITION_GONE: "What follows this position is not kept any more.",
  PRECONDITION_FAILED: "What the request expected is not so. Nothing was done.",
  TOO_MANY_LISTENERS: "As many listen as may. Nothing was done.",
  WRONG_TYPE: "What is there is of another type than the operation works on. Nothing was done.",
  LOCKED: "Somebody else has the lock. Nothing was done.",
  LOCK_LOST: "The token does not hold the lock, or not any more.",
  TOO_MANY_WAITERS: "As many wait for locks as may. Nothing was done.",
  TOO_MANY_UPLOADS: "Too many uploads into this namespace are under way. Nothing was done.",
  TOO_MANY_SOCKETS:
    "As many sockets and event streams of the namespace, or of one credential, are open as may be. Nothing was done.",
  TOO_MANY_SUBSCRIPTIONS: "As many subscriptions are open as may be. Nothing was done.",
  TOO_MANY_TOPICS:
    "As many topics are in use as may be, of the `namespace` or of one `credential`: `details.of`. Nothing was done.",
  UPGRADE_REQUIRED: "This is a WebSocket's address; `Upgrade` names what it takes.",
  UPLOAD_LOCKED: "Something else is being done with the upload; `Retry-After` says when to try again.",
  CHECKSUM_MISMATCH: "The bytes are not those that were meant. Nothing of them was kept.",
  TOO_MANY_STATEMENTS: "Too many statements of this namespace run at once. Nothing was done.",
  CONFLICT: "The state of things does not allow it.",
  CONSTRAINT_FAILED: "A constraint of the database refuses the change.",
  OUTCOME_UNKNOWN: "The change may have been made: look before repeating it.",
  BODY_TOO_LARGE: "The body is larger than the gateway takes.",
  RESULT_TOO_LARGE: "The result is larger than the gateway gives.",
  UNSUPPORTED_MEDIA_TYPE: "The body is of a kind that the operation does not take; `Accept` names those that it does.",
  RANGE_NOT_SATISFIABLE:
    "No part of what is there is in the `Range`, or it asks for too many; `Content-Range` tells the length.",
  STATEMENT_TIMEOUT: "The statement ran out of its own time and was stopped.",
  FUNCTION_TIMEOUT: "The function took longer than it may, and was ended. What it did until then is done.",
  FUNCTION_TRAPPED: "The function trapped: an access out of bounds, a stack that ran over, `unreachable`.",
  FUNCTION_OUT_OF_MEMORY: "The function needed more memory than it may have.",
  FUNCTION_FAILED: "The function ended with an exit code other than 0, or its plug-in returned an error.",
  FUNCTION_OUTPUT_TOO_LARGE: "The function wrote a longer answer than it may.",
  FUNCTION_CALLS_EXCEEDED: "The function made more calls of the gateway than it may.",
  INVOCATION_TOO_DEEP:
    "Functions call each other, or set each other off, deeper than they may. Nothing of this call ran.",
  TOO_MANY_INVOCATIONS:
    "No place to run became free in time, or as many calls wait as may; `Retry-After` says when to try again. Nothing ran.",
  EGRESS_ADDRESS_REFUSED:
    "The address, or one that the name has, is private, local or reserved. Nothing was sent there.",
  EGRESS_TARGET_REFUSED: "The host, port or method is not among those that may be used. Nothing was sent there.",
  EGRESS_BUSY: "As many outbound requests are under way as may be. Nothing was sent.",
  EGRESS_NAME_NOT_FOUND: "The name cannot be looked up. Nothing was sent.",
  EGRESS_UNREACHABLE: "Nobody answers at the address. Nothing was sent there.",
  EGRESS_TLS_FAILED: "The server cannot show that it is the one that was meant. Nothing was sent there.",
  EGRESS_PROXY_UNAVAILABLE: "No anonymous proxy can be reached. Nothing was sent, and never is past them.",
  EGRESS_RESPONSE_INVALID:
    "What came back is no HTTP, or less than was announced. The server may have got the request.",
  EGRESS_RESPONSE_TOO_LARGE: "The response is larger than it may be. The server has got the request.",
  EGRESS_TIMEOUT: "The response took longer than it may. The server may have got the request.",
  EGRESS_TOO_MANY_REDIRECTS: "The request was redirected more often than it may be. Servers have got it.",
  RATE_LIMITED: "Too many requests; `Retry-After` says when to try again.",
  INTERNAL: "A defect of the gateway. The log has its cause under the request's id.",
  UNAVAILABLE:
    "A service behind the gateway does not answer. Nothing was done, or the request had an `Idempotency-Key`.",
  NO_CAPACITY: "Nothing is left to give. Nothing was done.",
};

const CODES = Object.keys(ERROR_STATUS) as ErrorCode[];

const KEY_ERRORS = ["INVALID_REQUEST", "IDEMPOTENCY_KEY_IN_USE", "IDEMPOTENCY_KEY_REUSED"] as const;

/** Every code that an operation can answer, in the order of the table: its own, and those of the request path before it. */
export function errorCodesOf(route: Route): ErrorCode[] {
  const { access, params, query, body, rawBody, idempotent, upgrades, errors = [] } = route;
  const codes = new Set<ErrorCode>([...errors, ...accessErrors(access), "INTERNAL"]);
  if (isLimited(route)) codes.add("RATE_LIMITED");
  if (params || query || body || rawBody) codes.add("INVALID_REQUEST");
  if (upgrades) { for (const code of ["INVALID_REQUEST", "UPGRADE_REQUIRED"] as const) codes.add(code); }
  if (idempotent) { for (const code of KEY_ERRORS) codes.add(code); }
  if (body) { for (const code of ["INVALID_JSON", "BODY_TOO_LARGE", "REQUEST_TIMEOUT"] as const) codes.add(code); }
  if (rawBody) {
    for (const code of ["BODY_TOO_LARGE", "REQUEST_TIMEOUT", "UNSUPPORTED_MEDIA_TYPE"] as const) codes.add(code);
    if ("application/json" in rawBody.types) codes.add("INVALID_JSON");
  }
  return CODES.filter((code) => codes.has(code));
}

function accessErrors(access: Access): ErrorCode[] {
  // Who a credential belongs to may have to be asked of the control plane.
  if (access.kind === "public") return access.identify ? ["UNAVAILABLE"] : [];
  const known: ErrorCode[] = ["UNAUTHENTICATED", "INVALID_CREDENTIAL", "UNAVAILABLE"];
  if (access.kind === "authenticated") return known;
  if (access.kind === "operator") return [...known, "FORBIDDEN"];
  return [...known, "FORBIDDEN", "INSUFFICIENT_SCOPE", ...(access.param ? ["NAMESPACE_MISMATCH" as const] : [])];
}

/** Whether calls are counted: by the route's own limit, or because unknown credentials are counted wherever they are taken. */
export const isLimited = ({ limit, access }: Pick<Route, "limit" | "access">): boolean =>
  limit !== "none" || access.kind !== "public" || access.identify !== undefined;

/** The one error body; see `toErrorReply`. */
export const errorSchema = {
  type: "object",
  description:
    "What went wrong, for programs (`code`) and for people (`error`), with the members of RFC 9457 beside it.",
  required: ["error", "code", "request_id", "type", "title", "status", "detail"],
  properties: {
    error: { type: "string", description: "One sentence." },
    code: { type: "string", enum: CODES, description: "Stable: programs may switch on it." },
    request_id: { type: "string", description: "The request's id, as in `X-Request-ID` and in the gateway's log." },
    type: { type: "string", description: "The code as a URN, `urn:orama:error:…`." },
    title: { type: "string", description: "The code in words." },
    status: { type: "integer", description: "The HTTP status." },
    detail: { type: "string", description: "The same as `error`." },
    details: { description: "Particulars. For `INVALID_REQUEST`: a list of `{field, problem}`." },
  },
} as const satisfies JsonSchema;

/** The same where a route has the form `pinning`. */
export const pinningErrorSchema = {
  ...errorSchema,
  description: "What went wrong, as the IPFS Pinning Service API tells it (`error`), with the members of every error.",
  properties: {
    ...errorSchema.properties,
    error: {
      type: "object",
      required: ["reason"],
      properties: {
        reason: { type: "string", enum: CODES, description: "The same as `code`." },
        details: { type: "string", description: "One sentence." },
      },
    },
  },
} as const satisfies JsonSchema;

/** The same where a route has the form `invocation`. */
export const invocationErrorSchema = {
  ...errorSchema,
  description:
    "What went wrong, as answers of functions tell it (`status`, `duration_ms`), with the members of every error.",
  required: [...errorSchema.required, "duration_ms"],
  properties: {
    ...errorSchema.properties,
    status: {
      description:
        "`timeout` where the function took too long, `error` for all else; with `Accept: application/problem+json` the HTTP status.",
      anyOf: [{ type: "string", enum: ["error", "timeout"] }, { type: "integer" }],
    },
    duration_ms: { type: "integer", description: "Milliseconds that it took." },
  },
} as const satisfies JsonSchema;

/** The same where a route has the form `proxied`. */
export const proxiedErrorSchema = {
  ...errorSchema,
  description: "What went wrong, with the members of a response that there is not, and those of every error.",
  required: [...errorSchema.required, "status_code", "headers", "body"],
  properties: {
    ...errorSchema.properties,
    status_code: { type: "integer", const: 0 },
    headers: { type: "null" },
    body: { type: "string", const: "" },
  },
} as const satisfies JsonSchema;

const ERROR_SCHEMA_NAMES: Readonly<Record<ErrorForm | "usual", string>> = {
  usual: "Error",
  pinning: "PinningError",
  invocation: "InvocationError",
  proxied: "ProxiedError",
};

/** The codes of one status, as the error body has them. @param form as the route has it */
export const errorSchemaOf = (codes: readonly ErrorCode[], form?: ErrorForm): JsonSchema => ({
  allOf: [
    { $ref: `#/components/schemas/${ERROR_SCHEMA_NAMES[form ?? "usual"]}` },
    { properties: { code: { enum: codes } } },
  ],
});

const REQUEST_ID = "5f2a9c017be34d68-00001a";

/** An answer with this code, as the request path makes it. @param form as the route has it */
export const errorExampleOf = (code: ErrorCode, form?: ErrorForm): unknown =>
  JSON.parse(
    String(toErrorReply(new GatewayError(code, ERROR_MEANING[code]), REQUEST_ID, false, form, 12).body),
  );

/** The table of all codes, in Markdown. */
export const errorTable = (): string =>
  [
    "| Code | Status | Meaning |",
    "|---|---|---|",
    ...CODES.map((code) => `| \`${code}\` | ${ERROR_STATUS[code]} | ${ERROR_MEANING[code]} |`),
  ].join("\n");

/** What codes of one status tell, in Markdown. */
export const meaningOf = (codes: readonly ErrorCode[]): string =>
  codes.map((code) => `\`${code}\`: ${ERROR_MEANING[code]}`).join("\n\n");
