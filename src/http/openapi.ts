import { METHODS, type Route } from "./route.ts";
import {
  errorSchema,
  errorTable,
  invocationErrorSchema,
  pinningErrorSchema,
  proxiedErrorSchema,
} from "./openapi/errors.ts";
import type { JsonSchema } from "./openapi/json_schema.ts";
import { failureOf, operationOf, pathOf, type Shared } from "./openapi/operation.ts";

/** An OpenAPI 3.1 document, as far as its readers here look into it. */
export interface OpenApiDocument extends JsonSchema {
  readonly openapi: string;
  readonly tags: readonly { readonly name: string; readonly description?: string }[];
  /** Path Item Objects by path, each with its operations by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonSchema>>>>;
}

/** The headings of the reference, in their order, and what stands under them. */
const TAGS: Readonly<Record<string, string>> = {
  "System": "What this gateway is and how it does.",
  "Sign-in": "A wallet signs a challenge and gets tokens, a key, a session.",
  "Keys": "API keys of a namespace: made, listed, revoked, replaced.",
  "Namespaces": "What data belongs to: who may use it, what happened in it.",
  "Database": "SQL on the namespace's own database.",
  "Pub/sub": "Live messages by topic: published, received on sockets and event streams, kept for a while.",
  "Cache": "Maps of values that live for a while, and locks. What is in it may be lost at any time.",
  "Storage": "Files and directories by their content, and links to them.",
  "Pinning": "Requests to keep content, as the IPFS Pinning Service API has them: for `ipfs pin remote` and its like.",
  "Functions": "WebAssembly that the gateway runs for a namespace: deployed, called, triggered, looked at.",
  "Proxy": "Requests that leave through an anonymous proxy.",
  "Webhooks": "Addresses that are told of events of the namespace, and what was sent to them.",
  "Network": "The other gateways of the cluster.",
  "Pages": "What people see in a browser, and the parts it is made of.",
};

/**
 * Describes the API (OpenAPI 3.1): one operation for each route, from the same schemas that requests are checked against.
 * @param routes those that are served
 * @param version of the gateway
 */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const shared: Shared = {
    schemas: {
      Error: errorSchema,
      ...(routes.some(({ errorForm }) => errorForm === "pinning") && { PinningError: pinningErrorSchema }),
      ...(routes.some(({ errorForm }) => errorForm === "invocation") && { InvocationError: invocationErrorSchema }),
      ...(routes.some(({ errorForm }) => errorForm === "proxied") && { ProxiedError: proxiedErrorSchema }),
    },
    responses: commonResponses(),
  };
  const paths: Record<string, Record<string, JsonSchema>> = {};
  const inOrder = routes.toSorted((a, b) => METHODS.indexOf(a.method) - METHODS.indexOf(b.method));
  for (const route of routes) paths[pathOf(route)] ??= {};
  for (const route of inOrder) paths[pathOf(route)]![route.method.toLowerCase()] = operationOf(route, shared);
  return {
    openapi: "3.1.0",
    info: { title: "orama-gateway", version, summary: SUMMARY, description: descriptionOf() },
    servers: [{ url: "/", description: "This gateway." }],
    tags: tagsOf(routes),
    paths,
    components: {
      schemas: shared.schemas,
      responses: shared.responses,
      parameters: {
        IfNoneMatch: IF_NONE_MATCH,
        IfMatch: IF_MATCH,
        IfNoneMatchToChange: IF_NONE_MATCH_TO_CHANGE,
        IdempotencyKey: IDEMPOTENCY_KEY,
        Range: RANGE,
        IfRange: IF_RANGE,
      },
      headers: HEADERS,
      securitySchemes: SECURITY_SCHEMES,
    },
  };
}

function tagsOf(routes: readonly Route[]): OpenApiDocument["tags"] {
  const used = new Set(routes.map(({ tag }) => tag));
  const explained = Object.entries(TAGS).filter(([name]) => used.delete(name));
  return [...explained.map(([name, description]) => ({ name, description })), ...[...used].map((name) => ({ name }))];
}

const SUMMARY = "One HTTPS/WSS API in front of a decentralised back end.";

const descriptionOf = () =>
  `
## Credentials

An API key or an access token names who calls, and the one namespace the call is about. It may come as \`X-API-Key\`, as
\`Authorization: Bearer\`, or, where a browser cannot set headers (WebSockets), in the query as \`api_key\`. Sign in with a
wallet under *Sign-in*. A path that does not exist answers 401 to a stranger, like one that does.

## Requests

Bodies are JSON in UTF-8, whatever \`Content-Type\` says; a member or parameter that is not described is ignored, unless it
is a misspelt one (\`levl\`, \`orderBy\`), which is 400. Any \`GET\` answers \`HEAD\` too, any path answers \`OPTIONS\`, and another
method is 405 with \`Allow\`. A path that is not in normal form (\`//\`, \`/../\`) is redirected to the one that is.
\`X-Request-ID\` is taken over if it has up to 128 of \`A-Z a-z 0-9 . _ ~ -\`.

## Errors

The body is JSON; with \`Accept: application/problem+json\` it is marked as a problem of RFC 9457. 408, 429 and 503 mean that
the request may be repeated as it is; a change that may have been made is 409 \`OUTCOME_UNKNOWN\`.

${errorTable()}
`.trim();

const commonResponses = (): Record<string, unknown> => ({
  MethodNotAllowed: failureOf({ access: { kind: "authenticated" } }, 405, ["METHOD_NOT_ALLOWED"]),
});

const IF_NONE_MATCH = {
  name: "If-None-Match",
  in: "header",
  required: false,
  description: "`ETag` of what the caller has: the answer is 304 if that is still true.",
  schema: { type: "string" },
} as const;

const IF_MATCH = {
  name: "If-Match",
  in: "header",
  required: false,
  description: "One or more `ETag`s, one of which must be that of what is there; `*`: something must be there.",
  schema: { type: "string" },
} as const;

const IF_NONE_MATCH_TO_CHANGE = {
  name: "If-None-Match",
  in: "header",
  required: false,
  description: "`*`: nothing may be there. One or more `ETag`s: none of them may be that of what is there.",
  schema: { type: "string" },
} as const;

const RANGE = {
  name: "Range",
  in: "header",
  required: false,
  description:
    "Which bytes are wanted, `bytes=0-99,-100`: 206. Ranges that overlap are put together; more than 100 are 416.",
  schema: { type: "string" },
} as const;

const IF_RANGE = {
  name: "If-Range",
  in: "header",
  required: false,
  description: "`ETag` of what the caller has a part of: the `Range` counts only if that is still true.",
  schema: { type: "string" },
} as const;

const IDEMPOTENCY_KEY = {
  name: "Idempotency-Key",
  in: "header",
  required: false,
  description:
    "Makes repeating safe: within 24 hours (live messages: 5 minutes) the same request with the same key is applied once, " +
    "and answered as the first time. 1 to 255 printable ASCII characters, as they are or in quotes; all credentials of a namespace share its keys.",
  schema: { type: "string", minLength: 1 },
} as const;

const header = (description: string, schema: JsonSchema = { type: "string" }) => ({ description, schema });

const HEADERS = {
  "X-Request-ID": header("The request's id: the caller's own if it is well formed."),
  "RateLimit": header(
    'What is left of the limit, `"name";r=<requests>;t=<seconds until it is whole>`. Absent where it is off.',
  ),
  "RateLimit-Policy": header("The limit, in requests and seconds. Absent where it is off."),
  "Retry-After": header("Seconds after which another try may succeed.", { type: "integer", minimum: 0 }),
  "Allow": header("The methods that the path takes."),
  "Upgrade": header("`websocket`: the protocol that the path takes."),
  "WWW-Authenticate": header("What kind of credential is missing or lacking (RFC 6750)."),
  "ETag": header("Names this state of the answer, for `If-None-Match`."),
  "Location": header("Where to look."),
  "Content-Disposition": header("How to save it: under which name, and that no browser shows it."),
  "Cache-Control": header("For how long, and where, it may be kept."),
  "Accept-Ranges": header("`bytes`: `Range` is minded."),
  "Content-Range": header("Which part it is, of how many bytes. On 416 only the latter."),
  "Content-Location": header("Where the same is found without `Accept`."),
  "X-Ipfs-Path": header("What was asked for, as an IPFS path."),
  "X-Ipfs-Roots": header("The CID of each segment of that path. Absent for paths of several segments."),
  "Tus-Resumable": header("The version of tus that is spoken: `1.0.0`."),
  "Upload-Offset": header("Bytes of the upload that are there.", { type: "integer", minimum: 0 }),
  "Upload-Length": header("Bytes of the whole upload, once that is said.", { type: "integer", minimum: 0 }),
  "Upload-Defer-Length": header("`1` until it is said how long the upload is."),
  "Upload-Metadata": header("What the client said of the upload, as it wrote it."),
  "Upload-Expires": header("When the upload goes, unless it is gone on with (RFC 9110, 5.6.7)."),
  "Upload-Cid": header("The CID of the object that the upload became, once it is whole and stored."),
  "X-Target-Status": header("The status of the server that answered.", { type: "integer" }),
  "X-Target-Headers": header("What the server says of its own origin, as JSON: names in lower case, lists of texts."),
  "X-Duration-Ms": header("Milliseconds that the call took, waiting and further tries included.", {
    type: "integer",
    minimum: 0,
  }),
  "Orama-Read-Level": header(
    "The level that was read at: the one asked for, or the namespace's. Absent where a transaction writes.",
  ),
};

const SECURITY_SCHEMES = {
  bearer: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "An access token (15 minutes). An API key is taken here too.",
  },
  apiKey: { type: "apiKey", in: "header", name: "X-API-Key", description: "An API key." },
  apiKeyInQuery: {
    type: "apiKey",
    in: "query",
    name: "api_key",
    description: "An API key, where no header can be set. Addresses end up in logs: prefer a header.",
  },
};
