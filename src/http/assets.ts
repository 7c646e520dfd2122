import { createHash } from "node:crypto";
import { z } from "zod";
import type { Call } from "./call.ts";
import type { Reply } from "./reply.ts";
import { defineRoute, type Route } from "./route.ts";

/** A text that stays the same while the gateway runs. */
export interface FixedText {
  readonly text: string;
  /** Short name of this very text, for `ETag` and for addresses that may be kept for ever. */
  readonly fingerprint: string;
}

/** Names a text by its SHA-256, shortened to 128 bits. */
export const fixedText = (text: string): FixedText => ({
  text,
  fingerprint: createHash("sha256").update(text).digest("base64url").slice(0, 22),
});

/** Makes something at its first use and keeps it. A failure is not kept. */
export function lazily<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () =>
    made ??= make().catch((error) => {
      made = undefined;
      throw error;
    });
}

/** Answers a text, or 304 when `If-None-Match` names it (RFC 9110, 13.1.2). The route says `revalidates`. */
export function revalidated(
  call: Call,
  { text, fingerprint }: FixedText,
  headers: Readonly<Record<string, string>>,
): Reply {
  const etag = `"${fingerprint}"`;
  const known = call.incoming.get("if-none-match")?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? [];
  const unchanged = known.includes(etag) || known.includes("*");
  return { status: unchanged ? 304 : 200, body: unchanged ? null : text, headers: { ...headers, etag } };
}

/** Headers of every page: it runs nothing but its own parts, is framed by nobody and tells nobody where it was. */
export const pageHeaders = (policy: string): Readonly<Record<string, string>> => ({
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    `default-src 'none'; ${policy}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
});

/** Puts values where a page says `{{name}}`, escaped for text and for quoted attributes. @throws Error for a name without a value */
export function fillIn(page: string, values: Readonly<Record<string, string>>): string {
  return page.replaceAll(/\{\{\s*([\w.-]+)\s*\}\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`the page asks for ${name}, which has no value`);
    return value.replaceAll(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
  });
}

/** A part of a page, as its route and as the page refers to it. */
export interface PagePart {
  readonly route: Route;
  /** File name with the fingerprint: `page.js?v=…`. */
  reference(): Promise<string>;
}

const MEDIA_TYPES = { js: "text/javascript", css: "text/css", txt: "text/plain" } as const;

/**
 * Serves a script, a style sheet or a text of a page.
 * @param path ends in `.js`, `.css` or `.txt`
 * @param load reads the text; called once, when it is first asked for
 */
export function pagePart(path: `${string}.${keyof typeof MEDIA_TYPES}`, load: () => Promise<string>): PagePart {
  const type = MEDIA_TYPES[path.slice(path.lastIndexOf(".") + 1) as keyof typeof MEDIA_TYPES];
  const content = lazily(async () => fixedText(await load()));
  const route = defineRoute({
    method: "GET",
    path,
    summary: `Give a part of a page: ${path.slice(path.lastIndexOf("/") + 1)}`,
    tag: "Pages",
    access: { kind: "public" },
    query: z.object({
      v: z.string().max(64).optional().describe("Fingerprint: with the right one, the answer may be kept for ever."),
    }),
    output: z.string(),
    produces: type,
    revalidates: true,
    async handle(call) {
      const found = await content();
      const lasting = call.query.v === found.fingerprint;
      return revalidated(call, found, {
        "content-type": `${type}; charset=utf-8`,
        "cache-control": lasting ? "public, max-age=31536000, immutable" : "no-cache",
        "x-content-type-options": "nosniff",
      });
    },
  });
  return {
    route,
    reference: async () => `${path.slice(path.lastIndexOf("/") + 1)}?v=${(await content()).fingerprint}`,
  };
}
