/** A function that gives 32 bits for bytes. */
export type Hash = (salt: number, bytes: Uint8Array) => number;

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein): as long as the key is secret, nobody can choose texts that all come to the same,
 * which would make every look-up a search.
 * @param key 8 bytes that cannot be guessed
 */
export function hashWith(key: Uint8Array): Hash {
  const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
  const k0 = view.getInt32(0, true), k1 = view.getInt32(4, true);
  return (salt, bytes) => {
    let v0 = k0, v1 = k1, v2 = k0 ^ 0x6c796765, v3 = k1 ^ 0x74656462;
    const { length } = bytes;
    // The salt is the first word, the last one has what is left over, and the length.
    for (let at = -4; at <= length; at += 4) {
      let word = at < 0 ? salt : 0;
      if (at >= 0 && at + 4 <= length) {
        word = bytes[at]! | bytes[at + 1]! << 8 | bytes[at + 2]! << 16 | bytes[at + 3]! << 24;
      } else if (at >= 0) {
        word = length << 24;
        for (let i = at; i < length; i++) word |= bytes[i]! << 8 * (i - at);
      }
      v3 ^= word;
      v0 = v0 + v1 | 0, v1 = v1 << 5 | v1 >>> 27, v1 ^= v0, v0 = v0 << 16 | v0 >>> 16;
      v2 = v2 + v3 | 0, v3 = v3 << 8 | v3 >>> 24, v3 ^= v2;
      v0 = v0 + v3 | 0, v3 = v3 << 7 | v3 >>> 25, v3 ^= v0;
      v2 = v2 + v1 | 0, v1 = v1 << 13 | v1 >>> 19, v1 ^= v2, v2 = v2 << 16 | v2 >>> 16;
      v0 ^= word;
    }
    v2 ^= 0xff;
    for (let round = 0; round < 3; round++) {
      v0 = v0 + v1 | 0, v1 = v1 << 5 | v1 >>> 27, v1 ^= v0, v0 = v0 << 16 | v0 >>> 16;
      v2 = v2 + v3 | 0, v3 = v3 << 8 | v3 >>> 24, v3 ^= v2;
      v0 = v0 + v3 | 0, v3 = v3 << 7 | v3 >>> 25, v3 ^= v0;
      v2 = v2 + v1 | 0, v1 = v1 << 13 | v1 >>> 19, v1 ^= v2, v2 = v2 << 16 | v2 >>> 16;
    }
    return (v1 ^ v3) >>> 0;
  };
}
