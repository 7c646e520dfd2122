import { z } from "zod";
import type { Call } from "../../../src/http/call.ts";
import { json } from "../../../src/http/reply.ts";
import { defineRoute } from "../../../src/http/route.ts";
import { ANY_TYPE } from "../../../src/http/streaming_body.ts";
import { assertTus, byteCount, capabilities, stateHeaders, TUS_RESUMABLE, wrong } from "./headers.ts";
import { metadataOf } from "./metadata.ts";
import { OFFSET_STREAM, receive, wrongType } from "./receive.ts";
import { APPEND_ERRORS, STATE_HEADERS, uploadJson, uploadState } from "./state.ts";

const path = "/v1/storage/uploads";
const bytes = z.string().meta({ format: "binary", description: "The first bytes, or all of them." });

export const createUpload = defineRoute({
  method: "POST",
  path,
  summary: "Begin an upload that can be gone on with",
  description:
    "tus 1.0.0. `Upload-Length` says how many bytes there will be, or `Upload-Defer-Length: 1` that this is said later. " +
    "`Upload-Metadata` may name `filename`, `filetype`, `pin`, `visibility` and `encrypt`. A body of the type " +
    "`application/offset+octet-stream` is taken as its beginning; one of another type must be empty. If that cannot be taken " +
    "whole, nothing is left. The upload is on this gateway alone.",
  tag: "Storage",
  access: { kind: "namespace", scope: "storage:write" },
  rawBody: { types: { [OFFSET_STREAM]: bytes, [ANY_TYPE]: z.string().max(0) }, maxBytes: Infinity },
  output: uploadState,
  status: 201,
  headers: ["Location", ...STATE_HEADERS],
  alwaysHeaders: TUS_RESUMABLE,
  options: ({ resumableUploads }) => capabilities(resumableUploads.maxBytes),
  errors: ["PRECONDITION_FAILED", "TOO_MANY_UPLOADS", ...APPEND_ERRORS],
  async handle(call, { resumableUploads: uploads }) {
    assertTus(call);
    const { incoming, principal } = call;
    if (incoming.has("upload-concat")) {
      throw wrong("Upload-Concat", "uploads are not put together here; send one alone");
    }
    const length = byteCount(call, "Upload-Length");
    const deferred = incoming.get("upload-defer-length");
    if (deferred !== null && deferred !== "1") throw wrong("Upload-Defer-Length", "must be 1, or missing");
    if ((length === undefined) === (deferred === null)) {
      throw wrong("Upload-Length", "must be the number of bytes, or else Upload-Defer-Length must be 1");
    }
    const hasBody = incoming.has("content-type") && call.upload.mediaType === OFFSET_STREAM;
    // One of no bytes is whole at once, and is held against that where it is received.
    if (!hasBody && length !== 0) await assertEmpty(call);
    let upload = await uploads.create(principal, { length, ...metadataOf(incoming.get("upload-metadata")) }, call);
    const { id } = upload;
    if (hasBody || length === 0) {
      try {
        upload = await receive(call, uploads, { id, offset: 0 });
      } catch (error) {
        // The client does not know where it is, so nobody would ever go on with it.
        await uploads.remove(principal, id, call).catch(() => {});
        throw error;
      }
    }
    return json(201, uploadJson(upload), { location: `${path}/${id}`, ...stateHeaders(upload) });
  },
});

/** Whoever sends bytes under another type believes that they are taken. @throws GatewayError `UNSUPPORTED_MEDIA_TYPE` */
async function assertEmpty({ upload }: Pick<Call, "upload">): Promise<void> {
  for await (const { length } of upload.chunks) if (length > 0) throw wrongType();
}
