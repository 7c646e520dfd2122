import type { DatabaseCopy, DatabaseFiles, FileFormat, Restored } from "../../../src/contracts/database_files.ts";
import { GatewayError, hasCode } from "../../../src/contracts/errors.ts";
import type { Principal } from "../../../src/contracts/identity.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import type { RecordAct } from "../../control_plane/audit.ts";
import { roomOf, spaceAt } from "../../disk/space.ts";
import type { FilesDriver } from "./driver.ts";
import { FileJobs, type Job } from "./jobs.ts";
import type { Turns } from "./turns.ts";
import { upload, type UploadBounds } from "./upload.ts";
import { diskFailure, noRoom, type SpaceAt } from "../room.ts";
import { DEFAULT_RULES, type RunnerOptions } from "../runner.ts";

/** Where copies are made, and what bounds them. */
export interface SqlDatabaseFilesOptions {
  readonly driver: FilesDriver;
  /** A folder for files that are on their way, on the file system of the databases; made when it is missing. */
  readonly folder: string;
  /** Shared with whoever else works on databases of namespaces as a whole, or removes them. */
  readonly turns: Turns;
  /** Records each restore. Default: nowhere. */
  readonly record?: RecordAct | undefined;
  /** What holds in a namespace. Default: no bound. */
  readonly rulesOf?: RunnerOptions["rulesOf"];
  /** Told what the processes that open files write to standard error. */
  readonly onLine?: (line: string) => void;
  /** Milliseconds that a job waits for one of the gateway's places. Default 30,000. */
  readonly patience?: number;
  /** The space of the disk that a file is on. Default: as the system tells it. */
  readonly spaceAt?: SpaceAt;
}

/** Bytes that are read at once from a file that goes out. */
const PIECE = 64 * 1024;
/** Bytes that a database made of text may have in any case, and by how much more than its text: a few words can make endless rows. */
const LEAST = 2 ** 30, GROWTH = 8;
/** Bytes that text may have in any case, and by how much more than the database that it may make: small values are long as text. */
const LEAST_TEXT = 16 * 2 ** 20, TEXT_GROWTH = 16;
/** Bytes that a database made of text may have however little room the disk has. */
const LEAST_ROOM = 16 * 2 ** 20;

/** A restore, as it was asked for. */
interface Asked {
  readonly namespace: string;
  readonly format: FileFormat;
  readonly actor: Pick<Principal, "subject">;
}

/** Copies of whole databases over one driver. Strangers' files are opened in processes of their own alone. */
export class SqlDatabaseFiles implements DatabaseFiles {
  readonly #driver: FilesDriver;
  readonly #jobs: FileJobs;
  readonly #turns: Turns;
  readonly #record: RecordAct;
  readonly #rulesOf: NonNullable<RunnerOptions["rulesOf"]>;
  readonly #spaceAt: SpaceAt;

  constructor(options: SqlDatabaseFilesOptions) {
    this.#driver = options.driver;
    this.#jobs = new FileJobs(options.folder, options.onLine ?? (() => {}), options.patience);
    this.#turns = options.turns;
    this.#record = options.record ?? (() => Promise.resolve());
    this.#rulesOf = options.rulesOf ?? (() => DEFAULT_RULES);
    this.#spaceAt = options.spaceAt ?? spaceAt;
  }

  async backup(namespace: string, format: FileFormat, request: RequestContext): Promise<DatabaseCopy> {
    const job = await this.#jobs.begin(namespace);
    try {
      const path = job.path("copy.sqlite");
      await job.enter("work", request);
      await this.#driver.save(namespace, path, request);
      await job.run({ kind: "clean", path }, request);
      if (format === "sql") {
        await job.enter("dump", request);
        return { bytes: undefined, chunks: endingWith(job, job.dump(path)) };
      }
      job.leave();
      const file = await Deno.open(path);
      const { size } = await file.stat();
      return { bytes: size, chunks: endingWith(job, bytesOf(file, size)) };
    } catch (error) {
      await job.end();
      throw diskFailure(error);
    }
  }

  async restore(
    namespace: string,
    format: FileFormat,
    body: AsyncIterable<Uint8Array>,
    actor: Pick<Principal, "subject">,
    request: RequestContext,
  ): Promise<Restored> {
    using preparation = this.#turns.prepare(namespace);
    await using job = await this.#jobs.begin(namespace);
    const signal = AbortSignal.any([request.signal, preparation.signal]);
    try {
      const { maxDatabaseBytes: most } = await this.#rulesOf(namespace, { signal });
      const uploaded = job.path("upload");
      const size = await upload(uploaded, body, { ...boundsOf(format, most), spaceAt: this.#spaceAt, signal });
      // Only now: a client that sends slowly must not keep the databases of others waiting.
      await job.enter("work", { signal });
      const path = format === "sqlite" ? uploaded : job.path("loaded.sqlite");
      const { tables = 0 } = format === "sqlite"
        ? await job.run({ kind: "check", path }, { signal })
        : await this.#load(job, { from: uploaded, into: path, most: most || Math.max(LEAST, GROWTH * size) }, signal);
      const { size: bytes } = await Deno.stat(path);
      if (most > 0 && bytes > most) throw tooLarge(most);
      await synchronize(path);
      await this.#turns.run(namespace, async () => {
        signal.throwIfAborted();
        await this.#replace({ namespace, format, actor }, path, { tables, bytes }, request);
      });
      return { tables, bytes };
    } catch (error) {
      throw diskFailure(error);
    }
  }

  /** Makes a database of text. What it may have is also a matter of the disk: SQLite does not tell which of the two it met. */
  async #load(
    job: Job,
    { from, into, most }: Readonly<Record<"from" | "into", string>> & { readonly most: number },
    signal: AbortSignal,
  ): Promise<{ readonly tables?: number }> {
    const room = Math.max(LEAST_ROOM, roomOf(await this.#spaceAt(from)));
    try {
      return await job.run({ kind: "load", path: from, into, maxBytes: Math.min(most, room) }, { signal });
    } catch (error) {
      throw room < most && hasCode(error, "QUOTA_EXCEEDED") ? noRoom(error) : error;
    }
  }

  /** The record is made where the act may have happened. It does not wait for the next turn: who deletes a namespace deletes its log. */
  async #replace(
    { namespace, format, actor: { subject: actor } }: Asked,
    path: string,
    restored: Restored,
    request: RequestContext,
  ): Promise<void> {
    const record = (outcome?: "unknown") =>
      this.#record({
        namespace,
        actor,
        action: "database.restored",
        resource: namespace,
        details: { format, ...restored, ...(outcome && { outcome }) },
      }, request);
    try {
      await this.#driver.replace(namespace, path, request);
    } catch (error) {
      if (hasCode(error, "OUTCOME_UNKNOWN")) await record("unknown");
      throw error;
    }
    await record();
  }
}

/** Text is measured before it is known what it makes. */
const boundsOf = (format: FileFormat, most: number): Pick<UploadBounds, "most" | "tooLong"> => {
  if (format === "sqlite" || most === 0) return { most, tooLong: () => tooLarge(most) };
  const text = Math.max(LEAST_TEXT, TEXT_GROWTH * most);
  return { most: text, tooLong: () => tooLongText(most, text) };
};

/** What is not on the disk yet could be lost after the old database is gone. */
async function synchronize(path: string): Promise<void> {
  using file = await Deno.open(path, { read: true, write: true });
  await file.sync();
}

async function* bytesOf(opened: Deno.FsFile, size: number): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
  using file = opened;
  for (let left = size; left > 0;) {
    const buffer = new Uint8Array(Math.min(PIECE, left));
    const length = await file.read(buffer);
    if (length === null) throw new Error("the copy is shorter than it was");
    left -= length;
    yield buffer.subarray(0, length);
  }
}

/**
 * The same pieces; whichever way they end, so does the job. The last one is handed out behind the job's end: whoever has it has
 * everything, and may begin the next job.
 */
function endingWith(job: Job, pieces: AsyncGenerator<Uint8Array<ArrayBuffer>, void>): DatabaseCopy["chunks"] {
  let next: Promise<IteratorResult<Uint8Array<ArrayBuffer>, void>> | undefined;
  return {
    [Symbol.asyncIterator]: () => ({
      async next() {
        try {
          const piece = await (next ?? pieces.next());
          next = pieces.next();
          if ((await next).done) await job.end();
          return piece;
        } catch (error) {
          await job.end();
          throw diskFailure(error);
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

const tooLongText = (most: number, text: number) =>
  new GatewayError(
    "QUOTA_EXCEEDED",
    `the database of this namespace may have ${most} bytes, and SQL text that makes it ${text}; nothing was changed`,
  );
