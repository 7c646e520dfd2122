import { invalid } from "./failures.ts";

const ENCODING = { alphabet: "base64url", omitPadding: true } as const;
/** Longer ones were never given: they are not looked at. */
const LONGEST = 1_024;

/** A driver's cursor as callers see it: with a sum of where it belongs, so that it is not taken for another map's. */
export function encodeCursor(namespace: string, map: string, cursor: string): string {
  return new TextEncoder().encode(`${sumOf(namespace, map, cursor)} ${cursor}`).toBase64(ENCODING);
}

/** The driver's cursor in a caller's. @throws GatewayError `INVALID_REQUEST` for one that no scan of this map gave */
export function decodeCursor(namespace: string, map: string, given: string): string {
  const [, sum, cursor] = /^([0-9a-z]+) (.*)$/s.exec(given.length <= LONGEST ? textOf(given) : "") ?? [];
  if (cursor === undefined || sum !== sumOf(namespace, map, cursor)) {
    throw invalid("cursor", "not one that a scan of this map gave; begin without it");
  }
  return cursor;
}

function textOf(base64: string): string {
  try {
    return new TextDecoder().decode(Uint8Array.fromBase64(base64, ENCODING));
  } catch {
    return "";
  }
}

/** FNV-1a in 32 bits. It finds mistakes, and is no secret: whoever makes one up sees no more than keys of their own. */
function sumOf(...texts: readonly string[]): string {
  let sum = 0x811c9dc5;
  for (const text of texts) {
    for (let i = 0; i <= text.length; i++) {
      // A number beyond all characters stands between two texts.
      sum = Math.imul(sum ^ (i < text.length ? text.charCodeAt(i) : 0x10000), 0x01000193);
    }
  }
  return (sum >>> 0).toString(36);
}
