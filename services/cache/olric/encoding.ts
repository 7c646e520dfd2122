import { Buffer } from "node:buffer";
import type { CacheEntry, CacheValue } from "../../../src/contracts/cache.ts";
import { utf8Bytes } from "../names.ts";
import type { Payload } from "./commands.ts";

/** What a map of the cluster is for: data, locks, numbers of locks (fencing), locks of the gateways' own. */
export type Kind = "d" | "l" | "f" | "w";

/** Begins the names of all maps of a namespace, and of no other: the length stands before what could hold anything. */
export const prefixOf = (namespace: string, kind?: Kind): string =>
  `${namespace.length}:${namespace}/${kind === undefined ? "" : `${kind}/`}`;

/** The name that a map has on the cluster. */
export const mapName = (namespace: string, kind: Kind, map: string): string => `${prefixOf(namespace, kind)}${map}`;

/** Whether a map of the cluster holds values, of whatever namespace: no locks, and nothing of other programs. */
export function holdsValues(name: string): boolean {
  const [head, length] = /^(\d+):/.exec(name) ?? [];
  return head !== undefined && name.startsWith("/d/", head.length + Number(length));
}

/** First byte of a value that is bytes with a media type, the same with a filler byte, JSON. No JSON text begins so. */
const BYTES = 0, FILLED = 1, JSON_TEXT = 2;
/** Bytes that the engine adds to key and value. */
const OVERHEAD = 29;
/**
 * A member that gets an entry exactly as large as its tables allocates tables for ever. What size they have cannot be asked,
 * but it will be a multiple of this, and no smaller than that.
 */
const ROUND = 8, SMALLEST_TABLE = 65_536;
const BLANK = 0x20;
const UNKNOWN_TYPE = "application/octet-stream";
const MEDIA_TYPE = /^[\x20-\x7e]+$/;

/** A value as it is stored: JSON as its text, which other programs can read, and bytes behind their media type. */
export function encodeValue(value: CacheValue, key: string): Payload {
  if ("json" in value) return encodeJson(value.json, key);
  const { bytes, type } = value;
  const filler = isRound(sizeOf(bytes.length + type.length + 2, key)) ? 1 : 0;
  const payload = Buffer.allocUnsafe(2 + type.length + filler + bytes.length);
  payload[0] = filler === 1 ? FILLED : BYTES;
  payload[1] = type.length;
  payload.write(type, 2, "latin1");
  payload.fill(0, 2 + type.length, 2 + type.length + filler);
  payload.set(bytes, 2 + type.length + filler);
  return payload;
}

function encodeJson(json: string, key: string): string {
  // Three bytes for each character are the most.
  if (json.length * 3 + 512 < SMALLEST_TABLE) return json;
  const size = sizeOf(utf8Bytes(json), key);
  if (isRound(size)) return `${json} `;
  return isRound(size - 1) && json.endsWith(" ") ? String.fromCharCode(JSON_TEXT) + json : json;
}

/** Bytes of a whole entry. */
const sizeOf = (value: number, key: string) => value + utf8Bytes(key) + OVERHEAD;

/** Whether a table might be as large. */
const isRound = (size: number) => size >= SMALLEST_TABLE && size % ROUND === 0;

/** A value that was stored, by whomever: what is not JSON is a JSON string if it is text, and bytes if it is not. */
export function decodeValue({ stored, size }: Pick<StoredEntry, "stored" | "size">): CacheValue {
  if (stored[0] === JSON_TEXT) return decodeText(stored.subarray(1));
  const hasFiller = isRound(size - 1) && stored.at(-1) === BLANK;
  return decodeBytes(stored) ?? decodeText(hasFiller ? stored.subarray(0, -1) : stored);
}

function decodeBytes(stored: Uint8Array): CacheValue | undefined {
  const [first, length = 0] = stored;
  if (first !== BYTES && first !== FILLED) return undefined;
  const begin = 2 + length + first;
  const type = new TextDecoder("latin1").decode(stored.subarray(2, 2 + length));
  if (begin > stored.length || !MEDIA_TYPE.test(type)) return undefined;
  return { bytes: new Uint8Array(stored.subarray(begin)), type };
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function decodeText(stored: Uint8Array): CacheValue {
  let text: string;
  try {
    text = utf8.decode(stored);
  } catch {
    return { bytes: new Uint8Array(stored), type: UNKNOWN_TYPE };
  }
  try {
    JSON.parse(text);
    return { json: text };
  } catch {
    return { json: JSON.stringify(text) };
  }
}

/** An entry as it is stored. */
export interface StoredEntry {
  /** Its value's bytes, a part of what came over the wire. */
  readonly stored: Uint8Array;
  /** Bytes that it takes. */
  readonly size: number;
  /** Nanoseconds at which it was written, by the clock of the member that owns it. */
  readonly writtenAt: bigint;
  /** Unix milliseconds; `undefined`: never. */
  readonly expiresAt: number | undefined;
}

/**
 * An entry in the engine's own form: a byte with the key's length, the key, three numbers of 8 bytes (when it ends in
 * milliseconds or 0, when it was written and when it was last used in nanoseconds), 4 bytes with the value's length, the value;
 * the numbers with their highest byte first.
 * @returns `undefined` for the entry of another key: the engine tells keys apart by a sum of 64 bits, and two that have the same
 * can be found
 * @throws RangeError when it is no entry
 */
export function decodeEntry(reply: Uint8Array, key: string): StoredEntry | undefined {
  const view = new DataView(reply.buffer, reply.byteOffset, reply.byteLength);
  const times = 1 + view.getUint8(0);
  const begin = times + 28;
  const end = begin + view.getUint32(times + 24);
  if (end !== reply.length) throw new RangeError(`an entry of ${end} bytes came as ${reply.length}`);
  if (Buffer.from(reply.buffer, reply.byteOffset + 1, times - 1).toString() !== key) return undefined;
  const expiresAt = Number(view.getBigInt64(times));
  return {
    stored: reply.subarray(begin, end),
    size: end,
    writtenAt: view.getBigInt64(times + 8),
    expiresAt: expiresAt === 0 ? undefined : expiresAt,
  };
}

/** An entry as callers get it. */
export const entryOf = (entry: StoredEntry): CacheEntry => ({
  value: decodeValue(entry),
  version: String(entry.writtenAt),
  expiresAt: entry.expiresAt,
});

/** Whether an entry holds what was sent. */
export function holds({ stored }: StoredEntry, payload: Payload): boolean {
  const sent = typeof payload === "string" ? Buffer.from(payload) : payload;
  return sent.equals(stored);
}
