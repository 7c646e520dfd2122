import { fromBase64 } from "../base64.ts";
import { invalidResponse, isObject, OramaError } from "../errors.ts";
import { fitsInto64Bits } from "../json.ts";

/** JSON as the client reads it: whole numbers beyond ±(2^53 − 1) are `bigint`, so that nothing of 64 bits is rounded. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | { readonly [name: string]: Json };

/** A value with what is known of it. */
export interface CacheEntry<T> {
  readonly value: T;
  /** Changes with every write, of an equal value too; for `ifVersion`. */
  readonly version: string;
  /** When it ends, by the gateway's clock; `null` where it does not. */
  readonly expiresAt: Date | null;
  /** The media type, where the value is bytes; `undefined` for JSON. */
  readonly type: string | undefined;
}

/**
 * A value as JSON text, `bigint` as a number with all its digits.
 * @param place what the error calls it
 * @throws TypeError for what JSON has no form for, or would silently make nothing of: `undefined`, functions, bytes, a `Map`, a promise
 * @throws RangeError for numbers that are not finite, and integers beyond 64 bits
 */
export function toJson(value: unknown, place: string): string {
  if (ArrayBuffer.isView(value)) throw new TypeError(`${place} is bytes: putBytes stores them`);
  let mark: string | undefined;
  const text: string | undefined = JSON.stringify(value, (_name, item: unknown) => {
    switch (typeof item) {
      case "number":
        if (Number.isFinite(item)) return item;
        throw new RangeError(`${place} holds ${item}, which JSON has no form for`);
      case "bigint":
        if (!fitsInto64Bits(item)) throw new RangeError(`${place} holds an integer that does not fit into 64 bits`);
        return `${mark ??= crypto.getRandomValues(new Uint32Array(4)).join("-")}:${item}`;
      case "object":
        if (item === null || hasForm(item)) return item;
        throw new TypeError(`${place} holds a ${kindOf(item)}, which JSON has no form for`);
      default:
        return item;
    }
  });
  if (text === undefined || text === "null") throw new TypeError(`${place} is ${String(value)}, which is no value`);
  return mark === undefined ? text : text.replaceAll(new RegExp(`"${mark}:(-?\\d+)"`, "g"), "$1");
}

/** Whether `{}` comes of an object only where that is all there is to it. */
function hasForm(item: object): boolean {
  if (ArrayBuffer.isView(item)) return false;
  const prototype: unknown = Object.getPrototypeOf(item);
  const isPlain = prototype === null || Object.getPrototypeOf(prototype) === null;
  return isPlain || Array.isArray(item) || Object.keys(item).length > 0;
}

/** `Map`, `Promise`, `Uint8Array`. */
const kindOf = (item: object): string => Object.prototype.toString.call(item).slice(8, -1);

/** A JSON body whose last members are text already: `"value":1`. */
export const bodyWith = (members: Readonly<Record<string, unknown>>, text: string): Blob =>
  new Blob([`${JSON.stringify(members).slice(0, -1)},${text}}`], { type: "application/json" });

/** An entry of an answer. @throws OramaError `INVALID_RESPONSE` */
export function entryOf<T>(body: unknown): CacheEntry<T> {
  if (!isObject(body) || !("value" in body) || typeof body.version !== "string") {
    throw invalidResponse("it is no entry");
  }
  const { version, expires_at: expiresAt, content_type: type } = body;
  return {
    value: valueOf(body) as T,
    version,
    expiresAt: typeof expiresAt === "string" ? dateOf(expiresAt) : null,
    type: typeof type === "string" ? type : undefined,
  };
}

/** Entries of an answer by their keys. @throws OramaError `INVALID_RESPONSE` */
export function keyedEntriesOf<T>(body: unknown): Map<string, CacheEntry<T>> {
  const results: unknown = isObject(body) ? body.results : undefined;
  if (!Array.isArray(results)) throw invalidResponse("it has no results");
  return new Map(results.map((result: unknown) => [textIn(result, "key"), entryOf<T>(result)]));
}

/** Keys of an answer, and where the next ones begin. @throws OramaError `INVALID_RESPONSE` */
export function pageOf(body: unknown): { readonly keys: string[]; readonly cursor: string | undefined } {
  const keys: unknown = isObject(body) ? body.keys : undefined;
  if (!isObject(body) || !Array.isArray(keys) || !keys.every((key) => typeof key === "string")) {
    throw invalidResponse("it has no keys");
  }
  return { keys, cursor: typeof body.cursor === "string" ? body.cursor : undefined };
}

/** What a write of one value answers. @throws OramaError `INVALID_RESPONSE` */
export function putResultOf(body: unknown): { readonly version: string | undefined } {
  checkDone(body);
  return { version: isObject(body) && typeof body.version === "string" ? body.version : undefined };
}

/** The value of an answer, bytes as `Uint8Array`. @throws OramaError `INVALID_RESPONSE` */
export function valueOf({ value, encoding }: Readonly<Record<string, unknown>>): unknown {
  if (encoding === undefined) return value;
  try {
    if (encoding === "base64" && typeof value === "string") return fromBase64(value);
  } catch {
    // It is told below.
  }
  throw invalidResponse("bytes of it are no base64");
}

/** A moment of an answer. @throws OramaError `INVALID_RESPONSE` */
export function dateOf(text: unknown): Date {
  const date = typeof text === "string" ? new Date(text) : undefined;
  if (date === undefined || Number.isNaN(date.getTime())) throw invalidResponse("a time of it is none");
  return date;
}

function textIn(body: unknown, name: string): string {
  const text = isObject(body) ? body[name] : undefined;
  if (typeof text !== "string") throw invalidResponse(`it has no ${name}`);
  return text;
}

/** A number of an answer. @throws OramaError `INVALID_RESPONSE` */
export function numberIn(body: unknown, name: string): number {
  const value = isObject(body) ? body[name] : undefined;
  if (typeof value !== "number") throw invalidResponse(`it has no ${name}`);
  return value;
}

/** @throws OramaError `INVALID_RESPONSE` for an answer that does not say that it was done */
export function checkDone(body: unknown): void {
  if (!isObject(body) || body.status !== "ok") throw invalidResponse("it has no status");
}

/** What a call gives instead of failing because there is no such key. */
export const missingAs = <T>(value: T) => (error: unknown): T => {
  // An address without a gateway answers 404 too, and so does a gateway without a cache: only the sentence tells them apart.
  if (error instanceof OramaError && error.code === "NOT_FOUND" && error.message === "key not found") return value;
  throw error;
};
