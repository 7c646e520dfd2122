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
 * Whether a disk has no room for what clients send: databases, which share it, fare worse without space than they do.
 * @param more bytes that are about to come
 */
export const isNearlyFull = ({ free, total }: DiskSpace, more = 0): boolean =>
  free - more < Math.min(RESERVE, total / PART);

/** Whether a failure of the system says that the disk is full. */
export const saysFull = (cause: unknown): boolean => cause instanceof Error && "code" in cause && FULL.has(cause.code);
