import type { DatabaseCopy, DatabaseFiles, FileFormat, Restored } from "../../../src/contracts/database_files.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { FilesDriver } from "./driver.ts";
import { FileJobs, type Job } from "./jobs.ts";
import { DEFAULT_RULES, type RunnerOptions } from "../runner.ts";

/** Where copies are made, and what bounds them. */
export interface SqlDatabaseFilesOptions {
  readonly driver: FilesDriver;
  /** A folder for files that are on their way, on the file system of the databases; made when it is missing. */
  readonly folder: string;
  /** What holds in a namespace. Default: no bound. */
  readonly rulesOf?: RunnerOptions["rulesOf"];
  /** Told what the processes that open files write to standard error. */
  readonly onLine?: (line: string) => void;
}

/** Bytes that are read at once from a file that goes out. */
const PIECE = 64 * 1024;
/** Bytes that a database made of text may have in any case, and by how much more than its text: a few words can make endless rows. */
const LEAST = 2 ** 30, GROWTH = 8;

/** Copies of whole databases over one driver. Strangers' files are opened in processes of their own alone. */
export class SqlDatabaseFiles implements DatabaseFiles {
  readonly #driver: FilesDriver;
  readonly #jobs: FileJobs;
  readonly #rulesOf: NonNullable<RunnerOptions["rulesOf"]>;

  constructor({ driver, folder, rulesOf = () => DEFAULT_RULES, onLine = () => {} }: SqlDatabaseFilesOptions) {
    this.#driver = driver;
    this.#jobs = new FileJobs(folder, onLine);
    this.#rulesOf = rulesOf;
  }

  async backup(namespace: string, format: FileFormat, request: RequestContext): Promise<DatabaseCopy> {
    const job = await this.#jobs.begin(namespace);
    try {
      const path = job.path("copy.sqlite");
      await this.#driver.save(namespace, path, request);
      await job.run({ kind: "clean", path }, request);
      if (format === "sql") return { bytes: undefined, chunks: endingWith(job, job.dump(path)) };
      const file = await Deno.open(path);
      const { size } = await file.stat();
      return { bytes: size, chunks: endingWith(job, bytesOf(file, size, () => job.end())) };
    } catch (error) {
      await job.end();
      throw asGatewayError(error);
    }
  }

  async restore(
    namespace: string,
    format: FileFormat,
    body: AsyncIterable<Uint8Array>,
    request: RequestContext,
  ): Promise<Restored> {
    const { maxDatabaseBytes: most } = await this.#rulesOf(namespace, request);
    await using job = await this.#jobs.begin(namespace);
    try {
      const upload = job.path("upload");
      const size = await writeTo(upload, body, format === "sqlite" ? most : 0);
      const path = format === "sqlite" ? upload : job.path("loaded.sqlite");
      const { tables = 0 } = await job.run(
        format === "sqlite"
          ? { kind: "check", path }
          : { kind: "load", path: upload, into: path, maxBytes: most || Math.max(LEAST, GROWTH * size) },
        request,
      );
      const { size: bytes } = await Deno.stat(path);
      if (most > 0 && bytes > most) throw tooLarge(most);
      await synchronize(path);
      request.signal.throwIfAborted();
      await this.#driver.replace(namespace, path, request);
      return { tables, bytes };
    } catch (error) {
      throw asGatewayError(error);
    }
  }
}

/** @returns how many bytes there were */
async function writeTo(path: string, body: AsyncIterable<Uint8Array>, most: number): Promise<number> {
  using file = await Deno.open(path, { createNew: true, write: true, mode: 0o600 });
  let size = 0;
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (most > 0 && size > most) throw tooLarge(most);
    for (let at = 0; at < chunk.length;) at += await file.write(chunk.subarray(at));
  }
  return size;
}

/** What is not on the disk yet could be lost after the old database is gone. */
async function synchronize(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.sync();
}

/** @param last run before the last bytes are handed out: whoever knows their number asks for no more */
async function* bytesOf(
  opened: Deno.FsFile,
  size: number,
  last: () => Promise<void>,
): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  using file = opened;
  for (let left = size; left > 0;) {
    const buffer = new Uint8Array(Math.min(PIECE, left));
    const length = await file.read(buffer);
    if (length === null) throw new Error("the copy is shorter than it was");
    left -= length;
    if (left === 0) await last();
    yield buffer.subarray(0, length);
  }
}

/** The same pieces; whichever way they end, so does the job. */
function endingWith(job: Job, pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>): DatabaseCopy["chunks"] {
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        try {
          const next = await pieces.next();
          if (next.done) await job.end();
          return next;
        } catch (error) {
          await job.end();
          throw asGatewayError(error);
        }
      },
      async return() {
        // First, because a process that nobody reads from any more would never come to its end.
        await job.end();
        await pieces.return().catch(() => {});
        return { done: true, value: undefined };
      },
    }),
  };
}

const tooLarge = (most: number) =>
  new GatewayError("QUOTA_EXCEEDED", `the database of this namespace may have ${most} bytes; nothing was changed`);

/** A disk that is full or broken is a matter of this gateway's surroundings. */
function asGatewayError(error: unknown): unknown {
  const isSystem = error instanceof Error && "code" in error && typeof error.code === "string" &&
    /^E[A-Z]+$/.test(error.code);
  if (!isSystem || error instanceof GatewayError) return error;
  return new GatewayError("UNAVAILABLE", "the copy could not be written to disk; nothing was changed", {
    cause: error,
  });
}
