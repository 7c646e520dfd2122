import { GatewayError } from "../../../src/contracts/errors.ts";
import { type Checksum, CHECKSUM_ALGORITHMS, type ResumableUpload } from "../../../src/contracts/resumable_uploads.ts";
import type { Call } from "../../../src/http/call.ts";

/** Headers of tus 1.0.0: https://tus.io/protocols/resumable-upload.html */

const VERSION = "1.0.0";
const EXTENSIONS = "creation,creation-with-upload,creation-defer-length,expiration,checksum,termination";

/** In every answer, refusals included. */
export const TUS_RESUMABLE = { "tus-resumable": VERSION } as const;

/** What the protocol can here, as `OPTIONS` tells it. @param maxSize bytes of one upload */
export const capabilities = (maxSize: number): Record<string, string> => ({
  ...TUS_RESUMABLE,
  "tus-version": VERSION,
  "tus-extension": EXTENSIONS,
  "tus-max-size": String(maxSize),
  "tus-checksum-algorithm": CHECKSUM_ALGORITHMS.join(","),
});

/** @throws GatewayError `PRECONDITION_FAILED` for a client of another protocol */
export function assertTus({ incoming }: Pick<Call, "incoming">): void {
  const given = incoming.get("tus-resumable");
  if (given === VERSION) return;
  const sentence = given === null
    ? `Tus-Resumable: is missing; it must be ${VERSION}`
    : `Tus-Resumable: this gateway speaks ${VERSION} alone`;
  throw new GatewayError("PRECONDITION_FAILED", sentence, { headers: { "tus-version": VERSION } });
}

/** How far an upload is, and what became of it. */
export const stateHeaders = ({ offset, length, expiresAt, object }: ResumableUpload): Record<string, string> => ({
  "upload-offset": String(offset),
  ...(length === undefined ? { "upload-defer-length": "1" } : { "upload-length": String(length) }),
  "upload-expires": new Date(expiresAt).toUTCString(),
  ...(object !== undefined && { "upload-cid": object.cid }),
});

/** A header that is a number of bytes. @throws GatewayError `INVALID_REQUEST` */
export function byteCount({ incoming }: Pick<Call, "incoming">, name: string): number | undefined {
  const given = incoming.get(name);
  if (given === null) return undefined;
  const bytes = /^\d{1,16}$/.test(given) ? Number(given) : NaN;
  if (Number.isSafeInteger(bytes)) return bytes;
  throw wrong(name, "must be a number of bytes, in digits");
}

/** `Upload-Checksum`. @throws GatewayError `INVALID_REQUEST`, also for an algorithm that is not known */
export function checksumOf({ incoming }: Pick<Call, "incoming">): Checksum | undefined {
  const given = incoming.get("upload-checksum");
  if (given === null) return undefined;
  const [name, text = "", ...more] = given.split(" ");
  const algorithm = CHECKSUM_ALGORITHMS.find((known) => known === name);
  if (algorithm === undefined) {
    throw wrong("Upload-Checksum", `begins with the algorithm: ${CHECKSUM_ALGORITHMS.join(", ")}`);
  }
  const digest = more.length === 0 ? bytesOf(text) : undefined;
  if (digest?.length !== DIGEST_BYTES[algorithm]) {
    const problem = `must be ${algorithm}, a space and ${DIGEST_BYTES[algorithm]} bytes in base64`;
    throw wrong("Upload-Checksum", problem);
  }
  return { algorithm, digest };
}

const DIGEST_BYTES: Readonly<Record<Checksum["algorithm"], number>> = { sha1: 20, sha256: 32, sha512: 64 };

/** Bytes in base64 (RFC 4648, 4), padded, and nothing else; `undefined` for what is none. */
export function bytesOf(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return undefined;
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch {
    return undefined;
  }
}

/** What is wrong with a header. @param problem completes a sentence that begins with its name */
export const wrong = (name: string, problem: string): GatewayError =>
  new GatewayError("INVALID_REQUEST", `${name}: ${problem}`, { details: [{ field: name, problem }] });
