/**
 * Joins values so that no other list of values gives the same bytes: each is preceded by its length. What a MAC or an
 * AAD covers is always built by this.
 * @param parts texts are taken as UTF-16, so that even ill-formed ones stay apart; numbers are safe integers
 */
export function framed(...parts: readonly (string | number | Uint8Array)[]): Uint8Array {
  const pieces: Uint8Array[] = [];
  for (const part of parts) {
    const bytes = part instanceof Uint8Array ? part : Buffer.from(String(part), "utf16le");
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length);
    pieces.push(length, bytes);
  }
  return Buffer.concat(pieces);
}
