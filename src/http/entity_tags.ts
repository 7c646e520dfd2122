import { GatewayError } from "../contracts/errors.ts";

/** Entity tags that a header names (RFC 9110, 8.8.3), without quotes: those that are compared strongly, and all of them. */
export interface EntityTags {
  readonly strong: readonly string[];
  readonly all: readonly string[];
}

const TAG = /(W\/)?"([\x21\x23-\x7e]*)"/g;

/**
 * The tags of `If-Match` or `If-None-Match`; `undefined` where the header is not there.
 * @throws GatewayError `INVALID_REQUEST` for a header that is no list of tags: to leave it out would change too much
 */
export function entityTagsOf(headers: Headers, name: "If-Match" | "If-None-Match"): EntityTags | "*" | undefined {
  const text = headers.get(name);
  if (text === null) return undefined;
  if (text.trim() === "*") return "*";
  const tags = [...text.matchAll(TAG)];
  if (tags.length === 0 || !/^[ \t,]*$/.test(text.replaceAll(TAG, ""))) {
    const problem = 'must be "*", or entity tags in quotes with commas in between';
    throw new GatewayError("INVALID_REQUEST", `${name}: ${problem}`, { details: [{ field: name, problem }] });
  }
  return {
    strong: tags.flatMap(([, weak, tag]) => weak === undefined ? [tag!] : []),
    all: tags.map(([, , tag]) => tag!),
  };
}

/**
 * Whether the client of a `GET` or `HEAD` has what is there (RFC 9110, 13.2.2).
 * @param etag as it stands in the answer: quoted, with `W/` where it is weak
 * @throws GatewayError `PRECONDITION_FAILED` where `If-Match` names others; `INVALID_REQUEST`
 */
export function isKnown(headers: Headers, etag: string): boolean {
  const [, weak, tag] = /^(W\/)?"(.*)"$/.exec(etag)!;
  const match = entityTagsOf(headers, "If-Match"), noneMatch = entityTagsOf(headers, "If-None-Match");
  if (match !== undefined && match !== "*" && (weak !== undefined || !match.strong.includes(tag!))) {
    throw new GatewayError("PRECONDITION_FAILED", "another version is there than the request expects");
  }
  return noneMatch === "*" || noneMatch?.all.includes(tag!) === true;
}

/** Whether `Range` counts: with `If-Range` only while that is the tag of what is there (RFC 9110, 13.1.5). */
export function rangeCounts(headers: Headers, etag: string): boolean {
  const expected = headers.get("if-range");
  return expected === null || expected.trim() === etag && !etag.startsWith("W/");
}
