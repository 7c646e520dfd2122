import { z } from "zod";
import type { CacheEntry, CacheValue } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { rfc3339 } from "../../src/http/formats.ts";

/** Any JSON. */
export const anyJson = z.json().describe("As it was stored. Bytes are base64 text; `encoding` says so then.");

/** What tells bytes from JSON. */
export const encodingFields = {
  encoding: z.literal("base64").optional().describe("Where the value is bytes."),
  content_type: z.string().optional().describe("The media type of the bytes."),
};

/** What an entry is by the names of the wire. */
export const entryFields = {
  value: anyJson,
  ...encodingFields,
  version: z.string().describe("Changes with every write; for `if_version`."),
  expires_at: z.string().optional().describe("When it ends (RFC 3339); absent where it does not."),
};

/** The members of a value as JSON, without the braces. What is stored is put in as it is. */
export const valueMembers = (value: CacheValue): string =>
  "json" in value
    ? `"value":${value.json}`
    : `"value":"${value.bytes.toBase64()}","encoding":"base64","content_type":${JSON.stringify(value.type)}`;

/** The last moment that a date can be, in Unix milliseconds (ECMA-262, 21.4.1.1). */
const LAST_MOMENT = 8.64e15;

/** When an entry ends; `undefined` also for what other programs made to end at no moment that has a date. */
export const endOf = ({ expiresAt }: CacheEntry): number | undefined =>
  expiresAt !== undefined && expiresAt <= LAST_MOMENT ? expiresAt : undefined;

/** The members of {@link entryFields} as JSON, without the braces. */
export function entryMembers(entry: CacheEntry): string {
  const { value, version } = entry, expiresAt = endOf(entry);
  const expiry = expiresAt === undefined ? "" : `,"expires_at":"${rfc3339(expiresAt)}"`;
  return `${valueMembers(value)},"version":${JSON.stringify(version)}${expiry}`;
}

/** What most writes answer. */
export const done = { status: z.literal("ok"), key: z.string(), dmap: z.string() };

/** The members of {@link done} as a reply, with the version where it is known. */
export const doneReply = (map: string, key: string, version?: string) => ({
  status: 200,
  body: JSON.stringify({ status: "ok", key, dmap: map, version }),
});

/** The error for an entry that is not there. */
export const notFound = (): GatewayError => new GatewayError("NOT_FOUND", "key not found");
