import { equal, ok } from "node:assert/strict";
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js";
import { Point } from "@noble/secp256k1";
import {
  bytesOfHex,
  personalMessageHash,
  recoverAddress,
  verifyPersonalSignature,
} from "../../../../services/auth/crypto/ethereum_signature.ts";
import { ethereumKey, highS } from "./fixtures/keys.ts";

/** The vector of the wire format. */
const MESSAGE = "q0dVx7m2R1yQ3cXnVbWkYtL8sZpA5hJ4uE6iG9oTfDw";
const WALLET = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
const RS = "10ed907818944bbfb13dd2c594d5d247d7bba8a7d63de2d171613d1ab0b91820" +
  "703b322700d3cb5e9207f1a460ad80fbaaffd43a4b0aef0fd60d0c8590410cff";
const ORDER = Point.CURVE().n;

const verify = (signature: string, message = MESSAGE, wallet = WALLET) =>
  verifyPersonalSignature({ wallet, message, signature });
const word = (value: bigint) => value.toString(16).padStart(64, "0");

Deno.test("personalMessageHash() gives the digest of the wire format's vector", () => {
  equal(bytesToHex(personalMessageHash(MESSAGE)), "f15bccdc7e685ffdacb06ffeadb02851da2a1f01c598b30dfb61f550e09baa16");
});

Deno.test("personalMessageHash() gives the digests of the web3 documentation", () => {
  const digests = {
    "Some data": "1da44b586eb0729ff70a73c326926f6ed5a25f5b056e7f47fbc6e58d86871655",
    "Hello World": "a1de988600a42c4b4ab089b619297c17d53cffae5d5120d82d8a92d0bb3b78f2",
  };
  for (const [text, digest] of Object.entries(digests)) equal(bytesToHex(personalMessageHash(text)), digest);
});

Deno.test("personalMessageHash() counts bytes, not characters", () => {
  const key = ethereumKey(0x33);
  for (const message of ["", "Grüße", "日本語", "👩‍👩‍👧", "x".repeat(100_000)]) {
    equal(verify(key.sign(message), message, key.address), true);
  }
});

Deno.test("verify() accepts the wire format's vector in each spelling", () => {
  for (const v of ["1b", "1B", "00"]) {
    for (const signature of [`0x${RS}${v}`, `0X${RS}${v}`, RS + v, (RS + v).toUpperCase(), `  0x${RS}${v}\n`]) {
      equal(verify(signature), true, signature);
    }
  }
});

Deno.test("verify() accepts the vector of the web3 documentation", () => {
  const signature = "0xb91467e570a6466aa9e9876cbcd013baba02900b8979d43fe208a4a4f339f5fd" +
    "6007e74cd82e037b800186422fc2da167c747ef045e5d18a5f5d4300f8e1a0291c";
  equal(verify(signature, "Some data", "0x2c7536e3605d9c16a7a3d7b1898e529396a65c23"), true);
});

Deno.test("verify() accepts what 50 keys signed, and not for each other", () => {
  for (let i = 1; i <= 50; i++) {
    const key = ethereumKey(i);
    const signature = key.sign(MESSAGE);
    equal(verify(signature, MESSAGE, key.address), true);
    equal(verify(signature, MESSAGE, ethereumKey(i + 1).address), false);
    equal(verify(signature, MESSAGE + " ", key.address), false);
  }
});

Deno.test("verify() refuses a signature with any one bit changed", () => {
  const bytes = hexToBytes(RS + "1b");
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    equal(verify("0x" + bytesToHex(changed)), false, `bit ${bit}`);
  }
});

Deno.test("verify() refuses every v but 0, 1, 27 and 28", () => {
  for (let v = 0; v < 256; v++) {
    const signature = RS + v.toString(16).padStart(2, "0");
    equal(recoverAddress(personalMessageHash(MESSAGE), signature) !== undefined, [0, 1, 27, 28].includes(v), `v ${v}`);
  }
});

Deno.test("verify() refuses the high-s twin of a good signature", () => {
  const twin = highS(`0x${RS}1b`);
  ok(BigInt("0x" + twin.slice(66, 130)) > ORDER / 2n);
  equal(verify(twin), false);
  equal(verify(twin.slice(0, -2) + "01"), false);
});

Deno.test("recoverAddress() refuses r and s of 0, of the order and beyond", () => {
  const hash = personalMessageHash(MESSAGE);
  const s = RS.slice(64);
  const r = RS.slice(0, 64);
  for (const bad of [0n, ORDER, ORDER + 1n, 2n ** 256n - 1n]) {
    equal(recoverAddress(hash, word(bad) + s + "1b"), undefined);
    equal(recoverAddress(hash, r + word(bad) + "1b"), undefined);
  }
  equal(recoverAddress(hash, r + word(ORDER / 2n + 1n) + "1b"), undefined);
  ok(recoverAddress(hash, r + word(ORDER / 2n) + "1b"));
});

Deno.test("recoverAddress() refuses an r that is no point's x coordinate", () => {
  equal(recoverAddress(personalMessageHash(MESSAGE), word(5n) + RS.slice(64) + "1b"), undefined);
});

Deno.test("verify() refuses malformed signatures, the compact form of ERC-2098 among them", () => {
  const malformed = ["", "0x", "0x0", RS, `0x${RS}`, `${RS}1b00`, `0x${RS}1`, `0x${RS}zz`, `0x0x${RS}1b`, `-x${RS}1b`];
  for (const signature of [...malformed, `0x${RS.slice(0, 128)} 1b`, `0x${RS}１b`, "null", `0x${RS}1b,0x${RS}1b`]) {
    equal(verify(signature), false, signature);
  }
});

Deno.test("verify() refuses a hundred million characters without looking at them", () => {
  const started = performance.now();
  equal(verify("ab".repeat(50_000_000)), false);
  equal(verify(" ".repeat(100_000_000)), false);
  ok(performance.now() - started < 20_000);
});

Deno.test("verify() refuses a wallet in any other spelling than the canonical", () => {
  equal(verify(`0x${RS}1b`, MESSAGE, "0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A"), false);
  equal(verify(`0x${RS}1b`, MESSAGE, "undefined"), false);
  equal(verify("0x", MESSAGE, "undefined"), false);
});

Deno.test("bytesOfHex() keeps to its limit and to hex", () => {
  equal(bytesOfHex("0x", 4)?.length, 0);
  equal(bytesOfHex("0x01020304", 4)?.length, 4);
  equal(bytesOfHex("01020304", 4)?.length, 4);
  for (const wrong of ["0x0102030405", "0102030405", "0x0", "0xg0", "0x0x00", "００"]) {
    equal(bytesOfHex(wrong, 4), undefined);
  }
});
