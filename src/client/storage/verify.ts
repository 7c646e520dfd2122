import { invalidResponse, OramaError } from "../errors.ts";

/** A CID of version 1 in base32, of a raw block by sha2-256. */
const RAW_BLOCK = /^b([a-z2-7]{58})$/;
const PREFIX = [0x01, 0x55, 0x12, 0x20];
/** Bytes of one block; what has more is none that a network would pass on. */
const LARGEST = 4 * 1024 * 1024;
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

/** The digest that the CID of a single block holds. @throws OramaError `NOT_SUPPORTED` for any other place */
export function digestOf(place: string): Uint8Array {
  const [, text] = RAW_BLOCK.exec(place) ?? [];
  const bytes = text === undefined ? [] : fromBase32(text);
  if (PREFIX.every((byte, at) => bytes[at] === byte)) return Uint8Array.from(bytes.slice(PREFIX.length));
  throw new OramaError(
    `verify checks files that are one block (bafkrei…) alone, not ${place}: downloadCar gives blocks that prove themselves`,
    { code: "NOT_SUPPORTED" },
  );
}

/**
 * All bytes of a stream, once they are known to be those of the digest.
 * @throws OramaError `CONTENT_MISMATCH` for others; what reading throws
 */
export async function checkBytes(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  digest: Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const piece of piecesOf(stream)) {
    if ((size += piece.byteLength) > LARGEST) throw invalidResponse("it has more bytes than a block can have");
    pieces.push(piece);
  }
  const bytes = await new Blob(pieces).arrayBuffer();
  const found = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  if (found.every((byte, at) => byte === digest[at])) return new Uint8Array(bytes);
  throw new OramaError("the bytes that came are not those of the CID: they are damaged, or held encrypted", {
    code: "CONTENT_MISMATCH",
  });
}

/** Not every browser iterates over streams. Leaving the loop cancels the stream. */
async function* piecesOf<T>(stream: ReadableStream<T>): AsyncGenerator<T, void, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

function fromBase32(text: string): number[] {
  const bytes: number[] = [];
  let bits = 0, value = 0;
  for (const letter of text) {
    value = (value << 5 | ALPHABET.indexOf(letter)) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes.push(value >> (bits -= 8) & 0xff);
  }
  return bytes;
}
