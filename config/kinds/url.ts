import { type Kind, parsedKind } from "./kind.ts";

const asWritten = (value: string) => value;

/** An HTTP or HTTPS URL without user name, password or fragment. Becomes its normal form without a slash at the end. */
export const url: Kind<string> = parsedKind({
  name: "url",
  expected: "an http:// or https:// URL without user name and password",
  parse: (raw) => {
    const parsed = parseHttp(raw);
    return parsed && !hasCredentials(parsed) ? withoutSlash(parsed.href) : undefined;
  },
  toYaml: asWritten,
});

/** An HTTP or HTTPS URL that may itself hold a key, and so belongs into secret fields only. */
export const secretUrl: Kind<string> = parsedKind({
  name: "url",
  expected: "an http:// or https:// URL",
  parse: (raw) => parseHttp(raw)?.href,
  toYaml: asWritten,
});

/** Scheme, host and port, as a browser sends it (`https://app.example`). */
export const origin: Kind<string> = parsedKind({
  name: "origin",
  expected: "an origin such as https://app.example, without a path",
  parse: parseOrigin,
  toYaml: asWritten,
});

/** An {@link origin}, or `*` for all of them. */
export const originOrAny: Kind<string> = parsedKind({
  name: "origin or `*`",
  expected: 'an origin such as https://app.example, without a path, or "*"',
  parse: (raw) => raw === "*" ? raw : parseOrigin(raw),
  toYaml: asWritten,
});

/** Either a whole origin (no path, not even a slash) or one exact URL; becomes the normal form of the one or the other. */
export const originOrUrl: Kind<string> = parsedKind({
  name: "origin or url",
  expected: "an origin such as https://app.example, or an exact URL such as https://app.example/callback",
  parse: (raw) => {
    const parsed = parseHttp(raw);
    if (!parsed || hasCredentials(parsed)) return undefined;
    return isBare(raw) ? parsed.origin : parsed.href;
  },
  toYaml: asWritten,
});

function parseOrigin(raw: unknown): string | undefined {
  const parsed = parseHttp(raw);
  if (!parsed || hasCredentials(parsed) || parsed.pathname !== "/" || parsed.search) return undefined;
  return parsed.origin;
}

function parseHttp(raw: unknown): URL | undefined {
  // The URL parser forgives what a configuration should not contain: blanks, backslashes, a missing slash.
  if (typeof raw !== "string" || !/^https?:\/\/[^\s\\/?#][^\s\\#]*$/i.test(raw)) return undefined;
  return URL.parse(raw) ?? undefined;
}

const hasCredentials = ({ username, password }: URL) => username !== "" || password !== "";
const isBare = (raw: unknown) => /^[a-z]+:\/\/[^/?]+$/i.test(String(raw));
const withoutSlash = (href: string) => href.endsWith("/") ? href.slice(0, -1) : href;
