import { equal, match, notEqual, ok, throws } from "node:assert/strict";
import { open, seal, SealError } from "../../../../services/auth/crypto/seal.ts";

const KEY = new Uint8Array(32).fill(5);
const SECRET = `{"kty":"OKP","d":"Grüße"}`;
const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));

Deno.test("open() gives back what seal() took, with the same key and context", () => {
  for (const secret of [SECRET, "", "x".repeat(100_000)]) {
    const sealed = seal(KEY, secret, "signing-key:1", random);
    match(sealed, /^v1\.[A-Za-z0-9_-]+$/);
    equal(open(KEY, sealed, "signing-key:1"), secret);
  }
});

Deno.test("open() reads what earlier versions sealed", () => {
  equal(
    open(KEY, "v1.BwcHBwcHBwcHBwcHsmBWZBlXOJyC44LOgTc7xcNin4W6yBq3Q6TUS905Fkc9CP5mMPEbrnUYYQ", "signing-key:1"),
    SECRET,
  );
});

Deno.test("seal() makes another text each time and shows nothing of the secret", () => {
  const sealed = seal(KEY, SECRET, "a", random);
  notEqual(seal(KEY, SECRET, "a", random), sealed);
  ok(!atob(sealed.slice(3).replaceAll("-", "+").replaceAll("_", "/")).includes("kty"));
});

Deno.test("open() refuses another key, another context and every change, and tells nothing", () => {
  const sealed = seal(KEY, SECRET, "signing-key:1", random);
  const refused = (text: string, context = "signing-key:1", key = KEY) =>
    throws(
      () => open(key, text, context),
      (error) => error instanceof SealError && !error.message.includes("kty"),
      text,
    );
  refused(sealed, "signing-key:2");
  refused(sealed, "");
  refused(sealed, "signing-key:1", new Uint8Array(32).fill(6));
  for (
    const text of [
      "",
      "v1.",
      "v1.AAAA",
      "v2." + sealed.slice(3),
      sealed.slice(3),
      sealed + "A",
      sealed + "=",
      sealed.slice(0, -2),
    ]
  ) {
    refused(text);
  }
  for (let place = 3; place < sealed.length; place++) {
    const other = sealed[place] === "A" ? "Q" : "A";
    refused(sealed.slice(0, place) + other + sealed.slice(place + 1));
  }
});
