import { GatewayError } from "../../src/contracts/errors.ts";
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
  const content = await storage.open(reader, place.cid, place.path, context);
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
      const block = await storage.block(reader, place.cid, place.path, context);
      const bytes = async function* () {
        yield block;
      };
      return await archiveReply(answered, { type: RAW, ending: "bin", length: block.length, bytes });
    }
    case "car": {
      const bytes = () => storage.car(reader, place.cid, place.path, scopeOf(call.query), context);
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
