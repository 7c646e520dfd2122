import { deepEqual, equal, rejects } from "node:assert/strict";
import {
  type CacheMap,
  createCache,
  createClient,
  createDatabase,
  type Database,
  OramaError,
} from "../../../src/client/index.ts";
import type { Target } from "./scenarios.ts";

/** Calls a server that behaves as the first part of the path says. Runs on Deno and on Node. */
const clientAt = (url: string, behaviour: string, requestTimeout = 10_000) =>
  createClient({ url: `${url}/${behaviour}`, apiKey: "ak_test:test", requestTimeout, retry: { firstPause: 1 } });

const databaseAt = (url: string, behaviour: string, requestTimeout?: number): Database =>
  createDatabase(clientAt(url, behaviour, requestTimeout));

const mapAt = (url: string, behaviour: string): CacheMap<unknown> => createCache(clientAt(url, behaviour)).map("m");

/** The code and the status of the client's error that comes of it. */
async function failure(work: Promise<unknown>): Promise<[code: string, status: number]> {
  try {
    await work;
  } catch (error) {
    if (error instanceof OramaError) return [error.code, error.status];
    throw error;
  }
  throw new Error("there was no error");
}

const write = (db: Database, options: { signal?: AbortSignal } = {}) => db.exec("INSERT …", [], options);
const readAll = async (rows: AsyncIterable<unknown>) => {
  const all: unknown[] = [];
  for await (const row of rows) all.push(row);
  return all;
};

/** What a client must stand. The server counts its requests: a write arrives once. */
export const HOSTILE_SCENARIOS: Readonly<Record<string, (target: Pick<Target, "url">) => Promise<void>>> = {
  async "HTML, JSON that breaks off and redirects are told from a gateway's answers"({ url }) {
    for (const behaviour of ["html", "truncated"]) {
      deepEqual(await failure(databaseAt(url, behaviour).query("SELECT 1")), ["INVALID_RESPONSE", 200]);
      deepEqual(await failure(write(databaseAt(url, behaviour))), ["OUTCOME_UNKNOWN", 200]);
    }
    deepEqual(await failure(databaseAt(url, "redirect").query("SELECT 1")), ["INVALID_RESPONSE", 307]);
    deepEqual(await failure(write(databaseAt(url, "redirect"))), ["INVALID_RESPONSE", 307]);
  },

  async "a write that is cut off is unknown and is not sent again, also on a connection that was used before"({ url }) {
    for (const behaviour of ["cut-before", "cut-head", "cut-body", "cut-chunk"]) {
      equal((await failure(write(databaseAt(url, behaviour))))[0], "OUTCOME_UNKNOWN", behaviour);
    }
    const db = databaseAt(url, "cut-later");
    equal((await write(db)).rowsAffected, 1);
    equal((await failure(write(db)))[0], "OUTCOME_UNKNOWN");
    const other = databaseAt(url, "cut-later-without-body");
    await other.disableChanges("t");
    equal((await failure(other.disableChanges("t")))[0], "OUTCOME_UNKNOWN");
  },

  async "a write to a cache that is cut off is not sent again either: of JSON, of bytes, and without a body"({ url }) {
    const writes: Readonly<Record<string, (map: CacheMap<unknown>) => Promise<unknown>>> = {
      "cut-later-put": (map) => map.put("k", 1),
      "cut-later-bytes": (map) => map.putBytes("k", new Uint8Array([1])),
      "cut-later-drop": (map) => map.drop(),
    };
    for (const [behaviour, write] of Object.entries(writes)) {
      await write(mapAt(url, behaviour));
      equal((await failure(write(mapAt(url, behaviour))))[0], "OUTCOME_UNKNOWN", behaviour);
    }
  },

  async "a read that is cut off is made again, and in the end an error that can pass"({ url }) {
    deepEqual(await databaseAt(url, "cut-then-rows").query("SELECT 1"), [{ n: 9007199254740993n }]);
    deepEqual(await failure(databaseAt(url, "cut-before").query("SELECT 1")), ["NETWORK_ERROR", 0]);
  },

  async "a 503 is waited for by a read, and told by a write"({ url }) {
    deepEqual(await databaseAt(url, "busy-then-rows").query("SELECT 1"), [{ n: 9007199254740993n }]);
    deepEqual(await failure(write(databaseAt(url, "busy"))), ["UNAVAILABLE", 503]);
  },

  async "silence ends in time, and signals end what runs"({ url }) {
    equal((await failure(databaseAt(url, "silent", 50).query("SELECT 1")))[0], "TIMEOUT");
    equal((await failure(write(databaseAt(url, "silent", 50))))[0], "OUTCOME_UNKNOWN");
    const reason = new Error("left");
    for (const timeout of [0, 50]) {
      const controller = new AbortController();
      setTimeout(() => controller.abort(reason), timeout);
      const { signal } = controller;
      await rejects(databaseAt(url, "silent").query("SELECT 1", [], { signal }), reason);
    }
    const controller = new AbortController();
    setTimeout(() => controller.abort(reason), 50);
    equal((await failure(write(databaseAt(url, "silent"), { signal: controller.signal })))[0], "OUTCOME_UNKNOWN");
  },

  async "a stream gives what came, and tells when its end is missing"({ url }) {
    deepEqual(await readAll(databaseAt(url, "stream").stream("SELECT 1")), [{ a: 1 }, { a: 9007199254740993n }]);
    for (const behaviour of ["stream-cut", "stream-reset"]) {
      const seen: unknown[] = [];
      const reading = async () => {
        for await (const row of databaseAt(url, behaviour).stream("SELECT 1")) seen.push(row);
      };
      deepEqual(await failure(reading()), ["NETWORK_ERROR", 0], behaviour);
      deepEqual(seen, [{ a: 1 }], behaviour);
    }
    for await (const row of databaseAt(url, "stream-open").stream("SELECT 1")) {
      deepEqual(row, { a: 1 });
      break;
    }
  },
};
