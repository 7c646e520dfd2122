import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { createClient, OramaError, type ResumableContent, type ResumableOptions } from "../../../src/client/index.ts";
import { uploadResumable } from "../../../src/client/storage/resumable.ts";
import { oramaError } from "./support/databases.ts";
import { networkOptions, NoWaiting, refusal, Source, untilAborted } from "./support/storages.ts";
import { type Disturbance, TusGateway } from "./support/tus_gateway.ts";

const TEXT = "0123456789ab";
const bytes = new TextEncoder().encode(TEXT);
const lost = () => Promise.reject(new TypeError("fetch failed"));

/** Uploads in parts of four bytes, and never waits. */
function sending(gateway: TusGateway, content: ResumableContent = TEXT, options: ResumableOptions = {}) {
  const clock = new NoWaiting();
  const client = createClient(networkOptions(gateway.network));
  const done = uploadResumable(client, content, { partSize: 4, ...options }, clock);
  return { clock, done };
}

/** Does something to the requests of a method with these numbers. */
const at = (method: string, counts: readonly number[], what: Disturbance): Disturbance => (request, count, gateway) =>
  request.method === method && counts.includes(count) ? what(request, count, gateway) : undefined;

Deno.test("an upload is begun, sent part by part with a checksum each, and its end is asked for", async () => {
  const gateway = new TusGateway();
  const states: unknown[] = [], progress: unknown[] = [];
  const { done, clock } = sending(gateway, new File([TEXT], "ä.txt", { type: "text/plain" }), {
    pin: false,
    encrypt: true,
    visibility: "public",
    onState: (state) => void states.push([state, gateway.log.length]),
    onProgress: (told) => void progress.push([told.sent, told.size]),
  });
  deepEqual(await done, { cid: "bafy", name: "n", size: 12 });
  deepEqual(gateway.log, ["POST", "PATCH 0-4", "PATCH 4-8", "PATCH 8-12", "GET"]);
  equal(gateway.text, TEXT);
  deepEqual(states, [[{ id: "up-1", size: 12, expiresAt: "2026-01-18T10:00:00.000Z" }, 1]]);
  deepEqual(progress, [[0, 12], [4, 12], [8, 12], [12, 12]]);
  const [begun, part] = gateway.headers;
  const told = begun!.get("upload-metadata")!.split(",").map((pair) => pair.split(" "));
  deepEqual(told.map(([key, value]) => [key, new TextDecoder().decode(Uint8Array.fromBase64(value!))]), [
    ["filename", "ä.txt"],
    ["filetype", "text/plain"],
    ["pin", "false"],
    ["visibility", "public"],
    ["encrypt", "true"],
  ]);
  equal(part!.get("upload-checksum")!.split(" ")[0], "sha256");
  deepEqual([clock.pauses, clock.timers.size], [[], 0]);
});

Deno.test("a length that nobody said is said with the last part, also where that ends with a piece", async () => {
  for (const length of [0, 3, 4, 5, 8]) {
    for (const piece of [1, 3, 4, 100]) {
      const gateway = new TusGateway();
      await sending(gateway, new Source(bytes.slice(0, length), piece).stream).done;
      equal(gateway.text, TEXT.slice(0, length));
      const said = gateway.headers.map((headers) => headers.get("upload-length"));
      deepEqual(said.filter((one) => one !== null), [String(length)]);
      equal(said.at(-2), String(length), "with the last part");
    }
  }
});

Deno.test("what breaks off is gone on with where the gateway is, whatever came of it", async () => {
  for (const came of [0, 2, 4]) {
    for (const content of [TEXT, new Source(bytes, 5).stream]) {
      const gateway = new TusGateway(at("PATCH", [2], (_request, _count, gateway) => {
        gateway.take(bytes.slice(4, 4 + came));
        return lost();
      }));
      const { done, clock } = sending(gateway, content);
      await done;
      equal(gateway.text, TEXT);
      deepEqual(gateway.log.slice(0, 5), ["POST", "PATCH 0-4", "PATCH 4-8", "GET", `PATCH ${4 + came}-${8 + came}`]);
      equal(clock.pauses.length, 1);
    }
  }
});

Deno.test("an offset that is another, a damaged part and a busy upload are asked about and put right", async () => {
  const disturbances: Disturbance[] = [
    (_request, _count, gateway) => {
      gateway.take(bytes.slice(4, 7));
      return refusal(409, "CONFLICT", {}, { offset: 7 });
    },
    () => refusal(460, "CHECKSUM_MISMATCH"),
    () => refusal(423, "UPLOAD_LOCKED", { "retry-after": "5" }),
    () => refusal(503, "UNAVAILABLE", { "retry-after": "2" }),
    () => refusal(429, "RATE_LIMITED", { "retry-after": "1" }),
  ];
  const pauses: (number | undefined)[] = [];
  for (const disturbance of disturbances) {
    const gateway = new TusGateway(at("PATCH", [2], disturbance));
    const { done, clock } = sending(gateway, new Source(bytes, 5).stream);
    await done;
    equal(gateway.text, TEXT);
    pauses.push(...clock.pauses);
  }
  deepEqual(pauses, [250, 250, 5_000, 2_000, 1_000], "Retry-After is minded");
});

Deno.test("beginning is tried again, and so is asking how far it is", async () => {
  const gateway = new TusGateway((request, count) =>
    request.method === "POST" && count <= 2 || request.method === "GET" && count === 1 ? lost() : undefined
  );
  const { done, clock } = sending(gateway);
  await done;
  deepEqual(gateway.log, ["POST", "POST", "POST", "PATCH 0-4", "PATCH 4-8", "PATCH 8-12", "GET", "GET"]);
  deepEqual(clock.pauses, [250, 500, 250], "each that came further begins with short pauses again");
});

Deno.test("an upload that comes no further is given up, with what was said last", async () => {
  const busy = new TusGateway((request) => request.method === "PATCH" ? refusal(503, "UNAVAILABLE") : undefined);
  const { done, clock } = sending(busy, TEXT, { retry: { attempts: 3 } });
  deepEqual([(await oramaError(done)).code, clock.pauses], ["UNAVAILABLE", [250, 500, 1000]]);
  const gone = new TusGateway(lost);
  const without = sending(gone, TEXT, { retry: { attempts: 1 } });
  deepEqual([(await oramaError(without.done)).code, gone.log.length], ["NETWORK_ERROR", 2]);
  const long = new TusGateway(() => refusal(429, "TOO_MANY_UPLOADS", { "retry-after": "61" }));
  equal((await oramaError(sending(long).done)).retryAfter, 61);
  equal(long.log.length, 1, "a pause that is too long is told instead");
  for (const code of [400, 401, 403, 413, 500]) {
    const refused = new TusGateway(at("PATCH", [1], () => refusal(code, "REFUSED")));
    equal((await oramaError(sending(refused).done)).code, "REFUSED");
    equal(refused.log.length, 2);
  }
  const deleting = new TusGateway(at("PATCH", [1], () => refusal(409, "CONFLICT")));
  equal((await oramaError(sending(deleting).done)).code, "CONFLICT");
});

Deno.test("a whole upload that is still being stored is asked for as long as its size may take", async () => {
  const size = 64 * 2 ** 20 * 20;
  const later = () => refusal(423, "UPLOAD_LOCKED", { "retry-after": "1" }, { offset: size, length: size });
  const resume = { id: "up-1", size, expiresAt: "" };
  const run = (answers: number) => {
    const gateway = new TusGateway(at("GET", Array.from({ length: answers }, (_, at) => at + 1), later));
    Object.assign(gateway, { isBegun: true, length: size, bytes: { length: size } });
    return sending(gateway, () => new Source(bytes, 4).stream, { resume });
  };
  const { done, clock } = run(28);
  equal((await done).cid, "bafy");
  deepEqual(clock.pauses, Array(28).fill(1_000), "20 questions for its size, 8 as ever");
  equal((await oramaError(run(29).done)).code, "UPLOAD_LOCKED");
});

Deno.test("what the gateway lost is read again where that can be, and told where it cannot", async () => {
  const forgetting = () =>
    new TusGateway(at("PATCH", [3], (_request, _count, gateway) => {
      gateway.bytes = gateway.bytes.slice(0, 2);
      return lost();
    }));
  const offsets: number[] = [];
  const open = (offset: number) => {
    offsets.push(offset);
    return Promise.resolve(new Source(bytes.slice(offset), 3).stream);
  };
  for (const content of [TEXT, new Blob([TEXT]), open]) {
    const gateway = forgetting();
    await sending(gateway, content).done;
    equal(gateway.text, TEXT);
  }
  deepEqual(offsets, [0, 2]);
  const source = new Source(bytes, 3);
  equal((await oramaError(sending(forgetting(), source.stream).done)).code, "UPLOAD_LOST");
  ok(source.stream.locked);
});

Deno.test("an upload that has expired is lost, at once and in the middle; a gateway without uploads is not that", async () => {
  const resume = { id: "up-1", size: 12, expiresAt: "" };
  const expired = await oramaError(sending(new TusGateway(), TEXT, { resume }).done);
  deepEqual([expired.code, expired.status, (expired.cause as OramaError).code], ["UPLOAD_LOST", 404, "NOT_FOUND"]);
  const expiring = new TusGateway(at("PATCH", [2], (_request, _count, gateway) => {
    gateway.isBegun = false;
    return undefined;
  }));
  equal((await oramaError(sending(expiring).done)).code, "UPLOAD_LOST");
  const older = new TusGateway(() => refusal(404, "NOT_FOUND"));
  equal((await oramaError(sending(older).done)).code, "NOT_FOUND");
});

Deno.test("content that is not what was begun with is told, and completes nothing", async () => {
  const resume = { id: "up-1", size: 12, expiresAt: "" };
  const begun = () => Object.assign(new TusGateway(), { isBegun: true, length: 12, bytes: bytes.slice(0, 8) });
  for (
    const content of [TEXT.slice(1), "", new Source(bytes.slice(1), 5).stream, new Source(bytes.slice(6), 5).stream]
  ) {
    const gateway = begun();
    await rejects(sending(gateway, content, { resume }).done, RangeError);
    equal(gateway.text, TEXT.slice(0, 8));
  }
  const longer = new Source(Uint8Array.from([...bytes, 1]), 5).stream;
  await rejects(sending(begun(), longer, { resume }).done, RangeError);
  const unsaid = Object.assign(new TusGateway(), { isBegun: true, bytes: bytes.slice(0, 8) });
  await rejects(sending(unsaid, "0123", { resume: { ...resume, size: null } }).done, RangeError);
  const gateway = begun();
  await sending(gateway, new Source(bytes, 5).stream, { resume }).done;
  deepEqual([gateway.text, gateway.log], [TEXT, ["GET", "PATCH 8-12", "GET"]], "what is there is not sent again");
});

Deno.test("a gateway that took another number of bytes than were sent is not believed", async () => {
  const gateway = new TusGateway(
    at("PATCH", [1], () => new Response(null, { status: 204, headers: { "upload-offset": "3" } })),
  );
  equal((await oramaError(sending(gateway).done)).code, "INVALID_RESPONSE");
  for (const body of [{}, { id: "a" }, { id: "a", offset: 0 }, { id: "a", offset: 0, expires_at: "soon" }, []]) {
    const odd = new TusGateway(() => Response.json(body, { status: 201 }));
    equal((await oramaError(sending(odd).done)).code, "INVALID_RESPONSE");
  }
});

Deno.test("a signal ends an upload in each of its phases, lets go of the source, and keeps the state", async () => {
  const reason = new Error("left");
  for (const phase of ["before", "POST", "PATCH", "GET", "reading", "pause"]) {
    const controller = new AbortController();
    const gateway = new TusGateway((request) => {
      if (phase === "pause") return request.method === "PATCH" ? lost() : undefined;
      if (request.method !== phase) return undefined;
      controller.abort(reason);
      return untilAborted(request.signal);
    });
    const source = new Source(bytes.slice(0, 7), 3, phase === "reading" ? "endless" : undefined);
    const states: unknown[] = [];
    if (phase === "before") controller.abort(reason);
    const clock = new NoWaiting();
    if (phase === "pause") {
      clock.pause = (_ms, signal) => {
        controller.abort(reason);
        return untilAborted(signal);
      };
    }
    const client = createClient(networkOptions(gateway.network));
    const options: ResumableOptions = {
      partSize: 4,
      signal: controller.signal,
      onState: (state) => void states.push(state),
      onProgress: ({ sent }) => {
        if (phase === "reading" && sent === 4) setTimeout(() => controller.abort(reason));
      },
    };
    await rejects(uploadResumable(client, source.stream, options, clock), reason, phase);
    equal(states.length, phase === "before" || phase === "POST" ? 0 : 1);
    ok(source.cancelled?.reason === reason || phase === "GET", `${phase}: ${Deno.inspect(source.cancelled)}`);
    ok(source.stream.locked, "nobody else reads what is left");
  }
});

Deno.test("an upload reads no more of its source than the part that it sends, and a piece", async () => {
  const source = new Source(new Uint8Array(1_000), 2);
  const pulls: number[] = [];
  const gateway = new TusGateway(at("PATCH", [1, 2, 3], () => {
    pulls.push(source.pulls);
    return undefined;
  }));
  await sending(gateway, source.stream, { partSize: 10 }).done;
  deepEqual(pulls, [6, 11, 16]);
});

Deno.test("options that cannot be are refused before anything is sent, and what the caller throws is thrown", async () => {
  const gateway = new TusGateway();
  for (const partSize of [0, -1, 1.5, NaN]) await rejects(sending(gateway, TEXT, { partSize }).done, RangeError);
  await rejects(sending(gateway, TEXT, { size: 13 }).done, RangeError);
  await rejects(sending(gateway, TEXT, { type: "a\r\nb" }).done, TypeError);
  await rejects(sending(gateway, 1 as never).done, TypeError);
  for (const id of ["", "a/b", "..", "a?b", "x".repeat(256)]) {
    await rejects(sending(gateway, TEXT, { resume: { id, size: null, expiresAt: "" } }).done, TypeError);
  }
  deepEqual(gateway.log, []);
  const error = new Error("no room for the state");
  await rejects(sending(gateway, TEXT, { onState: () => Promise.reject(error) }).done, error);
  deepEqual(gateway.log, ["POST"], "nothing is sent before it is kept");
  const failing = new Source(bytes, 5, { error });
  await rejects(sending(new TusGateway(), failing.stream).done, error);
  await rejects(sending(new TusGateway(), () => Promise.reject(error)).done, error);
  const text = new ReadableStream({ start: (controller) => controller.enqueue("text" as never) });
  await rejects(sending(new TusGateway(), text).done, TypeError);
});
