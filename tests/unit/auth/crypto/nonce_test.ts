import { deepEqual, equal, match, notEqual, throws } from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Nonces } from "../../../../services/auth/crypto/nonce.ts";
import { canonicalWallet } from "../../../../services/auth/crypto/wallet.ts";

const NOW = Date.UTC(2030, 0, 1);
const TTL = 300_000;
const KEY = new Uint8Array(32).fill(9);
const WALLET = canonicalWallet("0x19E7E376E7C213B7E7e7e46cc70A5dD086DAff2A");
const SOLANA = canonicalWallet("Bow1CGKGDB9mNxeWdw85E2aCthQ1oZX4oFEe7fYT17ew");
const ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

const random = (n: number) => new Uint8Array(randomBytes(n));
const clock = { now: NOW };
const nonces = (key = KEY) => new Nonces(key, () => clock.now, random);
const BOUND = { wallet: WALLET, namespace: "default" };
const issue = () => nonces().issue({ ...BOUND, purpose: "authentication", ttl: TTL });
const ACCEPTED = { ...BOUND, purposes: ["authentication"] };

Deno.test("issue() makes 43 letters and digits and says when they expire", () => {
  for (let i = 0; i < 200; i++) {
    const { nonce, expiresAt } = issue();
    match(nonce, /^[A-Za-z0-9]{43}$/);
    equal(expiresAt, NOW + TTL);
  }
});

Deno.test("check() accepts a nonce for the wallet, namespace and purpose it was made for", () => {
  const { nonce } = issue();
  deepEqual(nonces().check(nonce, ACCEPTED), { ok: true, purpose: "authentication", expiresAt: NOW + TTL });
  deepEqual(nonces().check(nonce, { ...BOUND, purposes: ["registration", "authentication"] }), {
    ok: true,
    purpose: "authentication",
    expiresAt: NOW + TTL,
  });
});

Deno.test("check() accepts any spelling of the same wallet, because it binds the canonical one", () => {
  const { nonce } = issue();
  const wallet = canonicalWallet("19e7e376e7c213b7e7e7e46cc70a5dd086daff2a");
  equal(nonces().check(nonce, { ...ACCEPTED, wallet }).ok, true);
});

Deno.test("check() refuses another wallet, chain, namespace or purpose", () => {
  const { nonce } = issue();
  const others = [
    { ...ACCEPTED, wallet: canonicalWallet("0x" + "11".repeat(20)) },
    { ...ACCEPTED, wallet: SOLANA },
    { ...ACCEPTED, wallet: { chain: "SOL" as const, canonical: WALLET.canonical } },
    { ...ACCEPTED, namespace: "Default" },
    { ...ACCEPTED, namespace: "" },
    { ...ACCEPTED, purposes: ["api_key_generation"] },
    { ...ACCEPTED, purposes: [""] },
    { ...ACCEPTED, purposes: [] },
  ];
  for (const other of others) deepEqual(nonces().check(nonce, other), { ok: false, reason: "foreign" });
});

Deno.test("check() keeps apart values that meet when they are joined", () => {
  const pairs = [["ab", "c"], ["a", "bc"], ["", "abc"], ["abc", ""], ["a\u0000b", "c"], ["\ud800", "x"], [
    "\ufffd",
    "x",
  ]];
  for (const [namespace = "", purpose = ""] of pairs) {
    const { nonce } = nonces().issue({ wallet: WALLET, namespace, purpose, ttl: TTL });
    for (const [otherNamespace = "", otherPurpose = ""] of pairs) {
      const same = namespace === otherNamespace && purpose === otherPurpose;
      const bound = { wallet: WALLET, namespace: otherNamespace, purposes: [otherPurpose] };
      equal(nonces().check(nonce, bound).ok, same, JSON.stringify([namespace, purpose, otherNamespace, otherPurpose]));
    }
  }
});

Deno.test("check() refuses a nonce with any one character changed to any other", () => {
  const { nonce } = issue();
  for (let place = 0; place < nonce.length; place++) {
    for (const character of ALPHABET) {
      if (character === nonce[place]) continue;
      const changed = nonce.slice(0, place) + character + nonce.slice(place + 1);
      equal(nonces().check(changed, ACCEPTED).ok, false, changed);
    }
  }
});

Deno.test("check() refuses what is not 43 letters and digits, or stands for more than 32 bytes", () => {
  const { nonce } = issue();
  const malformed = ["", nonce + "0", "0" + nonce, nonce.slice(1), ` ${nonce.slice(1)}`, nonce.slice(1) + "-"];
  for (const text of [...malformed, "z".repeat(43), nonce.slice(1) + "é", nonce.slice(2) + "😀", "0".repeat(1e7)]) {
    deepEqual(nonces().check(text, ACCEPTED), { ok: false, reason: "malformed" });
  }
  deepEqual(nonces().check("0".repeat(43), ACCEPTED), { ok: false, reason: "foreign" });
});

Deno.test("check() refuses a nonce from the moment at which it expires, and only tells the owner so", () => {
  const { nonce, expiresAt } = issue();
  try {
    clock.now = expiresAt - 1;
    equal(nonces().check(nonce, ACCEPTED).ok, true);
    clock.now = expiresAt;
    deepEqual(nonces().check(nonce, ACCEPTED), { ok: false, reason: "expired" });
    deepEqual(nonces().check(nonce, { ...ACCEPTED, namespace: "x" }), { ok: false, reason: "foreign" });
  } finally {
    clock.now = NOW;
  }
});

Deno.test("check() refuses nonces made with another key", () => {
  deepEqual(nonces(new Uint8Array(32).fill(8)).check(issue().nonce, ACCEPTED), { ok: false, reason: "foreign" });
});

Deno.test("issue() never makes the same nonce twice, and takes a copy of the key", () => {
  notEqual(issue().nonce, issue().nonce);
  const key = KEY.slice();
  const made = nonces(key);
  key.fill(0);
  equal(made.check(issue().nonce, ACCEPTED).ok, true);
});

Deno.test("a key of another length is refused", () => {
  for (const length of [0, 16, 31, 33]) throws(() => nonces(new Uint8Array(length)), RangeError);
});

Deno.test("check() accepts what issue() made with 500 random bindings, and refuses each for its neighbour", () => {
  const text = () => randomBytes(Math.floor(Math.random() * 12)).toString("latin1");
  const wallet = () => canonicalWallet("0x" + randomBytes(20).toString("hex"));
  for (let i = 0; i < 500; i++) {
    const bound = { wallet: wallet(), namespace: text(), purpose: text(), ttl: 1 + Math.floor(Math.random() * 1e9) };
    const { nonce } = nonces().issue(bound);
    equal(nonces().check(nonce, { ...bound, purposes: [bound.purpose] }).ok, true);
    equal(nonces().check(nonce, { ...bound, wallet: wallet(), purposes: [bound.purpose] }).ok, false);
    equal(nonces().check(nonce, { ...bound, namespace: bound.namespace + "x", purposes: [bound.purpose] }).ok, false);
    equal(nonces().check(nonce, { ...bound, purposes: [bound.purpose + "x"] }).ok, false);
  }
});
