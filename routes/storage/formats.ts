import { createHash } from "node:crypto";
import { z } from "zod";
import { GatewayError } from "../../src/contracts/errors.ts";
import type { DagScope, EntityBytes } from "../../src/contracts/storage.ts";
import { type MediaRange, mediaRangesOf } from "../../src/http/accept.ts";
import { type Place, textOfPlace } from "./place.ts";

/** Other forms of content than its bytes (https://specs.ipfs.tech/http-gateways/path-gateway/). */
export const FORMATS = ["raw", "car", "tar"] as const;
/** One of {@link FORMATS}: one block as it is, an archive of blocks, an archive of files. */
export type Format = typeof FORMATS[number];

/** One block. */
export const RAW = "application/vnd.ipld.raw";
/** An archive of blocks. */
export const CAR = "application/vnd.ipld.car";
/** An archive of files. */
export const TAR = "application/x-tar";

const TYPES: Readonly<Record<string, Format>> = { [RAW]: "raw", [CAR]: "car", [TAR]: "tar" };

/** Forms that the specification knows and this gateway does not give, with their media types. */
const OTHERS: Readonly<Record<string, string>> = {
  "dag-json": "application/vnd.ipld.dag-json",
  "dag-cbor": "application/vnd.ipld.dag-cbor",
  "json": "",
  "cbor": "application/cbor",
  "ipns-record": "application/vnd.ipfs.ipns-record",
};
const OTHER_TYPES = new Set(Object.values(OTHERS).filter(Boolean));

/** How CARs are made here: depth first, each block once. */
export const CAR_TYPE = `${CAR}; version=1; order=dfs; dups=n`;
const CAR_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  version: ["1"],
  order: ["dfs", "unk"],
  dups: ["n"],
};

const ENTITY_BYTES = /^(-?\d+):(-?\d+|\*)$/;

function entityBytesOf(text: string): EntityBytes {
  const [, from, to] = ENTITY_BYTES.exec(text) ?? [];
  return { from: Number(from), ...(to !== "*" && { to: Number(to) }) };
}

/** Whether bytes end before they begin, whatever the length of the file. */
function isBackwards(text: string): boolean {
  const { from, to } = entityBytesOf(text);
  return to !== undefined && to < from && (from < 0) === (to < 0);
}

/** What an address says of the form of the answer. */
export const formatQuery = z.object({
  format: z.string().max(64).optional().describe(
    "`raw`: the one block as it is; `car`: blocks that prove themselves; `tar`: files. Default: the bytes of a file.",
  ),
  "dag-scope": z.enum(["block", "entity", "all"]).optional().describe(
    "Of a CAR: which blocks are in it behind those along the path: the last one, those of the file or of the list of entries, " +
      "or all below (default).",
  ),
  "entity-bytes": z.string().max(64).regex(ENTITY_BYTES, "must be from:to, such as 0:1023 or -1024:*")
    .refine((text) => !isBackwards(text), "must not end before it begins")
    .optional()
    .describe(
      "Of a CAR: `dag-scope=entity`, and of a file only the blocks that hold these bytes, both ends included: `0:1023`. Negative " +
        "numbers count from its end, which `*` is. Where `dag-scope=block` is asked for as well, that is given.",
    ),
  "car-version": z.string().max(8).optional().describe("Of a CAR: `1`."),
  "car-order": z.string().max(8).optional().describe("Of a CAR: `dfs` or `unk`."),
  "car-dups": z.string().max(8).optional().describe("Of a CAR: `n`."),
  filename: z.string().max(255).optional().describe("Under which name to save it."),
  download: z.enum(["true", "false"]).optional().describe("true: a browser saves it, whatever it is."),
});

/** What {@link formatQuery} found. */
export type FormatQuery = z.output<typeof formatQuery>;

/** The form that a request asks for. */
export interface AskedFormat {
  /** `undefined`: the bytes of a file. */
  readonly format: Format | undefined;
  /** Whether it was found in `Accept` alone. */
  readonly negotiated: boolean;
}

/**
 * The form that a request asks for. What the address says goes before `Accept`.
 * @throws GatewayError `INVALID_REQUEST` for a form that there is not, `NOT_ACCEPTABLE` for one that is not given here
 */
export function formatOf(query: FormatQuery, accept: string | null): AskedFormat {
  const { format } = query;
  if (format === undefined) return fromAccept(mediaRangesOf(accept), query);
  if (Object.hasOwn(OTHERS, format)) throw notAcceptable(`format ${format}`);
  if (!isFormat(format)) {
    const problem = `must be one of ${FORMATS.join(", ")}`;
    throw new GatewayError("INVALID_REQUEST", `format: ${problem}`, { details: [{ field: "format", problem }] });
  }
  const wish = mediaRangesOf(accept).find(({ type }) => TYPES[type] === "car");
  if (format === "car" && !isGivenCar(query, wish)) throw notAcceptable("a CAR of that version, order or duplicates");
  return { format, negotiated: false };
}

function fromAccept(ranges: readonly MediaRange[], query: FormatQuery): AskedFormat {
  let refused: string | undefined;
  for (const range of ranges) {
    const format = TYPES[range.type];
    if (format !== undefined && (format !== "car" || isGivenCar(query, range))) return { format, negotiated: true };
    if (format === undefined && !OTHER_TYPES.has(range.type)) return { format: undefined, negotiated: false };
    refused ??= range.type;
  }
  if (refused !== undefined) throw notAcceptable(refused);
  return { format: undefined, negotiated: false };
}

const isFormat = (text: string): text is Format => (FORMATS as readonly string[]).includes(text);

/** Whether a CAR is what is wanted: what the address says of it goes before the parameters of the media type. */
const isGivenCar = (query: FormatQuery, wish: MediaRange | undefined): boolean =>
  Object.entries(CAR_PARAMETERS).every(([name, given]) => {
    const wanted = query[`car-${name}` as "car-version"] ?? wish?.parameters.get(name);
    return wanted === undefined || given.includes(wanted);
  });

const notAcceptable = (what: string) =>
  new GatewayError(
    "NOT_ACCEPTABLE",
    `${what} is not given here; there are ${FORMATS.join(", ")}, and the bytes as they are`,
  );

/** Which blocks a CAR is to have. */
export function scopeOf({ "dag-scope": scope = "all", "entity-bytes": bytes }: FormatQuery): DagScope {
  return bytes === undefined || scope === "block" ? scope : entityBytesOf(bytes);
}

/**
 * The tag of an answer. That of a file is its CID; that of a CAR also names what else it hangs on, and of archives it is weak: they
 * need not be the same to the last byte.
 * @param cid of what is at the place
 */
export function etagOf(
  format: Format | "directory" | undefined,
  cid: string,
  place: Place,
  query: FormatQuery,
): string {
  switch (format) {
    case undefined:
      return `"${cid}"`;
    case "raw":
      return `"${cid}.raw"`;
    case "tar":
      return `W/"${cid}.x-tar"`;
    case "directory":
      return `W/"${cid}.entries"`;
    case "car": {
      const path = createHash("sha256").update(textOfPlace(place)).digest("base64url").slice(0, 22);
      const scope = scopeOf(query);
      const blocks = typeof scope === "string" ? scope : `entity.${scope.from}:${scope.to ?? "*"}`;
      return `W/"${blocks}.${cid}.car.${path}"`;
    }
  }
}
