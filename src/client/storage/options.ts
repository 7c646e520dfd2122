import type { CallOptions, ClientRequest } from "../http.ts";
import type { Duration } from "../durations.ts";

/** Who may read: whoever has a right in the namespace, or everybody who knows the CID. */
export type Visibility = "private" | "public";

/** What content is: a file, a directory of further content, or a block that is neither. */
export type ContentKind = "file" | "directory" | "block";

/** What goes with a write that can be sent again. */
export interface StorageWriteOptions extends CallOptions {
  /**
   * Repeats it like a read, also where nobody knows whether the last try was applied. Storing the same bytes again gives the same
   * CID, unless they are held encrypted: then both are there. It renews what somebody else may have changed or given up in between.
   * Default: it is sent once.
   */
  readonly repeat?: boolean | undefined;
}

/** On how many peers content is to be. Default: what the gateway is configured for. */
export interface CopyOptions {
  /** At least so many; -1: all. */
  readonly replicationMin?: number | undefined;
  /** At most so many; -1: all. */
  readonly replicationMax?: number | undefined;
}

/** What goes with whatever stores content. `requestTimeout` counts from the last piece that was taken where content is a stream. */
export interface StoreOptions extends StorageWriteOptions, CopyOptions {
  /** What it is called; only what follows the last slash counts. Default: the name of a `File`, else the CID. */
  readonly name?: string | undefined;
  /** Whether it is kept until it is unpinned. Default true; otherwise it goes after a while. */
  readonly pin?: boolean | undefined;
  /** Default `private`. */
  readonly visibility?: Visibility | undefined;
}

/** What goes with storing a directory. */
export interface UploadDirectoryOptions extends StoreOptions {
  /** Whether it is held encrypted; the CID is then that of the encrypted bytes. Default: the namespace's setting. */
  readonly encrypt?: boolean | undefined;
}

/** What goes with storing a file. */
export interface UploadOptions extends UploadDirectoryOptions {
  /** The media type. Default: that of a `Blob`, else what the gateway finds by the name or the first bytes. */
  readonly type?: string | undefined;
}

/** What goes with claiming content by its CID. */
export interface PinOptions extends StorageWriteOptions, CopyOptions {
  readonly name?: string | undefined;
  /** Multiaddresses of who may have it, where the gateway's engine looks on a network. */
  readonly origins?: readonly string[] | undefined;
}

/** Changes of an object; what is not named stays. */
export interface ObjectChange extends CopyOptions {
  readonly name?: string | undefined;
  readonly visibility?: Visibility | undefined;
  /** `false`: it goes after a while. */
  readonly pin?: boolean | undefined;
}

/** Which objects are wanted. */
export interface ObjectsOptions extends CallOptions {
  /** Objects on one page. Default 100, at most 1,000. */
  readonly limit?: number | undefined;
  /** Only those whose name contains this, in either case. */
  readonly name?: string | undefined;
  readonly cid?: string | undefined;
  readonly visibility?: Visibility | undefined;
  readonly kind?: ContentKind | undefined;
  readonly pinned?: boolean | undefined;
}

/** How long a link is good. */
export interface LinkOptions extends CallOptions {
  /** Default one hour. */
  readonly expiresIn?: Duration | undefined;
}

/** The parts of a request that say how a call runs. */
export const callOptions = ({ signal, requestTimeout }: CallOptions): CallOptions => ({ signal, requestTimeout });

/**
 * The parts of a request that say how a write runs.
 * @param settled codes that count whatever became of an earlier try
 */
export const writeOptions = (
  { repeat, ...options }: StorageWriteOptions,
  settled: readonly string[] = [],
): Pick<ClientRequest, "effect" | "repeatable" | "signal" | "requestTimeout"> => ({
  effect: "write",
  repeatable: repeat ? settled : undefined,
  ...callOptions(options),
});

/** Members of a query or body that say on how many peers content is to be. */
export const copyMembers = ({ replicationMin, replicationMax }: CopyOptions) => ({
  replication_min: replicationMin,
  replication_max: replicationMax,
});

/** @throws TypeError for what no header could hold */
export function checkType(type: string | undefined): string | undefined {
  if (type === undefined || /^[\x21-\x7e][\x20-\x7e]{0,254}$/.test(type)) return type;
  throw new TypeError("type must be a media type such as image/png");
}
