import type { CallOptions, Client } from "../http.ts";
import type { Content, WholeContent } from "./content.ts";
import type { ContentBody, Download, DownloadCarOptions, DownloadOptions } from "./download.ts";
import type {
  DirectoryListing,
  ObjectPage,
  PinStatus,
  StorageLink,
  Stored,
  StoredDirectory,
  StoredObject,
} from "./objects.ts";
import type {
  LinkOptions,
  ObjectChange,
  ObjectsOptions,
  PinOptions,
  StorageWriteOptions,
  StoreOptions,
  UploadDirectoryOptions,
  UploadOptions,
} from "./options.ts";
import type { ResumableContent } from "./parts.ts";
import { RemoteStorage } from "./remote_storage.ts";
import type { ResumableOptions, UploadState } from "./resumable.ts";

/** A file of a directory. */
export interface DirectoryFile {
  /** In the directory: relative, `/` between segments. */
  readonly path: string;
  readonly content: Content;
}

/**
 * Files and directories by their content, of the namespace that the client's credential belongs to. A place is a CID, behind which a
 * path may follow: `<cid>/folder/file`, as it is, not percent-encoded.
 *
 * All methods throw {@link OramaError}, and `TypeError` or `RangeError` for arguments that storage has no form for. Reads are
 * repeated when they fail in a way that can pass. Writes are sent once, unless `repeat` says otherwise; of one without an answer it is
 * `OUTCOME_UNKNOWN`. A signal that fires before the last byte of a stream was sent leaves nothing stored, and its reason is thrown.
 */
export interface Storage {
  /**
   * Stores a file. A stream is sent as it comes, at the pace of the gateway.
   * @throws OramaError `NOT_SUPPORTED` for a stream where the platform's `fetch` sends none
   */
  upload(content: WholeContent, options?: UploadOptions): Promise<Stored>;
  /** The same of a stream, which cannot be sent again. */
  upload(content: Content, options?: UploadOptions & { readonly repeat?: false | undefined }): Promise<Stored>;
  /**
   * Stores a file in parts, over as many connections as it takes: what breaks off is gone on with where it was, also by another
   * process (`onState`, `resume`). What ended by its signal or an error can be gone on with, too.
   * @throws OramaError `UPLOAD_LOST` where it cannot be gone on with; what was refused last, where trying again did not help
   */
  uploadResumable(content: ResumableContent, options?: ResumableOptions): Promise<Stored>;
  /** Gives up an upload that was begun. What was stored of it stays. @returns whether it was there */
  discardUpload(state: Pick<UploadState, "id">, options?: CallOptions): Promise<boolean>;
  /** Stores a directory. Files that are listed and there are sent as a whole, all else as it comes. */
  uploadDirectory(
    files: Iterable<DirectoryFile> | AsyncIterable<DirectoryFile>,
    options?: UploadDirectoryOptions,
  ): Promise<StoredDirectory>;
  /** Stores what a CAR (version 1) holds: one root, under which no block is missing. */
  uploadCar(car: Exclude<Content, string>, options?: StoreOptions): Promise<StoredObject>;
  /** Claims content by its CID: what the namespace has, what is public, and what the gateway's engine finds on a network. */
  pin(cid: string, options?: PinOptions): Promise<{ readonly cid: string; readonly name: string }>;
  /** Gives content up. @returns whether the namespace had it; with `repeat`, also `false` where a try without an answer did it */
  unpin(cid: string, options?: StorageWriteOptions): Promise<boolean>;
  /** Has a pin that failed tried again; repeated like a read. `null` where the namespace has no such object. */
  recover(cid: string, options?: CallOptions): Promise<PinStatus | null>;
  /** How it goes with a pin, or `null` where the namespace has no such object. */
  status(cid: string, options?: CallOptions): Promise<PinStatus | null>;
  /** What the namespace has under a CID, or `null`. */
  object(cid: string, options?: CallOptions): Promise<StoredObject | null>;
  /** What the namespace has, newest first, a page at a time; each page is asked for when the loop comes to it. */
  objects(options?: ObjectsOptions): AsyncIterable<ObjectPage>;
  /** Changes what is said of an object. @throws OramaError `NOT_FOUND` */
  change(cid: string, change: ObjectChange, options?: StorageWriteOptions): Promise<StoredObject>;
  /** Makes a link that anybody may read an object by, and what is below it. Repeated like a read. @throws OramaError `NOT_FOUND` */
  link(cid: string, options?: LinkOptions): Promise<StorageLink>;
  /**
   * Reads a file, or a range of it. A connection that breaks off while it is read is made again where it was.
   * @throws OramaError `NOT_FOUND`; `WRONG_TYPE` for a directory; `RANGE_NOT_SATISFIABLE`; `CONTENT_MISMATCH` and `NOT_SUPPORTED`
   * with `verify`
   */
  download(place: string, options?: DownloadOptions): Promise<Download>;
  /** Reads blocks as a CAR. @throws OramaError `NOT_FOUND` */
  downloadCar(place: string, options?: DownloadCarOptions): Promise<ContentBody>;
  /** Reads a file or directory as a tar archive. @throws OramaError `NOT_FOUND`, `RESULT_TOO_LARGE` */
  tar(place: string, options?: CallOptions): Promise<ContentBody>;
  /** The entries of a directory. @throws OramaError `NOT_FOUND`; `WRONG_TYPE` for what is none */
  directory(place: string, options?: CallOptions): Promise<DirectoryListing>;
}

/** The storage of a client. */
export const createStorage = (client: Client): Storage => new RemoteStorage(client);
