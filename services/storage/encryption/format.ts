/*
 * What the engine gets in place of a file:
 *
 *     "orama-e1" (8 bytes) | salt (32) | chunk 0 | chunk 1 | … | chunk n-1
 *
 * A chunk is up to 64 KiB of the file under AES-256-GCM, and its tag of 16 bytes; all but the last are full, and only that of an
 * empty file is empty. The key is the object's own; the nonce is the chunk's number (11 bytes, big-endian) and whether it is the
 * last (1 byte); the header is authenticated with each chunk. That is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015), as in
 * https://c2sp.org/age: chunks that are left out, changed, moved or from another object do not open.
 */

/** Bytes of a file in one chunk. */
export const CHUNK = 64 * 1024;
/** Bytes by which a chunk is longer than what is in it. */
export const TAG = 16;
/** Bytes of the salt. */
export const SALT = 32;
const MAGIC = new TextEncoder().encode("orama-e1");
/** Bytes before the first chunk. */
export const HEADER = MAGIC.length + SALT;

/** The beginning of an encrypted file. */
export function headerOf(salt: Uint8Array): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(HEADER);
  header.set(MAGIC);
  header.set(salt, MAGIC.length);
  return header;
}

/** The salt in a header. @throws Error for bytes that are none */
export function saltOf(header: Uint8Array): Uint8Array<ArrayBuffer> {
  if (header.length !== HEADER || MAGIC.some((byte, i) => header[i] !== byte)) throw new Error("this is not encrypted");
  return header.slice(MAGIC.length);
}

/** Bytes of the file in an encrypted one of so many bytes. @throws Error for a length that none has */
export function plainSize(size: number): number {
  const chunks = chunkCount(size);
  const last = size - HEADER - (chunks - 1) * (CHUNK + TAG) - TAG;
  if (last < 0 || (last === 0 && chunks > 1)) throw new Error(`nothing encrypted has ${size} bytes`);
  return (chunks - 1) * CHUNK + last;
}

/** How many chunks an encrypted file of so many bytes has. */
export const chunkCount = (size: number): number => Math.max(1, Math.ceil((size - HEADER) / (CHUNK + TAG)));

/** The nonce of one chunk. */
export function nonceOf(index: number, last: boolean): Uint8Array<ArrayBuffer> {
  const nonce = new Uint8Array(12);
  const view = new DataView(nonce.buffer);
  view.setUint32(3, Math.floor(index / 2 ** 32));
  view.setUint32(7, index % 2 ** 32);
  nonce[11] = last ? 1 : 0;
  return nonce;
}
