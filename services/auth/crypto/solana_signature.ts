import { createPublicKey, verify } from "node:crypto";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { base58, base64 } from "@scure/base";

/** SubjectPublicKeyInfo of an Ed25519 key, up to the key itself (RFC 8410). */
const SPKI_PREFIX = hexToBytes("302a300506032b6570032100");
const MAX_SIGNATURE_TEXT = 256;
const BASE64_OF_64_BYTES = /^[A-Za-z0-9+/]{86}==$/;
const BASE58_OF_64_BYTES = /^[1-9A-HJ-NP-Za-km-z]{64,88}$/;
/** 2^255 - 19. */
const FIELD_PRIME = 2n ** 255n - 19n;
/** The y coordinates of the eight points whose order divides 8. Whoever names one as key can forge signatures of it. */
const SMALL_ORDER_Y = new Set([
  0n,
  1n,
  FIELD_PRIME - 1n,
  littleEndian(hexToBytes("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05")),
  littleEndian(hexToBytes("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a")),
]);

/** What is checked: that `wallet` signed `message`. */
export interface SolanaClaim {
  /** The signer: base58 of its Ed25519 key. */
  readonly wallet: string;
  /** The text that the wallet was shown; its UTF-8 bytes were signed, with nothing around them. */
  readonly message: string;
  /** 64 bytes in standard base64 with padding, or in base58 as Solana's own tools print them. No text is both. */
  readonly signature: string;
}

/**
 * Whether a Solana wallet made this signature. As strict as Solana itself: keys and R of small order or with a
 * non-canonical encoding are refused, and so is S beyond the group's order (RFC 8032, 5.1.7). Never throws; what is
 * malformed is `false`.
 */
export function verifySolanaSignature({ wallet, message, signature }: SolanaClaim): boolean {
  const bytes = bytesOfSignature(signature);
  const key = wallet.length <= 44 && /^[1-9A-HJ-NP-Za-km-z]+$/.test(wallet) ? base58.decode(wallet) : undefined;
  if (bytes?.length !== 64 || key?.length !== 32 || isWeakPoint(key) || isWeakPoint(bytes.subarray(0, 32))) {
    return false;
  }
  try {
    const spki = Buffer.from(concatBytes(SPKI_PREFIX, key));
    return verify(null, utf8ToBytes(message), createPublicKey({ key: spki, format: "der", type: "spki" }), bytes);
  } catch {
    return false;
  }
}

function bytesOfSignature(text: string): Uint8Array | undefined {
  const signature = text.length <= MAX_SIGNATURE_TEXT ? text.trim() : "";
  if (BASE64_OF_64_BYTES.test(signature)) return decoded(() => base64.decode(signature));
  return BASE58_OF_64_BYTES.test(signature) ? decoded(() => base58.decode(signature)) : undefined;
}

function decoded(decode: () => Uint8Array): Uint8Array | undefined {
  try {
    return decode();
  } catch {
    return undefined;
  }
}

function isWeakPoint(encoded: Uint8Array): boolean {
  const y = littleEndian(encoded) & (2n ** 255n - 1n);
  return y >= FIELD_PRIME || SMALL_ORDER_Y.has(y);
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt("0x" + bytesToHex(bytes.toReversed()));
}
