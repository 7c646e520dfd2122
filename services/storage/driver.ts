import type {
  ByteRange,
  ContentKind,
  DagScope,
  DirectoryEntry,
  DirectoryFile,
  PinState,
  Replication,
} from "../../src/contracts/storage.ts";
import type { ServiceHealth } from "../../src/contracts/health.ts";

/** Who waits: when its signal fires, the engine is not kept busy any longer. */
export interface Waiter {
  readonly signal: AbortSignal;
}

/** Content that was added. */
export interface Added {
  /** Version 1, base32. */
  readonly cid: string;
  /** Bytes of the file, or of all files of the directory. */
  readonly size: number;
}

/** What is at a CID, or at a path below it. */
export interface ContentInfo {
  readonly cid: string;
  readonly kind: ContentKind;
  /** Bytes of a file or block as they are read; of a directory 0. */
  readonly size: number;
}

/** What is wanted of a pin. */
export interface PinOptions {
  readonly name: string;
  readonly replication: Replication;
  /** Multiaddresses of who may have it (IPFS Pinning Service API). */
  readonly origins?: readonly string[] | undefined;
}

/** Whether content may be looked for elsewhere: `local` answers at once with what the nodes of this engine have. */
export type Reach = "local" | "network";

/**
 * An engine that keeps content by its CID. It knows no namespaces: who may do what is decided before it is asked.
 *
 * The same bytes have the same CID with every driver: UnixFS, CID version 1, raw leaves, chunks of the configured size
 * (default 256 KiB), 174 links in a node, SHA-256.
 *
 * All throw `GatewayError`: `NOT_FOUND` (not there, or no such path), `INVALID_REQUEST` (no CID, or of a codec or hash that is
 * not taken; a CAR or DAG that is not in order), `NO_CAPACITY` (the disk is full), `UNAVAILABLE`; the reason of the waiter's
 * signal when that fires; and what a source throws, as it is. An operation that throws leaves nothing that is pinned.
 *
 * Content that was added, or found while it was added, is safe from collection for at least ten minutes: long enough to pin it.
 */
export interface ContentDriver {
  /** `local`, `ipfs`. */
  readonly name: string;
  /**
   * Adds a file. Takes from the source no faster than it stores, and holds a bounded number of bytes. Each piece may be lent, also
   * of files of a directory: it is used up before the next is asked for.
   */
  add(content: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added>;
  /** Adds a directory. @returns its root, and each file in the order in which it came */
  addDirectory(
    files: AsyncIterable<DirectoryFile>,
    waiter: Waiter,
  ): Promise<{ readonly root: Added; readonly files: readonly (Added & { readonly path: string })[] }>;
  /**
   * Adds the blocks of a CAR with one root, under which nothing is missing: of the blocks named there, each is in the CAR. (Blocks that
   * the engine has from others are no proof that the caller has them.)
   */
  importCar(car: AsyncIterable<Uint8Array>, waiter: Waiter): Promise<Added & { readonly kind: ContentKind }>;
  /** What is there. @param path segments, none at all for the root */
  look(cid: string, path: readonly string[], reach: Reach, waiter: Waiter): Promise<ContentInfo>;
  /**
   * Whether a node of this engine has the block itself, whoever it is from and whether it is pinned or not. Asks all of them, and nobody
   * else. @throws GatewayError `UNAVAILABLE` where none says that it has it, and one says nothing
   */
  has(cid: string, waiter: Waiter): Promise<boolean>;
  /**
   * The bytes of a file or block. Each block is held against its CID before any of it is handed out.
   * @param lent whether each piece is used up before the next is asked for. Default false
   */
  read(cid: string, range: ByteRange | undefined, waiter: Waiter, lent?: boolean): AsyncIterable<Uint8Array>;
  /** Entries of a directory, sharded ones included; at most a million. */
  entries(cid: string, waiter: Waiter): AsyncIterable<DirectoryEntry>;
  /** One block. At most 2 MiB, as the network has them. */
  block(cid: string, waiter: Waiter): Promise<Uint8Array>;
  /** The blocks from the root along the path and then those of the scope, each once, as a CAR of version 1 with this root. */
  car(cid: string, path: readonly string[], scope: DagScope, waiter: Waiter): AsyncIterable<Uint8Array>;
  /** Has content kept. Comes back when the engine knows of it; it may not be pinned yet. Again: with what is wanted now. */
  pin(cid: string, options: PinOptions, waiter: Waiter): Promise<void>;
  /** Lets content go. What is not pinned is no mistake. Who is reading it reads on. */
  unpin(cid: string, waiter: Waiter): Promise<void>;
  /** How it goes with a pin; `unpinned` for what the engine was not asked to keep. */
  pinState(cid: string, waiter: Waiter): Promise<PinState>;
  /** Has a failed pin tried again. */
  recover(cid: string, waiter: Waiter): Promise<void>;
  /** Multiaddresses of the nodes, for others to connect to; at most 20. An engine without a network has none. */
  delegates?(waiter: Waiter): Promise<readonly string[]>;
  /** Bytes that the engine takes, where it knows. */
  held(waiter: Waiter): Promise<number | undefined>;
  health(signal: AbortSignal): Promise<ServiceHealth>;
  close(): Promise<void>;
}
