import { z } from "zod";
import type { FunctionVersion } from "../../src/contracts/functions.ts";
import { disposition, foreignContent } from "../../src/http/content_headers.ts";
import { isKnown } from "../../src/http/entity_tags.ts";
import { ok } from "../../src/http/reply.ts";
import { defineRoute } from "../../src/http/route.ts";
import { CHANGE_ERRORS, FOUND_ERRORS } from "./errors.ts";
import {
  bareName,
  calledInPath,
  calledOf,
  functionAnswer,
  functionJson,
  nameInPath,
  namespaceOf,
  namespaceQuery,
} from "./fields.ts";

/** RFC 9110 knows no other name of it; W3C registered this one. */
const WASM = "application/wasm";

export const listVersions = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/versions",
  summary: "List the versions of a function",
  description: "All that are kept, newest first; none of a function that there is not.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: nameInPath,
  query: namespaceQuery,
  output: z.object({ versions: z.array(functionAnswer), count: z.int() }),
  errors: FOUND_ERRORS,
  async handle(call, { functions }) {
    const versions = await functions.versions(namespaceOf(call), bareName(call.params.name), call);
    return ok({ versions: versions.map(functionJson), count: versions.length });
  },
});

export const rollBackFunction = defineRoute({
  method: "POST",
  path: "/v1/functions/:name/rollback",
  summary: "Let an older version of a function serve",
  description: "From the next call on; no call that runs is ended. A deploy lets the newest one serve again.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:deploy" },
  params: nameInPath,
  query: namespaceQuery,
  body: z.object({
    version: z.int().min(1).optional().describe("Default: the newest one older than the one that serves."),
  }),
  bodyOptional: true,
  output: functionAnswer,
  errors: CHANGE_ERRORS,
  async handle(call, { functions }) {
    namespaceOf(call);
    const { params, body, principal } = call;
    return ok(functionJson(await functions.rollBack(principal, bareName(params.name), body.version, call)));
  },
});

export const getModule = defineRoute({
  method: "GET",
  path: "/v1/functions/:name/wasm",
  summary: "Download the module of a function",
  description: "As it was deployed.",
  tag: "Functions",
  access: { kind: "namespace", scope: "functions:read" },
  params: calledInPath,
  query: namespaceQuery,
  produces: WASM,
  output: z.string().meta({ format: "binary" }),
  headers: ["Content-Disposition"],
  revalidates: true,
  errors: [...FOUND_ERRORS, "INVALID_REQUEST", "PRECONDITION_FAILED"],
  async handle(call, { functions }) {
    const { name, reference } = calledOf(call.params.name);
    const namespace = namespaceOf(call);
    // What it is says already whether the client has it: the module itself is not read for that.
    const known = headersOf(await functions.get(namespace, name, reference, call));
    if (isKnown(call.incoming, known.etag)) return { status: 304, body: null, headers: known };
    const { version, bytes } = await functions.module(namespace, name, reference, call);
    return { status: 200, body: bytes, headers: headersOf(version) };
  },
});

const headersOf = ({ name, version, wasmCid }: FunctionVersion) => ({
  ...foreignContent(WASM),
  etag: `"${wasmCid}"`,
  "cache-control": "private, no-cache",
  "content-disposition": disposition("attachment", `${name}-${version}.wasm`),
});
