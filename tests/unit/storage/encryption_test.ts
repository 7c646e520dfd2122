import { deepEqual, equal, notDeepEqual, ok, rejects, throws } from "node:assert/strict";
import { createHash } from "node:crypto";
import { openEncrypted } from "../../../services/storage/encryption/decrypt.ts";
import { encrypted } from "../../../services/storage/encryption/encrypt.ts";
import { CHUNK, HEADER, plainSize, TAG } from "../../../services/storage/encryption/format.ts";
import { namespaceKey } from "../../../services/storage/encryption/keys.ts";
import type { ByteRange } from "../../../src/contracts/storage.ts";
import { code, principal } from "../auth/support/node.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { bytesOf, filesOf, Storages, stream, textOf, utf8 } from "./support/storage.ts";

const ROOT = Uint8Array.from({ length: 32 }, (_, i) => i);
const KEY = namespaceKey(ROOT, "shop", 1_800_000_000_000);
const salt = (n: number) => new Uint8Array(n).fill(0x5a);
const plain = (size: number) => Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 0xff);
const seal = (bytes: Uint8Array, random: (n: number) => Uint8Array = salt) =>
  bytesOf(encrypted(stream(bytes), KEY, random));
const reader = (bytes: Uint8Array) => ({ offset, length }: ByteRange) => stream(bytes.slice(offset, offset + length));
const open = (sealed: Uint8Array, key = KEY) => openEncrypted(key, sealed.length, reader(sealed));
const unseal = async (sealed: Uint8Array, range?: ByteRange) => await bytesOf((await open(sealed)).read(range));
const SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5, 9 * CHUNK];

Deno.test("what was encrypted is opened again, whole, at every size around a chunk's", async () => {
  for (const size of SIZES) {
    const sealed = await seal(plain(size));
    equal(sealed.length, HEADER + size + TAG * Math.max(1, Math.ceil(size / CHUNK)));
    equal(plainSize(sealed.length), size);
    const file = await open(sealed);
    equal(file.size, size);
    deepEqual(await bytesOf(file.read(undefined)), plain(size), String(size));
  }
});

Deno.test("the pieces in which it comes make no difference", async () => {
  const bytes = plain(2 * CHUNK + 100);
  const whole = await seal(bytes);
  const chance = new Chance(3);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) pieces.push(bytes.slice(at, at += chance.below(40_000)));
  deepEqual(await bytesOf(encrypted(stream(...pieces), KEY, salt)), whole);
});

Deno.test("vectors: the form never changes, or what is stored could not be read any more", async () => {
  const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  equal(KEY.toHex(), VECTORS.key);
  equal((await seal(utf8("hello"))).toHex(), VECTORS.hello);
  equal((await seal(new Uint8Array())).toHex(), VECTORS.empty);
  equal(digest(await seal(plain(3 * CHUNK + 5))), VECTORS.large);
});

Deno.test("any range is the same as that part of the whole", async () => {
  const size = 3 * CHUNK + 77;
  const bytes = plain(size), sealed = await seal(bytes);
  const file = await open(sealed);
  const edges = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, size - 1, size];
  for (const offset of edges) {
    for (const end of edges) {
      if (end < offset) continue;
      const part = await bytesOf(file.read({ offset, length: end - offset }));
      deepEqual(part, bytes.slice(offset, end), `${offset}-${end}`);
    }
  }
});

Deno.test("a range takes no more from the engine than the chunks that it is in", async () => {
  const sealed = await seal(plain(20 * CHUNK));
  let asked = 0;
  const file = await openEncrypted(KEY, sealed.length, (range) => {
    asked += range.length;
    return reader(sealed)(range);
  });
  asked = 0;
  await bytesOf(file.read({ offset: 5 * CHUNK - 1, length: 2 }));
  equal(asked, 2 * (CHUNK + TAG));
});

Deno.test("any bit that is another, anywhere, is noticed before what it changes is given", async () => {
  const sealed = await seal(plain(2 * CHUNK + 10));
  const chance = new Chance(5);
  const places = [...Array(HEADER).keys(), ...Array.from({ length: 60 }, () => chance.below(sealed.length))];
  for (const at of [...places, sealed.length - 1, HEADER + CHUNK, HEADER + CHUNK + TAG]) {
    const changed = sealed.slice();
    changed[at]! ^= 1 << chance.below(8);
    const given: Uint8Array[] = [];
    const read = async () => {
      for await (const chunk of (await open(changed)).read(undefined)) given.push(chunk);
    };
    await rejects(read, code("UNAVAILABLE", /decrypted/), String(at));
    const length = given.reduce((sum, chunk) => sum + chunk.length, 0);
    deepEqual(
      new Uint8Array(await new Blob(given as BlobPart[]).arrayBuffer()),
      plain(2 * CHUNK + 10).slice(0, length),
    );
  }
});

Deno.test("what is cut, longer, or in another order does not open", async () => {
  const sealed = await seal(plain(3 * CHUNK));
  const [header, ...chunks] = [
    sealed.slice(0, HEADER),
    ...[0, 1, 2].map((i) => sealed.slice(HEADER + i * (CHUNK + TAG), HEADER + (i + 1) * (CHUNK + TAG))),
  ] as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
  const [a, b, c] = chunks as [Uint8Array, Uint8Array, Uint8Array];
  const other = await seal(plain(3 * CHUNK), (n) => new Uint8Array(n).fill(1));
  const ofOther = other.slice(HEADER, HEADER + CHUNK + TAG);
  const forged: Record<string, readonly Uint8Array[]> = {
    "the last chunk is missing": [header, a, b],
    "the first chunk is missing": [header, b, c],
    "two chunks changed places": [header, b, a, c],
    "a chunk comes twice": [header, a, a, c],
    "the last chunk comes twice": [header, a, b, c, c],
    "a chunk of another object": [header, ofOther, b, c],
    "the header of another object": [other.slice(0, HEADER), a, b, c],
    "the end is cut": [header, a, b, c.slice(0, -1)],
    "something follows": [header, a, b, c, Uint8Array.of(0)],
    "an empty chunk follows": [header, a, b, c, new Uint8Array(TAG)],
    "the header alone": [header],
    "half a header": [header.slice(0, 20)],
    "nothing": [],
  };
  for (const [what, parts] of Object.entries(forged)) {
    const bytes = new Uint8Array(await new Blob([...parts] as BlobPart[]).arrayBuffer());
    await rejects(() => unseal(bytes), code("UNAVAILABLE"), what);
    if (bytes.length < HEADER + TAG) throws(() => plainSize(bytes.length), what);
  }
  // Whoever reads only the middle learns of a cut as well: the size is proved first.
  await rejects(
    () => unseal(sealed.slice(0, HEADER + 2 * (CHUNK + TAG)), { offset: 0, length: 1 }),
    code("UNAVAILABLE"),
  );
});

Deno.test("each namespace has a key of its own, and a later one of its name another", async () => {
  const sealed = await seal(utf8("hello"));
  for (
    const [namespace, createdAt] of [["cafe", 1_800_000_000_000], ["shop", 1_800_000_000_001], ["sho", 1]] as const
  ) {
    await rejects(() => open(sealed, namespaceKey(ROOT, namespace, createdAt)), code("UNAVAILABLE"));
  }
  await rejects(() => open(sealed, namespaceKey(new Uint8Array(32), "shop", 1_800_000_000_000)), code("UNAVAILABLE"));
});

Deno.test("a source that fails fails what encrypts it, and is let go when nobody wants the rest", async () => {
  const failing = async function* () {
    yield await Promise.resolve(new Uint8Array(CHUNK * 3));
    throw new Error("the client left");
  };
  await rejects(() => bytesOf(encrypted(failing(), KEY, salt)), /the client left/);
  let ended = false;
  const endless = async function* () {
    try {
      for (;;) yield await Promise.resolve(new Uint8Array(CHUNK));
    } finally {
      ended = true;
    }
  };
  for await (const _ of encrypted(endless(), KEY, salt)) break;
  for await (const chunk of encrypted(endless(), KEY, salt)) if (chunk.length > HEADER) break;
  ok(ended);
});

Deno.test("an encrypted upload reads like any other, and the engine has nothing of it in the clear", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  const text = "a secret that is long enough to be found ".repeat(5_000);
  const upload = () => gateway.upload("shop", text, { name: "a.txt", encrypt: true });
  const object = await upload();
  deepEqual([object.encrypted, object.size, object.type], [true, text.length, "text/plain"]);
  const node = t.engine.nodes.get(object.cid);
  ok(node && "bytes" in node && !new TextDecoder("latin1").decode(node.bytes).includes("secret"));
  equal(await gateway.read({ namespace: "shop" }, object.cid), text);
  const content = await t.gateway().service.open({ namespace: "shop" }, object.cid, [], CONTEXT);
  deepEqual([content.size, content.encrypted], [text.length, true]);
  equal(await textOf(content.read({ offset: 70_000, length: 12 })), text.slice(70_000, 70_012));
  notDeepEqual((await upload()).cid, object.cid, "equal files differ");
  deepEqual(await content.block(), node.bytes, "a block is as it is");
  deepEqual((await t.usage())[0], { namespace: "shop", bytes: 2 * text.length, objects: 2 });
  const other = t.gateway({ key: new Uint8Array(32).fill(9) });
  await rejects(() => other.read({ namespace: "shop" }, object.cid), code("UNAVAILABLE"));
});

Deno.test("a namespace's setting encrypts, an upload may say otherwise", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { encrypt: true } });
  equal((await gateway.upload("shop", "hello")).encrypted, true);
  equal((await gateway.upload("shop", "hello", { encrypt: false })).encrypted, false);
  equal((await gateway.service.importCar(principal(), stream("car"), {}, CONTEXT)).encrypted, false);
});

Deno.test("of an encrypted directory the files are encrypted and their sizes are their own; names are not", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const files = filesOf({ "a.txt": "hello", "b/c.txt": "" });
  const { object, files: added } = await gateway.service.uploadDirectory(
    principal(),
    files,
    { encrypt: true },
    CONTEXT,
  );
  deepEqual([object.encrypted, object.size], [true, 5]);
  deepEqual(added.map(({ size }) => size), [5, 0]);
  const root = await gateway.service.open({ namespace: "shop" }, object.cid, [], CONTEXT);
  deepEqual((await Array.fromAsync(root.entries())).map(({ name, size }) => [name, size]), [["a.txt", 5], ["b", 0]]);
  equal(await gateway.read({ namespace: "shop" }, object.cid, "a.txt"), "hello");
  equal(await gateway.read({ namespace: "shop" }, object.cid, "b", "c.txt"), "");
});

Deno.test("what is encrypted and public everybody reads; nobody else may have it by its CID", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  const { cid } = await gateway.upload("shop", "hello", { encrypt: true, visibility: "public" });
  equal(await gateway.read({}, cid), "hello");
  await rejects(() => gateway.pin("cafe", cid), code("NOT_FOUND"));
});

/** Made by another implementation (Python, cryptography 48), from what `format.ts` and `keys.ts` say. */
const VECTORS = {
  key: "1123aa49dab320dd08ec11c88672e3126d14e9b50ad03e6c2d39a4b07e9b5282",
  hello:
    "6f72616d612d65315a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5ad304b3cec8f4c556ee3838b89f9f5001615178f54a",
  empty:
    "6f72616d612d65315a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a1c05af30b8eda0b2fec2f8727ea95adc",
  large: "3c489b746ff14e5ef288cbab29a571eb0116a81b4b9113f58328b20f1e1976c9",
};
