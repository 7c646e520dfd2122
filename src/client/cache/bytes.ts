import { invalidResponse } from "../errors.ts";
import type { CallOptions, ClientRequest, WholeAnswer } from "../http.ts";
import { durationToWire } from "../durations.ts";
import { type CachePutOptions, callOptions, checkCondition, checkVersion, writeOptions } from "./options.ts";

/** Bytes as they were stored. */
export interface CacheBytes {
  /** Of what was stored as JSON, its text to the last digit. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The media type; `application/json` for JSON. */
  readonly type: string;
  /** Changes with every write; for `ifVersion` and `unlessVersion`. */
  readonly version: string;
}

/** What goes with a write of bytes. */
export interface PutBytesOptions extends CachePutOptions {
  /** The media type. Default: that of a `Blob`, else `application/octet-stream`. What is `application/json` is stored as JSON. */
  readonly type?: string | undefined;
}

/** What goes with reading bytes. */
export interface GetBytesOptions extends CallOptions {
  /** Only if this version is there: otherwise `PRECONDITION_FAILED`. */
  readonly ifVersion?: string | undefined;
  /** A version that the caller has: where it is still there, nothing is sent but that. */
  readonly unlessVersion?: string | undefined;
}

const UNNAMED = "application/octet-stream";

/**
 * The address of a map, or of a key in it.
 * @throws TypeError for a name that no address can hold; a blank one would name something else
 */
export function addressOf(map: string, key?: string): string {
  const names = key === undefined ? [["map", map]] as const : [["map", map], ["key", key]] as const;
  return `/v1/cache/${names.map(([field, name]) => inAddress(name, field)).join("/")}`;
}

function inAddress(name: string, field: string): string {
  if (name.trim() === "" || name === "." || name === "..") {
    throw new TypeError(`${field} is ${JSON.stringify(name)}, which an address cannot name`);
  }
  try {
    return encodeURIComponent(name);
  } catch {
    throw new TypeError(`${field} must be text that UTF-8 can hold`);
  }
}

/** The request that stores bytes. @throws TypeError for options that cannot be */
export function putRequest(address: string, bytes: Uint8Array | Blob, options: PutBytesOptions): ClientRequest {
  checkCondition(options);
  const { type = bytes instanceof Blob && bytes.type || UNNAMED, ttl, nx, xx, ifVersion, versioned } = options;
  if (!/^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(type)) throw new TypeError("type must be a media type such as image/png");
  const life = durationToWire(ttl, "ttl");
  const query = String(new URLSearchParams({ ...(life && { ttl: life }), ...(versioned && { versioned: "true" }) }));
  const match = xx ? "*" : ifVersion === undefined ? undefined : `"${ifVersion}"`;
  return {
    method: "PUT",
    path: query === "" ? address : `${address}?${query}`,
    body: bytes instanceof Blob ? bytes : new Blob([new Uint8Array(bytes)]),
    // A blob's own type is in small letters, parameters too.
    headers: {
      "content-type": type,
      ...(match !== undefined && { "if-match": match }),
      ...(nx && { "if-none-match": "*" }),
    },
    ...writeOptions(options),
  };
}

/** The request that reads bytes. @throws TypeError for versions that no gateway tells */
export function getRequest(address: string, { ifVersion, unlessVersion, ...options }: GetBytesOptions): ClientRequest {
  if (ifVersion !== undefined) checkVersion(ifVersion, "ifVersion");
  if (unlessVersion !== undefined) checkVersion(unlessVersion, "unlessVersion");
  return {
    method: "GET",
    path: address,
    effect: "read",
    headers: {
      accept: "*/*",
      ...(ifVersion !== undefined && { "if-match": `"${ifVersion}"` }),
      ...(unlessVersion !== undefined && { "if-none-match": `"${unlessVersion}"` }),
    },
    ...callOptions(options),
  };
}

/** What an answer to {@link getRequest} holds. @throws OramaError `INVALID_RESPONSE` for one without a version, which is no gateway's */
export function bytesOf({ status, headers, bytes }: WholeAnswer, unlessVersion?: string): CacheBytes | "unchanged" {
  if (status === 304 && unlessVersion !== undefined) return "unchanged";
  // What compresses an answer on its way makes a weak tag of it.
  const [, version] = /^(?:W\/)?"([^"]+)"$/.exec(headers.get("etag") ?? "") ?? [];
  if (status !== 200 || version === undefined) throw invalidResponse("it is no value of a cache", { status });
  return { bytes, type: headers.get("content-type") ?? UNNAMED, version };
}
