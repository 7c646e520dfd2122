import { GatewayError } from "../contracts/errors.ts";

/** A string as structured fields have it (RFC 9651, 3.3.3). */
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;
/** The same without quotes, as most clients send it. A comma shows that the header came more than once. */
const BARE = /^[\x20\x21\x23-\x2b\x2d-\x7e][\x20-\x2b\x2d-\x7e]*$/;
const MAX_LENGTH = 255;

/**
 * The key by which a request may be repeated (draft-ietf-httpapi-idempotency-key-header-07); `undefined` without the header.
 * @throws GatewayError `INVALID_REQUEST`
 */
export function idempotencyKeyOf(headers: Headers): string | undefined {
  const value = headers.get("idempotency-key");
  if (value === null) return undefined;
  const [, quoted] = QUOTED.exec(value) ?? [];
  const key = quoted?.replace(/\\(.)/g, "$1") ?? (BARE.test(value) ? value : "");
  if (key.length >= 1 && key.length <= MAX_LENGTH) return key;
  const problem = `must be one key of 1 to ${MAX_LENGTH} printable ASCII characters; one with a comma stands in quotes`;
  throw wrongKey(problem);
}

/**
 * For what writes and takes no key: whoever sends one believes that repeating is safe.
 * @param problem ends the sentence that the header's name begins
 * @throws GatewayError `INVALID_REQUEST` where there is one
 */
export function refuseIdempotencyKey(headers: Headers, problem: string): void {
  if (headers.has("idempotency-key")) throw wrongKey(problem);
}

const wrongKey = (problem: string) =>
  new GatewayError("INVALID_REQUEST", `Idempotency-Key: ${problem}`, {
    details: [{ field: "Idempotency-Key", problem }],
  });
