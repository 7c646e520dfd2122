import { createHash, createHmac } from "node:crypto";
import { base64urlnopad } from "@scure/base";
import { framed } from "./framed.ts";

const SECRET_BYTES = 18;
/** `ak_`, 24 characters, a colon and a namespace of at most 64. */
const MAX_LENGTH = 3 + 24 + 1 + 64;
const WELL_FORMED = /^ak_[A-Za-z0-9_-]{24}:[A-Za-z0-9_][A-Za-z0-9_-]{0,63}$/;

/** Which of a wallet's keys is meant. */
export interface WalletKey {
  readonly namespace: string;
  /** In canonical spelling. */
  readonly wallet: string;
  /** Counts up by one when the key is revoked, so that the old one is never made again. */
  readonly serial: number;
}

/**
 * The API key of a wallet in a namespace. Always the same for the same serial, so that it can be shown again although only
 * its hash is stored.
 * @param subkey 32 bytes derived from the root key for this one use
 * @returns `ak_`, 24 characters of base64url (HMAC-SHA256, 144 bits of it), `:` and the namespace
 */
export function deriveWalletKey(subkey: Uint8Array, { namespace, wallet, serial }: WalletKey): string {
  const mac = createHmac("sha256", subkey).update(framed("wallet-key", namespace, wallet, serial)).digest();
  return keyOf(mac.subarray(0, SECRET_BYTES), namespace);
}

/** A new API key of the same form with 144 random bits. @param random cryptographically strong bytes */
export function randomKey(namespace: string, random: (n: number) => Uint8Array): string {
  return keyOf(random(SECRET_BYTES).subarray(0, SECRET_BYTES), namespace);
}

/**
 * What is stored in place of a key: SHA-256 over the whole key in lower-case hex. No salt and no stretching, because the
 * key has 144 bits that cannot be guessed, and every request must look it up.
 */
export function hashKey(key: string): string {
  return createHash("sha256").update(key).digest("hex");
}

/** Whether a text has the form of a key. Cheap, so that nothing else is ever looked up. */
export function isWellFormedKey(text: string): boolean {
  return text.length <= MAX_LENGTH && WELL_FORMED.test(text);
}

/** The namespace that a well-formed key names. It proves nothing until the key itself is found. */
export function namespaceOfKey(key: string): string {
  return key.slice(key.indexOf(":") + 1);
}

/** A key as it may be shown: enough to tell two apart (24 bits), none of the rest. What is not a key shows nothing of itself. */
export function maskKey(key: string): string {
  return isWellFormedKey(key) ? `${key.slice(0, 7)}…:${namespaceOfKey(key)}` : "…";
}

function keyOf(secret: Uint8Array, namespace: string): string {
  return `ak_${base64urlnopad.encode(secret)}:${namespace}`;
}
