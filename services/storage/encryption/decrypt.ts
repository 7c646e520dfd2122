import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ByteRange } from "../../../src/contracts/storage.ts";
import { mapAhead, pieces } from "./ahead.ts";
import { CHUNK, chunkCount, HEADER, nonceOf, plainSize, saltOf, TAG } from "./format.ts";
import { objectKey } from "./keys.ts";

/** Chunks at work at once. */
const AHEAD = 4;

/** Reads a part of what the engine has. */
export type ReadEncrypted = (range: ByteRange, lent?: boolean) => AsyncIterable<Uint8Array>;

/** A file that was encrypted. */
export interface DecryptedFile {
  /** Bytes of the file itself. */
  readonly size: number;
  /** @throws GatewayError `UNAVAILABLE` before the first byte that does not open */
  read(range: ByteRange | undefined): AsyncIterable<Uint8Array>;
}

/**
 * Opens an encrypted file: its header, and its last chunk, by which its size is proved.
 * @param key of the namespace that encrypted it
 * @param size bytes of it as the engine has it
 * @throws GatewayError `UNAVAILABLE` for another key, or what is not whole
 */
export async function openEncrypted(key: Uint8Array, size: number, read: ReadEncrypted): Promise<DecryptedFile> {
  const chunks = chunkCount(size);
  const header = await whole(read({ offset: 0, length: Math.min(HEADER, size) }));
  let plain: number, own: CryptoKey;
  try {
    plain = plainSize(size);
    own = await objectKey(key, saltOf(header));
  } catch (cause) {
    throw cannotOpen(cause);
  }
  const open = async (chunk: Uint8Array<ArrayBuffer>, index: number) => {
    const iv = nonceOf(index, index === chunks - 1);
    try {
      return new Uint8Array(await crypto.subtle.decrypt({ name: "AES-GCM", iv, additionalData: header }, own, chunk));
    } catch (cause) {
      throw cannotOpen(cause);
    }
  };
  const place = (first: number, last: number) => {
    const offset = HEADER + first * (CHUNK + TAG);
    return { offset, length: Math.min(HEADER + (last + 1) * (CHUNK + TAG), size) - offset };
  };
  await open(await whole(read(place(chunks - 1, chunks - 1))), chunks - 1);

  async function* range({ offset, length }: ByteRange): AsyncGenerator<Uint8Array> {
    if (length === 0) return;
    const first = Math.floor(offset / CHUNK), last = Math.floor((offset + length - 1) / CHUNK);
    let index = first, at = first * CHUNK;
    const opened = mapAhead(
      pieces(read(place(first, last), true), CHUNK + TAG),
      AHEAD,
      (chunk) => open(chunk, index++),
    );
    for await (const chunk of opened) {
      yield chunk.subarray(Math.max(0, offset - at), Math.min(chunk.length, offset + length - at));
      at += chunk.length;
    }
    if (at < offset + length) throw cannotOpen(new Error("it ends too early"));
  }
  return { size: plain, read: (wanted = { offset: 0, length: plain }) => range(wanted) };
}

async function whole(source: AsyncIterable<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks = await Array.fromAsync(source);
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

const cannotOpen = (cause: unknown) =>
  new GatewayError("UNAVAILABLE", "the content cannot be decrypted with the key of this gateway", {
    cause,
    retryAfter: 60,
  });
