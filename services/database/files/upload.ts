import { GatewayError } from "../../../src/contracts/errors.ts";
import { type DiskSpace, isNearlyFull } from "../../disk/space.ts";

/** What bounds an upload. */
export interface UploadBounds {
  /** Bytes; 0: no more than the disk has room for. */
  readonly most: number;
  /** The error of one that is longer. */
  readonly tooLong: () => GatewayError;
  /** The space of the disk that a file is on. */
  readonly spaceAt: (path: string) => Promise<DiskSpace>;
  readonly signal: AbortSignal;
}

/** Bytes between two looks at the disk. */
const LOOK = 2 ** 20;

/**
 * Writes what comes to a new file.
 * @returns how many bytes there were
 * @throws GatewayError `NO_CAPACITY` when the disk has no room for it; what the body throws, and what the signal was aborted with
 */
export async function upload(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { most, tooLong, spaceAt, signal }: UploadBounds,
): Promise<number> {
  using file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
  let size = 0, looked = 0;
  for await (const chunk of body) {
    signal.throwIfAborted();
    size += chunk.byteLength;
    if (most > 0 && size > most) throw tooLong();
    if (size - looked > LOOK) {
      looked = size;
      if (isNearlyFull(await spaceAt(path))) throw noRoom();
    }
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  }
  return size;
}

const noRoom = () =>
  new GatewayError("NO_CAPACITY", "the disk of this gateway has no room for a body of this size; nothing was changed", {
    retryAfter: 60,
    headers: { connection: "close" },
  });
