import { z } from "zod";
import type { HeaderPairs } from "../../src/contracts/egress.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { PROXY_ERRORS, toldAs } from "./failures.ts";

const DESCRIPTION = `
Like \`POST /v1/proxy/anon\`, but nothing is held in memory: the body of the request is what the server gets, and status, headers and
body of the answer are the server's. A \`Content-Length\` is passed on, for servers that want one. \`X-Target-URL\` says where to, \`X-Target-Method\` how (default: \`POST\` with a body, else \`GET\`), and
\`X-Target-Headers\`, a JSON object of texts, with which headers; \`Content-Type\` is taken over unless it is among them.
\`X-Target-Status\` stands in each answer that is a server's and in no other: whatever lacks it is the gateway's own. A 205 is answered as
204 with \`X-Target-Status: 205\`. A body without a type is \`application/octet-stream\`.

A redirect that would send a body again is answered as it is. Headers by which a server speaks to a browser about its own origin
(\`Set-Cookie\`, \`Strict-Transport-Security\`, \`Location\`, CORS and the like) are told in \`X-Target-Headers\` instead, an object of lists
in JSON, because the answer comes from the gateway's origin.`.trim();

/** What a browser would take for the gateway's own word. */
const OF_THE_ORIGIN =
  /^(set-cookie2?|strict-transport-security|public-key-pins.*|clear-site-data|alt-svc|service-worker-allowed|access-control-.*|cross-origin-.*|origin-agent-cluster|content-security-policy.*|permissions-policy|referrer-policy|report-to|reporting-endpoints|nel|x-content-type-options|x-frame-options|x-request-id|x-target-.*|ratelimit.*|retry-after|www-authenticate|authentication-info|location|content-location|refresh|link|vary|sourcemap|speculation-rules|accept-ch|critical-ch)$/;

/** What stands in an answer once (RFC 9110, 5.3): several of them are no list, and the first one is what most clients go by. */
const SINGLE = new Set([
  ...[
    "content-type",
    "content-length",
    "content-range",
    "content-disposition",
    "content-md5",
    "date",
    "server",
    "etag",
    "age",
  ],
  ...["last-modified", "expires", "x-powered-by", "x-robots-tag", "x-xss-protection", "x-dns-prefetch-control"],
]);

/** Characters of the headers that are to be sent, as JSON. */
const MAX_HEADERS = 32 * 1024;
const headersGiven = z.record(z.string(), z.string());

export const proxyStream = defineRoute({
  method: "POST",
  path: "/v1/proxy/anon/stream",
  summary: "Stream a request and its response through an anonymous proxy",
  description: DESCRIPTION,
  tag: "Proxy",
  access: { kind: "namespace", scope: "egress:proxy" },
  rawBody: {
    types: { "application/octet-stream": z.string().meta({ format: "binary" }), [ANY_TYPE]: z.unknown() },
    // The limit is the namespace's.
    maxBytes: Infinity,
    optional: true,
  },
  output: z.unknown().describe("The server's answer."),
  produces: "application/octet-stream",
  headers: ["X-Target-Status", "X-Target-Headers"],
  errorForm: "proxied",
  errors: PROXY_ERRORS,
  async handle(call, { egress }) {
    const { incoming, principal: { namespace } } = call;
    const url = incoming.get("x-target-url");
    if (url === null) {
      throw new GatewayError("INVALID_REQUEST", "X-Target-URL: required, the URL that the request is for");
    }
    const length = incoming.get("content-length");
    const hasBody = call.http.req.raw.body !== null && length !== "0";
    const request = {
      method: incoming.get("x-target-method") ?? (hasBody ? "POST" : "GET"),
      url,
      headers: headersToSend(incoming),
      body: hasBody ? ReadableStream.from(call.upload.chunks) : undefined,
      // Some servers take none without it (RFC 9110, 15.5.12).
      length: hasBody && length !== null ? Number(length) : undefined,
    };
    const options = { way: "anonymous", streamed: true } as const;
    try {
      const { status, headers, body } = await egress.fetch(namespace, request, options, call);
      const isEmpty = request.method.toUpperCase() === "HEAD" || status === 204 || status === 205 || status === 304;
      if (isEmpty) await body.cancel();
      // Deno's server tells of a body behind a 205, and never sends it: clients wait for ever.
      return {
        status: status === 205 ? 204 : status,
        headers: answered(status, headers, isEmpty),
        body: isEmpty ? null : body,
      };
    } catch (error) {
      throw toldAs(error);
    }
  },
});

function headersToSend(incoming: Headers): HeaderPairs {
  const sent = Object.entries(given(incoming.get("x-target-headers") ?? "{}"));
  const type = incoming.get("content-type");
  const says = sent.some(([name]) => name.toLowerCase() === "content-type");
  return type === null || says ? sent : [...sent, ["content-type", type]];
}

function given(text: string): Readonly<Record<string, string>> {
  try {
    if (text.length <= MAX_HEADERS) return headersGiven.parse(JSON.parse(text));
  } catch {
    // Told below: whatever is wrong, the remedy is the same.
  }
  throw new GatewayError(
    "INVALID_REQUEST",
    `X-Target-Headers: must be a JSON object of texts, of at most ${MAX_HEADERS} characters`,
  );
}

/** @param isEmpty whether there is no body, whose length would then be a lie */
function answered(status: number, headers: HeaderPairs, isEmpty: boolean): Readonly<Record<string, string>> {
  const told = new Map<string, string>(), apart = new Map<string, string[]>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    if (OF_THE_ORIGIN.test(key) || isEmpty && key === "content-length") {
      apart.set(key, [...apart.get(key) ?? [], value]);
    } else if (!told.has(key)) told.set(key, value);
    else if (!SINGLE.has(key)) told.set(key, `${told.get(key)}, ${value}`);
  }
  return {
    // Whatever the gateway's own answers are, this one need not be.
    "content-type": "application/octet-stream",
    ...Object.fromEntries(told),
    "x-target-status": String(status),
    ...(apart.size > 0 && { "x-target-headers": ascii(JSON.stringify(Object.fromEntries(apart))) }),
    "x-content-type-options": "nosniff",
  };
}

/** Headers carry no more than this, and JSON needs no more. */
const ascii = (json: string) =>
  json.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
