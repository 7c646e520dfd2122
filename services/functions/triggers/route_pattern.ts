import { invalid } from "./failures.ts";

const LONGEST_PATH = 512;
const MOST_SEGMENTS = 32;
const PARAM = /^:([A-Za-z_][A-Za-z0-9_]*)$/;

/** One segment of a pattern: a text, a parameter by name, or all the rest. */
export type Segment =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "param"; readonly name: string }
  | { readonly kind: "rest" };

/** A pattern of paths. */
export interface RoutePattern {
  /** With one slash in front, and its texts encoded in one way. */
  readonly path: string;
  /** The same for all patterns that take the same paths. */
  readonly key: string;
  readonly segments: readonly Segment[];
}

/**
 * Reads `/orders/:id/files/*`: segments with slashes between them, of which `:name` takes any one that is not empty, and a last `*` all
 * the rest, none included. Texts may be percent-encoded (RFC 3986, 2.1), and mean what they are decoded.
 * @throws GatewayError `INVALID_REQUEST`
 */
export function readPattern(written: string): RoutePattern {
  if (written.length > LONGEST_PATH) throw invalid("path", `has more than ${LONGEST_PATH} characters`);
  const bare = written.replace(/^\//, "");
  const parts = bare === "" ? [] : bare.split("/");
  if (parts.length > MOST_SEGMENTS) throw invalid("path", `has more than ${MOST_SEGMENTS} segments`);
  const segments = parts.map((part, at) => readSegment(part, at === parts.length - 1));
  const names = segments.flatMap((segment) => segment.kind === "param" ? [segment.name] : []);
  if (new Set(names).size < names.length) throw invalid("path", "names two parameters the same");
  const spelled = (nameOf: (name: string) => string) =>
    `/${segments.map((segment) => spelling(segment, nameOf)).join("/")}`;
  return { path: spelled((name) => name), key: spelled(() => ""), segments };
}

function spelling(segment: Segment, nameOf: (name: string) => string): string {
  switch (segment.kind) {
    case "text":
      return encodeURIComponent(segment.text);
    case "param":
      return `:${nameOf(segment.name)}`;
    case "rest":
      return "*";
  }
}

function readSegment(part: string, isLast: boolean): Segment {
  if (part === "") throw invalid("path", "has an empty segment");
  if (part === "*") {
    if (!isLast) throw invalid("path", "has a * that is not its last segment");
    return { kind: "rest" };
  }
  if (part.startsWith(":")) {
    const name = PARAM.exec(part)?.[1];
    if (name === undefined) throw invalid("path", "names a parameter with other than letters, digits and _");
    return { kind: "param", name };
  }
  const text = /[\s?#]/.test(part) || !part.isWellFormed() ? undefined : decoded(part);
  if (text === undefined) throw invalid("path", "holds what no path of a URL can hold");
  // Clients resolve these before they ask (RFC 3986, 5.2.4), so nobody would ever ask for them.
  if (text === "." || text === "..") throw invalid("path", "has a segment of dots alone");
  return { kind: "text", text };
}

/** The text of a percent-encoded segment; `undefined` for what is not UTF-8. */
export function decoded(segment: string): string | undefined {
  if (!segment.includes("%")) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}
