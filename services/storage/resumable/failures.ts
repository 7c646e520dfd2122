import { GatewayError } from "../../../src/contracts/errors.ts";

/** There is no such upload; one of another namespace is none. @param cause where it was there, and cannot be gone on with */
export const unknownUpload = (id: string, cause?: unknown): GatewayError =>
  new GatewayError(
    "NOT_FOUND",
    `no upload ${id} is on this gateway: it has expired or was deleted, or another gateway has it; begin anew`,
    { cause },
  );

/** It does not go on where the client wants to. */
export const offsetConflict = (wanted: number, offset: number): GatewayError =>
  new GatewayError("CONFLICT", `Upload-Offset: ${offset} bytes are there, so nothing can be appended at ${wanted}`, {
    details: { offset },
  });

/** Something else is being done with it. @param retryAfter seconds */
export const busy = (problem: string, retryAfter: number): GatewayError =>
  new GatewayError("UPLOAD_LOCKED", `${problem}; try again`, { retryAfter });

/** It is whole, and its content is not stored yet. @param length of it */
export const storedLater = (length: number, cause?: unknown): GatewayError =>
  new GatewayError("UPLOAD_LOCKED", "the upload is whole, and is not stored yet; ask again", {
    cause,
    retryAfter: 1,
    details: { offset: length, length },
    headers: { "upload-offset": String(length), "upload-length": String(length) },
  });

/** The bytes of a part are not those that were meant. */
export const mismatch = (algorithm: string): GatewayError =>
  new GatewayError(
    "CHECKSUM_MISMATCH",
    `Upload-Checksum: the bytes have another ${algorithm}; nothing of them was kept`,
  );

/** There is more than was said. */
export const tooMuch = (length: number): GatewayError =>
  new GatewayError(
    "BODY_TOO_LARGE",
    `the upload has ${length} bytes, and more were sent; nothing of this part was kept`,
    {
      details: { length },
      headers: { connection: "close" },
    },
  );
