import { GatewayError } from "../../src/contracts/errors.ts";
import type { OpenContent } from "../../src/contracts/storage.ts";
import { begun } from "../../src/http/begun.ts";
import { contentRange, rangesBody, rangesOf } from "../../src/http/byte_ranges.ts";
import type { Call } from "../../src/http/call.ts";
import { disposition, foreignContent, isHarmless, UNNAMED_TYPE } from "../../src/http/content_headers.ts";
import { isKnown, rangeCounts } from "../../src/http/entity_tags.ts";
import type { Reply } from "../../src/http/reply.ts";
import type { StreamContext, StreamedReply } from "../../src/http/streamed_reply.ts";
import type { FormatQuery } from "./formats.ts";

type Headers = Readonly<Record<string, string>>;

/** What an answer with content is made of. */
export interface Answered {
  readonly call: Pick<Call, "incoming" | "method">;
  readonly content: OpenContent;
  readonly until: StreamContext["until"];
  readonly query: Pick<FormatQuery, "filename" | "download">;
  readonly etag: string;
  /** Whether the reader came by a link, which ends. */
  readonly byLink: boolean;
  /** Headers of this way of reading. */
  readonly more: Headers;
}

/** As long as the gateway specification asks for: 48 weeks. What a CID names never changes. */
const FOR_EVER = "max-age=29030400, immutable";

/**
 * How long, and where, an answer may be kept: for ever by everybody what is public, and for ever by the reader what is not; by whoever
 * came by a link only as long as that is good. Were it compressed on its way, its tag would become a weak one.
 */
function keeping({ content, byLink }: Pick<Answered, "content" | "byLink">): string {
  if (content.visibility === "public") return `public, ${FOR_EVER}, no-transform`;
  return byLink ? "private, no-cache, no-transform" : `private, ${FOR_EVER}, no-transform`;
}

/** Milliseconds that a reader may wait with a piece: a film is paused, and behind a slow line the system's own buffers drain slowly. */
const PATIENCE = 300_000;

/** Headers of any answer about content, 304 included. */
const commonHeaders = (answered: Answered): Record<string, string> => ({
  etag: answered.etag,
  "cache-control": keeping(answered),
  // Who may read it, and by whose name, hangs on the credential, which a browser's cache does not ask for.
  vary: "Accept, Authorization, X-API-Key",
  ...answered.more,
});

/**
 * 304, where the client has what is there.
 * @param type that of the whole answer: a cache may take over what stands here
 * @throws GatewayError `PRECONDITION_FAILED`, `INVALID_REQUEST`
 */
export const unchanged = (answered: Answered, type: string): Reply | undefined =>
  isKnown(answered.call.incoming, answered.etag)
    ? { status: 304, body: null, headers: { ...commonHeaders(answered), ...foreignContent(type) } }
    : undefined;

/** Stands for a body of unknown length, where nobody is going to read it. */
export const UNREAD: StreamedReply = {
  async *[Symbol.asyncIterator]() {},
};

/**
 * Answers with the bytes of a file or block, or with parts of them.
 * @throws GatewayError `PRECONDITION_FAILED`, `RANGE_NOT_SATISFIABLE`, `INVALID_REQUEST`; what reading the first of them throws
 */
export async function bytesReply(answered: Answered): Promise<Reply> {
  const { call, content, until, etag, query } = answered;
  const { size, type = UNNAMED_TYPE } = content;
  const known = unchanged(answered, type);
  if (known) return known;
  const shown = query.download !== "true" && isHarmless(type) && !/^application\/octet-stream/i.test(type);
  const headers = {
    ...commonHeaders(answered),
    ...foreignContent(type),
    "accept-ranges": "bytes",
    "content-disposition": disposition(shown ? "inline" : "attachment", query.filename || content.name),
  };
  if (call.method === "HEAD") {
    return { status: 200, body: null, headers: { ...headers, "content-length": String(size) } };
  }
  const ranges = rangeCounts(call.incoming, etag) ? rangesOf(call.incoming.get("range"), size) : undefined;
  if (ranges === undefined) {
    const body = size === 0 ? new Uint8Array() : until(await begun(content.read(undefined, true)));
    return { status: 200, body, headers: { ...headers, "content-length": String(size) }, patience: PATIENCE };
  }
  const [first, ...others] = ranges;
  if (first === undefined) throw notSatisfiable(size);
  const start = await begun(content.read(first, true));
  if (others.length === 0) {
    const part = { "content-range": contentRange(first, size), "content-length": String(first.length) };
    return { status: 206, body: until(start), headers: { ...headers, ...part }, patience: PATIENCE };
  }
  const several = rangesBody(
    ranges,
    size,
    type,
    crypto.randomUUID(),
    (range) => range === first ? start as AsyncIterable<Uint8Array> : content.read(range, true),
  );
  const part = { "content-type": several.contentType, "content-length": String(several.length) };
  return {
    status: 206,
    body: until(several.body, () => start[Symbol.asyncIterator]().return?.()),
    headers: { ...headers, ...part },
    patience: PATIENCE,
  };
}

const notSatisfiable = (size: number) =>
  new GatewayError(
    "RANGE_NOT_SATISFIABLE",
    `there are ${size} bytes, and the Range names none of them, or too many parts`,
    {
      details: { size },
      headers: { "content-range": `bytes */${size}`, "accept-ranges": "bytes" },
    },
  );

/** An answer that a program is to read, and a browser to save. */
export interface Archive {
  readonly type: string;
  /** What the name ends in, behind that of the object. */
  readonly ending: string;
  /** Bytes, where they are known. */
  readonly length?: number;
  readonly bytes: () => AsyncIterable<Uint8Array>;
}

/** Answers with content in another form. @throws GatewayError, as {@link unchanged} and as making its first bytes does */
export async function archiveReply(answered: Answered, archive: Archive): Promise<Reply> {
  const known = unchanged(answered, archive.type);
  if (known) return known;
  const { call, content, until, query } = answered;
  const headers = {
    ...commonHeaders(answered),
    ...foreignContent(archive.type),
    "accept-ranges": "none",
    "content-disposition": disposition("attachment", query.filename || `${content.cid}.${archive.ending}`),
    ...(archive.length !== undefined && { "content-length": String(archive.length) }),
  };
  if (call.method === "HEAD") return { status: 200, body: UNREAD, headers };
  return { status: 200, body: until(await begun(archive.bytes())), headers, patience: PATIENCE };
}
