import { deepEqual, equal, match, notDeepEqual, ok, rejects, throws } from "node:assert/strict";
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";
import { base64, base64nopad, base64urlnopad } from "@scure/base";
import { constantTimeEqual } from "../../../../services/auth/crypto/constant_time.ts";
import {
  readOrCreateRootKey,
  readRootKey,
  RootKey,
  RootKeyError,
  SUBKEY_LABELS,
} from "../../../../services/auth/crypto/root_key.ts";

const BYTES = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 250) % 256);
const random = (n: number) => crypto.getRandomValues(new Uint8Array(n));
const fingerprint = (key: RootKey) => bytesToHex(key.subkey("nonce"));

async function inFolder(test: (path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await test(`${folder}/root.key`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function refusal(path: string): Promise<RootKeyError> {
  let refused: unknown;
  await rejects(readRootKey(path), (error) => {
    refused = error;
    return true;
  });
  ok(refused instanceof RootKeyError, Deno.inspect(refused));
  ok(refused.message.includes(path), "the message names the file");
  return refused;
}

Deno.test("readRootKey() reads the same key from raw bytes, hex and each base64", () =>
  inFolder(async (path) => {
    const forms: (string | Uint8Array)[] = [
      BYTES,
      bytesToHex(BYTES),
      bytesToHex(BYTES).toUpperCase() + "\n",
      base64.encode(BYTES),
      base64nopad.encode(BYTES) + "\r\n",
      base64urlnopad.encode(BYTES) + "=",
      `  ${base64urlnopad.encode(BYTES)}\n\n`,
    ];
    for (const form of forms) {
      await Deno.writeFile(path, typeof form === "string" ? utf8ToBytes(form) : form, { mode: 0o600 });
      const { key, warnings } = await readRootKey(path);
      equal(fingerprint(key), fingerprint(new RootKey(BYTES)));
      deepEqual(warnings, []);
    }
  }));

Deno.test("readRootKey() refuses anything else, names the file and shows nothing of it", () =>
  inFolder(async (path) => {
    const hex = bytesToHex(BYTES);
    const wrong: (string | Uint8Array)[] = [
      "",
      "\n",
      hex.slice(1),
      hex + "0",
      `0x${hex}`,
      `"${hex}"`,
      BYTES.slice(1),
      new Uint8Array([...BYTES, 10]),
      new Uint8Array(32),
      "0".repeat(64),
      "correct horse battery staple 1234".slice(0, 32),
      "a".repeat(43),
      base64nopad.encode(BYTES).slice(0, -1) + "1",
      "A".repeat(1024),
      "A".repeat(5000),
    ];
    for (const content of wrong) {
      await Deno.writeFile(path, typeof content === "string" ? utf8ToBytes(content) : content, { mode: 0o600 });
      const { message } = await refusal(path);
      match(message, /expected 32 random bytes/);
      for (const secret of [hex, "horse", base64nopad.encode(BYTES).slice(0, 20)]) {
        ok(!message.includes(secret), message);
      }
    }
  }));

Deno.test("readRootKey() says what is wrong with a missing file and with a folder", () =>
  inFolder(async (path) => {
    match((await refusal(path)).message, /NotFound/);
    await Deno.mkdir(path);
    match((await refusal(path)).message, /is not a file|IsADirectory/);
  }));

Deno.test({
  name: "readRootKey() warns of a file that others can read",
  ignore: Deno.build.os === "windows",
  fn: () =>
    inFolder(async (path) => {
      await Deno.writeFile(path, BYTES);
      for (const [mode, warns] of [[0o600, 0], [0o400, 0], [0o640, 1], [0o604, 1], [0o666, 1], [0o660, 1]] as const) {
        await Deno.chmod(path, mode);
        const { warnings } = await readRootKey(path);
        equal(warnings.length, warns, mode.toString(8));
        if (warns) match(warnings[0]!, new RegExp(`mode ${mode.toString(8)}.*chmod 600`));
      }
    }),
});

Deno.test("readOrCreateRootKey() makes a key once, for its owner only, and leaves nothing else", () =>
  inFolder(async (path) => {
    const first = await readOrCreateRootKey(path, random);
    const second = await readOrCreateRootKey(path, random);
    equal(fingerprint(first.key), fingerprint(second.key));
    deepEqual(first.warnings, []);
    const folder = path.slice(0, path.lastIndexOf("/"));
    deepEqual((await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name), ["root.key"]);
    if (Deno.build.os !== "windows") equal((await Deno.stat(path)).mode! & 0o777, 0o600);
  }));

Deno.test("readOrCreateRootKey() gives all that start at once the same key", () =>
  inFolder(async (path) => {
    const keys = await Promise.all(Array.from({ length: 20 }, () => readOrCreateRootKey(path, random)));
    equal(new Set(keys.map(({ key }) => fingerprint(key))).size, 1);
  }));

Deno.test("readOrCreateRootKey() never replaces a file that it cannot use", () =>
  inFolder(async (path) => {
    await Deno.writeTextFile(path, "damaged");
    await rejects(readOrCreateRootKey(path, random), RootKeyError);
    equal(await Deno.readTextFile(path), "damaged");
  }));

Deno.test("readOrCreateRootKey() says so when the folder is missing", () =>
  inFolder(async (path) => {
    await rejects(readOrCreateRootKey(`${path}/missing/root.key`, random), { name: "RootKeyError" });
  }));

Deno.test("subkey() is HKDF-SHA256, and another key for each label and root key", () => {
  const key = new RootKey(BYTES);
  for (const label of SUBKEY_LABELS) {
    const expected = hkdf(sha256, BYTES, utf8ToBytes("orama-gateway root key v1"), utf8ToBytes(label), 32);
    deepEqual(key.subkey(label), expected);
  }
  equal(new Set(SUBKEY_LABELS.map((label) => bytesToHex(key.subkey(label)))).size, SUBKEY_LABELS.length);
  notDeepEqual(new RootKey(BYTES.toReversed()).subkey("nonce"), key.subkey("nonce"));
});

Deno.test("a root key takes a copy, and does not show itself when it is printed", () => {
  const bytes = BYTES.slice();
  const key = new RootKey(bytes);
  bytes.fill(0);
  equal(fingerprint(key), fingerprint(new RootKey(BYTES)));
  const printed = Deno.inspect(key, { depth: 10 }) + JSON.stringify(key);
  ok(!printed.includes(bytesToHex(BYTES)) && !/\d{2,}/.test(printed), printed);
});

Deno.test("a root key is refused when it is plainly not random", () => {
  for (
    const bytes of [new Uint8Array(32), new Uint8Array(32).fill(255), utf8ToBytes("x".repeat(32)), new Uint8Array(31)]
  ) {
    throws(() => new RootKey(bytes), RootKeyError);
  }
});

Deno.test("constantTimeEqual() compares texts and bytes of any length", () => {
  equal(constantTimeEqual("grüße", "grüße"), true);
  equal(constantTimeEqual("", ""), true);
  equal(constantTimeEqual(Uint8Array.of(1, 2), Uint8Array.of(1, 2)), true);
  equal(constantTimeEqual("a", Uint8Array.of(97)), true);
  equal(constantTimeEqual("a", "b"), false);
  equal(constantTimeEqual("a", "aa"), false);
  equal(constantTimeEqual("", "a"), false);
});
