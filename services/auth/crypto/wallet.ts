import { keccak_256 } from "@noble/hashes/sha3.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { base58 } from "@scure/base";
import { GatewayError } from "../../../src/contracts/errors.ts";

/** Families of wallets that can sign in, as `chain_type` names them. */
export type Chain = "ETH" | "SOL";

/** A wallet with the one spelling by which it is stored and compared. */
export interface Wallet {
  readonly chain: Chain;
  /** ETH: `0x` and 40 lower-case hex digits. SOL: base58, where letter case matters. No spelling belongs to both. */
  readonly canonical: string;
  /** For people: with the EIP-55 checksum on Ethereum, else as {@link canonical}. */
  readonly display: string;
}

const ETHEREUM = /^(?:0[xX])?[0-9a-fA-F]{40}$/;
const BASE58 = /^[1-9A-HJ-NP-Za-km-z]{32,44}$/;
/** The longest wallet there is has 44 characters; the rest is room for blanks around it. */
const MAX_LENGTH = 64;

/**
 * Gives a wallet its one spelling. Blanks around it are dropped, `0x` may be missing. A mixed-case Ethereum address whose
 * EIP-55 checksum is wrong is accepted, as older clients send such: signing in proves the address anyway. Where an
 * address is taken on trust (inviting a member), {@link trustedWallet} asks for more.
 * @param chain without it the spelling decides: 40 hex digits are Ethereum, all else is Solana
 * @param field names it in the error
 * @throws GatewayError `INVALID_REQUEST`
 */
export function canonicalWallet(wallet: string, chain?: Chain, field = "wallet"): Wallet {
  const text = wallet.length <= MAX_LENGTH ? wallet.trim() : "";
  const family = chain ?? (ETHEREUM.test(text) || /^0[xX]/.test(text) ? "ETH" : "SOL");
  if (family === "ETH") {
    if (!ETHEREUM.test(text)) throw notAWallet("must be an Ethereum address: 0x and 40 hex digits", field);
    const canonical = "0x" + text.slice(-40).toLowerCase();
    return { chain: "ETH", canonical, display: checksumAddress(canonical) };
  }
  if (!isSolanaAddress(text)) {
    throw notAWallet(
      chain === "SOL"
        ? "must be a Solana address: base58 of 32 bytes"
        : "must be an Ethereum address (0x and 40 hex digits) or a Solana address (base58 of 32 bytes)",
      field,
    );
  }
  return { chain: "SOL", canonical: text, display: text };
}

/**
 * The mixed-case spelling of an Ethereum address that detects typing errors (EIP-55).
 * @param address `0x` and 40 hex digits in any case
 */
export function checksumAddress(address: string): string {
  const digits = address.slice(2).toLowerCase();
  const hash = bytesToHex(keccak_256(utf8ToBytes(digits)));
  let text = "0x";
  for (let i = 0; i < digits.length; i++) {
    text += hash.charAt(i) >= "8" ? digits.charAt(i).toUpperCase() : digits.charAt(i);
  }
  return text;
}

/**
 * Whether an address carries no sign of a typing error: all letters in one case (no checksum), or the EIP-55 checksum is
 * right. Always true for Solana.
 * @param wallet as a person wrote it
 */
export function hasSoundChecksum(wallet: string): boolean {
  if (wallet.length > MAX_LENGTH || !ETHEREUM.test(wallet.trim())) return true;
  const digits = wallet.trim().slice(-40);
  if (digits === digits.toLowerCase() || digits === digits.toUpperCase()) return true;
  return checksumAddress("0x" + digits) === "0x" + digits;
}

/**
 * The one spelling of a wallet that is written down on trust, such as a member's: a mistyped address must not become
 * somebody's right.
 * @param field names it in the error
 * @throws GatewayError `INVALID_REQUEST`
 */
export function trustedWallet(wallet: string, field: string): string {
  if (!hasSoundChecksum(wallet)) throw notAWallet("has a wrong checksum (EIP-55); check the address", field);
  return canonicalWallet(wallet, undefined, field).canonical;
}

function isSolanaAddress(text: string): boolean {
  return BASE58.test(text) && base58.decode(text).length === 32;
}

function notAWallet(problem: string, field: string): GatewayError {
  return new GatewayError("INVALID_REQUEST", `${field} ${problem}`, { details: [{ field, problem }] });
}
