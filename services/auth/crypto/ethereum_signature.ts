import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import * as secp256k1 from "@noble/secp256k1";

/** 65 bytes in hex with `0x`, and room for blanks around it. */
const MAX_SIGNATURE_TEXT = 256;
const HALF_ORDER = secp256k1.Point.CURVE().n >> 1n;

/** What is checked: that `wallet` signed `message`. */
export interface EthereumClaim {
  /** The signer, `0x` and 40 lower-case hex digits. */
  readonly wallet: string;
  /** The text that the wallet was shown; its UTF-8 bytes were signed. */
  readonly message: string;
  /** As `personal_sign` returns it: see {@link recoverAddress}. */
  readonly signature: string;
}

/** The digest that wallets sign for `personal_sign`: Keccak-256 over prefix, length in bytes, and message (EIP-191, version `E`). */
export function personalMessageHash(message: string): Uint8Array {
  const bytes = utf8ToBytes(message);
  return keccak_256(concatBytes(utf8ToBytes(`\x19Ethereum Signed Message:\n${bytes.length}`), bytes));
}

/** Whether a key's wallet made this `personal_sign` signature. Never throws; what is malformed is `false`. */
export function verifyPersonalSignature({ wallet, message, signature }: EthereumClaim): boolean {
  return recoverAddress(personalMessageHash(message), signature) === wallet;
}

/**
 * The address whose key signed a digest.
 * @param signature 65 bytes r‖s‖v in hex, `0x` and blanks around it optional; v is 27, 28, 0 or 1. The compact 64 bytes of
 *   ERC-2098 are refused: nothing that signs texts makes them, and one signature should have one spelling.
 * @returns lower case with `0x`; `undefined` for anything malformed, r or s out of range, and s above half the order (EIP-2)
 */
export function recoverAddress(hash: Uint8Array, signature: string): string | undefined {
  if (signature.length > MAX_SIGNATURE_TEXT) return undefined;
  const bytes = bytesOfHex(signature.trim(), 65);
  if (bytes?.length !== 65) return undefined;
  const last = bytes[64]!;
  const recovery = last >= 27 ? last - 27 : last;
  if (recovery > 1 || isHigh(bytes.subarray(32, 64))) return undefined;
  try {
    // noble wants the recovery bit in front; without `prehash: false` it would hash the digest once more.
    const recoverable = concatBytes(Uint8Array.of(recovery), bytes.subarray(0, 64));
    const key = secp256k1.recoverPublicKey(recoverable, hash, { prehash: false, isCompressed: false });
    return "0x" + bytesToHex(keccak_256(key.subarray(1)).subarray(12));
  } catch {
    return undefined;
  }
}

/**
 * Reads hex with or without `0x`.
 * @param maxBytes more are refused by the length of the text, before anything is decoded
 * @returns `undefined` for an odd length, anything that is not a hex digit, and too much
 */
export function bytesOfHex(text: string, maxBytes: number): Uint8Array | undefined {
  if (text.length > 2 + 2 * maxBytes) return undefined;
  const digits = /^0[xX]/.test(text) ? text.slice(2) : text;
  return digits.length % 2 === 0 && digits.length <= 2 * maxBytes && /^[0-9a-fA-F]*$/.test(digits)
    ? hexToBytes(digits)
    : undefined;
}

function isHigh(s: Uint8Array): boolean {
  return BigInt("0x" + bytesToHex(s)) > HALF_ORDER;
}
