import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import type { Content, Storage } from "../../../src/client/index.ts";
import { sendsStreams } from "../../../src/client/streamed_body.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { until } from "../../engines/support/wait.ts";
import { oramaError } from "./support/databases.ts";
import { bytesOf, type FetchedRequest, json, refusal, Source, storageAt, untilAborted } from "./support/storages.ts";

const OBJECT = {
  cid: "bafy",
  name: "n",
  size: null,
  type: null,
  kind: "directory",
  visibility: "private",
  encrypted: false,
  pinned: true,
  expires_at: null,
  replication_min: 1,
  replication_max: -1,
  created_at: "2026-01-18T10:00:00Z",
  created_by: "0xabc",
};
const STORED = { cid: "bafy", name: "n", size: 3 };

const textOf = (body: FetchedRequest["body"]) => new Response(body).text();
const typeOf = ({ body }: FetchedRequest) => (body as Blob).type;

/** What each call sends. */
async function sent(answer: unknown, work: (storage: Storage) => Promise<unknown>): Promise<FetchedRequest> {
  const seen: FetchedRequest[] = [];
  await work(storageAt(() => json(200, answer), seen));
  return seen[0]!;
}

Deno.test("what is there is sent as a form of known length, with what is said of it in the address", async () => {
  const options = {
    name: "a b&c",
    type: "image/png",
    pin: false,
    visibility: "public",
    encrypt: true,
    replicationMin: 2,
    replicationMax: -1,
  } as const;
  const { method, path, body } = await sent(STORED, (storage) => storage.upload("abc", options));
  const query = "name=a%20b%26c&pin=false&visibility=public&encrypt=true&replication_min=2&replication_max=-1";
  equal(`${method} ${path}`, `POST /v1/storage/upload?${query}`);
  const [, boundary] = /^multipart\/form-data; boundary=([\w-]+)$/.exec((body as Blob).type) ?? [];
  equal(
    await textOf(body),
    `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="file"\r\nContent-Type: image/png\r\n\r\nabc\r\n--${boundary}--\r\n`,
  );
  const file = new File(["x"], "dir/f.txt", { type: "text/plain" });
  const named = await sent(STORED, (storage) => storage.upload(file));
  equal(named.path, "/v1/storage/upload?name=dir%2Ff.txt");
  match(await textOf(named.body), /Content-Type: text\/plain\r\n/);
  const bare = await sent(STORED, (storage) => storage.upload(new Uint8Array(new SharedArrayBuffer(3))));
  equal(bare.path, "/v1/storage/upload?name=", "not called by the name that stands in the form");
  match(await textOf(bare.body), /filename="file"\r\n\r\n\0\0\0\r\n/);
});

Deno.test("a directory is a form of many files, a CAR a body of its own type", async () => {
  const answer = { ...STORED, files: [{ path: "a", cid: "b", size: null }] };
  const files = new Map([['x "y".txt', "1"], ["d/z", "2"]]).entries().map(([path, content]) => ({ path, content }));
  const request = await sent(answer, (storage) => storage.uploadDirectory(files, { name: "d" }));
  equal(request.path, "/v1/storage/upload?name=d&directory=true");
  const names = [...(await textOf(request.body)).matchAll(/filename="(.*)"\r\n\r\n(.)/g)].map(([, ...found]) => found);
  deepEqual(names, [["x %22y%22.txt", "1"], ["d/z", "2"]]);
  const car = await sent(OBJECT, (storage) => storage.uploadCar(new Blob(["car"]), { pin: false }));
  deepEqual([car.path, typeOf(car), await textOf(car.body)], [
    "/v1/storage/car?pin=false",
    "application/vnd.ipld.car",
    "car",
  ]);
});

Deno.test("what streams is sent as it comes, and taken no faster than it is sent", async () => {
  const source = new Source(bytesOf(1_000), 10);
  const pulls: number[] = [];
  const storage = storageAt(async ({ body, headers }) => {
    match(headers.get("content-type")!, /^multipart\/form-data; boundary=orama-/);
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    let size = 0;
    for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
      size += piece.value.length;
      pulls.push(source.pulls);
    }
    return json(200, { ...STORED, size });
  });
  const { size } = await storage.upload(source.stream);
  ok(size > 1_000);
  deepEqual(pulls.slice(0, 5), [0, 1, 2, 3, 4], "the head of the form, and piece by piece");
  deepEqual([pulls.length, source.cancelled], [103, undefined]);
});

Deno.test("an upload that streams is known to be stored nowhere until its end was taken", async () => {
  const reason = new Error("left"), broken = new Error("disk");
  const take = async (body: FetchedRequest["body"], pieces: number) => {
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    while (pieces-- > 0 && !(await reader.read()).done);
    return reader;
  };
  const cut = new Source(bytesOf(100), 10);
  const lost = storageAt(async ({ body }) => {
    await take(body, 5);
    throw new TypeError("connection closed");
  });
  equal((await oramaError(lost.upload(cut.stream))).code, "NETWORK_ERROR");
  ok(cut.cancelled, "nothing more of it is read");

  const refused = new Source(bytesOf(100), 10, "endless");
  const refusing = storageAt(async ({ body }) => {
    await take(body, 3);
    return refusal(413, "BODY_TOO_LARGE");
  });
  equal((await oramaError(refusing.upload(refused.stream))).code, "BODY_TOO_LARGE");
  ok(refused.cancelled, "an answer that comes early ends it");

  const failing = new Source(bytesOf(20), 10, { error: broken });
  const reading = storageAt(async ({ body }) => {
    await take(body, 9);
    return json(200, STORED);
  });
  await rejects(reading.upload(failing.stream), broken);

  const controller = new AbortController();
  const aborted = new Source(bytesOf(100), 10, "endless");
  const aborting = storageAt(async ({ body, signal }) => {
    await take(body, 4);
    controller.abort(reason);
    return await untilAborted(signal);
  });
  await rejects(aborting.upload(aborted.stream, { signal: controller.signal }), reason);
  deepEqual(aborted.cancelled, { reason });

  const whole = storageAt(async ({ body }) => {
    await take(body, 1_000);
    throw new TypeError("connection closed");
  });
  equal((await oramaError(whole.upload(new Source(bytesOf(10), 10).stream))).code, "OUTCOME_UNKNOWN");
});

Deno.test("streams of a directory whose turn has not come are let go as well", async () => {
  const sources = [new Source(bytesOf(9), 3, "endless"), new Source(bytesOf(9), 3)];
  const storage = storageAt(() => refusal(429, "TOO_MANY_UPLOADS"));
  const files = sources.map(({ stream }, at) => ({ path: String(at), content: stream }));
  equal((await oramaError(storage.uploadDirectory(files))).code, "TOO_MANY_UPLOADS");
  ok(sources.every(({ cancelled }) => cancelled));
  let ended = false;
  const listed = async function* () {
    try {
      yield await Promise.resolve({ path: "a", content: "x" });
      yield { path: "b", content: sources[0]!.stream };
    } finally {
      ended = true;
    }
  };
  const taking = storageAt(async ({ body }) => {
    await (body as ReadableStream).getReader().read();
    return refusal(429, "TOO_MANY_UPLOADS");
  });
  equal((await oramaError(taking.uploadDirectory(listed()))).code, "TOO_MANY_UPLOADS");
  ok(ended, "so is what lists them");
  const late = new Source(bytesOf(9), 3, "endless");
  const given = Promise.withResolvers<void>();
  const slow = async function* () {
    await given.promise;
    yield { path: "a", content: late.stream };
  };
  const leaving = storageAt(async ({ body }) => {
    void (body as ReadableStream).getReader().read().catch(() => {});
    return await Promise.resolve(refusal(429, "TOO_MANY_UPLOADS"));
  });
  equal((await oramaError(leaving.uploadDirectory(slow()))).code, "TOO_MANY_UPLOADS");
  given.resolve();
  await until("the one that came too late is let go", () => late.cancelled !== undefined);
});

Deno.test("silence of whoever takes a stream ends its upload, and each piece that is taken gives it time again", async () => {
  const source = new Source(bytesOf(40), 10, "endless");
  let pieces = 0;
  const storage = storageAt(async ({ body, signal }) => {
    const reader = (body as ReadableStream<Uint8Array>).getReader();
    for (; pieces < 4; pieces++) {
      await reader.read();
      await new Promise((resolve) => setTimeout(resolve, 250));
      signal.throwIfAborted();
    }
    return await untilAborted(signal);
  });
  equal((await oramaError(storage.upload(source.stream, { requestTimeout: 600 }))).code, "TIMEOUT");
  equal(pieces, 4, "all of it took longer than that");
});

Deno.test("a stream is refused where fetch would send something else", async () => {
  ok(sendsStreams());
  const { Request: Platform } = globalThis;
  try {
    for (const wrong of [{ "content-type": "text/plain" }, undefined]) {
      Object.assign(globalThis, {
        Request: class {
          readonly headers = new Headers(wrong);
          constructor() {
            if (wrong === undefined) throw new TypeError("not here");
          }
        },
      });
      const storage = storageAt(() => Promise.reject(new Error("nothing is sent")));
      const error = await oramaError(storage.upload(new Source(bytesOf(1), 1).stream));
      equal(error.code, "NOT_SUPPORTED");
      match(error.message, /uploadResumable/);
    }
  } finally {
    Object.assign(globalThis, { Request: Platform });
  }
});

Deno.test("an upload is sent once, with repeat until something is known of it", async () => {
  const failures = [
    () => Promise.reject(new TypeError("reset")),
    () => refusal(503, "UNAVAILABLE", { "retry-after": "0" }),
  ];
  for (const [at, code] of ["OUTCOME_UNKNOWN", "UNAVAILABLE"].entries()) {
    const seen: FetchedRequest[] = [];
    equal((await oramaError(storageAt(failures[at]!, seen).upload("abc"))).code, code);
    equal(seen.length, 1);
    const again: FetchedRequest[] = [];
    const storage = storageAt((_, count) => count < 3 ? failures[at]!() : json(200, STORED), again);
    deepEqual(await storage.upload("abc", { repeat: true }), STORED);
    deepEqual(
      await Promise.all(again.map(({ body }) => textOf(body).then((text) => text.length))),
      Array(3).fill(
        await textOf(again[0]!.body).then((text) => text.length),
      ),
    );
  }
  const seen: FetchedRequest[] = [];
  const late = storageAt((_, count) => count === 1 ? failures[0]!() : refusal(413, "BODY_TOO_LARGE"), seen);
  equal((await oramaError(late.upload("abc", { repeat: true }))).code, "OUTCOME_UNKNOWN", "the first may be stored");
  const source = new Source(bytesOf(1), 1).stream as Content as Blob;
  await rejects(late.upload(source, { repeat: true }), TypeError);
  await rejects(late.uploadDirectory([{ path: "a", content: source }], { repeat: true }), TypeError);
  await rejects(late.uploadCar(source, { repeat: true }), TypeError);
});

Deno.test("calls have the methods, addresses and bodies of the gateway", async () => {
  const pin = {
    cid: "bafy",
    name: "n",
    status: "error",
    replication_min: 1,
    replication_max: 2,
    peer_states: [],
    error: "e",
  };
  const calls: [string, unknown, unknown, (storage: Storage) => Promise<unknown>, unknown][] = [
    [
      "POST pin",
      { cid: "bafy", name: "n", replication_min: 2, origins: ["/ip4/1"] },
      { cid: "bafy", name: "n" },
      (storage) => storage.pin("bafy", { name: "n", replicationMin: 2, origins: ["/ip4/1"] }),
      { cid: "bafy", name: "n" },
    ],
    ["DELETE unpin/bafy", undefined, { status: "ok", cid: "bafy" }, (storage) => storage.unpin("bafy"), true],
    ["POST recover/bafy", undefined, pin, (storage) => storage.recover("bafy"), {
      cid: "bafy",
      name: "n",
      status: "error",
      replicationMin: 1,
      replicationMax: 2,
      peers: [],
      error: "e",
    }],
    [
      "GET status/bafy",
      undefined,
      { ...pin, error: undefined },
      async (storage) => (await storage.status("bafy"))?.error,
      undefined,
    ],
    [
      "GET objects/bafy",
      undefined,
      OBJECT,
      async (storage) => (await storage.object("bafy"))?.createdAt,
      new Date("2026-01-18T10:00:00Z"),
    ],
    [
      "PATCH objects/bafy",
      { name: "m", visibility: "public", pin: true, replication_max: 3 },
      OBJECT,
      async (storage) => {
        const change = { name: "m", visibility: "public", pin: true, replicationMax: 3 } as const;
        return (await storage.change("bafy", change)).expiresAt;
      },
      null,
    ],
    [
      "POST links",
      { cid: "bafy", expires_in: "600000ms" },
      {
        cid: "bafy",
        path: "/ipfs/bafy?token=t",
        token: "t",
        expires_at: "2026-01-18T10:00:00Z",
      },
      async (storage) => (await storage.link("bafy", { expiresIn: "10m" })).url,
      "http://gateway.test/ipfs/bafy?token=t",
    ],
    [
      "GET directory/bafy/a%20b/c%3F",
      undefined,
      { cid: "bafy", path: "a b/c?", entries: [], count: 0 },
      (storage) => storage.directory("bafy/a b/c?/"),
      { cid: "bafy", path: "a b/c?", entries: [] },
    ],
    ["DELETE uploads/up-1", undefined, undefined, (storage) => storage.discardUpload({ id: "up-1" }), true],
  ];
  for (const [what, body, answer, work, result] of calls) {
    const seen: FetchedRequest[] = [];
    const storage = storageAt(
      () => answer === undefined ? new Response(null, { status: 204 }) : json(200, answer),
      seen,
    );
    deepEqual(await work(storage), result, what);
    const [method, path] = what.split(" ");
    deepEqual([seen[0]!.method, seen[0]!.path], [method, `/v1/storage/${path}`]);
    const text = await textOf(seen[0]!.body);
    deepEqual(text === "" ? undefined : JSON.parse(text), body, what);
    for (const wrong of ["{}", "[]", "<html>", '{"cid":"bafy"}', '{"status":"no"}']) {
      const error = await oramaError(work(storageAt(() => new Response(wrong))));
      ok(["INVALID_RESPONSE", "OUTCOME_UNKNOWN"].includes(error.code), `${what}: ${error.code}`);
    }
  }
});

Deno.test("pages of objects are asked for as the loop comes to them", async () => {
  const seen: FetchedRequest[] = [];
  const storage = storageAt(
    (_, count) =>
      json(200, {
        objects: count === 2 ? [] : [OBJECT],
        count: 1,
        total: 2,
        next_cursor: count < 3 ? `c&${count}` : null,
      }),
    seen,
  );
  const pages: number[] = [];
  for await (const { objects, total } of storage.objects({ limit: 1, pinned: true, name: "ä" })) {
    pages.push(objects.length, total, seen.length);
  }
  deepEqual(pages, [1, 2, 1, 1, 2, 3]);
  const query = "/v1/storage/objects?limit=1&name=%C3%A4&pinned=true";
  deepEqual(seen.map(({ path }) => path), [query, `${query}&cursor=c%261`, `${query}&cursor=c%262`]);
});

Deno.test("what is not there is told from a gateway without storage", async () => {
  const missing = (error: string) => storageAt(() => json(404, { error, code: "NOT_FOUND", status: 404 }));
  const gone = missing("content not found: bafy");
  deepEqual([await gone.object("bafy"), await missing("pin not found: bafy").status("bafy")], [null, null]);
  equal(await missing("pin not found: bafy").unpin("bafy"), false);
  const without = missing("no such route");
  for (
    const work of awaitedLater([
      without.object("bafy"),
      without.status("bafy"),
      without.unpin("bafy"),
      gone.link("bafy"),
    ])
  ) {
    equal((await oramaError(work)).code, "NOT_FOUND");
  }
  const seen: FetchedRequest[] = [];
  const lost = storageAt(
    (_, count) =>
      count === 1
        ? Promise.reject(new TypeError("reset"))
        : json(404, { error: "pin not found: bafy", code: "NOT_FOUND" }),
    seen,
  );
  equal(await lost.unpin("bafy", { repeat: true }), false);
  equal(seen.length, 2);
});
