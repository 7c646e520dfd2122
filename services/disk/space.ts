import { statfs } from "node:fs/promises";

/** Bytes of a disk. */
export interface DiskSpace {
  readonly free: number;
  readonly total: number;
}

/** What clients' bytes leave of a disk: bytes, or its so many-th part if that is less. */
const RESERVE = 2 ** 30, PART = 20;

/** How the system says that a disk, or a share of it, is full. */
const FULL = new Set<unknown>(["ENOSPC", "EDQUOT"]);

/** The space of the disk that a file is on, as the system tells it. */
export async function spaceAt(path: string): Promise<DiskSpace> {
  const { bavail, blocks, bsize } = await statfs(path);
  return { free: bavail * bsize, total: blocks * bsize };
}

/**
 * Bytes of a disk that what clients send may still take; below 0 where it has taken more already. Databases, which share the
 * disk, fare worse without space than clients do.
 */
export const roomOf = ({ free, total }: DiskSpace): number => free - Math.min(RESERVE, total / PART);

/**
 * Whether a disk has no room for what clients send: see {@link roomOf}.
 * @param more bytes that are about to come
 */
export const isNearlyFull = (space: DiskSpace, more = 0): boolean => roomOf(space) < more;

/** Whether a failure of the system says that the disk is full. */
export const saysFull = (cause: unknown): boolean => cause instanceof Error && "code" in cause && FULL.has(cause.code);
