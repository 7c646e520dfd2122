import { GatewayError } from "../../src/contracts/errors.ts";
import type { Call } from "../../src/http/call.ts";
import { nameOfSegment, rawSegments } from "../../src/http/segments.ts";

/** What an address names: content, or what is below it. */
export interface Place {
  /** As it was written; the service knows whether it is one. */
  readonly cid: string;
  readonly path: readonly string[];
}

/** Segments before the CID: those of `/v1/storage/get`, and that of `/ipfs`. */
const BEFORE = 3, BEFORE_IPFS = 1;

/** The content that the path names, and the path below it. @throws GatewayError `INVALID_REQUEST` */
export function placeIn({ http, route }: Call): Place {
  const segments = rawSegments(http.req.raw.url);
  const [cid, ...path] = segments.slice(route.path.startsWith("/ipfs/") ? BEFORE_IPFS : BEFORE);
  // A slash at the end means the folder itself.
  if (path.at(-1) === "") path.pop();
  return { cid: nameOfSegment(cid ?? "", "cid"), path: path.map((segment) => nameOfSegment(segment, "path")) };
}

/** The content that the path names. @throws GatewayError `INVALID_REQUEST` where there is more behind it */
export function cidIn(call: Call): string {
  const { cid, path } = placeIn(call);
  if (path.length === 0) return cid;
  const problem = "must be a CID alone, without a path below it";
  throw new GatewayError("INVALID_REQUEST", `cid: ${problem}`, { details: [{ field: "cid", problem }] });
}

/** The sentence for an address without a CID, as older clients know it. */
export const CID_REQUIRED = "cid required";

/** An address, percent-encoded: `bafy…/a%20b/c`. */
export const textOfPlace = ({ cid, path }: Place): string => [cid, ...path].map(encodeURIComponent).join("/");
