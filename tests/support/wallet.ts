import * as secp from "@noble/secp256k1";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { base58 } from "@scure/base";
import { Buffer } from "node:buffer";
import { createPrivateKey, createPublicKey, sign } from "node:crypto";

secp.hashes.sha256 = sha256;
secp.hashes.hmacSha256 = (key, message) => hmac(sha256, key, message);

/** A wallet of a test: signs as a user's would. */
export interface TestWallet {
  readonly address: string;
  readonly chainType: "ETH" | "SOL";
  sign(text: string): string;
}

/** An Ethereum wallet with a random key, or the given one. */
export function ethereumWallet(secret = secp.utils.randomSecretKey()): TestWallet {
  const point = secp.Point.fromBytes(secp.getPublicKey(secret)).toBytes(false);
  return {
    address: "0x" + keccak_256(point.subarray(1)).slice(12).toHex(),
    chainType: "ETH",
    sign(text) {
      const message = new TextEncoder().encode(text);
      const prefix = new TextEncoder().encode(`\x19Ethereum Signed Message:\n${message.length}`);
      const digest = keccak_256(new Uint8Array([...prefix, ...message]));
      const signature = secp.sign(digest, secret, { prehash: false, format: "recovered" });
      return "0x" + signature.slice(1).toHex() + (27 + signature[0]!).toString(16);
    },
  };
}

/** PKCS #8 around the 32 bytes of an Ed25519 seed (RFC 8410). */
const PKCS8 = Uint8Array.fromHex("302e020100300506032b657004220420");

/** A Solana wallet with a random key, or that of a seed of 32 bytes. */
export function solanaWallet(seed = crypto.getRandomValues(new Uint8Array(32))): TestWallet {
  const privateKey = createPrivateKey({ key: Buffer.from([...PKCS8, ...seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return {
    address: base58.encode(new Uint8Array(spki).subarray(-32)),
    chainType: "SOL",
    sign: (text) => sign(null, new TextEncoder().encode(text), privateKey).toString("base64"),
  };
}

/** The same signature with s in the upper half of the order and v turned: valid to who does not look (EIP-2). */
export function withHighS(signature: string): string {
  const bytes = Uint8Array.fromHex(signature.slice(2));
  const order = secp.Point.CURVE().n;
  const s = order - BigInt("0x" + bytes.slice(32, 64).toHex());
  const v = bytes[64] === 27 ? 28 : 27;
  return "0x" + bytes.slice(0, 32).toHex() + s.toString(16).padStart(64, "0") + v.toString(16);
}
