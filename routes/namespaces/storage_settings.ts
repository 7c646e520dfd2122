import { z } from "zod";

/** 1024 TiB. */
const MOST_BYTES = 2 ** 50;
const amount = (min: number, max = Number.MAX_SAFE_INTEGER) => z.int().min(min).max(max).nullable();

/** What an owner may set for storage. */
export const storageSettings = z.strictObject({
  encrypt: z.boolean().nullable().describe(
    "Whether uploads are encrypted that do not say. It changes their CIDs; what is there stays as it is.",
  ),
});

/** What an operator may limit of storage. */
export const storageLimits = z.strictObject({
  object_bytes: amount(1, MOST_BYTES).describe("Bytes of one object."),
  bytes: amount(0, MOST_BYTES).describe("Bytes that the objects of the namespace may have together; 0: any number."),
  objects: amount(0).describe("Objects that the namespace may have; 0: any number."),
  uploads_in_flight: amount(1, 100_000).describe("Uploads that are under way at once, on each gateway."),
  entries: amount(1, 1_000_000).describe("Files in one directory that is uploaded."),
});
