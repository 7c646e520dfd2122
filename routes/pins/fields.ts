import { z } from "zod";
import type { PinRequest, PinWish } from "../../src/contracts/pinning.ts";
import { rfc3339 } from "../../src/http/formats.ts";

/** How it goes with a request. */
export const STATUSES = ["queued", "pinning", "pinned", "failed"] as const;

/** Characters of a name. */
export const MAX_NAME = 255;
/** Addresses that a client may send: a node with a few interfaces and transports tells more than the 20 of the specification. */
const MAX_ORIGINS = 100;

/** What is to be kept, as a client sends it. */
export const pin = z.object({
  cid: z.string().min(1).max(1_000).describe("Version 0 or 1. Everything below it is kept, too."),
  name: z.string().max(MAX_NAME).nullish().describe("What to find it by."),
  origins: z.array(z.string().min(1).max(1_024)).max(MAX_ORIGINS).nullish()
    .describe("Multiaddresses of who may have it. The 20 are kept that promise most."),
  meta: z.record(z.string(), z.string()).nullish().describe("Notes; at most 1 KiB as JSON."),
});

/** From the words of the wire to those of the contract. */
export const wishOf = ({ cid, name, origins, meta }: z.output<typeof pin>): PinWish => ({
  cid: cid.trim(),
  name: name ?? undefined,
  origins: origins ?? undefined,
  meta: meta ?? undefined,
});

/** A request as the API shows it. */
export const pinStatus = z.object({
  requestid: z.string(),
  status: z.enum(STATUSES),
  created: z.string().describe("RFC 3339. No two requests of a namespace have the same."),
  pin: z.object({
    cid: z.string().describe("As it was given."),
    name: z.string().optional(),
    origins: z.array(z.string()),
    meta: z.record(z.string(), z.string()),
  }),
  delegates: z.array(z.string()).describe(
    "Multiaddresses of nodes of this gateway, to connect to; none where it belongs to no network.",
  ),
  info: z.record(z.string(), z.string()).describe(
    "`status_details`: a sentence, where there is more to say. `raw_size`: bytes of the content, once they are known.",
  ),
}).meta({ id: "PinRequest" });

/** From the contract's words to those of the wire. */
export const pinStatusJson = (one: PinRequest): z.input<typeof pinStatus> => ({
  requestid: one.id,
  status: one.status,
  created: rfc3339(one.createdAt),
  pin: {
    cid: one.cid,
    ...(one.name !== undefined && { name: one.name }),
    origins: [...one.origins],
    meta: one.meta,
  },
  delegates: [...one.delegates],
  info: {
    ...(one.details !== undefined && { status_details: one.details }),
    ...(one.size !== undefined && { raw_size: String(one.size) }),
  },
});
