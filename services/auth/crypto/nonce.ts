import { createHmac } from "node:crypto";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { constantTimeEqual } from "./constant_time.ts";
import { framed } from "./framed.ts";
import type { Wallet } from "./wallet.ts";

/** Milliseconds in 6 bytes, chance in 10, the MAC's first 16. */
const EXPIRY_BYTES = 6;
const RANDOM_BYTES = 10;
const HEAD_BYTES = EXPIRY_BYTES + RANDOM_BYTES;
const SIZE = 32;
const LENGTH = 43;
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const VALUE_OF = new Map([...DIGITS].map((digit, value) => [digit, BigInt(value)]));

/** What a nonce is good for, and for whom. */
export interface NonceBinding {
  readonly wallet: Pick<Wallet, "chain" | "canonical">;
  readonly namespace: string;
}

/** A nonce as the challenge hands it out. */
export interface IssuedNonce {
  /** 43 characters of A–Z, a–z, 0–9: as long as the older base64url nonces, and fit for EIP-4361. */
  readonly nonce: string;
  /** Unix milliseconds; from then on it is refused. */
  readonly expiresAt: number;
}

/** What {@link Nonces.check} found. `foreign`: not made here, or for another wallet, namespace or purpose. */
export type NonceVerdict =
  | { readonly ok: true; readonly purpose: string; readonly expiresAt: number }
  | { readonly ok: false; readonly reason: "malformed" | "foreign" | "expired" };

/**
 * Nonces that need no storage until they are used: each carries its expiry and a MAC over what it is bound to, so every
 * gateway with the same key checks those of all others. Single use is not decided here: the caller stores a nonce that
 * was used until {@link IssuedNonce.expiresAt}.
 */
export class Nonces {
  readonly #key: Uint8Array;

  /**
   * @param key 32 bytes, the same on all gateways of a cluster
   * @param now Unix milliseconds
   * @param random cryptographically strong bytes
   */
  constructor(key: Uint8Array, private readonly now: () => number, private readonly random: (n: number) => Uint8Array) {
    if (key.length !== 32) throw new RangeError("a nonce key has 32 bytes");
    this.#key = key.slice();
  }

  /** Makes a nonce. @param ttl milliseconds for which it is good */
  issue({ wallet, namespace, purpose, ttl }: NonceBinding & { purpose: string; ttl: number }): IssuedNonce {
    const expiresAt = Math.floor(this.now() + ttl);
    const bytes = new Uint8Array(SIZE);
    bytes.set(hexToBytes(expiresAt.toString(16).padStart(2 * EXPIRY_BYTES, "0")));
    bytes.set(this.random(RANDOM_BYTES).subarray(0, RANDOM_BYTES), EXPIRY_BYTES);
    bytes.set(this.#mac(bytes.subarray(0, HEAD_BYTES), wallet, namespace, purpose), HEAD_BYTES);
    return { nonce: base62(bytes), expiresAt };
  }

  /**
   * Whether a nonce was made for this wallet and namespace and one of the purposes, and is still good.
   * @param purposes those that the operation accepts; the one that matches is returned. Keep the list short: each costs a MAC.
   */
  check(nonce: string, { wallet, namespace, purposes }: NonceBinding & { purposes: readonly string[] }): NonceVerdict {
    const bytes = bytesOfBase62(nonce);
    if (bytes === undefined) return { ok: false, reason: "malformed" };
    const head = bytes.subarray(0, HEAD_BYTES);
    const mac = bytes.subarray(HEAD_BYTES);
    const purpose = purposes.find((name) => constantTimeEqual(this.#mac(head, wallet, namespace, name), mac));
    if (purpose === undefined) return { ok: false, reason: "foreign" };
    const expiresAt = parseInt(bytesToHex(head.subarray(0, EXPIRY_BYTES)), 16);
    return this.now() < expiresAt ? { ok: true, purpose, expiresAt } : { ok: false, reason: "expired" };
  }

  #mac(head: Uint8Array, wallet: NonceBinding["wallet"], namespace: string, purpose: string): Uint8Array {
    const bound = framed("nonce", head, wallet.chain, wallet.canonical, namespace, purpose);
    return createHmac("sha256", this.#key).update(bound).digest().subarray(0, SIZE - HEAD_BYTES);
  }
}

function base62(bytes: Uint8Array): string {
  let value = BigInt("0x" + bytesToHex(bytes));
  let text = "";
  for (; value > 0n; value /= 62n) text = DIGITS.charAt(Number(value % 62n)) + text;
  return text.padStart(LENGTH, "0");
}

/** Each value has one spelling only: 43 digits hold a little more than 32 bytes, and what exceeds them is refused. */
function bytesOfBase62(text: string): Uint8Array | undefined {
  if (text.length !== LENGTH) return undefined;
  let value = 0n;
  for (const character of text) {
    const digit = VALUE_OF.get(character);
    if (digit === undefined) return undefined;
    value = value * 62n + digit;
  }
  return value >> BigInt(8 * SIZE) === 0n ? hexToBytes(value.toString(16).padStart(2 * SIZE, "0")) : undefined;
}
