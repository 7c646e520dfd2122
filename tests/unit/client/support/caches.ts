import { type CacheMap, type ClientOptions, createCache, createClient } from "../../../../src/client/index.ts";
import { answer, ScriptedServer, type SeenRequest } from "./scripted_server.ts";

/** The map `m` of a cache whose client waits as short as can be. */
export const mapAt = <T = unknown>(url: string, options: Partial<ClientOptions> = {}): CacheMap<T> =>
  createCache(createClient({ url, apiKey: "ak_secret:test", retry: { firstPause: 1 }, random: () => 0.5, ...options }))
    .map<T>("m");

/** A token as gateways make them. */
export const TOKEN = "0123456789abcdef0123456789abcdef";
/** A moment as gateways tell it. */
export const END = "2026-01-18T10:00:00.000Z";
/** The answer for a key that is not there. */
export const MISS = answer(404, { error: "key not found", code: "NOT_FOUND", request_id: "r-1", status: 404 });

/** Answers to every operation that succeeds. */
export const ANSWERS: Readonly<Record<string, unknown>> = {
  get: { key: "k", value: 1, version: "v1", dmap: "m" },
  mget: { results: [{ key: "b", value: 2, version: "v2", expires_at: END }], dmap: "m" },
  put: { status: "ok", key: "k", dmap: "m", version: "v3" },
  mput: { status: "ok", count: 2, dmap: "m" },
  getset: { key: "k", dmap: "m", value: null, existed: false },
  delete: { status: "ok", key: "k", dmap: "m" },
  mdelete: { deleted: 2, dmap: "m" },
  touch: { touched: 1, dmap: "m" },
  expire: { status: "ok", key: "k", dmap: "m" },
  ttl: { key: "k", dmap: "m", ttl_ms: 1500, expires_at: END },
  incr: { value: 7, key: "k", dmap: "m" },
  scan: { keys: ["a"], count: 1, dmap: "m" },
  lock: { token: TOKEN, fencing: 1768730000000000, expires_at: END },
  renew: { expires_at: END },
  unlock: { status: "ok", key: "k", dmap: "m" },
};

/** Which operation was asked for. */
export const operationOf = ({ path }: SeenRequest) => path.slice("/v1/cache/".length);
/** A server on which everything succeeds. */
export const wellBehaved = () => new ScriptedServer((request) => answer(200, ANSWERS[operationOf(request)]));
