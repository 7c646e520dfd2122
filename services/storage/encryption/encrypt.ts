import { mapAhead, pieces } from "./ahead.ts";
import { CHUNK, headerOf, nonceOf, SALT } from "./format.ts";
import { objectKey } from "./keys.ts";

/** Chunks at work at once. */
const AHEAD = 4;

/**
 * Encrypts a file while it passes; a few chunks of it are held.
 * @param key of the namespace
 * @param random cryptographically strong bytes: equal files differ
 */
export async function* encrypted(
  content: AsyncIterable<Uint8Array>,
  key: Uint8Array,
  random: (n: number) => Uint8Array,
): AsyncGenerator<Uint8Array> {
  const salt = random(SALT);
  const header = headerOf(salt);
  const own = await objectKey(key, salt);
  yield header;
  yield* mapAhead(numbered(content), AHEAD, async ({ piece, index, last }) => {
    const algorithm = { name: "AES-GCM", iv: nonceOf(index, last), additionalData: header };
    return new Uint8Array(await crypto.subtle.encrypt(algorithm, own, piece));
  });
}

interface Piece {
  readonly piece: Uint8Array<ArrayBuffer>;
  readonly index: number;
  readonly last: boolean;
}

/** Pieces with their numbers, each when it is known whether it is the last. */
async function* numbered(content: AsyncIterable<Uint8Array>): AsyncGenerator<Piece> {
  let before: Uint8Array<ArrayBuffer> | undefined;
  let index = 0;
  for await (const piece of pieces(content, CHUNK)) {
    if (before !== undefined) yield { piece: before, index: index++, last: false };
    before = piece;
  }
  yield { piece: before ?? new Uint8Array(), index, last: true };
}
