import { invalidResponse } from "../errors.ts";
import type { CallOptions, Client } from "../http.ts";
import type { ClientClock } from "../clock.ts";
import { addressOf, queryOf } from "./address.ts";
import { type ByteRange, type ContentHead, ContentReading } from "./reading.ts";
import { checkBytes, digestOf } from "./verify.ts";

/** Content as it comes. Read it, or `close` it: until then its connection stays. */
export interface ContentBody {
  /** The media type. */
  readonly type: string;
  readonly headers: Headers;
  /** The bytes, at the reader's pace; cancelling it ends the call. To be read once, by this or by one of the methods. */
  readonly body: ReadableStream<Uint8Array<ArrayBuffer>>;
  /** All of it. @throws OramaError `NETWORK_ERROR` where something is missing; the signal's reason */
  bytes(): Promise<Uint8Array<ArrayBuffer>>;
  /** All of it as text in UTF-8. @throws as {@link bytes} */
  text(): Promise<string>;
  /** All of it as a `Blob` of its type. @throws as {@link bytes} */
  blob(): Promise<Blob>;
  /** Ends it, whatever is still to come. */
  close(): void;
}

/** A file, or a part of it. */
export interface Download extends ContentBody {
  /** Of the file itself, also where it was asked for by a path. */
  readonly cid: string;
  /** Bytes of the whole file, where no proxy on the way has hidden them. */
  readonly size: number | undefined;
  /** The bytes that come, where a range was asked for. */
  readonly range: ByteRange | undefined;
}

/** What of a file is wanted. */
export interface DownloadOptions extends CallOptions {
  /** Milliseconds until the answer begins, and between two pieces of it. Default 60,000. */
  readonly requestTimeout?: number | undefined;
  /** From `offset`, so many bytes or up to the end; or the `last` bytes. More than there are is what there is. */
  readonly range?: { readonly offset: number; readonly length?: number } | { readonly last: number } | undefined;
  /**
   * Holds the bytes against the CID before they are given. Only for files that are one block, whose CID begins with `bafkrei`, and
   * that are not held encrypted; `NOT_SUPPORTED` for all others.
   */
  readonly verify?: boolean | undefined;
}

/** What of a DAG a CAR is to hold. */
export interface DownloadCarOptions extends CallOptions {
  /** The one block; those of the file or the list of entries; or everything below (default). */
  readonly scope?: "block" | "entity" | "all" | undefined;
}

/**
 * Reads a file.
 * @throws OramaError
 * @throws TypeError, RangeError for options that cannot be
 */
export async function download(
  client: Client,
  place: string,
  { range, verify, ...options }: DownloadOptions,
  clock?: ClientClock,
): Promise<Download> {
  if (verify && range !== undefined) {
    throw new TypeError("give only one of range and verify: a CID is that of the whole");
  }
  const digest = verify ? digestOf(place) : undefined;
  const path = addressOf("get", place);
  const asked = range === undefined ? undefined : rangeHeader(range);
  const reading = new ContentReading(client, path, options, clock);
  const head = await reading.begin(asked);
  const [, cid] = /^(?:W\/)?"([^"]+)"$/.exec(head.headers.get("etag") ?? "") ?? [];
  if (cid === undefined) {
    reading.close();
    throw invalidResponse("it is no content: it has no ETag");
  }
  const about = { cid, size: head.size, range: asked === undefined ? undefined : head.range };
  if (digest === undefined) return { ...about, ...bodyOf(head, reading.stream(), () => reading.close()) };
  const checked = await checkBytes(reading.stream(), digest);
  return { ...about, ...bodyOf(head, new Blob([checked]).stream(), () => {}) };
}

/** Reads an archive. @throws as {@link download} */
export async function downloadArchive(
  client: Client,
  place: string,
  query: { readonly format: "car" | "tar"; readonly "dag-scope"?: string | undefined },
  options: CallOptions,
): Promise<ContentBody> {
  const reading = new ContentReading(client, `${addressOf("get", place)}?${queryOf(query)}`, options);
  const head = await reading.begin(undefined);
  const type = head.headers.get("content-type") ?? "";
  if (!ARCHIVES[query.format].test(type)) {
    reading.close();
    throw invalidResponse(`it is no ${query.format}`);
  }
  return bodyOf(head, reading.stream(), () => reading.close());
}

const ARCHIVES = { car: /^application\/vnd\.ipld\.car(?:;|$)/i, tar: /^application\/x-tar(?:;|$)/i } as const;

function bodyOf(
  { headers }: ContentHead,
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  close: () => void,
): ContentBody {
  const type = headers.get("content-type") ?? "application/octet-stream";
  const whole = () => new Response(body);
  return {
    type,
    headers,
    body,
    bytes: async () => new Uint8Array(await whole().arrayBuffer()),
    text: () => whole().text(),
    blob: async () => new Blob([await whole().arrayBuffer()], { type }),
    close,
  };
}

/** @throws RangeError for what names no bytes */
function rangeHeader(range: NonNullable<DownloadOptions["range"]>): string {
  if ("last" in range) return `bytes=-${checkCount(range.last, "range.last", 1)}`;
  const offset = checkCount(range.offset, "range.offset", 0);
  if (range.length === undefined) return `bytes=${offset}-`;
  return `bytes=${offset}-${offset + checkCount(range.length, "range.length", 1) - 1}`;
}

function checkCount(count: number, field: string, least: number): number {
  if (Number.isSafeInteger(count) && count >= least) return count;
  throw new RangeError(`${field} must be a whole number of bytes, at least ${least}, not ${count}`);
}
