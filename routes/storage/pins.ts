import { z } from "zod";
import type { PinState, StoredObject } from "../../src/contracts/storage.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FOUND_ERRORS, pinOf, STORE_ERRORS } from "./errors.ts";
import { cid, cidInPath, name, replicationOf, uploadMembers } from "./fields.ts";
import { CID_REQUIRED, cidIn } from "./place.ts";

const { replication_min, replication_max } = uploadMembers;
const params = z.object({ cid: cidInPath });
const STATES = ["queued", "pinning", "pinned", "error", "unpinned", "unknown"] as const;

export const pin = defineRoute({
  method: "POST",
  path: "/v1/storage/pin",
  summary: "Claim content by its CID, and keep it",
  description:
    "What the namespace has already: its name and copies are renewed, and it stays until it is unpinned. What is public. And, " +
    "where the engine belongs to a network, what is found there: `status` tells how it goes. What others have privately is " +
    "never found, as if nobody had it: store the bytes, or a CAR of them, instead.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  body: z.object({
    cid,
    name,
    replication_min,
    replication_max,
    origins: z.array(z.string().min(1).max(1_024)).max(20).nullish()
      .describe("Multiaddresses of who may have it, where the engine looks on a network."),
  }),
  bodyHint: "expected {cid, name?}",
  output: z.object({ cid: z.string(), name: z.string() }),
  errors: ["NOT_FOUND", ...STORE_ERRORS],
  async handle(call, { storage }) {
    const { cid, name, origins, ...copies } = call.body;
    const options = { name, origins: origins ?? undefined, replication: replicationOf(copies) };
    const object = await storage.pin(call.principal, cid, options, call);
    return ok({ cid: object.cid, name: object.name });
  },
});

export const unpin = defineRoute({
  method: "DELETE",
  path: "/v1/storage/unpin/:cid{[^]+}",
  missingParam: CID_REQUIRED,
  summary: "Give content up",
  description: "The namespace has it no more. Its bytes go with the last claim that anybody has to them.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  params,
  output: z.object({ status: z.literal("ok"), cid: z.string() }),
  errors: ["CONFLICT", "OUTCOME_UNKNOWN", ...FOUND_ERRORS],
  async handle(call, { storage }) {
    const cid = cidIn(call);
    await pinOf(cid, storage.unpin(call.principal.namespace, cid, call));
    return ok({ status: "ok", cid });
  },
});

const pinStatus = z.object({
  cid: z.string(),
  name: z.string(),
  status: z.enum(STATES),
  replication_min: z.int(),
  replication_max: z.int(),
  replication_factor: z.int().describe("On how many peers it is, or should be."),
  peers: z.array(z.string()).describe("Their ids."),
  peer_states: z.array(z.object({
    id: z.string(),
    name: z.string(),
    status: z.enum(STATES),
    error: z.string().optional(),
  })).describe("How it goes at each."),
  error: z.string().optional().describe("Where `status` is `error`: why."),
}).meta({ id: "PinStatus" });

const statusJson = (object: StoredObject, { status, peers, error }: PinState): z.input<typeof pinStatus> => ({
  cid: object.cid,
  name: object.name,
  status,
  replication_min: object.replication.min,
  replication_max: object.replication.max,
  replication_factor: peers.length,
  peers: peers.map(({ id }) => id),
  peer_states: peers.map(({ id, name, status, error }) => ({
    id,
    name,
    status,
    ...(error !== undefined && { error }),
  })),
  ...(error !== undefined && { error }),
});

export const status = defineRoute({
  method: "GET",
  path: "/v1/storage/status/:cid{[^]+}",
  missingParam: CID_REQUIRED,
  summary: "Tell how it goes with a pin",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:read" },
  params,
  output: pinStatus,
  errors: FOUND_ERRORS,
  async handle(call, { storage }) {
    const cid = cidIn(call);
    const { object, pin } = await pinOf(cid, storage.status(call.principal.namespace, cid, call), true);
    return ok(statusJson(object, pin));
  },
});

export const recover = defineRoute({
  method: "POST",
  path: "/v1/storage/recover/:cid{[^]+}",
  missingParam: CID_REQUIRED,
  summary: "Have a pin that failed tried again",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  params,
  output: pinStatus,
  errors: ["CONFLICT", "OUTCOME_UNKNOWN", ...FOUND_ERRORS],
  async handle(call, { storage }) {
    const cid = cidIn(call);
    const { object, pin } = await pinOf(cid, storage.recover(call.principal.namespace, cid, call));
    return ok(statusJson(object, pin));
  },
});
