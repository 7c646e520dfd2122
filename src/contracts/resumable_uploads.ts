import type { NamespacedService } from "./health.ts";
import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";
import type { UploadOptions } from "./storage.ts";

/** What an upload is to become, as the client said when it made it. */
export interface NewUpload {
  /** Bytes of the whole; `undefined`: the client will say later. */
  readonly length: number | undefined;
  /** What the client wrote of it, to be given back as it is. */
  readonly metadata: string;
  readonly options: Pick<UploadOptions, "name" | "type" | "pin" | "visibility" | "encrypt">;
}

/** An upload that may be broken off and gone on with. */
export interface ResumableUpload {
  /** Cannot be guessed. */
  readonly id: string;
  /** Bytes that are on the disk: where to go on. */
  readonly offset: number;
  readonly length: number | undefined;
  readonly metadata: string;
  /** Unix milliseconds from which on it is gone. */
  readonly expiresAt: number;
  /** What became of it, once it was whole and stored. */
  readonly object: { readonly cid: string; readonly name: string; readonly size: number } | undefined;
}

/** Algorithms by which a part can be checked, by their names in the protocol. */
export const CHECKSUM_ALGORITHMS = ["sha1", "sha256", "sha512"] as const;

/** What a part of an upload has to come to. */
export interface Checksum {
  readonly algorithm: typeof CHECKSUM_ALGORITHMS[number];
  readonly digest: Uint8Array;
}

/** Bytes to be appended. */
export interface UploadPart {
  /** Where they belong: at the end of those that are there. */
  readonly offset: number;
  /** How long the whole is, where that was not said before. */
  readonly length?: number | undefined;
  /** How many there will be, where that is known: what is too much is refused before it is read. */
  readonly size?: number | undefined;
  readonly checksum?: Checksum | undefined;
  /**
   * Whoever may not go on is told so by an error, at its end at the latest. Each piece is lent: it is used up before the next is asked
   * for.
   */
  readonly content: AsyncIterable<Uint8Array>;
}

/** What is staged on this gateway. */
export interface StagedFigures {
  /** Uploads that are not stored yet. */
  readonly unfinished: number;
  /** Bytes that they take on the disk. */
  readonly bytes: number;
  /** Those whose time was over before they were stored, since the gateway started. */
  readonly expired: number;
}

/**
 * Uploads that outlive connections, and this gateway's process: bytes are kept on its own disk until they are whole, and stored
 * then. Other gateways do not know of them.
 *
 * All throw `GatewayError`: `NOT_FOUND` for an upload that is not there, has expired, or is of another namespace; `UNAVAILABLE`.
 */
export interface ResumableUploads extends NamespacedService {
  /** Bytes of one upload, where nobody set another limit for the namespace. */
  readonly maxBytes: number;
  /**
   * Makes an upload, and sets aside what it may come to of what the namespace may have.
   * @throws also `INVALID_REQUEST`, `BODY_TOO_LARGE`, `QUOTA_EXCEEDED`, `TOO_MANY_UPLOADS`, `NO_CAPACITY`
   */
  create(principal: Principal, wanted: NewUpload, context: RequestContext): Promise<ResumableUpload>;
  /**
   * How far an upload is. One that is whole and could not be stored is tried again.
   * @throws also `UPLOAD_LOCKED` while that is under way, or cannot be done yet; what storing it throws
   */
  look(principal: Principal, id: string, context: RequestContext): Promise<ResumableUpload>;
  /**
   * Appends bytes; what came of a part that breaks off stays, unless it has a checksum. Stores the whole once it is there.
   * @throws also `CONFLICT` for another offset than the upload has, `UPLOAD_LOCKED` while another part is coming,
   *   `CHECKSUM_MISMATCH`, `BODY_TOO_LARGE` for more than was said (of such parts nothing stays), `QUOTA_EXCEEDED`, `NO_CAPACITY`;
   *   what {@link UploadPart.content} and storing the whole throw
   */
  append(principal: Principal, id: string, part: UploadPart, context: RequestContext): Promise<ResumableUpload>;
  /** Forgets an upload. What was stored of it stays. */
  remove(principal: Principal, id: string, context: RequestContext): Promise<void>;
  close(): Promise<void>;
}
