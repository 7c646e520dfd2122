import type { Lifecycle, NamespacedService } from "./health.ts";
import type { Principal } from "./identity.ts";
import type { RequestContext } from "./request.ts";

/** What content is: the bytes of a file, a directory of further content, or a block that is neither. */
export type ContentKind = "file" | "directory" | "block";

/** Who may read an object: whoever has a right in its namespace, or everybody who knows its CID. */
export type Visibility = "private" | "public";

/** Content that a namespace has: its claim to it. Several namespaces may have the same content, each with a claim of its own. */
export interface StoredObject {
  /** The root's CID as it is written in answers: version 1 in base32, or version 0 where it was pinned under that. */
  readonly cid: string;
  /** As it was uploaded or pinned last; no path. */
  readonly name: string;
  /** Bytes that a reader gets: of a file its length, of a directory the sum of its files, of a block its own; `undefined` until it is known. */
  readonly size: number | undefined;
  /** The media type as it was given, or found by name or content. Of a directory `undefined`. */
  readonly type: string | undefined;
  readonly kind: ContentKind;
  readonly visibility: Visibility;
  /** Whether the engine holds it encrypted, so that its CID is that of the encrypted bytes. */
  readonly encrypted: boolean;
  /** Whether it is to be kept until it is unpinned. What is not goes at {@link expiresAt}. */
  readonly pinned: boolean;
  /** Unix milliseconds from which on it is gone; `undefined`: it stays. */
  readonly expiresAt: number | undefined;
  readonly replication: Replication;
  readonly createdAt: number;
  /** The principal's subject. */
  readonly createdBy: string;
}

/** On how many peers content is to be: at least `min`, of which it is pinned, and at most `max`. -1: on all. */
export interface Replication {
  readonly min: number;
  readonly max: number;
}

/** How it goes with a pin. `unpinned`: it is not to be kept. */
export type PinStatus = "queued" | "pinning" | "pinned" | "error" | "unpinned" | "unknown";

/** The state of a pin, as the engine tells it. */
export interface PinState {
  readonly status: PinStatus;
  /** Peers that have it, or should, with the state at each. */
  readonly peers: readonly {
    readonly id: string;
    readonly name: string;
    readonly status: PinStatus;
    readonly error?: string;
  }[];
  /** A public sentence, where `status` is `error`. */
  readonly error: string | undefined;
}

/** What may be said of an upload. */
export interface UploadOptions {
  /** Default: the CID. Only its last segment is kept; control characters are refused with `INVALID_REQUEST`. */
  readonly name?: string | undefined;
  /** The media type as the client gave it. */
  readonly type?: string | undefined;
  /** Default true. Otherwise it goes after the time that is configured (`storage.unpinned_life`). */
  readonly pin?: boolean | undefined;
  readonly visibility?: Visibility | undefined;
  /** Default: the namespace's setting. */
  readonly encrypt?: boolean | undefined;
  readonly replication?: Partial<Replication> | undefined;
  /** At least how many bytes there will be, where that is known: what cannot fit is refused before anything is read. */
  readonly length?: number | undefined;
  /**
   * 32 bytes that encryption begins with, so that storing the same content once more makes the same object. Never a client's, and
   * never with other content: by default they are drawn anew each time.
   */
  readonly salt?: Uint8Array | undefined;
  /**
   * Asked once the content has ended: what it names is taken in place of what stands here. Forms may have fields behind their
   * file (older clients send `pin` there).
   */
  readonly late?: (() => LateOptions) | undefined;
}

/** What may be said behind the content of an upload. */
export type LateOptions = Pick<UploadOptions, "pin" | "visibility">;

/** One file of a directory that is uploaded. */
export interface DirectoryFile {
  /** Relative, `/` between segments, none of them empty, `.` or `..`. */
  readonly path: string;
  /** May be lent, as that of {@link Storage.upload}. */
  readonly content: AsyncIterable<Uint8Array>;
}

/** An entry of a directory. */
export interface DirectoryEntry {
  readonly name: string;
  readonly cid: string;
  readonly size: number | undefined;
  readonly kind: ContentKind;
}

/** Who wants to read: a namespace's principal, a bearer of a link, or anybody. */
export interface Reader {
  readonly namespace?: string | undefined;
  /** The token of a link. */
  readonly link?: string | undefined;
}

/** Bytes of a whole: from `offset`, `length` of them. Within the whole. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** Content that a reader may read. */
export interface OpenContent {
  /** What the reader named, whose claim permits the reading. */
  readonly root: string;
  /** What is at the path. */
  readonly cid: string;
  readonly kind: ContentKind;
  /** Bytes of a file or block as a reader gets them; of a directory 0. */
  readonly size: number;
  /** The name of the object, or of the entry where there is a path. */
  readonly name: string;
  readonly type: string | undefined;
  readonly visibility: Visibility;
  readonly encrypted: boolean;
  /**
   * Of a file or block. Every block is checked against its CID on the way; the iteration throws when one cannot be had.
   * @param lent whether each piece is used up before the next is asked for: its memory may be given back then. Default false
   */
  read(range?: ByteRange, lent?: boolean): AsyncIterable<Uint8Array>;
  /** Of a directory, in the order of the engine, all of them. */
  entries(): AsyncIterable<DirectoryEntry>;
  /** The one block as the engine has it. */
  block(): Promise<Uint8Array>;
  /** A CAR (version 1) with the blocks from the root along the path, then those of the scope. */
  car(scope: DagScope): AsyncIterable<Uint8Array>;
}

/**
 * How much of a DAG a CAR holds: the one block, what the path's own entity is made of, everything below, or of a file only what some
 * of its bytes are made of.
 */
export type DagScope = "block" | "entity" | "all" | EntityBytes;

/**
 * Bytes of a file as the engine has it, both ends included; negative numbers count from its end. Of anything else they mean `entity`;
 * where they are none, `block`; where they are wholly before or behind the file, that is `INVALID_REQUEST`.
 */
export interface EntityBytes {
  readonly from: number;
  /** Default: the last byte. */
  readonly to?: number | undefined;
}

/** What of a list is wanted. */
export interface ObjectQuery {
  /** Where the page before ended. */
  readonly cursor?: string | undefined;
  /** 1 to 1,000. */
  readonly limit: number;
  /** Only those whose name contains this, letters of ASCII in either case. */
  readonly name?: string | undefined;
  readonly cid?: string | undefined;
  readonly visibility?: Visibility | undefined;
  readonly kind?: ContentKind | undefined;
  readonly pinned?: boolean | undefined;
}

/** A page of the objects of a namespace, newest first. */
export interface ObjectPage {
  readonly objects: readonly StoredObject[];
  /** Of all that fit, on whichever page. */
  readonly total: number;
  readonly cursor: string | undefined;
}

/** A link that lets whoever has it read one object until it expires. */
export interface StorageLink {
  readonly cid: string;
  /** What stands in `?token=`. */
  readonly token: string;
  readonly expiresAt: number;
}

/** Changes of an object; what is not named stays. */
export interface ObjectChange {
  readonly name?: string | undefined;
  readonly visibility?: Visibility | undefined;
  readonly pin?: boolean | undefined;
  readonly replication?: Partial<Replication> | undefined;
}

/** What this gateway has passed on since it started. */
export interface StorageStatistics {
  readonly uploadedBytes: number;
  readonly downloadedBytes: number;
  /** How often the engine was asked to recover a pin, and how often it could not be asked. */
  readonly recoveries: { readonly asked: number; readonly failed: number };
  /** Pins by how it goes with them, as they were when all of them had been looked at last; empty where nobody looks. */
  readonly pins: Readonly<Partial<Record<PinStatus, number>>>;
}

/** What there is in the storage, over all namespaces. */
export interface StorageFigures {
  readonly objects: number;
  /** What they count against quotas, together. */
  readonly bytes: number;
  /** CIDs of which the engine was not told everything that is wanted. */
  readonly pinsWaiting: number;
  /** Claims to content that the engine looks for. */
  readonly awaited: number;
  /** Bytes that the engine takes, where it knows. */
  readonly held: number | undefined;
}

/**
 * Files by content. Equal bytes have one CID, whoever uploads them, and each namespace that did has a claim to them; what nobody
 * claims any more is deleted. Reading takes a claim of the reader's namespace, a public claim of any, or a link.
 *
 * All throw `GatewayError`: `INVALID_REQUEST` (with the field's name), `NOT_FOUND` (`content not found: <cid>`; also for what
 * others have privately: the two cannot be told apart), `BODY_TOO_LARGE` (more than one object may have), `QUOTA_EXCEEDED`
 * (more than the namespace may have, in bytes or objects), `TOO_MANY_UPLOADS` (of the namespace, at once, on this gateway),
 * `CONFLICT` (the namespace is being deleted), `NO_CAPACITY` (the disk is full), `UNAVAILABLE`, `OUTCOME_UNKNOWN`. An upload that
 * throws anything but the last leaves no object; what the engine has of it goes by itself.
 */
export interface Storage extends NamespacedService, Lifecycle {
  /** Stores a file. Memory does not grow with its length. Each piece of it may be lent: it is used up before the next is asked for. Uploading again what is there renews name, type and pin. */
  upload(
    principal: Principal,
    content: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    context: RequestContext,
  ): Promise<StoredObject>;
  /** Stores a directory. @returns the object of its root, and each file in the order in which it came */
  uploadDirectory(
    principal: Principal,
    files: AsyncIterable<DirectoryFile>,
    options: UploadOptions,
    context: RequestContext,
  ): Promise<
    { readonly object: StoredObject; readonly files: readonly (DirectoryEntry & { readonly path: string })[] }
  >;
  /**
   * Stores what a CAR holds: one root, and every block below it. Each block is checked against its CID.
   * @throws also `INVALID_REQUEST` for a CAR that is damaged, has another number of roots, lacks blocks, or holds a DAG that is
   *   deeper or wider than is taken
   */
  importCar(
    principal: Principal,
    car: AsyncIterable<Uint8Array>,
    options: UploadOptions,
    context: RequestContext,
  ): Promise<StoredObject>;
  /**
   * Claims content by its CID: what the namespace has already (its name and replication are renewed), what is public, or, where
   * the engine finds content on a network, what it finds there. What only others have privately is never found.
   */
  pin(
    principal: Principal,
    cid: string,
    options: Pick<UploadOptions, "name" | "replication"> & { readonly origins?: readonly string[] | undefined },
    context: RequestContext,
  ): Promise<StoredObject>;
  /** Gives the claim up. Content goes with the last claim, but not while somebody reads it. */
  unpin(namespace: string, cid: string, context: RequestContext): Promise<StoredObject>;
  change(namespace: string, cid: string, change: ObjectChange, context: RequestContext): Promise<StoredObject>;
  /** @returns what the namespace has under this CID @throws GatewayError `NOT_FOUND` */
  object(namespace: string, cid: string, context: RequestContext): Promise<StoredObject>;
  list(namespace: string, query: ObjectQuery, context: RequestContext): Promise<ObjectPage>;
  /** The object and the state of its pin. */
  status(
    namespace: string,
    cid: string,
    context: RequestContext,
  ): Promise<{ readonly object: StoredObject; readonly pin: PinState }>;
  /** Has a pin that failed tried again. @returns the object and the state of its pin then @throws also `CONFLICT` for one that is not pinned */
  recover(
    namespace: string,
    cid: string,
    context: RequestContext,
  ): Promise<{ readonly object: StoredObject; readonly pin: PinState }>;
  /** @param life milliseconds @throws also `INVALID_REQUEST` for a life beyond the limit of the namespace */
  link(principal: Principal, cid: string, life: number, context: RequestContext): Promise<StorageLink>;
  /** @param path segments behind the CID, none at all for the root */
  open(reader: Reader, cid: string, path: readonly string[], context: RequestContext): Promise<OpenContent>;
}
