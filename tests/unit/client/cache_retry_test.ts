import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { CacheMap } from "../../../src/client/index.ts";
import { ANSWERS, mapAt, MISS, operationOf, TOKEN } from "./support/caches.ts";
import { collect, oramaError } from "./support/databases.ts";
import { answer, failure, ScriptedServer } from "./support/scripted_server.ts";

/** Every write, as an application would send it once. */
const WRITES: Readonly<Record<string, (map: CacheMap<unknown>) => Promise<unknown>>> = {
  put: (map) => map.put("k", 1),
  "put if nothing is there": (map) => map.put("k", 1, { nx: true }),
  mput: (map) => map.mput([["a", 1], ["b", 2]]),
  getset: (map) => map.getset("k", 1),
  delete: (map) => map.delete("k"),
  mdelete: (map) => map.mdelete(["a"]),
  expire: (map) => map.expire("k", "1m"),
  incr: (map) => map.incr("k"),
  drop: (map) => map.drop(),
  putBytes: (map) => map.putBytes("k", new Uint8Array([1])),
  lock: (map) => map.lock("k", { lease: 1_000 }),
};

/** Those that say themselves that they are as good twice. */
const REPEATED: Readonly<Record<string, (map: CacheMap<unknown>) => Promise<unknown>>> = {
  put: (map) => map.put("k", 1, { repeat: true }),
  mput: (map) => map.mput([["a", 1]], { repeat: true }),
  delete: (map) => map.delete("k", { repeat: true }),
  mdelete: (map) => map.mdelete(["a"], { repeat: true }),
  expire: (map) => map.expire("k", "1m", { repeat: true }),
  renew: (map) => map.renew("k", TOKEN, "1m"),
  unlock: (map) => map.unlock("k", TOKEN),
};

const busy = failure(503, "UNAVAILABLE", { "retry-after": "0" });
const limited = failure(429, "RATE_LIMITED", { "retry-after": "0" });

Deno.test("a read is made again after what can pass; touching is a read", async () => {
  for (const read of ["get", "mget", "ttl", "touch", "scan"] as const) {
    await using server = new ScriptedServer((request, _connection, count) =>
      [limited, busy, ""][count - 1] ?? answer(200, ANSWERS[operationOf(request)])
    );
    const map = mapAt(server.url);
    const calls = {
      get: () => map.get("k"),
      mget: () => map.mget(["b"]),
      ttl: () => map.ttl("k"),
      touch: () => map.touch(["a"]),
      scan: () => collect(map.scan()),
    };
    await calls[read]();
    equal(server.requests.length, 4, read);
  }
});

Deno.test("a write is sent once, whatever becomes of it; without an answer, and behind a 503, its outcome is unknown", async () => {
  const ends: [string, string][] = [
    ["", "OUTCOME_UNKNOWN"],
    [answer(502, ""), "OUTCOME_UNKNOWN"],
    [answer(200, { hello: 1 }), "OUTCOME_UNKNOWN"],
    [busy, "OUTCOME_UNKNOWN"],
    [limited, "RATE_LIMITED"],
    [failure(413, "BODY_TOO_LARGE"), "BODY_TOO_LARGE"],
  ];
  for (const [text, code] of ends) {
    await using server = new ScriptedServer(() => text);
    for (const [name, write] of Object.entries(WRITES)) {
      equal((await oramaError(write(mapAt(server.url)))).code, code, `${name}: ${text}`);
    }
    equal(server.requests.length, Object.keys(WRITES).length, text);
  }
});

Deno.test("a write that is as good twice is made again like a read", async () => {
  for (const [operation, write] of Object.entries(REPEATED)) {
    await using server = new ScriptedServer((request, _connection, count) =>
      ["", busy, limited][count - 1] ?? answer(200, ANSWERS[operationOf(request)])
    );
    await write(mapAt(server.url));
    deepEqual(server.requests.map(operationOf), Array(4).fill(operation));
    ok(server.requests.every(({ body }) => body === server.requests[0]!.body));
    await using gone = new ScriptedServer(() => "");
    equal((await oramaError(write(mapAt(gone.url)))).code, "OUTCOME_UNKNOWN", operation);
  }
  await using server = new ScriptedServer((_request, _connection, count) => count % 2 ? "" : answer(200, ANSWERS.put));
  await mapAt(server.url).drop({ repeat: true });
  await mapAt(server.url).putBytes("k", new Blob(["x"]), { repeat: true });
  deepEqual(server.requests.map(({ method, path }) => `${method} ${path}`), [
    ...Array(2).fill("DELETE /v1/cache/m"),
    ...Array(2).fill("PUT /v1/cache/m/k"),
  ]);
});

Deno.test("behind a lost answer a refusal counts only where it holds whatever the first try did", async () => {
  const lost = failure(409, "LOCK_LOST"), failed = failure(412, "PRECONDITION_FAILED");
  const cases: [string, (map: CacheMap<unknown>) => Promise<unknown>, string, string | boolean][] = [
    ["what is deleted is gone", (map) => map.delete("k", { repeat: true }), MISS, false],
    ["nothing is there to live longer", (map) => map.expire("k", 1, { repeat: true }), MISS, false],
    ["the lock is lost", (map) => map.renew("k", TOKEN, 1), lost, "LOCK_LOST"],
    ["or the first try has freed it", (map) => map.unlock("k", TOKEN), lost, "OUTCOME_UNKNOWN"],
    ["or it is ours", (map) => map.put("k", 1, { nx: true, repeat: true }), failed, "OUTCOME_UNKNOWN"],
    ["or it is ours", (map) => map.put("k", 1, { ifVersion: "v", repeat: true }), failed, "OUTCOME_UNKNOWN"],
    ["the key was revoked since", (map) => map.delete("k", { repeat: true }), failure(401, "X"), "OUTCOME_UNKNOWN"],
  ];
  for (const [what, write, refusal, expected] of cases) {
    await using server = new ScriptedServer((_request, _connection, count) => count === 1 ? "" : refusal);
    const seen = await write(mapAt(server.url)).catch((error) => error.code);
    equal(seen, expected, what);
    equal(server.requests.length, 2);
    await using direct = new ScriptedServer(() => refusal);
    const plain = await write(mapAt(direct.url)).catch((error) => error.code);
    equal(plain, refusal === MISS ? false : JSON.parse(refusal.split("\r\n\r\n")[1]!).code, "told as it is");
  }
});

Deno.test("a call that waits for a lock takes as much longer as it waits, unless it says how long it takes", async () => {
  const server = new ScriptedServer(async (request) => {
    await new Promise((resolve) => setTimeout(resolve, 300));
    return answer(200, ANSWERS[operationOf(request)]);
  });
  const map = mapAt(server.url, { requestTimeout: 100 });
  equal((await map.lock("k", { lease: "1m", wait: "20s" })).token, TOKEN);
  equal((await map.lock("k", { lease: "1m", wait: "876000h" })).token, TOKEN, "more than a timer can count");
  equal((await oramaError(map.lock("k", { lease: "1m" }))).code, "OUTCOME_UNKNOWN");
  const bounded = map.lock("k", { lease: "1m", wait: "20s", requestTimeout: 100 });
  match((await oramaError(bounded)).message, /no answer tells/);
  await server[Symbol.asyncDispose]();
});
