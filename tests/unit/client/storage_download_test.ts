import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { CID as IpfsCid } from "multiformats/cid";
import * as raw from "multiformats/codecs/raw";
import { sha256 } from "multiformats/hashes/sha2";
import { createClient, type Download, type DownloadOptions } from "../../../src/client/index.ts";
import { download } from "../../../src/client/storage/download.ts";
import { oramaError } from "./support/databases.ts";
import {
  bytesOf,
  type FetchedRequest,
  type Network,
  networkOptions,
  NoWaiting,
  refusal,
  Source,
  storageAt,
  untilAborted,
} from "./support/storages.ts";

const CID = "bafkreigaknpexyvxt76zgkitavbwx6ejgfheup5oybpm77f3pxzrvwpfdi";
const BYTES = bytesOf(100);
const broken = { error: new TypeError("error reading a body from connection") };

/** A file behind a network. @param piece what becomes of the bytes of the how manieth answer */
const fileAt =
  (piece: (part: Uint8Array<ArrayBuffer>, count: number) => BodyInit, headers: Record<string, string> = {}): Network =>
  (request, count) => {
    const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(request.headers.get("range") ?? "") ?? [];
    const part = BYTES.slice(Number(from ?? 0), to ? Number(to) + 1 : undefined);
    const range = `bytes ${from}-${Number(from) + part.length - 1}/${BYTES.length}`;
    return new Response(piece(part, count), {
      status: from === undefined ? 200 : 206,
      headers: {
        etag: `"${CID}"`,
        "content-type": "image/png",
        "content-length": String(part.length),
        ...(from !== undefined && { "content-range": range }),
        ...headers,
      },
    });
  };

function reading(network: Network, options: DownloadOptions = {}, clock = new NoWaiting()) {
  const seen: FetchedRequest[] = [];
  const client = createClient(networkOptions(network, seen));
  return { seen, clock, answer: download(client, CID, options, clock) };
}

const whole = async (answer: Promise<Download>) => await (await answer).bytes();
const ranges = (seen: readonly FetchedRequest[]) => seen.map(({ headers }) => headers.get("range"));

Deno.test("a download that breaks off goes on where it was, and asks for the same content", async () => {
  const { seen, clock, answer } = reading(
    fileAt((part, count) => new Source(part.slice(0, count * 10), 7, broken).stream),
  );
  const found = await answer;
  deepEqual([found.cid, found.size, found.type, found.range], [CID, 100, "image/png", undefined]);
  deepEqual(await found.bytes(), BYTES);
  deepEqual(ranges(seen), [null, "bytes=10-99", "bytes=30-99", "bytes=60-99"]);
  deepEqual(seen.map(({ headers }) => headers.get("if-match")), [null, ...Array(3).fill(`"${CID}"`)]);
  deepEqual(clock.pauses, [100, 100, 100], "each came further");
  equal(clock.timers.size, 0);
});

Deno.test("an end that comes too early is a break too, and a range goes on within itself", async () => {
  const early = reading(fileAt((part, count) => count === 1 ? part.slice(0, 5) : part), {
    range: { offset: 20, length: 30 },
  });
  const found = await early.answer;
  deepEqual([found.range, found.size], [{ offset: 20, length: 30 }, 100]);
  deepEqual(await found.bytes(), BYTES.slice(20, 50));
  deepEqual(ranges(early.seen), ["bytes=20-49", "bytes=25-49"]);
  const all = reading(fileAt((part) => new Source(part, 100, broken).stream));
  deepEqual(await whole(all.answer), BYTES, "what breaks behind the last byte has broken nothing");
  equal(all.seen.length, 1);
});

Deno.test("a download that comes no further ends as an error, and so does one whose rest is another", async () => {
  const stuck = reading(fileAt((part, count) => new Source(part.slice(0, count === 1 ? 10 : 0), 10, broken).stream));
  equal((await oramaError(whole(stuck.answer))).code, "NETWORK_ERROR");
  deepEqual([stuck.seen.length, stuck.clock.pauses], [4, [100, 200, 400]]);
  const part = fileAt((part) => part.slice(0, 10));
  const rests: [string, () => Response][] = [
    ["PRECONDITION_FAILED", () => refusal(412, "PRECONDITION_FAILED")],
    ["NOT_FOUND", () => refusal(404, "NOT_FOUND")],
    ["INVALID_RESPONSE", () => new Response(BYTES, { headers: { etag: `"${CID}"` } })],
    [
      "INVALID_RESPONSE",
      () => new Response(BYTES.slice(9), { status: 206, headers: { "content-range": "bytes 9-99/100" } }),
    ],
    [
      "INVALID_RESPONSE",
      () => new Response(BYTES.slice(10, 20), { status: 206, headers: { "content-range": "bytes 10-19/100" } }),
    ],
  ];
  for (const [code, rest] of rests) {
    const { answer } = reading((request, count) => count === 1 ? part(request, count) : rest());
    equal((await oramaError(whole(answer))).code, code);
  }
});

Deno.test("what has no length, no tag that is sure, or is compressed on its way is not put together", async () => {
  for (const headers of [{ etag: `W/"${CID}"` }, { "content-encoding": "br" }, { "content-length": "many" }]) {
    const network = fileAt(
      (part) => new Source(part.slice(0, 10), 10, broken).stream,
      headers as Record<string, string>,
    );
    const { answer, seen } = reading(network);
    const found = await answer;
    equal(found.size, "etag" in headers ? 100 : undefined);
    equal((await oramaError(found.bytes())).code, "NETWORK_ERROR");
    equal(seen.length, 1);
  }
});

Deno.test("an answer that is none to the request is told from one", async () => {
  const file = { etag: `"${CID}"` };
  const wrong: [DownloadOptions, Response][] = [
    [{}, new Response("<html>")],
    [{}, new Response(null, { status: 204, headers: file })],
    [{}, new Response("a", { status: 206, headers: { ...file, "content-range": "bytes 0-0/1" } })],
    [{ range: { last: 1 } }, new Response("a", { headers: file })],
    [{ range: { last: 1 } }, new Response("a", { status: 206, headers: file })],
    [{ range: { last: 1 } }, new Response("a", { status: 206, headers: { ...file, "content-range": "bytes 1-0/1" } })],
    [{ range: { last: 1 } }, new Response("a", { status: 206, headers: { ...file, "content-range": "bytes 0-0/*" } })],
    [
      { range: { last: 1 } },
      new Response("a", { status: 206, headers: { ...file, "content-range": "bytes 0-0/1", "content-length": "2" } }),
    ],
    [{}, new Response(BYTES, { headers: { ...file, "content-length": "99" } })],
  ];
  for (const [options, answer] of wrong) {
    equal((await oramaError(whole(reading(() => answer, options).answer))).code, "INVALID_RESPONSE");
  }
  const storage = storageAt(() => new Response("x", { headers: { "content-type": "text/html" } }));
  equal((await oramaError(storage.tar(CID))).code, "INVALID_RESPONSE");
  equal((await oramaError(storage.downloadCar(CID))).code, "INVALID_RESPONSE");
});

Deno.test("silence between two pieces ends the connection, and the rest is asked for", async () => {
  const clock = new NoWaiting();
  const times: number[] = [];
  clock.after = (milliseconds, run) => {
    // Behind the first piece.
    if (times.push(milliseconds) === 2) setTimeout(run);
    return () => {};
  };
  const file = fileAt((part) => part);
  const network: Network = (request, count) => {
    if (count > 1) return file(request, count);
    const silent = new ReadableStream({
      start(controller) {
        controller.enqueue(BYTES.slice(0, 10));
        void untilAborted(request.signal).catch((reason) => controller.error(reason));
      },
    });
    return new Response(silent, { headers: { etag: `"${CID}"`, "content-length": "100" } });
  };
  const { answer, seen } = reading(network, { requestTimeout: 7_000 }, clock);
  deepEqual(await whole(answer), BYTES);
  deepEqual([ranges(seen), times[0]], [[null, "bytes=10-99"], 7_000]);
});

Deno.test("nothing is read before somebody reads, and leaving ends the call", async () => {
  const source = new Source(new Uint8Array(1_000), 10);
  const { answer, seen, clock } = reading(() =>
    new Response(source.stream, { headers: { etag: `"${CID}"`, "content-length": "1000" } })
  );
  const { body } = await answer;
  const before = source.pulls;
  ok(before <= 1, String(before));
  const reader = body.getReader();
  await reader.read();
  await reader.read();
  ok(source.pulls - before <= 2, `${source.pulls} pulls for two pieces`);
  await reader.cancel();
  equal(seen[0]!.signal.aborted, true);
  equal(clock.timers.size, 0);
});

Deno.test("a signal ends a download in each of its phases with its reason", async () => {
  const reason = new Error("left");
  for (const phase of ["before", "asking", "body", "pause", "going on"]) {
    const controller = new AbortController();
    const { signal } = controller;
    const abort = () => setTimeout(() => controller.abort(reason));
    const file = fileAt((part) => new Source(part.slice(0, 10), 10, broken).stream);
    const clock = new NoWaiting();
    if (phase === "before") controller.abort(reason);
    if (phase === "pause") clock.pause = (_ms, signal) => (abort(), untilAborted(signal));
    const network: Network = (request, count) => {
      if (phase === "asking" || phase === "going on" && count === 2) return abort(), untilAborted(request.signal);
      if (phase !== "body") return file(request, count);
      const endless = new ReadableStream({
        start: (to) => void untilAborted(request.signal).catch((why) => to.error(why)),
      });
      abort();
      return new Response(endless, { headers: { etag: `"${CID}"`, "content-length": "9" } });
    };
    await rejects(whole(reading(network, { signal }, clock).answer), reason, phase);
    equal(clock.timers.size, 0);
  }
});

Deno.test("bytes are given only once they are those of the CID, where that is asked for", async () => {
  const text = new TextEncoder().encode("hello world");
  const cid = IpfsCid.createV1(raw.code, await sha256.digest(text)).toString();
  const answering = (bytes: BodyInit): Network => () => new Response(bytes, { headers: { etag: `"${cid}"` } });
  const found = await storageAt(answering(text)).download(cid, { verify: true });
  equal(await found.text(), "hello world");
  for (const wrong of ["hello worle", "", "hello world "]) {
    equal((await oramaError(storageAt(answering(wrong)).download(cid, { verify: true }))).code, "CONTENT_MISMATCH");
  }
  const endless = new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(2 ** 20)) });
  equal((await oramaError(storageAt(answering(endless)).download(cid, { verify: true }))).code, "INVALID_RESPONSE");
  const nothing = storageAt(() => Promise.reject(new Error("nothing is sent")));
  for (
    const other of [
      "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
      "QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPbdG",
      "bafkqaaa",
      cid.toUpperCase(),
      `${cid}/a`,
      cid.slice(0, -1),
    ]
  ) equal((await oramaError(nothing.download(other, { verify: true }))).code, "NOT_SUPPORTED", other);
});
