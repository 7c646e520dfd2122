import { z } from "zod";

/** Which part of a list is asked for. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(1000).default(1000).describe("How many entries at most."),
  cursor: z.string().max(512).optional().describe("`next_cursor` of the page before."),
});
