import { Buffer } from "node:buffer";

/** Bytes as the client wants them: other views of bytes it would send as their text. */
export const toBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
