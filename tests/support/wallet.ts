import * as secp from "@noble/secp256k1";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { keccak_256 } from "@noble/hashes/sha3.js";
import { base58 } from "@scure/base";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";

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

/** A Solana wallet with a random key. */
export function solanaWallet(): TestWallet {
  const { publicKey, privateKey }: { publicKey: KeyObject; privateKey: KeyObject } = generateKeyPairSync("ed25519");
  const raw = new Uint8Array(publicKey.export({ format: "der", type: "spki" })).subarray(-32);
  return {
    address: base58.encode(raw),
    chainType: "SOL",
    sign: (text) => sign(null, new TextEncoder().encode(text), privateKey).toString("base64"),
  };
}
