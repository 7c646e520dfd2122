import { GatewayError } from "../../src/contracts/errors.ts";
import { type DiskSpace, isNearlyFull, saysFull, spaceAt as systemSpaceAt } from "../disk/space.ts";

/** Tells the space of the disk that a file or folder is on. */
export type SpaceAt = (path: string) => Promise<DiskSpace>;

/** Bytes between two looks at the disk. What has fewer is not worth one. */
const LOOK = 2 ** 20;

/**
 * Makes sure that the disk has room for something large beside the databases, which share it.
 * @param bytes that are about to be written
 * @throws GatewayError `NO_CAPACITY`
 */
export async function assertRoom(path: string, bytes: number, spaceAt: SpaceAt = systemSpaceAt): Promise<void> {
  if (bytes <= LOOK) return;
  const space = await spaceAt(path);
  if (isNearlyFull(space, bytes)) throw noRoom(tooLittle(path, space));
}

/** Looks at the disk while something is written to it. */
export class DiskRoom {
  #unseen = 0;

  /** @param path of the file, or a folder on its disk */
  constructor(private readonly path: string, private readonly spaceAt: SpaceAt = systemSpaceAt) {}

  /** Writes all of it, where there is room. @throws GatewayError `NO_CAPACITY`; what the system throws */
  async write(file: Pick<Deno.FsFile, "write">, bytes: Uint8Array): Promise<void> {
    await this.#look(bytes.length);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  }

  async #look(bytes: number): Promise<void> {
    this.#unseen += bytes;
    if (this.#unseen <= LOOK) return;
    this.#unseen = 0;
    const space = await this.spaceAt(this.path);
    if (isNearlyFull(space)) throw noRoom(tooLittle(this.path, space));
  }
}

/** A failure of the system in writing a file, as clients are told: full or broken disks are matters of this gateway's surroundings. */
export function diskFailure(error: unknown): unknown {
  if (error instanceof GatewayError) return error;
  if (saysFull(error)) return noRoom(error);
  const isSystem = error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^E[A-Z]+$/.test(error.code);
  if (!isSystem) return error;
  return new GatewayError("UNAVAILABLE", "the gateway could not write to its disk; nothing was changed", {
    cause: error,
  });
}

/** The disk has no room. @param cause for the log */
export const noRoom = (cause: unknown): GatewayError =>
  new GatewayError("NO_CAPACITY", "the disk of this gateway has no room for this now; nothing was changed", {
    cause,
    retryAfter: 60,
    // What is left of a body need not be sent.
    headers: { connection: "close" },
  });

const tooLittle = (path: string, { free, total }: DiskSpace) =>
  new Error(`${path}: ${free} of ${total} bytes are free, and some are kept for the databases: make room on this disk`);
