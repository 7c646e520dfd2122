import type { CacheAddress } from "../../src/contracts/cache.ts";
import { invalid } from "./failures.ts";

/** Bytes of UTF-8 that a name may have. */
export const MAX_NAME_BYTES = 255;

/** @throws GatewayError `INVALID_REQUEST` for a map or key that cannot be one */
export function checkAddress({ map, key }: CacheAddress): void {
  if (isBlank(map)) throw missing("dmap", "dmap and key are required");
  if (isBlank(key)) throw missing("key", "dmap and key are required");
  checkText(map, "dmap");
  checkText(key, "key");
}

/** @throws GatewayError `INVALID_REQUEST` for a map that cannot be one */
export function checkMap(map: string): void {
  if (isBlank(map)) throw missing("dmap", "dmap is required");
  checkText(map, "dmap");
}

/** @throws GatewayError `INVALID_REQUEST` for the first of several keys that cannot be one */
export function checkKeys(keys: readonly string[]): void {
  for (let i = 0; i < keys.length; i++) checkKey(keys[i]!, () => `keys.${i}`);
}

/** @throws GatewayError `INVALID_REQUEST` for a key that cannot be one */
export function checkKey(key: string, field: () => string): void {
  if (isBlank(key)) throw missing(field(), `${field()} is required`);
  if (isPlain(key)) return;
  checkText(key, field());
}

/** Bytes of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    // Each half of a surrogate pair is half of four bytes.
    if (code > 0x7f) bytes += code > 0x7ff && !(code >= 0xd800 && code <= 0xdfff) ? 2 : 1;
  }
  return bytes;
}

function checkText(text: string, field: string): void {
  if (isPlain(text)) return;
  if (!text.isWellFormed()) throw invalid(field, "holds half of a surrogate pair, which no UTF-8 can hold");
  const bytes = utf8Bytes(text);
  if (bytes > MAX_NAME_BYTES) throw invalid(field, `has ${bytes} bytes of UTF-8; the most is ${MAX_NAME_BYTES}`);
}

/** Whether nothing can be wrong with a text that is not blank: so short, and well-formed. */
const isPlain = (text: string) => text.length * 3 <= MAX_NAME_BYTES && text.isWellFormed();

function isBlank(text: string): boolean {
  const first = text.charCodeAt(0);
  return !(first > 0x20 && first < 0x7f) && text.trim() === "";
}

const missing = (field: string, sentence: string) => invalid(field, "is missing or blank", sentence);
