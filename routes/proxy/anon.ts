import { z } from "zod";
import type { EgressRoom, HeaderPairs } from "../../src/contracts/egress.ts";
import { check } from "../../src/http/problems.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { BLOCK } from "./blocks.ts";
import { PROXY_ERRORS, toldAs } from "./failures.ts";
import { heldAnswer } from "./held_answer.ts";
import { jsonOf, MAX_JSON } from "./held_request.ts";

/** Methods that may be sent, as older clients know them. */
const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"] as const;

/** Patterns of JSON Schema have no flags. */
const anyCase = (word: string) => word.replace(/[A-Z]/g, (letter) => `[${letter}${letter.toLowerCase()}]`);
const method = z.string().regex(new RegExp(`^(?:${METHODS.map(anyCase).join("|")})$`), {
  error: ({ input }) => `method ${String(input).slice(0, 32)} not allowed`,
});

const DESCRIPTION = `
Sends a request through an anonymous proxy (Anyone, tor, or any other SOCKS5 proxy) and answers the response. Names are looked up at
the proxy's exit and nowhere else; private and local addresses, and addresses in place of names, are refused. If no proxy can be
reached, nothing is sent. Each namespace has credentials of its own towards the proxy, so that its streams share no circuit with
those of others. Redirects are followed, up to the namespace's limit.

\`Connection\`, \`Host\` and whatever else belongs to one connection, and headers that tell where a request comes from, are not sent. The
answer's \`body\` is base64 of the bytes as the server sent them; a status of the server, whichever, is \`status_code\` of a 200.

Both bodies are held in memory, of which a gateway has so much for this: where there is none before the request is sent the answer is 429
\`EGRESS_BUSY\`, and where there is none for what comes back, 422 \`EGRESS_RESPONSE_TOO_LARGE\`. \`POST /v1/proxy/anon/stream\` holds nothing.
The JSON may be long by \`body\` alone, of ${
  MAX_JSON / 2 ** 20
} MiB at most; how long the text is that stands there is the namespace's limit.`
  .trim();

const asked = z.object({
  url: z.string().describe("`http` or `https`."),
  method: method.optional().describe("In any letter case. Default: `GET`."),
  headers: z.record(z.string(), z.string()).optional(),
  body: z.string().optional().describe("Sent as UTF-8."),
});

export const proxyAnonymously = defineRoute({
  method: "POST",
  path: "/v1/proxy/anon",
  summary: "Send a request through an anonymous proxy",
  description: DESCRIPTION,
  tag: "Proxy",
  access: { kind: "namespace", scope: "egress:proxy" },
  // The content type is not asked for: older clients send JSON without it.
  rawBody: { types: { "application/json": asked, [ANY_TYPE]: asked }, maxBytes: MAX_JSON },
  output: z.object({
    status_code: z.int().describe("The server's."),
    headers: z.record(z.string(), z.string()).describe("The first of each name."),
    body: z.string().describe("Base64."),
  }),
  errorForm: "proxied",
  errors: PROXY_ERRORS,
  async handle(call, { egress }) {
    const { incoming, upload, principal: { namespace }, signal } = call;
    let sent: EgressRoom | undefined, held: EgressRoom | undefined;
    try {
      // Both before the body is read, so that whoever is refused has not sent it.
      sent = egress.room(namespace, BLOCK);
      held = egress.room(namespace, BLOCK);
      const json = await jsonOf(upload, incoming.get("content-length"), sent);
      // A literal `null` means that every field is absent, as it always has on this wire.
      const { url, method = "GET", headers = {}, body: text = "" } = check(asked, json ?? {}, {
        prefix: "invalid body: invalid JSON payload; ",
      });
      const body = text === "" ? undefined : new TextEncoder().encode(text);
      const request = { method, url, headers: Object.entries(headers), body };
      const response = await egress.fetch(namespace, request, { way: "anonymous" }, call);
      return await heldAnswer(response, firstOfEach(response.headers), held, signal);
    } catch (error) {
      held?.leave();
      throw toldAs(error);
    } finally {
      sent?.leave();
    }
  },
});

/** `content-type` → `Content-Type`: as older clients look them up. */
const canonical = (name: string) => name.toLowerCase().replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase());

function firstOfEach(headers: HeaderPairs): Readonly<Record<string, string>> {
  const first = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = canonical(name);
    if (!first.has(key)) first.set(key, value);
  }
  return Object.fromEntries(first);
}
