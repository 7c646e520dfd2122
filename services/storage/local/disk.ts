import { GatewayError } from "../../../src/contracts/errors.ts";
import { unlessMissing } from "../../disk/files.ts";
import { type DiskSpace, saysFull, spaceAt } from "../../disk/space.ts";

/** A file that was written and may not be on the disk yet. */
export interface WrittenFile {
  /** Has the disk hold its bytes, and closes it. */
  sync(): Promise<void>;
  /** Closes it as it is. */
  close(): void;
}

/** What is known of a file without reading it. */
export interface FileFacts {
  readonly size: number;
  /** When it was written or touched last, in Unix milliseconds. */
  readonly modified: number;
}

/** The few things that are done with files, so that tests can have a disk that fails. Paths are absolute. */
export interface Disk {
  /** Makes a folder and those above it. One that is there is fine. @returns whether it was made */
  makeFolder(path: string): Promise<boolean>;
  /**
   * Writes a file, over one of that name. One that cannot be written whole is removed.
   * @param at the time that it is to bear, in Unix milliseconds: file servers may have another one
   */
  write(path: string, bytes: Uint8Array, at: number): Promise<WrittenFile>;
  /** `undefined`: there is no such file. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** `undefined`: there is no such file. */
  facts(path: string): Promise<FileFacts | undefined>;
  /** @param at Unix milliseconds */
  touch(path: string, at: number): Promise<void>;
  /** Over a file of that name, at once. */
  rename(from: string, to: string): Promise<void>;
  /** @returns whether there was such a file */
  remove(path: string): Promise<boolean>;
  /** With what is in it. One that is not there is fine. */
  removeFolder(path: string): Promise<void>;
  /** What is in a folder; nothing where there is none. */
  names(path: string): AsyncIterable<string>;
  /** Has the disk hold which files are in a folder. */
  syncFolder(path: string): Promise<void>;
  /** Bytes of the disk that a folder is on. */
  space(path: string): Promise<DiskSpace>;
}

/** The disk of this machine. */
export const SYSTEM_DISK: Disk = {
  async makeFolder(path) {
    try {
      await Deno.mkdir(path, { mode: 0o700 });
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.AlreadyExists) return false;
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      await Deno.mkdir(path, { recursive: true, mode: 0o700 });
      return true;
    }
  },
  async write(path, bytes, at) {
    const file = await Deno.open(path, { create: true, truncate: true, write: true, mode: 0o600 });
    try {
      for (let done = 0; done < bytes.length;) done += await file.write(bytes.subarray(done));
      // Of an open file, so nothing is waited for; a thread of its own would cost more.
      file.utimeSync(at / 1_000, at / 1_000);
    } catch (error) {
      file.close();
      await Deno.remove(path).catch(() => {});
      throw error;
    }
    return {
      async sync() {
        try {
          await file.syncData();
        } finally {
          file.close();
        }
      },
      close: () => file.close(),
    };
  },
  read: (path) => unlessMissing(Deno.readFile(path)),
  async facts(path) {
    const info = await unlessMissing(Deno.stat(path));
    return info?.isFile ? { size: info.size, modified: info.mtime?.getTime() ?? 0 } : undefined;
  },
  touch: (path, at) => Deno.utime(path, at / 1_000, at / 1_000),
  rename: (from, to) => Deno.rename(from, to),
  remove: async (path) => await unlessMissing(Deno.remove(path).then(() => true)) ?? false,
  removeFolder: async (path) => void await unlessMissing(Deno.remove(path, { recursive: true })),
  async *names(path) {
    try {
      for await (const { name } of Deno.readDir(path)) yield name;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  },
  async syncFolder(path) {
    using folder = await Deno.open(path);
    await folder.sync();
  },
  space: spaceAt,
};

/** A disk whose failures are told as the gateway tells them: `NO_CAPACITY` when it is full, else `UNAVAILABLE`. */
export function reporting(disk: Disk): Disk {
  const told = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw failureOf(error);
    }
  };
  return {
    makeFolder: (path) => told(() => disk.makeFolder(path)),
    write: (path, bytes, at) =>
      told(async () => {
        const file = await disk.write(path, bytes, at);
        return { sync: () => told(() => file.sync()), close: () => file.close() };
      }),
    read: (path) => told(() => disk.read(path)),
    facts: (path) => told(() => disk.facts(path)),
    touch: (path, at) => told(() => disk.touch(path, at)),
    rename: (from, to) => told(() => disk.rename(from, to)),
    remove: (path) => told(() => disk.remove(path)),
    removeFolder: (path) => told(() => disk.removeFolder(path)),
    async *names(path) {
      try {
        yield* disk.names(path);
      } catch (error) {
        throw failureOf(error);
      }
    },
    syncFolder: (path) => told(() => disk.syncFolder(path)),
    space: (path) => told(() => disk.space(path)),
  };
}

function failureOf(cause: unknown): GatewayError {
  if (cause instanceof GatewayError) return cause;
  return saysFull(cause)
    ? diskFull(cause)
    : new GatewayError("UNAVAILABLE", "the disk of the storage failed", { cause });
}

/** There is no room. What was written of it is removed again. */
export const diskFull = (cause?: unknown): GatewayError =>
  new GatewayError("NO_CAPACITY", "the disk of the storage has no room for it; nothing was stored", {
    cause,
    retryAfter: 60,
  });
