/** Bytes from the beginning of content by which its type is told. */
export const SNIFFED_BYTES = 512;

/** The media type that a name's ending stands for. */
export async function typeByName(name: string): Promise<string | undefined> {
  // A name without a dot is taken for an ending by itself.
  if (!name.includes(".")) return undefined;
  const { default: mime } = await import("mime");
  return mime.getType(name) ?? undefined;
}

const ascii = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Signatures by which a format is known, in the order of https://mimesniff.spec.whatwg.org: offset, bytes, type. */
const SIGNATURES: readonly (readonly [offset: number, bytes: Uint8Array, type: string])[] = [
  [0, ascii("\x89PNG\r\n\x1a\n"), "image/png"],
  [0, ascii("\xff\xd8\xff"), "image/jpeg"],
  [0, ascii("GIF8"), "image/gif"],
  [8, ascii("WEBPVP"), "image/webp"],
  [4, ascii("ftypavif"), "image/avif"],
  [0, ascii("%PDF-"), "application/pdf"],
  [4, ascii("ftypM4A"), "audio/mp4"],
  [4, ascii("ftyp"), "video/mp4"],
  [0, ascii("\x1a\x45\xdf\xa3"), "video/webm"],
  [0, ascii("OggS\0"), "application/ogg"],
  [8, ascii("WAVE"), "audio/wav"],
  [0, ascii("ID3"), "audio/mpeg"],
  [0, ascii("fLaC"), "audio/flac"],
  [0, ascii("PK\x03\x04"), "application/zip"],
  [0, ascii("\x1f\x8b\x08"), "application/gzip"],
  [0, ascii("\x28\xb5\x2f\xfd"), "application/zstd"],
  [0, ascii("\0asm"), "application/wasm"],
];

/**
 * The media type by how content begins. What may do something in a browser, such as HTML, is never guessed: it is text.
 * @param head the first {@link SNIFFED_BYTES}, or all where there are fewer
 */
export function typeByContent(head: Uint8Array): string | undefined {
  if (head.length === 0) return undefined;
  for (const [offset, bytes, type] of SIGNATURES) {
    if (head.length >= offset + bytes.length && bytes.every((byte, i) => head[offset + i] === byte)) return type;
  }
  return isText(head) ? "text/plain; charset=utf-8" : undefined;
}

function isText(head: Uint8Array): boolean {
  if (head.some((byte) => byte < 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0c && byte !== 0x0d)) {
    return false;
  }
  try {
    // The last character may be cut.
    new TextDecoder("utf-8", { fatal: true }).decode(head, { stream: true });
    return true;
  } catch {
    return false;
  }
}
