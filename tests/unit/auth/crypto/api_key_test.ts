import { equal, match, notEqual, ok } from "node:assert/strict";
import {
  deriveWalletKey,
  hashKey,
  isWellFormedKey,
  maskKey,
  namespaceOfKey,
  randomKey,
} from "../../../../services/auth/crypto/api_key.ts";

const SUBKEY = new Uint8Array(32).fill(3);
const WALLET = "0x19e7e376e7c213b7e7e7e46cc70a5dd086daff2a";
const BASE = { namespace: "default", wallet: WALLET, serial: 1 };
const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));

Deno.test("deriveWalletKey() makes a well-formed key, and the same one each time", () => {
  const key = deriveWalletKey(SUBKEY, BASE);
  match(key, /^ak_[A-Za-z0-9_-]{24}:default$/);
  ok(isWellFormedKey(key));
  equal(deriveWalletKey(SUBKEY, BASE), key);
  // Keys that people hold must survive an upgrade: this one may never change.
  equal(key, "ak_oNBIRUL2TJYbYRTZP8rAW8xm:default");
});

Deno.test("deriveWalletKey() makes another key for another namespace, wallet, serial or subkey", () => {
  const secret = (key: string) => key.slice(3, 27);
  const others = [
    deriveWalletKey(SUBKEY, BASE),
    deriveWalletKey(SUBKEY, { ...BASE, namespace: "defaul" }),
    deriveWalletKey(SUBKEY, { ...BASE, wallet: WALLET.slice(0, -1) + "b" }),
    deriveWalletKey(SUBKEY, { ...BASE, serial: 2 }),
    deriveWalletKey(SUBKEY, { ...BASE, serial: 11 }),
    deriveWalletKey(SUBKEY, { ...BASE, wallet: WALLET + "1", serial: 1 }),
    deriveWalletKey(SUBKEY, { ...BASE, namespace: "default0", wallet: WALLET.slice(1) }),
    deriveWalletKey(new Uint8Array(32).fill(4), BASE),
  ];
  equal(new Set(others.map(secret)).size, others.length);
});

Deno.test("randomKey() makes a well-formed key of the namespace, and another one each time", () => {
  for (const namespace of ["default", "a", "Z9_-", "x".repeat(64)]) {
    const key = randomKey(namespace, random);
    ok(isWellFormedKey(key), key);
    equal(namespaceOfKey(key), namespace);
    notEqual(randomKey(namespace, random), key);
  }
});

Deno.test("isWellFormedKey() refuses all else", () => {
  const secret = "X32jj2fiin8zzv0hmBKTC5b5";
  ok(isWellFormedKey(`ak_${secret}:default`));
  const wrong = [
    "",
    "ak_",
    `ak_${secret}`,
    `ak_${secret}:`,
    `ak_${secret}:a:b`,
    `ak_${secret.slice(1)}:default`,
    `ak_${secret}x:default`,
    `AK_${secret}:default`,
    ` ak_${secret}:default`,
    `ak_${secret}:default\n`,
    `ak_${secret}:-default`,
    `ak_${secret}:dé`,
    `ak_${secret}:a b`,
    `ak_${secret}:a/b`,
    `ak_${secret.slice(1)}+:default`,
    `ak_${secret}:${"x".repeat(65)}`,
    `ak_${secret}:${"x".repeat(50_000_000)}`,
    "a.b.c",
  ];
  for (const text of wrong) equal(isWellFormedKey(text), false, text.slice(0, 100));
});

Deno.test("hashKey() is SHA-256 in hex", () => {
  equal(hashKey("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
});

Deno.test("maskKey() shows the first four characters and the namespace, and of anything else nothing", () => {
  equal(maskKey("ak_X32jj2fiin8zzv0hmBKTC5b5:default"), "ak_X32j…:default");
  equal(maskKey("some other secret"), "…");
});
