import { z } from "zod";
import type { ResumableUpload } from "../../../src/contracts/resumable_uploads.ts";
import { rfc3339 } from "../../../src/http/formats.ts";
import { STORE_ERRORS } from "../errors.ts";

/** How far an upload is, as JSON. */
export const uploadState = z.object({
  id: z.string(),
  offset: z.int().describe("Bytes that are there."),
  length: z.int().nullable().describe("Bytes of the whole; `null` until it is said."),
  expires_at: z.string().describe("When it goes, unless it is gone on with."),
  cid: z.string().optional().describe("Once it is whole and stored."),
  name: z.string().optional(),
  size: z.int().optional(),
}).meta({ id: "ResumableUpload" });

/** From the contract's words to those of the wire. */
export const uploadJson = (
  { id, offset, length, expiresAt, object }: ResumableUpload,
): z.input<typeof uploadState> => ({
  id,
  offset,
  length: length ?? null,
  expires_at: rfc3339(expiresAt),
  ...object,
});

/** Headers of how far an upload is. */
export const STATE_HEADERS = [
  "Tus-Resumable",
  "Upload-Offset",
  "Upload-Length",
  "Upload-Defer-Length",
  "Upload-Expires",
  "Upload-Cid",
] as const;

/** What sending bytes can answer. */
export const APPEND_ERRORS = [...STORE_ERRORS, "UPLOAD_LOCKED", "CHECKSUM_MISMATCH"] as const;
