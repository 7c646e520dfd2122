import type { Principal } from "../../../src/contracts/identity.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { ResumableUpload, ResumableUploads } from "../../../src/contracts/resumable_uploads.ts";
import type { Call } from "../../../src/http/call.ts";
import type { Reply } from "../../../src/http/reply.ts";
import { byteCount, checksumOf, stateHeaders, wrong } from "./headers.ts";

/** The media type of bytes that are appended. */
export const OFFSET_STREAM = "application/offset+octet-stream";

/** Milliseconds after which the sender of a long part is looked at again. */
const PATIENCE = 1_000;

/**
 * What a sender sends, for as long as it may: what has come is kept as it comes, so nothing is won by taking the end for the moment
 * at which rights are looked at.
 */
async function* permitted(call: Call): AsyncGenerator<Uint8Array> {
  let asked = performance.now();
  for await (const chunk of call.upload.lent) {
    if (performance.now() - asked > PATIENCE) {
      await call.admit();
      asked = performance.now();
    }
    yield chunk;
  }
}

/** Appends the body of a request. @throws GatewayError, as `ResumableUploads.append` */
export async function receive(
  call: Call,
  uploads: ResumableUploads,
  { id, offset, length }: { readonly id: string; readonly offset: number; readonly length?: number | undefined },
): Promise<ResumableUpload> {
  const part = {
    offset,
    length,
    size: byteCount(call, "Content-Length"),
    checksum: checksumOf(call),
    content: permitted(call),
  };
  return await uploads.append(call.principal, id, part, call);
}

/** The error of bytes under another media type. */
export const wrongType = (): GatewayError =>
  new GatewayError("UNSUPPORTED_MEDIA_TYPE", `content-type: the body must be ${OFFSET_STREAM}`, {
    headers: { accept: OFFSET_STREAM, connection: "close" },
  });

/** Answers `PATCH`. @throws GatewayError, as `ResumableUploads.append`; `UNSUPPORTED_MEDIA_TYPE` */
export async function patch(call: Call, uploads: ResumableUploads, id: string): Promise<Reply> {
  if (call.upload.mediaType !== OFFSET_STREAM || !call.incoming.has("content-type")) {
    throw wrongType();
  }
  const offset = byteCount(call, "Upload-Offset");
  if (offset === undefined) throw wrong("Upload-Offset", "is missing; it must be the number of bytes that are there");
  const length = byteCount(call, "Upload-Length");
  return { status: 204, body: null, headers: stateHeaders(await receive(call, uploads, { id, offset, length })) };
}

/** Answers `DELETE`. @throws GatewayError `NOT_FOUND`, `UNAVAILABLE` */
export async function terminate(
  call: Call & { readonly principal: Principal },
  uploads: ResumableUploads,
  id: string,
): Promise<Reply> {
  await uploads.remove(call.principal, id, call);
  return { status: 204, body: null };
}
