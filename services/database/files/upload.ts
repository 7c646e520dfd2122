import type { GatewayError } from "../../../src/contracts/errors.ts";
import { DiskRoom, type SpaceAt } from "../room.ts";

/** What bounds an upload. */
export interface UploadBounds {
  /** Bytes; 0: no more than the disk has room for. */
  readonly most: number;
  /** The error of one that is longer. */
  readonly tooLong: () => GatewayError;
  readonly spaceAt: SpaceAt;
  readonly signal: AbortSignal;
}

/**
 * Writes what comes to a new file.
 * @returns how many bytes there were
 * @throws GatewayError `NO_CAPACITY` when the disk has no room for it; what the body and the system throw, and what the signal was
 *   aborted with
 */
export async function upload(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { most, tooLong, spaceAt, signal }: UploadBounds,
): Promise<number> {
  using file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
  const room = new DiskRoom(path, spaceAt);
  let size = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    size += chunk.byteLength;
    if (most > 0 && size > most) throw tooLong();
    await room.write(file, chunk);
  }
  return size;
}
