import { dirname } from "node:path";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { removeIfThere, sizeIfThere } from "../../disk/files.ts";
import { type DiskSpace, saysFull, spaceAt } from "../../disk/space.ts";

/** A file that bytes are staged in. One thing at a time is done with it. */
export interface StagingFile {
  size(): Promise<number>;
  /** @returns as many of the bytes as there are */
  read(at: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  write(at: number, bytes: Uint8Array): Promise<void>;
  truncate(length: number): Promise<void>;
  /** Has the disk hold what was written. */
  sync(): Promise<void>;
  close(): void;
}

/** The few things that are done with files, so that tests can have a disk that fails. Paths are absolute. */
export interface StagingDisk {
  /** Opens a file, which is made where there is none. */
  open(path: string): Promise<StagingFile>;
  /** Writes a file over one of that name, at once. When it comes back, the disk holds it. */
  replace(path: string, bytes: Uint8Array): Promise<void>;
  read(path: string): Promise<Uint8Array>;
  /** Bytes of a file; 0 where there is none. */
  size(path: string): Promise<number>;
  /** One that is not there is fine. */
  remove(path: string): Promise<void>;
  names(folder: string): Promise<string[]>;
  /** Bytes of the disk that a folder is on. */
  space(folder: string): Promise<DiskSpace>;
}

/** What a file that is about to replace another is called: that name and this. */
export const DRAFT = ".draft";

/** The disk of this machine. */
export const SYSTEM_STAGING: StagingDisk = {
  open: openFile,
  async replace(path, bytes) {
    const draft = path + DRAFT;
    {
      using file = await Deno.open(draft, { create: true, truncate: true, write: true, mode: 0o600 });
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      await file.syncData();
    }
    await Deno.rename(draft, path);
    using folder = await Deno.open(dirname(path));
    await folder.sync();
  },
  read: (path) => Deno.readFile(path),
  size: sizeIfThere,
  remove: removeIfThere,
  names: async (folder) => (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name),
  space: spaceAt,
};

async function openFile(path: string): Promise<StagingFile> {
  const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
  return {
    size: async () => (await file.stat()).size,
    async read(at, length) {
      const bytes = new Uint8Array(length);
      file.seekSync(at, Deno.SeekMode.Start);
      let filled = 0;
      while (filled < length) {
        const count = await file.read(bytes.subarray(filled));
        if (count === null) break;
        filled += count;
      }
      return bytes.subarray(0, filled);
    },
    async write(at, bytes) {
      file.seekSync(at, Deno.SeekMode.Start);
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
    },
    truncate: (length) => file.truncate(length),
    sync: () => file.syncData(),
    close: () => file.close(),
  };
}

/** What a disk's failure is to a client. */
export function diskFailure(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  if (saysFull(cause)) return noRoom(cause);
  return new GatewayError("UNAVAILABLE", "the disk on which uploads are kept failed; ask how far the upload is", {
    cause,
  });
}

/** There is no room on the disk. */
export const noRoom = (cause?: unknown): GatewayError =>
  new GatewayError("NO_CAPACITY", "the disk on which this gateway keeps uploads has no room; go on with it later", {
    cause,
    retryAfter: 60,
  });
