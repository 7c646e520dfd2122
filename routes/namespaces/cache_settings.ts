import { z } from "zod";
import { durationField } from "../../src/http/duration_field.ts";

/** How many maps of a namespace may have a near cache: each gateway keeps their names in memory. */
const MAX_MAPS = 32;
/** Bytes of UTF-8 that the name of a map may have. */
const MAX_NAME_BYTES = 255;
/** Milliseconds; what lives for less is of no use. */
const SHORTEST = 10;
const EXPECTED = `must be milliseconds, or a duration such as 500ms or 1s, ${SHORTEST} ms at least`;

const dmap = z.string().min(1).max(MAX_NAME_BYTES)
  .refine((name) => name.trim() !== "", "must not be blank")
  .refine((name) => name.isWellFormed(), "must be text that UTF-8 can hold")
  .refine(
    (name) => new TextEncoder().encode(name).length <= MAX_NAME_BYTES,
    `must have at most ${MAX_NAME_BYTES} bytes`,
  );

const ttl = durationField(SHORTEST, EXPECTED);

const near = z.array(z.strictObject({
  dmap: dmap.describe("The map."),
  ttl: ttl.describe("How long a copy may be answered: milliseconds, or a duration such as `1s`."),
})).max(MAX_MAPS).superRefine((maps, context) => {
  const seen = new Set<string>();
  for (const [i, { dmap }] of maps.entries()) {
    if (seen.has(dmap)) context.addIssue({ code: "custom", message: "is in the list already", path: [i, "dmap"] });
    seen.add(dmap);
  }
});

const NEAR =
  "Maps with a near cache: each gateway may answer reads of their values from a copy that it read a moment ago, so that they " +
  "are behind what is written through other gateways, by no more than `ttl`. The list is given as a whole.";

/** What an owner may set for the cache. */
export const cacheSettings = z.strictObject({ near: near.nullable().describe(NEAR) });

/** The same in an answer. */
export const cacheSettingsAnswered = z.object({
  near: z.array(z.object({ dmap: z.string(), ttl: z.int().describe("Milliseconds.") })).nullable().describe(NEAR),
});
