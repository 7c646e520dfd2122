import { GatewayError, hasCode } from "../../src/contracts/errors.ts";
import type { RequestContext } from "../../src/contracts/request.ts";
import type { OpenContent, Reader, Storage } from "../../src/contracts/storage.ts";
import type { Call } from "../../src/http/call.ts";
import type { Reply } from "../../src/http/reply.ts";
import { streamContext } from "../../src/http/streamed_reply.ts";
import { tarOf } from "../../src/http/tar.ts";
import { type Answered, archiveReply, bytesReply, unchanged } from "./content.ts";
import { listingReply } from "./directory.ts";
import { type AskedFormat, CAR_TYPE, etagOf, formatOf, type FormatQuery, RAW, scopeOf, TAR } from "./formats.ts";
import { type Place, textOfPlace } from "./place.ts";
import { treeOf } from "./tree.ts";

/** What is read, and how. */
export interface Reading {
  readonly call: Pick<
    Call<unknown, FormatQuery>,
    "incoming" | "method" | "query" | "signal" | "requestId" | "traceparent" | "clientAddress"
  >;
  readonly storage: Storage;
  readonly reader: Reader;
  readonly place: Place;
  /** Whether it is read at `/ipfs`: with the headers of that way, and directories as lists of entries. */
  readonly ipfs: boolean;
}

/**
 * Answers with what is at a place, in the form that the request asks for.
 * @throws GatewayError `NOT_FOUND`, `NOT_ACCEPTABLE`, `WRONG_TYPE`, `PRECONDITION_FAILED`, `RANGE_NOT_SATISFIABLE`,
 *   `INVALID_REQUEST`, `UNAVAILABLE`
 */
export async function readReply(reading: Reading): Promise<Reply> {
  const { call, storage, reader, place, ipfs } = reading;
  // A script that stands between a page and the gateway would see what others read here.
  if (call.incoming.has("service-worker")) throw noWorkers();
  const asked = formatOf(call.query, call.incoming.get("accept"));
  const { format } = asked;
  const { context, until } = streamContext(call);
  const content = await opened(reading, context);
  const isList = format === undefined && content.kind === "directory";
  const answered: Answered = {
    call,
    content,
    until,
    query: call.query,
    etag: etagOf(isList ? "directory" : format, content.cid, place, call.query),
    byLink: reader.link !== undefined,
    more: ipfs ? ipfsHeaders(reading, asked, content) : {},
  };
  switch (format) {
    case "raw": {
      const known = unchanged(answered, RAW);
      if (known) return known;
      const block = await content.block();
      const bytes = async function* () {
        yield block;
      };
      return await archiveReply(answered, { type: RAW, ending: "bin", length: block.length, bytes });
    }
    case "car": {
      const bytes = () => content.car(scopeOf(call.query));
      return await archiveReply(answered, { type: CAR_TYPE, ending: "car", bytes });
    }
    case "tar": {
      const bytes = () => tarOf(treeOf(storage, reader, place, content, context));
      return await archiveReply(answered, { type: TAR, ending: "tar", bytes });
    }
    case undefined:
      if (!isList) return await bytesReply(answered);
      if (ipfs) return await listingReply(answered, place);
      throw isDirectory(place);
  }
}

/** What is at the place. @throws GatewayError, as `Storage.open`; `PRECONDITION_FAILED` */
async function opened({ call, storage, reader, place, ipfs }: Reading, context: RequestContext): Promise<OpenContent> {
  const { cid, path } = place;
  try {
    return await storage.open(reader, cid, path, context);
  } catch (cause) {
    if (!ipfs || !hasCode(cause, "NOT_FOUND") || !ONLY_HERE.test(call.incoming.get("cache-control") ?? "")) throw cause;
    // Where the root is here, nobody else has anything at this path either.
    if (path.length > 0 && await storage.open(reader, cid, [], context).then(() => true, () => false)) throw cause;
    throw new GatewayError("PRECONDITION_FAILED", `content not found here: ${cid}`, { cause });
  }
}

/** Asks for what needs not be fetched from elsewhere (path gateway specification). */
const ONLY_HERE = /(?:^|,)\s*only-if-cached\s*(?:,|$)/i;

/** What the gateway specification has answers say of where they come from. */
function ipfsHeaders(
  { call, reader, place }: Reading,
  asked: AskedFormat,
  { root, cid }: OpenContent,
): Record<string, string> {
  const text = textOfPlace(place);
  const depth = place.path.length;
  return {
    "x-ipfs-path": `/ipfs/${text}`,
    // One for each segment; those in between are not known.
    ...(depth <= 1 && { "x-ipfs-roots": [root, ...(depth === 1 ? [cid] : [])].join(",") }),
    ...(asked.negotiated && reader.link === undefined && {
      "content-location": locationOf(call.query, asked, text),
    }),
  };
}

function locationOf(query: FormatQuery, { format }: AskedFormat, text: string): string {
  const kept = Object.entries(query).flatMap(([name, value]) => value === undefined ? [] : [[name, String(value)]]);
  return `/ipfs/${text}?${new URLSearchParams([["format", format!], ...kept])}`;
}

const noWorkers = () =>
  new GatewayError("INVALID_REQUEST", "content is no service worker: none may be registered here");

const isDirectory = (place: Place) => {
  const text = textOfPlace(place);
  return new GatewayError(
    "WRONG_TYPE",
    `${text} is a directory: list it at /v1/storage/directory/${text}, name a file below it, or add ?format=tar or ?format=car`,
  );
};
