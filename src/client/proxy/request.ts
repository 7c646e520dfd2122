import { OramaError } from "../errors.ts";
import { type BodyPart, ownBytes, sendsStreams, StreamedBody } from "../streamed_body.ts";
import type { ProxyBody, ProxyInit } from "./options.ts";

/** A request for a server, as the gateway is told of it. */
export interface ProxyRequest {
  /** In upper case. */
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Blob | StreamedBody;
  /** `read` where the method changes nothing (RFC 9110, 9.2.1). */
  readonly effect: "read" | "write";
  /** Whether it is as good twice as once (RFC 9110, 9.2.2), and can be sent twice. */
  readonly repeatable: boolean;
}

const TOKEN = /^[!#$%&'*+.^`|~\w-]{1,32}$/;
const SAFE: readonly string[] = ["GET", "HEAD", "OPTIONS"];
const IDEMPOTENT: readonly string[] = [...SAFE, "PUT", "DELETE"];

/**
 * What the gateway is sent.
 * @throws TypeError for what cannot be requested
 * @throws OramaError `NOT_SUPPORTED` for a stream where the platform sends none
 */
export async function requestOf(
  url: string | URL,
  { method: given = "GET", headers, body }: ProxyInit,
): Promise<ProxyRequest> {
  if (!TOKEN.test(given)) throw new TypeError("method must be a word such as GET or POST");
  const method = given.toUpperCase();
  const hasBody = body !== undefined && body !== null;
  if (hasBody && (method === "GET" || method === "HEAD")) throw new TypeError(`${method} has no body`);
  const target = new URL(url);
  target.hash = "";
  const told = asciiOf(JSON.stringify(membersOf(headers)));
  const { content, type } = await contentOf(hasBody ? body : undefined);
  return {
    method,
    headers: {
      accept: "*/*",
      "x-target-url": target.href,
      "x-target-method": method,
      "x-target-headers": told,
      ...(type && { "content-type": type }),
    },
    // Also where there is none: what is no `Blob` Deno sends a second time by itself (see `http.ts`).
    body: content,
    effect: SAFE.includes(method) ? "read" : "write",
    repeatable: IDEMPOTENT.includes(method) && content instanceof Blob,
  };
}

/** Names keep their letters, as the gateway passes them on. @throws TypeError for what is no header */
function membersOf(given: HeadersInit = {}): Readonly<Record<string, string>> {
  const pairs: Iterable<readonly string[]> = Symbol.iterator in given ? given : Object.entries(given);
  const members = new Map<string, [name: string, value: string]>();
  for (const pair of pairs) {
    const [name = "", value = ""] = pair;
    if (pair.length !== 2) throw new TypeError("a header is a pair of a name and a value");
    // What is none, platforms know best.
    const checked = new Headers([[name, value]]).get(name) ?? "";
    const key = name.toLowerCase(), earlier = members.get(key);
    const joint = key === "cookie" ? "; " : ", ";
    members.set(key, earlier === undefined ? [name, checked] : [earlier[0], earlier[1] + joint + checked]);
  }
  return Object.fromEntries(members.values());
}

/** The text of a header has no more than this, and JSON needs no more. */
const asciiOf = (json: string): string =>
  json.replace(/[^\x20-\x7e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);

interface Content {
  readonly content: Blob | StreamedBody;
  readonly type: string | null;
}

async function contentOf(body: ProxyBody | undefined): Promise<Content> {
  if (body === undefined) return { content: new Blob([]), type: null };
  if (body instanceof ReadableStream) return { content: streamed(body), type: null };
  if (body instanceof Blob) return { content: body, type: body.type };
  if (body instanceof Uint8Array) return { content: new Blob([ownBytes(body)]), type: null };
  if (body instanceof ArrayBuffer) return { content: new Blob([body]), type: null };
  const encoded = new Response(body);
  // The type of a blob is in small letters, which the boundary of a form need not be.
  return { type: encoded.headers.get("content-type"), content: await encoded.blob() };
}

function streamed(stream: ReadableStream<Uint8Array>): StreamedBody {
  if (!sendsStreams()) {
    throw new OramaError("fetch sends no streams here: give a Blob, such as a File", { code: "NOT_SUPPORTED" });
  }
  return new StreamedBody("", oneOf(stream), [stream]);
}

async function* oneOf(part: BodyPart): AsyncGenerator<BodyPart, void, void> {
  yield await part;
}
