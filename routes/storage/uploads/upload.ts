import { z } from "zod";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Services } from "../../../src/contracts/services.ts";
import { json } from "../../../src/http/reply.ts";
import { defineRoute } from "../../../src/http/route.ts";
import { ANY_TYPE } from "../../../src/http/streaming_body.ts";
import { FOUND_ERRORS } from "../errors.ts";
import { assertTus, capabilities, stateHeaders, TUS_RESUMABLE } from "./headers.ts";
import { OFFSET_STREAM, patch, terminate } from "./receive.ts";
import { APPEND_ERRORS, STATE_HEADERS, uploadJson, uploadState } from "./state.ts";

const path = "/v1/storage/uploads/:id";
const params = z.object({ id: z.string().describe("The last segment of `Location`.") });
const bytes = z.string().meta({ format: "binary", description: "Bytes from `Upload-Offset` on." });
const access = { kind: "namespace", scope: "storage:write" } as const;
const options = ({ resumableUploads }: Services) => capabilities(resumableUploads.maxBytes);
const nothing = z.null();

export const getUpload = defineRoute({
  method: "GET",
  path,
  summary: "Tell how far an upload is",
  description:
    "tus asks by `HEAD`. One that is whole and could not be stored before is tried again; while that takes, the answer is 423.",
  tag: "Storage",
  access,
  params,
  output: uploadState,
  headers: ["Cache-Control", "Upload-Metadata", ...STATE_HEADERS],
  alwaysHeaders: TUS_RESUMABLE,
  options,
  errors: ["PRECONDITION_FAILED", "NOT_FOUND", ...APPEND_ERRORS],
  async handle(call, { resumableUploads: uploads }) {
    // Whoever asks for the JSON need not speak the protocol.
    if (call.method === "HEAD") assertTus(call);
    const upload = await uploads.look(call.principal, call.params.id, call);
    const { metadata } = upload;
    return json(200, uploadJson(upload), {
      "cache-control": "no-store",
      ...(metadata !== "" && { "upload-metadata": metadata }),
      ...stateHeaders(upload),
    });
  },
});

export const appendToUpload = defineRoute({
  method: "PATCH",
  path,
  summary: "Append bytes to an upload",
  description:
    "tus 1.0.0. `Upload-Offset` says how many bytes are there. What comes of a request that breaks off is kept, unless it has an " +
    "`Upload-Checksum`: of such a request all counts or nothing. The last part is answered once the whole is stored; " +
    "`Upload-Cid` says as what.",
  tag: "Storage",
  access,
  params,
  rawBody: { types: { [OFFSET_STREAM]: bytes }, maxBytes: Infinity },
  output: nothing,
  status: 204,
  headers: STATE_HEADERS,
  alwaysHeaders: TUS_RESUMABLE,
  errors: ["PRECONDITION_FAILED", "NOT_FOUND", ...APPEND_ERRORS],
  async handle(call, { resumableUploads }) {
    assertTus(call);
    return await patch(call, resumableUploads, call.params.id);
  },
});

export const deleteUpload = defineRoute({
  method: "DELETE",
  path,
  summary: "Give an upload up",
  description: "tus 1.0.0. What was stored of it stays.",
  tag: "Storage",
  access,
  params,
  output: nothing,
  status: 204,
  headers: ["Tus-Resumable"],
  alwaysHeaders: TUS_RESUMABLE,
  errors: ["PRECONDITION_FAILED", ...FOUND_ERRORS],
  async handle(call, { resumableUploads }) {
    assertTus(call);
    return await terminate(call, resumableUploads, call.params.id);
  },
});

export const overrideUpload = defineRoute({
  method: "POST",
  path,
  summary: "Append to an upload, or give it up, where a client has no other method than this",
  description: "tus 1.0.0. `X-HTTP-Method-Override` is `PATCH` or `DELETE`, and what it names is done.",
  tag: "Storage",
  access,
  params,
  rawBody: { types: { [OFFSET_STREAM]: bytes, [ANY_TYPE]: z.string().max(0) }, maxBytes: Infinity },
  output: nothing,
  status: 204,
  headers: STATE_HEADERS,
  alwaysHeaders: TUS_RESUMABLE,
  errors: ["PRECONDITION_FAILED", "NOT_FOUND", "METHOD_NOT_ALLOWED", ...APPEND_ERRORS],
  async handle(call, { resumableUploads }) {
    assertTus(call);
    const { id } = call.params;
    const method = call.incoming.get("x-http-method-override")?.toUpperCase();
    if (method === "PATCH") return await patch(call, resumableUploads, id);
    if (method === "DELETE") return await terminate(call, resumableUploads, id);
    throw new GatewayError(
      "METHOD_NOT_ALLOWED",
      "an upload takes POST with X-HTTP-Method-Override: PATCH or DELETE alone",
      {
        headers: { allow: "GET, HEAD, PATCH, DELETE, OPTIONS" },
      },
    );
  },
});
