import { z } from "zod";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { STORE_ERRORS } from "./errors.ts";
import { object, objectJson, optionsOf, uploadQuery } from "./fields.ts";
import { CAR } from "./formats.ts";

export const importCar = defineRoute({
  method: "POST",
  path: "/v1/storage/car",
  summary: "Store what a CAR holds",
  description:
    "A content addressable archive (version 1) with one root, under which no block is missing. Each block is held against its " +
    "CID. Nothing counts before the last byte is there and in order.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  query: uploadQuery.omit({ directory: true, encrypt: true }),
  rawBody: {
    types: { [CAR]: z.string().meta({ format: "binary", description: "A CAR of version 1." }) },
    maxBytes: Infinity,
  },
  output: object,
  errors: STORE_ERRORS,
  async handle(call, { storage }) {
    const { principal, upload } = call;
    return ok(objectJson(await storage.importCar(principal, upload.chunks, optionsOf(call.query), call)));
  },
});
