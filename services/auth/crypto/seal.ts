import { createCipheriv, createDecipheriv } from "node:crypto";
import { base64urlnopad } from "@scure/base";
import { utf8ToBytes } from "@noble/hashes/utils.js";

/** Names the form of a sealed text, so that another cipher can follow. */
const FORM = "v1.";
const IV_BYTES = 12;
const TAG_BYTES = 16;

/** What was sealed cannot be opened: another key, another context, or damaged. The message never holds any of it. */
export class SealError extends Error {
  override readonly name = "SealError";
}

/**
 * Encrypts a secret for storage (AES-256-GCM, random 96-bit IV).
 * @param key 32 bytes; one key may seal 2^32 texts
 * @param context where it will stand, such as `signing-key:<kid>`; it opens there only
 * @param random cryptographically strong bytes
 * @returns `v1.` and base64url, fit for a text column
 */
export function seal(key: Uint8Array, secret: string, context: string, random: (n: number) => Uint8Array): string {
  const iv = random(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(utf8ToBytes(FORM + context));
  const sealed = Buffer.concat([iv, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return FORM + base64urlnopad.encode(sealed);
}

/**
 * Opens what {@link seal} made.
 * @throws SealError when key, context or any bit of it is not the same
 */
export function open(key: Uint8Array, sealed: string, context: string): string {
  try {
    if (!sealed.startsWith(FORM)) throw new Error("unknown form");
    const bytes = base64urlnopad.decode(sealed.slice(FORM.length));
    if (bytes.length < IV_BYTES + TAG_BYTES) throw new Error("too short");
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(utf8ToBytes(FORM + context));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    const opened = [decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()];
    return Buffer.concat(opened).toString("utf8");
  } catch (cause) {
    throw new SealError("a sealed secret cannot be opened: the root key is another one, or the record was changed", {
      cause,
    });
  }
}
