/**
 * The file of an upload is a row of frames: kind (1 byte), length of the content (4 bytes, big-endian), nonce (12 bytes), content
 * encrypted by AES-256-GCM, tag (16 bytes). The key is the upload's own; authenticated with each frame are its kind and length, and
 * where its content stands in the upload, so that none can be moved.
 */

/** `data`: content that counts. `unproved`: content that counts once it is proved. `proof`: without content; what stands before it counts. */
export type FrameKind = "data" | "unproved" | "proof";

const KINDS: readonly FrameKind[] = ["data", "unproved", "proof"];

/** Bytes of content that a frame has at most. */
export const FRAME = 256 * 1024;
/** Bytes before the nonce. */
export const HEADER = 5;
const NONCE = 12, TAG = 16;
/** Bytes by which a frame is longer than its content. */
export const OVERHEAD = HEADER + NONCE + TAG;
/** Bytes of a key. */
export const KEY = 32;

/** What the beginning of a frame says. */
export interface FrameHeader {
  readonly kind: FrameKind;
  /** Bytes of content. */
  readonly length: number;
}

/** Reads the beginning of a frame. @returns `undefined` for what is none */
export function headerOf(bytes: Uint8Array): FrameHeader | undefined {
  if (bytes.length < HEADER) return undefined;
  const kind = KINDS[bytes[0]!];
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  const fits = kind === "proof" ? length === 0 : length > 0 && length <= FRAME;
  return kind !== undefined && fits ? { kind, length } : undefined;
}

/** Makes a key usable. @param bytes {@link KEY} of them */
export const frameKey = (bytes: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  crypto.subtle.importKey("raw", bytes, "AES-GCM", false, ["encrypt", "decrypt"]);

/**
 * Makes a frame.
 * @param offset where its content stands in the upload
 * @param random cryptographically strong bytes
 */
export async function makeFrame(
  key: CryptoKey,
  kind: FrameKind,
  offset: number,
  content: Uint8Array<ArrayBuffer>,
  random: (n: number) => Uint8Array,
): Promise<Uint8Array<ArrayBuffer>> {
  const frame = new Uint8Array(OVERHEAD + content.length);
  frame[0] = KINDS.indexOf(kind);
  new DataView(frame.buffer).setUint32(1, content.length);
  frame.set(random(NONCE), HEADER);
  const sealed = await crypto.subtle.encrypt(algorithmOf(frame, offset), key, content);
  frame.set(new Uint8Array(sealed), HEADER + NONCE);
  return frame;
}

/** What was staged is not what was written. */
export class Damaged extends Error {
  override readonly name = "Damaged";
}

/** The content of a frame. @throws Damaged, also for one that stood elsewhere */
export async function openFrame(
  key: CryptoKey,
  offset: number,
  frame: Uint8Array<ArrayBuffer>,
): Promise<Uint8Array<ArrayBuffer>> {
  try {
    const sealed = frame.subarray(HEADER + NONCE);
    return new Uint8Array(await crypto.subtle.decrypt(algorithmOf(frame, offset), key, sealed));
  } catch (cause) {
    throw new Damaged(`the frame of byte ${offset} does not open`, { cause });
  }
}

function algorithmOf(frame: Uint8Array<ArrayBuffer>, offset: number): AesGcmParams {
  const place = new Uint8Array(HEADER + 8);
  place.set(frame.subarray(0, HEADER));
  new DataView(place.buffer).setBigUint64(HEADER, BigInt(offset));
  return { name: "AES-GCM", iv: frame.subarray(HEADER, HEADER + NONCE), additionalData: place };
}
