import { z } from "zod";
import type { EgressResponse, HeaderPairs } from "../../src/contracts/egress.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { PROXY_ERRORS, toldAs } from "./failures.ts";

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
answer's \`body\` is base64 of the bytes as the server sent them; a status of the server, whichever, is \`status_code\` of a 200.`
  .trim();

export const proxyAnonymously = defineRoute({
  method: "POST",
  path: "/v1/proxy/anon",
  summary: "Send a request through an anonymous proxy",
  description: DESCRIPTION,
  tag: "Proxy",
  access: { kind: "namespace", scope: "egress:proxy" },
  bodyHint: "invalid JSON payload",
  body: z.object({
    url: z.string().describe("`http` or `https`."),
    method: method.optional().describe("In any letter case. Default: `GET`."),
    headers: z.record(z.string(), z.string()).optional(),
    body: z.string().optional().describe("Sent as UTF-8."),
  }),
  output: z.object({
    status_code: z.int().describe("The server's."),
    headers: z.record(z.string(), z.string()).describe("The first of each name."),
    body: z.string().describe("Base64."),
  }),
  errorForm: "proxied",
  errors: PROXY_ERRORS,
  async handle(call, { egress }) {
    const { body: { url, method = "GET", headers = {}, body }, principal: { namespace } } = call;
    const request = {
      method,
      url,
      headers: Object.entries(headers),
      body: body === undefined || body === "" ? undefined : new TextEncoder().encode(body),
    };
    try {
      const response = await egress.fetch(namespace, request, { way: "anonymous" }, call);
      return ok({
        status_code: response.status,
        headers: firstOfEach(response.headers),
        body: (await wholeOf(response)).toBase64(),
      });
    } catch (error) {
      throw toldAs(error);
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

async function wholeOf({ body }: EgressResponse): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    length += chunk.length;
  }
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
