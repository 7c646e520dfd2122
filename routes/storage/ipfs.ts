import { z } from "zod";
import type { Reader } from "../../src/contracts/storage.ts";
import type { Call } from "../../src/http/call.ts";
import { disposition, foreignContent, UNNAMED_TYPE } from "../../src/http/content_headers.ts";
import { isKnown } from "../../src/http/entity_tags.ts";
import type { Reply } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { ANY_TYPE } from "../../src/http/streaming_body.ts";
import { READ_ERRORS } from "./errors.ts";
import { placeInPath } from "./fields.ts";
import { CAR_TYPE, etagOf, formatOf, type FormatQuery, formatQuery, RAW } from "./formats.ts";
import { CID_REQUIRED, type Place, placeIn } from "./place.ts";
import { readReply } from "./read.ts";

export const ipfs = defineRoute({
  method: "GET",
  path: "/ipfs/:cid{[^]+}",
  missingParam: CID_REQUIRED,
  summary: "Read content as IPFS gateways give it",
  description:
    "What is public, what the credential's namespace has, or what a link is for (`token`). As the trustless gateway specification " +
    "says: `format=raw` and `format=car`, or `Accept`, give blocks that prove themselves; beyond it, files with ranges, " +
    "directories as JSON, and `format=tar`. Content that nobody may read here is answered like content that nobody has. A " +
    "credential is taken from headers alone.",
  tag: "Storage",
  access: { kind: "public", identify: "headers" },
  params: z.object({ cid: placeInPath }),
  query: formatQuery.extend({ token: z.string().max(1_024).optional().describe("Of a link.") }),
  produces: ANY_TYPE,
  output: z.string().meta({ format: "binary", description: "The bytes, or the entries of a directory as JSON." }),
  headers: ["Accept-Ranges", "Cache-Control", "Content-Disposition", "Content-Location", "X-Ipfs-Path", "X-Ipfs-Roots"],
  revalidates: true,
  conditional: true,
  partial: true,
  errors: [...READ_ERRORS, "NOT_ACCEPTABLE", "RESULT_TOO_LARGE"],
  async handle(call, { storage }) {
    const place = placeIn(call);
    if (place.cid === PROBE && place.path.length === 0) return probeReply(call, place);
    const { token: link, ...query } = call.query;
    const caller = call.caller?.operator === false && call.caller.scopes.has("storage:read") ? call.caller : undefined;
    const reader: Reader = { namespace: caller?.namespace, link };
    const { incoming, method, signal, requestId, traceparent, clientAddress } = call;
    const reading = { incoming, method, query, signal, requestId, traceparent, clientAddress };
    return await readReply({ call: reading, storage, reader, place, ipfs: true });
  },
});

/** The CID of no bytes at all, by which clients find out whether somebody is a gateway. It is nobody's. */
const PROBE = "bafkqaaa";
/** A CAR with that root, and nothing in it. */
const PROBE_CAR = Uint8Array.fromHex("19a265726f6f747381d82a450001550000" + "6776657273696f6e01");

function probeReply({ incoming, query }: Pick<Call<unknown, FormatQuery>, "incoming" | "query">, place: Place): Reply {
  const { format } = formatOf(query, incoming.get("accept"));
  const isCar = format === "car";
  const type = isCar ? CAR_TYPE : format === "raw" ? RAW : UNNAMED_TYPE;
  const etag = etagOf(format, PROBE, place, query);
  const headers = {
    ...foreignContent(type),
    etag,
    vary: "Accept",
    "cache-control": "public, max-age=29030400, immutable, no-transform",
    "content-disposition": disposition("attachment", `${PROBE}.${isCar ? "car" : "bin"}`),
  };
  if (isKnown(incoming, etag)) return { status: 304, body: null, headers };
  return { status: 200, body: isCar ? PROBE_CAR : new Uint8Array(), headers };
}
