import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createClient, createStorage, OramaError, type Storage } from "../../../src/client/index.ts";
import type { Target } from "./scenarios.ts";

/** Calls a server that behaves as the first part of the path says. Runs on Deno and on Node. */
const storageAt = (url: string, behaviour: string): Storage =>
  createStorage(
    createClient({
      url: `${url}/${behaviour}`,
      apiKey: "ak_test:test",
      requestTimeout: 60_000,
      retry: { firstPause: 1 },
    }),
  );

async function failure(work: Promise<unknown>): Promise<[code: string, status: number]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof OramaError) return [error.code, error.status];
    throw error;
  }
  throw new Error("there was no error");
}

/** A stream without an end, that tells when it is let go. */
function endless(): { readonly stream: ReadableStream<Uint8Array>; readonly cancelled: Promise<void> } {
  let cancelled = () => {};
  const told = new Promise<void>((resolve) => cancelled = resolve);
  const stream = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve));
      controller.enqueue(new Uint8Array(10_000));
    },
    cancel: () => cancelled(),
  }, { highWaterMark: 0 });
  return { stream, cancelled: told };
}

const TEXT = "0123456789";

/** What uploads and downloads must stand. The server counts its requests. */
export const STORAGE_HOSTILE_SCENARIOS: Readonly<Record<string, (target: Pick<Target, "url">) => Promise<void>>> = {
  async "a download that is cut goes on where it was, and one that is cut for ever ends"({ url }) {
    const found = await storageAt(url, "cut-file").download("bafy");
    deepEqual([found.cid, found.size], ["bafy", 10]);
    equal(await found.text(), TEXT);
    equal(
      await (await storageAt(url, "cut-range").download("bafy", { range: { offset: 2, length: 6 } })).text(),
      "234567",
    );
    const stuck = await storageAt(url, "stuck-file").download("bafy");
    deepEqual(await failure(stuck.bytes()), ["NETWORK_ERROR", 0]);
  },

  async "an archive that is cut is an error, and never a part that looks whole"({ url }) {
    const tar = await storageAt(url, "cut-tar").tar("bafy");
    const reader = tar.body.getReader(), decoder = new TextDecoder();
    let text = "";
    const reading = async () => {
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        text += decoder.decode(piece.value);
      }
    };
    deepEqual(await failure(reading()), ["NETWORK_ERROR", 0]);
    ok(text.startsWith(TEXT), text);
    deepEqual(await failure((await storageAt(url, "cut-tar").tar("bafy")).blob()), ["NETWORK_ERROR", 0]);
  },

  async "a 503 is waited for by a download, and told by an upload, which is not sent again"({ url }) {
    equal(await (await storageAt(url, "busy-file").download("bafy")).text(), TEXT);
    deepEqual(await failure(storageAt(url, "busy-upload").upload(TEXT)), ["UNAVAILABLE", 503]);
    deepEqual(await failure(storageAt(url, "cut-upload").upload(TEXT)), ["OUTCOME_UNKNOWN", 0]);
    equal((await storageAt(url, "cut-once-upload").upload(TEXT, { repeat: true })).cid, "bafy");
  },

  async "an upload that streams ends with the answer or the connection, and lets go of its source"({ url }) {
    for (
      const [behaviour, expected] of [["full", ["BODY_TOO_LARGE", 413]], ["cut-stream", ["NETWORK_ERROR", 0]]] as const
    ) {
      const { stream, cancelled } = endless();
      deepEqual(await failure(storageAt(url, behaviour).upload(stream)), expected);
      await cancelled;
    }
  },

  async "a signal ends uploads and downloads wherever they are"({ url }) {
    const reason = new Error("left");
    const works: Readonly<Record<string, (storage: Storage, signal: AbortSignal) => Promise<unknown>>> = {
      "silent-read": (storage, signal) => storage.download("bafy", { signal }),
      "silent-body": async (storage, signal) => await (await storage.download("bafy", { signal })).text(),
      "silent-list": (storage, signal) => storage.directory("bafy", { signal }),
      "silent-stream": (storage, signal) => storage.upload(endless().stream, { signal }),
      "silent-begin": (storage, signal) => storage.uploadResumable(TEXT, { signal }),
      "silent-part": (storage, signal) => storage.uploadResumable(TEXT, { signal }),
    };
    for (const [behaviour, work] of Object.entries(works)) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), 100);
      await rejects(work(storageAt(url, behaviour), controller.signal), reason, behaviour);
    }
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 100);
    const unknown = storageAt(url, "silent-upload").upload(TEXT, { signal: controller.signal });
    deepEqual(await failure(unknown), ["OUTCOME_UNKNOWN", 0]);
  },

  async "an upload in parts stands cuts, wrong offsets and a busy gateway"({ url }) {
    const sent: number[] = [];
    const stored = await storageAt(url, "tus").uploadResumable(TEXT, {
      partSize: 4,
      retry: { firstPause: 1 },
      onProgress: (progress) => void sent.push(progress.sent),
    });
    deepEqual(stored, { cid: "bafy", name: "n", size: 10 });
    ok(sent.every((bytes, at) => at === 0 || bytes > sent[at - 1]!), sent.join(" "));
    deepEqual([sent[0], sent.at(-1)], [0, 10]);
    deepEqual(await failure(storageAt(url, "expired").uploadResumable(TEXT)), ["UPLOAD_LOST", 404]);
  },
};
