import { equal, ok } from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, sign, verify as verifyLoosely } from "node:crypto";
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { base58, base64 } from "@scure/base";
import { verifySolanaSignature } from "../../../../services/auth/crypto/solana_signature.ts";

/** The vector of the wire format. */
const MESSAGE = "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw";
const WALLET = "Bow1CGKGDB9mNxeWdw85E2aCthQ1oZX4oFEe7fYT17ew";
const SIGNATURE = "+o5HYpLcAzsKVjNehESP5THLul3TmM3vW+BaXImgyTmA3A4K7WnBUwxIlVuHjtSlFRZGW9FEx5WXZW2r6KxQCA==";
const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const verify = (signature: string, message = MESSAGE, wallet = WALLET) =>
  verifySolanaSignature({ wallet, message, signature });

function key(byte: number) {
  const der = Buffer.concat([hexToBytes("302e020100300506032b657004220420"), Buffer.alloc(32, byte)]);
  const secret = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const spki = createPublicKey(secret).export({ format: "der", type: "spki" });
  return {
    wallet: base58.encode(new Uint8Array(spki.subarray(-32))),
    sign: (message: string) => new Uint8Array(sign(null, utf8ToBytes(message), secret)),
  };
}

function spkiOf(point: Uint8Array) {
  const der = Buffer.from(concatBytes(hexToBytes("302a300506032b6570032100"), point));
  return createPublicKey({ key: der, format: "der", type: "spki" });
}

Deno.test("verify() accepts the wire format's vector, in base64 and in base58", () => {
  equal(verify(SIGNATURE), true);
  equal(verify(` ${SIGNATURE}\n`), true);
  equal(verify(base58.encode(base64.decode(SIGNATURE))), true);
  equal(key(0x22).wallet, WALLET);
  equal(base64.encode(key(0x22).sign(MESSAGE)), SIGNATURE);
});

Deno.test("verify() accepts the vectors of RFC 8032 that are text", () => {
  const publicKey = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
  const signature = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155" +
    "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
  equal(verify(base64.encode(hexToBytes(signature)), "", base58.encode(hexToBytes(publicKey))), true);
  const second = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
  const signed = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
  equal(verify(base64.encode(hexToBytes(signed)), "r", base58.encode(hexToBytes(second))), true);
});

Deno.test("verify() accepts what 30 keys signed, and not for each other or another text", () => {
  for (let i = 1; i <= 30; i++) {
    const { wallet, sign } = key(i);
    const message = `Grüße ${i} 👋`;
    const signature = base64.encode(sign(message));
    equal(verify(signature, message, wallet), true);
    equal(verify(signature, message, key(i + 1).wallet), false);
    equal(verify(signature, message + " ", wallet), false);
  }
});

Deno.test("verify() refuses a signature with any one bit changed", () => {
  const bytes = base64.decode(SIGNATURE);
  for (let bit = 0; bit < 512; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    equal(verify(base64.encode(changed)), false, `bit ${bit}`);
  }
});

Deno.test("verify() refuses the same signature with the group's order added to S", () => {
  const bytes = base64.decode(SIGNATURE);
  let s = BigInt("0x" + bytesToHex(bytes.slice(32).reverse())) + L;
  for (let i = 32; i < 64; i++, s >>= 8n) bytes[i] = Number(s & 255n);
  equal(verify(base64.encode(bytes)), false);
});

Deno.test("verify() refuses forgeries for keys of small order, which the plain check accepts", () => {
  const p = 2n ** 255n - 19n;
  const le = (y: bigint, sign: bigint) => hexToBytes((y + (sign << 255n)).toString(16).padStart(64, "0")).reverse();
  const order8 = [
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
  ]
    .map((hex) => BigInt("0x" + bytesToHex(hexToBytes(hex).reverse())));
  const ys = [0n, 1n, p - 1n, p, p + 1n, ...order8];
  const points = ys.flatMap((y) => [le(y, 0n), le(y, 1n)]);
  let forged = 0;
  for (const point of points) {
    const wallet = base58.encode(point);
    for (let i = 0; i < 64; i++) {
      for (const r of [points[2]!, point]) {
        const message = `message ${i}`;
        const signature = concatBytes(r, new Uint8Array(32));
        try {
          if (verifyLoosely(null, utf8ToBytes(message), spkiOf(point), signature)) forged++;
        } catch {
          // Some of these are no points at all.
        }
        equal(verify(base64.encode(signature), message, wallet), false);
      }
    }
  }
  ok(forged > 100, `the forgeries are real: ${forged}`);
});

Deno.test("verify() refuses an R of small order, which the plain check accepts", () => {
  // With R the identity, S = h·a holds: whoever has the key can make such a signature, and hardware never does.
  const identity = new Uint8Array(32);
  identity[0] = 1;
  const little = (bytes: Uint8Array) => BigInt("0x" + bytesToHex(bytes.toReversed()));
  const scalar = new Uint8Array(createHash("sha512").update(Buffer.alloc(32, 0x22)).digest().subarray(0, 32));
  scalar[0]! &= 248;
  scalar[31] = (scalar[31]! & 63) | 64;
  const point = base58.decode(WALLET);
  const h = little(new Uint8Array(createHash("sha512").update(identity).update(point).update(MESSAGE).digest()));
  const s = hexToBytes(((h * little(scalar)) % L).toString(16).padStart(64, "0")).reverse();
  const signature = concatBytes(identity, s);
  equal(verifyLoosely(null, utf8ToBytes(MESSAGE), spkiOf(point), signature), true);
  equal(verify(base64.encode(signature)), false);
});

Deno.test("verify() refuses malformed signatures and wallets", () => {
  const bytes = base64.decode(SIGNATURE);
  const malformed = [
    "",
    "==",
    SIGNATURE.slice(0, -2),
    SIGNATURE.slice(0, -1),
    SIGNATURE + "=",
    SIGNATURE.replaceAll("+", "-"),
    SIGNATURE.slice(0, 85) + "B==",
    base64.encode(bytes.subarray(1)),
    base64.encode(concatBytes(bytes, Uint8Array.of(0))),
    base58.encode(bytes.subarray(1)),
    base58.encode(concatBytes(bytes, Uint8Array.of(0))),
    bytesToHex(bytes),
    "1".repeat(65),
    SIGNATURE.slice(0, 40) + "\n" + SIGNATURE.slice(40),
  ];
  for (const signature of malformed) equal(verify(signature), false, signature);
  for (const wallet of ["", "1", "0x" + "11".repeat(20), WALLET.toLowerCase(), WALLET + "1", "O".repeat(44)]) {
    equal(verify(SIGNATURE, MESSAGE, wallet), false, wallet);
  }
});

Deno.test("verify() refuses a hundred million characters without looking at them", () => {
  const started = performance.now();
  equal(verify("1".repeat(100_000_000)), false);
  equal(verify(SIGNATURE, MESSAGE, "1".repeat(100_000_000)), false);
  ok(performance.now() - started < 20_000);
});
