import { deepEqual, equal, notEqual, ok, rejects } from "node:assert/strict";
import {
  type ContentBody,
  createClient,
  createStorage,
  OramaError,
  type Storage,
  type StoredObject,
  type UploadState,
} from "../../../src/client/index.ts";
import { until } from "../../engines/support/wait.ts";
import type { Target } from "./scenarios.ts";

const storageOf = (target: Target): Storage => createStorage(createClient(target));
const withCode = (code: string) => (error: unknown) => error instanceof OramaError && error.code === code;
const MB = 2 ** 20;
/** A CID that nobody has. */
const NOBODY = "bafkreigaknpexyvxt76zgkitavbwx6ejgfheup5oybpm77f3pxzrvwpfdi";

/** Bytes that are always the same for a seed, and look like noise. */
function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed * 2_654_435_761 >>> 0 || 1;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return new Uint8Array(words.buffer).slice(0, length);
}

/** Bytes piece by piece, at the pace of whoever takes them. @param told of a cancellation */
function streamOf(
  bytes: Uint8Array,
  piece = 40_000,
  told: (reason: unknown) => void = () => {},
): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.subarray(at, at += piece));
    },
    cancel: told,
  }, { highWaterMark: 0 });
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const bytesOf = async (reading: Promise<ContentBody>) => await (await reading).bytes();

/** What an application does with its files. Runs on Deno and on Node. */
export const STORAGE_SCENARIOS: Readonly<Record<string, (target: Target) => Promise<void>>> = {
  async "the same bytes have the same CID however they are given, and come back as they were"(target) {
    const storage = storageOf(target);
    const bytes = noise(3 * MB + 17);
    const { cid, name, size } = await storage.upload(bytes, { name: "folder/a b ä.bin" });
    deepEqual([name, size], ["a b ä.bin", bytes.length]);
    equal((await storage.upload(new Blob([bytes]))).cid, cid);
    equal((await storage.upload(streamOf(bytes), { pin: false, repeat: false })).cid, cid);
    equal((await storage.uploadResumable(bytes, { partSize: MB })).cid, cid);
    const file = new File([bytes], "named.png", { type: "image/png" });
    equal((await storage.upload(file, { repeat: true })).name, "named.png");
    const found = await storage.download(cid);
    deepEqual([found.cid, found.size, found.type, found.range], [cid, bytes.length, "image/png", undefined]);
    deepEqual(await found.bytes(), bytes);
    const unnamed = await storage.upload("text");
    equal(unnamed.name, unnamed.cid);
    equal(await (await storage.download(unnamed.cid)).text(), "text");
    const empty = await storage.upload("");
    equal((await storage.upload(streamOf(new Uint8Array()))).cid, empty.cid);
    equal((await (await storage.download(empty.cid)).bytes()).length, 0);
  },

  async "an object tells what was said of it, and can be changed, pinned and given up"(target) {
    const storage = storageOf(target);
    const { cid } = await storage.upload("told", {
      name: "told.txt",
      type: "text/x-told",
      visibility: "public",
      pin: false,
    });
    const object = await storage.object(cid) as StoredObject;
    deepEqual(
      [object.name, object.size, object.type, object.kind, object.visibility, object.pinned, object.encrypted],
      [
        "told.txt",
        4,
        "text/x-told",
        "file",
        "public",
        false,
        false,
      ],
    );
    ok(object.expiresAt!.getTime() > Date.now() && object.createdAt instanceof Date && object.createdBy !== "");
    const changed = await storage.change(cid, { name: "other.txt", visibility: "private", pin: true }, {
      repeat: true,
    });
    deepEqual([changed.name, changed.visibility, changed.pinned, changed.expiresAt], [
      "other.txt",
      "private",
      true,
      null,
    ]);
    deepEqual(await storage.pin(cid, { name: "pinned.txt" }), { cid, name: "pinned.txt" });
    await until("a peer has it", async () => (await storage.status(cid))!.peers.length > 0);
    const status = await storage.status(cid);
    deepEqual([status?.cid, status?.name], [cid, "pinned.txt"]);
    equal((await storage.recover(cid))?.cid, cid);
    deepEqual([await storage.unpin(cid), await storage.unpin(cid, { repeat: true })], [true, false]);
    deepEqual([await storage.object(cid), await storage.status(cid), await storage.recover(cid)], [null, null, null]);
    await rejects(storage.change(cid, { name: "x" }), withCode("NOT_FOUND"));
    await rejects(storage.download(cid), withCode("NOT_FOUND"));
    await rejects(storage.pin("no cid"), withCode("INVALID_REQUEST"));
  },

  async "objects come by pages, newest first, as they were asked for"(target) {
    const storage = storageOf(target);
    const names = ["paged-1", "paged-2", "paged-3", "paged-4", "paged-5"];
    for (const name of names) await storage.upload(name, { name });
    const pages = await all(storage.objects({ name: "PAGED-", limit: 2 }));
    deepEqual(pages.map(({ objects }) => objects.length), [2, 2, 1]);
    deepEqual(pages.flatMap(({ objects }) => objects.map(({ name }) => name)), names.toReversed());
    ok(pages.every(({ total }) => total === 5));
    deepEqual(await all(storage.objects({ name: "paged-", visibility: "public" })), []);
    await rejects(all(storage.objects({ limit: 0 })), withCode("INVALID_REQUEST"));
  },

  async "parts of a file come by ranges"(target) {
    const storage = storageOf(target);
    const bytes = noise(MB, 2);
    const { cid } = await storage.upload(bytes);
    const middle = await storage.download(cid, { range: { offset: 300_000, length: 5 } });
    deepEqual([middle.size, middle.range], [MB, { offset: 300_000, length: 5 }]);
    deepEqual(await middle.bytes(), bytes.slice(300_000, 300_005));
    deepEqual(await bytesOf(storage.download(cid, { range: { last: 3 } })), bytes.slice(-3));
    deepEqual(await bytesOf(storage.download(cid, { range: { offset: MB - 2 } })), bytes.slice(-2));
    deepEqual(await bytesOf(storage.download(cid, { range: { last: 2 * MB } })), bytes);
    await rejects(storage.download(cid, { range: { offset: MB } }), withCode("RANGE_NOT_SATISFIABLE"));
    for (const range of [{ offset: -1 }, { offset: 0, length: 0 }, { offset: 0.5 }, { last: 0 }]) {
      await rejects(storage.download(cid, { range }), RangeError);
    }
  },

  async "a reader that leaves, or is told to, ends the call; one that is slow gets everything"(target) {
    const storage = storageOf(target);
    const bytes = noise(4 * MB, 3);
    const { cid } = await storage.upload(bytes);
    const left = await storage.download(cid);
    const reader = left.body.getReader();
    ok(!(await reader.read()).done);
    await reader.cancel();
    (await storage.download(cid)).close();
    const reason = new Error("left"), controller = new AbortController();
    const ended = await storage.download(cid, { signal: controller.signal });
    const reading = ended.body.getReader();
    await reading.read();
    controller.abort(reason);
    await rejects(async () => {
      while (!(await reading.read()).done);
    }, reason);
    await rejects(storage.download(cid, { signal: controller.signal }), reason);
    const slow = (await storage.download(cid)).body.getReader();
    const pieces: Uint8Array<ArrayBuffer>[] = [];
    for (let piece = await slow.read(); !piece.done; piece = await slow.read()) {
      pieces.push(piece.value);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    deepEqual(new Uint8Array(await new Blob(pieces).arrayBuffer()), bytes);
  },

  async "bytes of a single block are held against their CID"(target) {
    const storage = storageOf(target);
    const { cid } = await storage.upload("proved");
    equal(await (await storage.download(cid, { verify: true })).text(), "proved");
    const { cid: large } = await storage.upload(noise(MB, 4));
    await rejects(storage.download(large, { verify: true }), withCode("NOT_SUPPORTED"));
    await rejects(storage.download(`${cid}/a`, { verify: true }), withCode("NOT_SUPPORTED"));
    await rejects(storage.download(cid, { verify: true, range: { last: 1 } }), TypeError);
  },

  async "a directory is stored from lists and streams, listed, read by paths and as archives"(target) {
    const storage = storageOf(target);
    const files = [
      { path: "index.html", content: "<h1>Hi</h1>" },
      { path: 'img/a "b" ä%.bin', content: noise(300_000, 5) },
      { path: "img/empty", content: new Blob([]) },
    ];
    const listed = await storage.uploadDirectory(files, { name: "site", repeat: true });
    deepEqual([listed.name, listed.size, listed.files.map(({ path }) => path)], [
      "site",
      300_011,
      files.map(({ path }) => path),
    ]);
    const streamed = await storage.uploadDirectory((async function* () {
      for (const { path, content } of files) {
        yield await Promise.resolve({ path, content: new Blob([content]).stream() });
      }
    })());
    equal(streamed.cid, listed.cid);
    const { cid } = listed;
    const { entries, path } = await storage.directory(cid);
    deepEqual([path, entries.map(({ name, kind }) => `${name} ${kind}`)], ["", ["img directory", "index.html file"]]);
    deepEqual((await storage.directory(`${cid}/img/`)).entries.map(({ size }) => size), [300_000, 0]);
    const inner = await storage.download(`${cid}/${files[1]!.path}`);
    deepEqual([inner.cid, await inner.bytes()], [listed.files[1]!.cid, files[1]!.content]);
    await rejects(storage.download(cid), withCode("WRONG_TYPE"));
    await rejects(storage.directory(`${cid}/index.html`), withCode("WRONG_TYPE"));
    const tar = await storage.tar(cid);
    equal(tar.type, "application/x-tar");
    const text = await tar.text();
    ok(text.includes("site/index.html") && text.includes("<h1>Hi</h1>"));
    const car = await (await storage.downloadCar(cid)).blob();
    await storage.unpin(cid);
    const again = await storage.uploadCar(car, { name: "again" });
    deepEqual([again.cid, again.name, again.kind], [cid, "again", "directory"]);
    equal((await storage.uploadCar(car.stream())).cid, cid);
    ok((await bytesOf(storage.downloadCar(cid, { scope: "block" }))).length < 2_000);
    await rejects(storage.uploadCar(car.slice(0, -1)), withCode("INVALID_REQUEST"));
    await rejects(storage.uploadDirectory([{ path: "../a", content: "x" }]), withCode("INVALID_REQUEST"));
    for (const path of ["", "a\r\nb", "a%22", "\ud800"]) {
      await rejects(storage.uploadDirectory([{ path, content: "x" }]), TypeError);
    }
  },

  async "a link is read without a credential until it is over"(target) {
    const storage = storageOf(target);
    const { cid } = await storage.upload("for all");
    const link = await storage.link(cid, { expiresIn: "10m" });
    ok(link.expiresAt.getTime() > Date.now() + 300_000);
    equal(link.url, target.url + link.path);
    equal(await (await fetch(link.url)).text(), "for all");
    await rejects(storage.link(NOBODY), withCode("NOT_FOUND"));
  },

  async "what is held encrypted has another CID each time, and comes back as it was"(target) {
    const storage = storageOf(target);
    const [one, other] = [
      await storage.upload("sealed", { encrypt: true }),
      await storage.upload("sealed", { encrypt: true }),
    ];
    notEqual(one.cid, other.cid);
    equal(await (await storage.download(one.cid)).text(), "sealed");
    equal((await storage.object(other.cid))?.encrypted, true);
  },

  async "an upload in parts tells how far it is, and another process goes on with what was kept"(target) {
    const storage = storageOf(target);
    const bytes = noise(2 * MB + 5, 6);
    const controller = new AbortController();
    let kept = "";
    const sent: number[] = [];
    const first = storage.uploadResumable(streamOf(bytes), {
      name: "parts.bin",
      size: bytes.length,
      partSize: MB / 2,
      signal: controller.signal,
      onState: (state) => void (kept = JSON.stringify(state)),
      onProgress: (progress) => {
        sent.push(progress.sent);
        if (progress.sent === MB) controller.abort(new Error("shut down"));
      },
    });
    await rejects(first, /^Error: shut down$/);
    deepEqual(sent, [0, MB / 2, MB]);
    const resume = JSON.parse(kept) as UploadState;
    deepEqual([resume.size, Date.parse(resume.expiresAt) > Date.now()], [bytes.length, true]);
    await rejects(storage.uploadResumable(bytes.slice(1), { resume }), RangeError);
    const opened: number[] = [];
    const { cid, name } = await storage.uploadResumable((offset) => {
      opened.push(offset);
      return streamOf(bytes.subarray(offset));
    }, { resume, partSize: MB });
    deepEqual([opened, name], [[MB], "parts.bin"]);
    deepEqual(await bytesOf(storage.download(cid)), bytes);
    deepEqual(
      await storage.uploadResumable(bytes, { resume }),
      { cid, name, size: bytes.length },
      "it is there already",
    );
    equal(await storage.discardUpload(resume), true);
    equal(await storage.discardUpload(resume), false);
    await rejects(storage.uploadResumable(bytes, { resume }), withCode("UPLOAD_LOST"));
    equal((await storage.object(cid))?.name, "parts.bin", "what was stored stays");
  },

  async "an upload in parts needs no length, no checksum, and stands any size of pieces"(target) {
    const storage = storageOf(target);
    const bytes = noise(MB, 7);
    const { cid } = await storage.upload(bytes);
    const ways = [
      { content: streamOf(bytes), options: { partSize: MB / 4 } },
      { content: streamOf(bytes, 1_000_000), options: { partSize: 100_001 } },
      { content: streamOf(bytes, 3_333), options: { checksum: false, partSize: MB } },
      { content: new Blob([bytes]), options: { checksum: "sha512", visibility: "public", pin: false } },
    ] as const;
    for (const { content, options } of ways) equal((await storage.uploadResumable(content, options)).cid, cid);
    const [empty, nothing] = [
      await storage.uploadResumable(""),
      await storage.uploadResumable(streamOf(new Uint8Array())),
    ];
    deepEqual([empty.size, nothing.cid], [0, empty.cid]);
    await rejects(storage.uploadResumable(streamOf(bytes), { size: MB - 1 }), RangeError);
    await rejects(storage.uploadResumable(streamOf(bytes), { size: MB + 1 }), RangeError);
    await rejects(storage.uploadResumable(bytes, { partSize: 0 }), RangeError);
    await rejects(
      storage.uploadResumable(bytes, { resume: { id: "../objects", size: null, expiresAt: "" } }),
      TypeError,
    );
  },

  async "whatever ends an upload lets go of its source, and nothing is stored"(target) {
    const storage = storageOf(target);
    const reason = new Error("left");
    const bytes = noise(MB, 8);
    const told: unknown[] = [];
    const source = () => streamOf(bytes, 40_000, (why) => told.push(why));
    await rejects(storage.upload(source(), { signal: AbortSignal.abort(reason) }), reason);
    deepEqual(told, [reason]);
    const controller = new AbortController();
    let taken = 0;
    const ending = new ReadableStream<Uint8Array>({
      pull(controlled) {
        controlled.enqueue(bytes.slice(0, 10_000));
        if (++taken === 20) controller.abort(reason);
      },
      cancel: (why) => void told.push(why),
    }, { highWaterMark: 0 });
    await rejects(storage.upload(ending, { name: "ended.bin", signal: controller.signal }), reason);
    equal(told.length, 2);
    const failing = new ReadableStream<Uint8Array>({
      pull(controlled) {
        if (++taken < 30) controlled.enqueue(bytes.slice(0, 10_000));
        else controlled.error(reason);
      },
    }, { highWaterMark: 0 });
    await rejects(storage.upload(failing, { name: "ended.bin" }), reason);
    await rejects(
      storage.uploadDirectory([{ path: "a", content: "x" }, { path: "b\n", content: source() }]),
      TypeError,
    );
    deepEqual(await all(storage.objects({ name: "ended" })), []);
  },

  async "what an address, a header or a form cannot hold sends nothing"(target) {
    const storage = storageOf({ ...target, url: "http://127.0.0.1:1" });
    for (const place of ["", "/", "..", `${NOBODY}/../a`, `${NOBODY}//a`, `${NOBODY}/.`, "\ud800"]) {
      await rejects(storage.download(place), TypeError);
      await rejects(storage.directory(place), TypeError);
      await rejects(storage.unpin(place), TypeError);
    }
    await rejects(storage.object(`${NOBODY}/a`), TypeError);
    await rejects(storage.upload("x", { type: "a\r\nb" }), TypeError);
    await rejects(storage.upload("x", { name: "\ud800" }), TypeError);
    await rejects(storage.upload(streamOf(noise(9)), { repeat: true as false }), TypeError);
    await rejects(storage.upload({} as Blob), TypeError);
  },
};
