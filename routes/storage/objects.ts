import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { FOUND_ERRORS, STORAGE_ERRORS, STORE_ERRORS } from "./errors.ts";
import { cidInPath, flag, object, objectJson, orNothing, replicationOf, uploadMembers, visibility } from "./fields.ts";
import { cidIn } from "./place.ts";

const params = z.object({ cid: cidInPath });
const path = "/v1/storage/objects/:cid";

export const listObjects = defineRoute({
  method: "GET",
  path: "/v1/storage/objects",
  summary: "List what the namespace has",
  description: "Newest first.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:read" },
  query: z.object({
    limit: z.coerce.number().int().min(1).max(1000).default(100).describe("How many objects at most."),
    cursor: z.string().max(512).optional().describe("`next_cursor` of the page before."),
    name: z.string().max(1_024).optional().describe("Only those whose name contains this, in either case."),
    cid: z.string().max(1_000).optional(),
    visibility: visibility.optional(),
    kind: z.enum(["file", "directory", "block"]).optional(),
    pinned: flag,
  }),
  output: z.object({
    objects: z.array(object),
    count: z.int().describe("On this page."),
    total: z.int().describe("Of all that fit, on whichever page."),
    next_cursor: z.string().nullable(),
  }),
  errors: STORAGE_ERRORS,
  async handle(call, { storage }) {
    const { pinned, ...query } = call.query;
    const wanted = { ...query, ...(pinned !== undefined && { pinned: pinned === "true" }) };
    const { objects, total, cursor = null } = await storage.list(call.principal.namespace, wanted, call);
    return ok({ objects: objects.map(objectJson), count: objects.length, total, next_cursor: cursor });
  },
});

export const getObject = defineRoute({
  method: "GET",
  path,
  summary: "Tell what the namespace has under a CID",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:read" },
  params,
  output: object,
  errors: FOUND_ERRORS,
  async handle(call, { storage }) {
    return ok(objectJson(await storage.object(call.principal.namespace, cidIn(call), call)));
  },
});

const { replication_min, replication_max } = uploadMembers;

export const changeObject = defineRoute({
  method: "PATCH",
  path,
  summary: "Change an object's name, visibility, pin or copies",
  description: "What is not named stays as it is.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  params,
  body: z.object({
    name: z.string().min(1).max(1_024).nullish().transform(orNothing),
    visibility: visibility.nullish().transform(orNothing),
    pin: z.boolean().nullish().transform(orNothing).describe("false: it goes after a while."),
    replication_min,
    replication_max,
  }),
  output: object,
  errors: ["NOT_FOUND", ...STORE_ERRORS],
  async handle(call, { storage }) {
    const { name, visibility, pin, ...copies } = call.body;
    const change = { name, visibility, pin, replication: replicationOf(copies) };
    return ok(objectJson(await storage.change(call.principal.namespace, cidIn(call), change, call)));
  },
});
