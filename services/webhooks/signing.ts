import { Buffer } from "node:buffer";
import { httpbis } from "http-message-signatures";
import type { HeaderPairs } from "../../src/contracts/egress.ts";
import type { SigningKey } from "./keys.ts";

/** Milliseconds for which a signature is good: clocks may differ, and a request takes a while. */
export const SIGNATURE_LIFE = 5 * 60_000;

/** What of a request is signed (RFC 9421, 2): the body by its digest. */
const FIELDS = ["@method", "@target-uri", "content-digest", "content-type"];
const PARAMS = ["created", "expires", "nonce", "keyid", "alg"];

/** A request that is to be signed. */
export interface Unsigned {
  readonly url: string;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Not that of any other request: who has seen it refuses the second. */
  readonly nonce: string;
}

/**
 * The headers of a POST of JSON, signed by each of some keys (RFC 9421), with the digest of its body (RFC 9530).
 * @param now Unix milliseconds
 */
export async function signedHeaders(
  { url, body, nonce }: Unsigned,
  keys: readonly SigningKey[],
  now: number,
): Promise<HeaderPairs> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", body)).toBase64();
  let message = {
    method: "POST",
    url,
    headers: { "content-type": "application/json", "content-digest": `sha-256=:${digest}:` } as Record<string, string>,
  };
  for (const [at, { id, algorithm, sign }] of keys.entries()) {
    message = await httpbis.signMessage({
      name: `sig${at + 1}`,
      key: { id, alg: algorithm, sign: async (data) => Buffer.from(await sign(new Uint8Array(data))) },
      fields: FIELDS,
      params: PARAMS,
      paramValues: { created: new Date(now), expires: new Date(now + SIGNATURE_LIFE), nonce },
    }, message) as typeof message;
  }
  return Object.entries(message.headers).map(([name, value]) => [name.toLowerCase(), value]);
}
