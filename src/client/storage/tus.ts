import { toBase64 } from "../base64.ts";
import { invalidResponse, isObject, OramaError } from "../errors.ts";
import type { CallOptions, Client, ClientRequest } from "../http.ts";
import { sendingTime } from "../streamed_body.ts";
import { momentOf } from "../moments.ts";
import type { Stored } from "./objects.ts";
import { callOptions, checkType, type Visibility } from "./options.ts";

/** How far an upload is. */
export interface UploadProgress {
  readonly id: string;
  /** Bytes that the gateway has. */
  readonly offset: number;
  /** Bytes of the whole; `undefined` until it was said. */
  readonly size: number | undefined;
  readonly expiresAt: string;
  /** What became of it, once it is stored. */
  readonly stored: Stored | undefined;
}

/** What is said of an upload when it begins. */
export interface UploadMetadata {
  readonly name?: string | undefined;
  readonly type?: string | undefined;
  readonly pin?: boolean | undefined;
  readonly visibility?: Visibility | undefined;
  readonly encrypt?: boolean | undefined;
}

/** Algorithms by which a part can be checked. */
export type ChecksumAlgorithm = "sha1" | "sha256" | "sha512";

/** The requests of an upload in parts. Each is sent once; what became of it is asked, so that nothing is left unknown. */
export interface UploadWire {
  /** @param size of the whole; `undefined`: it is said with the last part */
  begin(size: number | undefined): Promise<UploadProgress>;
  look(id: string): Promise<UploadProgress>;
  /** @param size of the whole, where it was not said before */
  append(id: string, offset: number, bytes: Blob, size: number | undefined): Promise<void>;
}

const PATH = "/v1/storage/uploads";
const TUS = { "tus-resumable": "1.0.0" } as const;
const NAMES = { sha1: "SHA-1", sha256: "SHA-256", sha512: "SHA-512" } as const;

/** tus 1.0.0 (https://tus.io/protocols/resumable-upload). @throws TypeError for metadata that cannot be */
export function tusWire(
  client: Client,
  metadata: UploadMetadata,
  checksum: ChecksumAlgorithm | false,
  options: CallOptions,
): UploadWire {
  const told = metadataHeader(metadata);
  const common = { ...callOptions(options), once: true } as const;
  return {
    async begin(size) {
      const length = size === undefined ? { "upload-defer-length": "1" } : { "upload-length": String(size) };
      return await client.json({
        method: "POST",
        path: PATH,
        // Of one whose answer is lost nobody knows the address: it goes by itself.
        effect: "read",
        headers: { ...TUS, ...length, ...(told !== "" && { "upload-metadata": told }) },
        ...common,
      }, progressOf);
    },
    // HEAD would tell the same, but for the words of a refusal and what became of the upload.
    look: async (id) => await client.json({ method: "GET", path: pathOf(id), effect: "read", ...common }, progressOf),
    async append(id, offset, bytes, size) {
      const digest = await checksumOf(bytes, checksum);
      const request: ClientRequest = {
        method: "PATCH",
        path: pathOf(id),
        body: bytes,
        effect: "read",
        headers: {
          ...TUS,
          "content-type": "application/offset+octet-stream",
          "upload-offset": String(offset),
          ...(size !== undefined && { "upload-length": String(size) }),
          ...(digest !== undefined && { "upload-checksum": digest }),
        },
        ...common,
        wait: sendingTime(bytes.size),
      };
      await client.whole(request, ({ status, headers }) => {
        // Pages of other origins may not see it.
        const given = headers.get("upload-offset");
        if (status === 204 && (given === null || Number(given) === offset + bytes.size)) return;
        throw invalidResponse(`it took ${String(given)} bytes`, { status });
      });
    },
  };
}

/** Gives an upload up. @returns whether it was there @throws OramaError */
export async function discardUpload(client: Client, id: string, options: CallOptions): Promise<boolean> {
  const request = {
    method: "DELETE",
    path: pathOf(id),
    effect: "write",
    repeatable: ["NOT_FOUND"],
    headers: TUS,
    ...callOptions(options),
  } as const;
  return await client.whole(request, ({ status }) => {
    if (status !== 204) throw invalidResponse("it does not say that the upload is gone", { status });
    return true;
  }).catch((error) => {
    if (error instanceof OramaError && error.code === "NOT_FOUND") return false;
    throw error;
  });
}

function pathOf(id: string): string {
  if (/^[\w-]{1,255}$/.test(id)) return `${PATH}/${id}`;
  throw new TypeError("id must be that of an upload, as its state holds it");
}

function progressOf(body: unknown): UploadProgress {
  if (!isObject(body)) throw invalidResponse("it is no object");
  const { id, offset, length, expires_at: expiresAt, cid, name, size } = body;
  if (typeof id !== "string" || typeof offset !== "number") throw invalidResponse("it is no upload");
  momentOf(expiresAt);
  const isStored = typeof cid === "string" && typeof name === "string" && typeof size === "number";
  return {
    id,
    offset,
    size: typeof length === "number" ? length : undefined,
    expiresAt: String(expiresAt),
    stored: isStored ? { cid, name, size } : undefined,
  };
}

function metadataHeader({ name, type, pin, visibility, encrypt }: UploadMetadata): string {
  const members = { filename: name, filetype: checkType(type), pin, visibility, encrypt };
  return Object.entries(members).flatMap(([key, value]) =>
    value === undefined ? [] : [`${key} ${toBase64(new TextEncoder().encode(String(value)))}`]
  ).join(",");
}

async function checksumOf(bytes: Blob, algorithm: ChecksumAlgorithm | false): Promise<string | undefined> {
  if (algorithm === false) return undefined;
  const digest = await crypto.subtle.digest(NAMES[algorithm], await bytes.arrayBuffer());
  return `${algorithm} ${toBase64(new Uint8Array(digest))}`;
}
