import { z } from "zod";
import type { Replication, StoredObject, UploadOptions } from "../../src/contracts/storage.ts";
import { rfc3339, rfc3339OrNull } from "../../src/http/formats.ts";
import { parseGoDuration } from "../../src/http/go_duration.ts";
import { CID_REQUIRED } from "./place.ts";

/** Members of bodies, queries and answers. */

/** A CID in a path, for the reference. */
export const cidInPath = z.string().describe("A CID, version 0 or 1.");
/** A CID in a path that may go on below it, for the reference. */
export const placeInPath = z.string().describe(
  "A CID, version 0 or 1; behind it may follow a path below it, `<cid>/folder/file`, each segment percent-encoded.",
);

/** Longer ones are none that any hash makes. */
const MAX_CID = 1_000;

/** A CID in a body. */
export const cid = z.unknown().transform((value, context): string => {
  const refuse = (message: string, sentence?: string): never => {
    context.addIssue({ code: "custom", message, ...(sentence !== undefined && { params: { sentence } }) });
    return z.NEVER;
  };
  if (value === undefined || value === null) return refuse("is missing; it must be a string", CID_REQUIRED);
  if (typeof value !== "string") return refuse("must be a string");
  const text = value.trim();
  if (text === "") return refuse("must not be blank", CID_REQUIRED);
  return text.length <= MAX_CID ? text : refuse(`must have at most ${MAX_CID} characters`);
}).meta({ type: "string", minLength: 1, maxLength: MAX_CID, pattern: "\\S", description: "A CID, version 0 or 1." });

/** The name of an object. */
export const name = z.string().max(1_024).nullish().transform(orNothing)
  .describe("What it is called. Only what follows the last slash is kept. Default: the CID.");

/** Who may read. */
export const visibility = z.enum(["private", "public"]);
const VISIBILITY = "`private` (default): whoever has a right in the namespace; `public`: whoever knows the CID.";
const MAX_COPIES = 1_000;
/** No copy at all is none that anybody can ask for. */
const SOME = { not: { const: 0 } } as const;
const isSome = (count: number) => count !== 0;
const NONE = "must be at least 1, or -1 for all peers";
const copies = z.int().min(-1).max(MAX_COPIES).refine(isSome, NONE).meta(SOME);

/** What may be said of an upload, in JSON. */
export const uploadMembers = {
  visibility: visibility.nullish().transform(orNothing).describe(VISIBILITY),
  encrypt: z.boolean().nullish().transform(orNothing)
    .describe("Whether it is held encrypted. The CID is then that of the encrypted bytes. Default: the namespace's."),
  replication_min: copies.nullish().transform(orNothing).describe("On how many peers it must be; -1: on all."),
  replication_max: copies.nullish().transform(orNothing).describe("On how many peers it may be; -1: on all."),
};

/** A yes or no in an address. */
export const flag = z.enum(["true", "false"]).optional();
const copiesInQuery = z.coerce.number().int().min(-1).max(MAX_COPIES).refine(isSome, NONE).meta(SOME).optional();

/** The same in an address, and in fields of a form. */
export const uploadQuery = z.object({
  pin: flag.describe("Whether it is to be kept until it is unpinned. Default: true."),
  name: z.string().max(1_024).optional().describe("What it is called, in place of the name of the file."),
  directory: flag.describe("Whether the files are one directory, their names being paths in it."),
  visibility: visibility.optional().describe(VISIBILITY),
  encrypt: flag.describe("Whether it is held encrypted. The CID is then that of the encrypted bytes."),
  replication_min: copiesInQuery.describe("On how many peers it must be; -1: on all."),
  replication_max: copiesInQuery.describe("On how many peers it may be; -1: on all."),
});

/** What {@link uploadQuery} found. */
export type UploadQuery = z.output<typeof uploadQuery>;

/** From the words of an address to those of the contract. */
export function optionsOf(query: UploadQuery): UploadOptions {
  const { pin, name, visibility, encrypt } = query;
  const replication = replicationOf(query);
  return {
    ...(pin !== undefined && { pin: pin === "true" }),
    ...(name !== undefined && { name }),
    ...(visibility !== undefined && { visibility }),
    ...(encrypt !== undefined && { encrypt: encrypt === "true" }),
    ...(replication !== undefined && { replication }),
  };
}

/** How many copies a request asks for; `undefined` where it does not say. */
export function replicationOf(
  { replication_min: min, replication_max: max }: {
    readonly replication_min?: number | undefined;
    readonly replication_max?: number | undefined;
  },
): Partial<Replication> | undefined {
  if (min === undefined && max === undefined) return undefined;
  return { ...(min !== undefined && { min }), ...(max !== undefined && { max }) };
}

/** `null` is nothing. */
export function orNothing<T>(value: T): NonNullable<T> | undefined {
  return value ?? undefined;
}

/** A span of time as Go writes it, in milliseconds; more than nothing, less than a hundred years. */
export const span = z.string().max(64).transform((text, context): number => {
  const given = parseGoDuration(text);
  if (given !== undefined && given >= 1 && given < 100 * 365 * 24 * 3_600_000) return Math.round(given);
  context.addIssue({ code: "custom", message: "must be a duration such as 30m or 24h" });
  return z.NEVER;
}).meta({
  type: "string",
  maxLength: 64,
  pattern: "^\\+?((\\d+(\\.\\d*)?|\\.\\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+$",
});

/** An object as the API shows it. */
export const object = z.object({
  cid: z.string(),
  name: z.string(),
  size: z.int().nullable().describe("Bytes; of a directory those of its files. `null` until it is known."),
  type: z.string().nullable().describe("The media type; of a directory `null`."),
  kind: z.enum(["file", "directory", "block"]),
  visibility,
  encrypted: z.boolean(),
  pinned: z.boolean(),
  expires_at: z.string().nullable().describe("When it goes, because it is not pinned."),
  replication_min: z.int(),
  replication_max: z.int(),
  created_at: z.string(),
  created_by: z.string(),
}).meta({ id: "StoredObject" });

/** From the contract's words to those of the wire. */
export const objectJson = (one: StoredObject): z.input<typeof object> => ({
  cid: one.cid,
  name: one.name,
  size: one.size ?? null,
  type: one.type ?? null,
  kind: one.kind,
  visibility: one.visibility,
  encrypted: one.encrypted,
  pinned: one.pinned,
  expires_at: rfc3339OrNull(one.expiresAt ?? null),
  replication_min: one.replication.min,
  replication_max: one.replication.max,
  created_at: rfc3339(one.createdAt),
  created_by: one.createdBy,
});
