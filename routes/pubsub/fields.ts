import { z } from "zod";
import type { Member } from "../../src/contracts/pubsub.ts";

/** Where a reader stands. */
export const position = z.string().optional().describe(
  "Where a reader stands who has it. Opaque; any gateway of the cluster understands it. Absent where nothing is kept.",
);

/** Where a reader stood, in an address. */
export const sinceInQuery = z.string().min(1).max(16_384).optional();

/** Yes or no, in an address; anything but `true` is no, as it always has been. */
export const flagInQuery = z.string().max(255).optional();

/** What says as whom to be present, in the address of a connection. */
export const presenceInQuery = {
  presence: flagInQuery.describe("`true`: present while the connection holds, as `member_id` says."),
  member_id: z.string().optional().describe("Under which name: 1 to 255 bytes of UTF-8, no control characters."),
  member_meta: z.string().optional().describe("A JSON object that others see. What is none is ignored."),
};

/** A member as answers to HTTP requests have it: in both spellings that there are clients for. */
export const memberAnswer = z.object({
  member_id: z.string(),
  memberId: z.string(),
  joined_at: z.int().describe("Unix seconds."),
  joinedAt: z.int().describe("Unix milliseconds."),
  meta: z.record(z.string(), z.unknown()).optional(),
  connections: z.int().describe("How many it has, on all gateways that can be seen."),
});

/** The same, filled. */
export const memberJson = ({ id, joinedAt, meta, connections }: Member): z.input<typeof memberAnswer> => ({
  member_id: id,
  memberId: id,
  joined_at: Math.floor(joinedAt / 1000),
  joinedAt,
  ...(meta !== undefined && { meta }),
  connections,
});

/** What is kept of a message, as answers to HTTP requests have it. */
export const messageAnswer = z.object({
  data: z.unknown().optional().describe("JSON, as it was published."),
  data_base64: z.string().optional().describe("Bytes, in place of `data`."),
  at: z.int().describe("When a gateway took it: Unix milliseconds."),
  position,
});
