import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { Host, HostEnded } from "../../../src/hosts/host.ts";
import { NoHost, Places } from "../../../src/hosts/places.ts";
import type { DumpTask, FileReport, FileTask } from "./tasks.ts";
import { diskFailure, noRoom } from "../room.ts";

/** How many jobs work at once on one gateway, and how many dumps are read from: each is a process, and as much disk as a database. */
const WORKING = 8, READING = 8;
/** Milliseconds that a job waits for a place: whoever has sent a whole database need not send it again at once. */
const PATIENCE = 30_000;
/** Milliseconds that a job waits for the one before it in its namespace, which may be winding up behind its last answer. */
const MOMENT = 2_000;
/** Milliseconds after which what a gateway left behind that was killed is removed. */
const LEFT_BEHIND = 24 * 60 * 60 * 1_000;

type Waiter = Pick<RequestContext, "signal">;

/** What a job does while it has a place: work, or give text to a reader, who may take long. */
type Doing = "work" | "dump";

/** Makes room for work on files: one job at a time for a namespace, each with a folder that goes with it. */
export class FileJobs {
  readonly #places: Readonly<Record<Doing, Places>>;
  /** By namespace; resolves when its job is over. */
  readonly #running = new Map<string, Promise<void>>();
  /** The folder itself, once it is ready: the rights of a process are for that, not for a name of it. */
  #real: string | undefined;

  /**
   * @param folder made when it is needed; what is older than a day in it goes then
   * @param onLine told what the processes write to standard error
   * @param patience milliseconds that a job waits for a place
   */
  constructor(
    private readonly folder: string,
    private readonly onLine: (line: string) => void,
    patience: number = PATIENCE,
  ) {
    this.#places = { work: new Places(WORKING, patience), dump: new Places(READING, patience) };
  }

  /**
   * A job for a namespace. It has no place yet, so whoever waits for something in it, such as a client, keeps nobody else waiting.
   * @throws GatewayError `TOO_MANY_STATEMENTS` when the namespace has one already, `NO_CAPACITY` when the disk is full
   */
  async begin(namespace: string): Promise<Job> {
    const until = performance.now() + MOMENT;
    for (let before; (before = this.#running.get(namespace)) !== undefined;) {
      if (await endsWithin(before, until - performance.now())) continue;
      throw new GatewayError(
        "TOO_MANY_STATEMENTS",
        "another backup or restore of this namespace is under way; nothing was done",
        { retryAfter: 5 },
      );
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#running.set(namespace, promise);
    const over = () => {
      this.#running.delete(namespace);
      resolve();
    };
    try {
      const dir = this.#real ??= await this.#prepare();
      return new Job(await Deno.makeTempDir({ dir, prefix: "job-" }), this.#places, this.onLine, over);
    } catch (error) {
      over();
      throw diskFailure(error);
    }
  }

  async #prepare(): Promise<string> {
    await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
    for await (const { name } of Deno.readDir(this.folder)) await removeIfOld(`${this.folder}/${name}`);
    return await Deno.realPath(this.folder);
  }
}

/** Whether something ends in so many milliseconds. */
async function endsWithin(end: Promise<void>, ms: number): Promise<boolean> {
  if (ms <= 0) return false;
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), ms);
  try {
    return await Promise.race([end.then(() => true), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function removeIfOld(path: string): Promise<void> {
  try {
    const { mtime } = await Deno.stat(path);
    if ((mtime?.getTime() ?? 0) < Date.now() - LEFT_BEHIND) await Deno.remove(path, { recursive: true });
  } catch (error) {
    // Another gateway may be tidying up as well.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Milliseconds that one task may take, and that the reader of its output may pause. */
const DEADLINE = 10 * 60 * 1_000, PAUSE = 60_000;
/** Megabytes. */
const HEAP = 1_024;

/** One piece of work on files, in a folder of its own. */
export class Job implements AsyncDisposable {
  readonly #hosts = new Set<Host>();
  #place: Places | undefined;
  #ended: Promise<void> | undefined;

  constructor(
    private readonly folder: string,
    private readonly places: Readonly<Record<Doing, Places>>,
    private readonly onLine: (line: string) => void,
    private readonly onEnd: () => void,
  ) {}

  /** A file in the job's folder. */
  path(name: string): string {
    return `${this.folder}/${name}`;
  }

  /**
   * Waits for one of the gateway's few places, and has it until {@link leave} or the end.
   * @throws GatewayError `NO_CAPACITY` when none becomes free
   */
  async enter(doing: Doing, { signal }: Waiter): Promise<void> {
    this.leave();
    const places = this.places[doing];
    const { promise: left, reject } = Promise.withResolvers<never>();
    const leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    const taken = places.take(() => {});
    try {
      signal.throwIfAborted();
      await Promise.race([taken, left]);
      this.#place = places;
    } catch (cause) {
      // It may be given a place when it wants none any more.
      taken.then(() => places.free(), () => {});
      if (!(cause instanceof NoHost)) throw cause;
      const sentence = "too many backups and restores are under way here; nothing was done";
      throw new GatewayError("NO_CAPACITY", sentence, { cause, retryAfter: 5 });
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  /** Gives the place back: what is left to do takes no process. */
  leave(): void {
    this.#place?.free();
    this.#place = undefined;
  }

  /** Does one task in a process of its own. @throws GatewayError for what it reports */
  async run(task: FileTask, { signal }: Waiter): Promise<{ readonly tables?: number }> {
    const host = this.#start();
    const kill = () => host.kill("closed");
    signal.addEventListener("abort", kill, { once: true });
    try {
      signal.throwIfAborted();
      return resultOf(await host.request(task, DEADLINE) as FileReport);
    } catch (error) {
      signal.throwIfAborted();
      throw error instanceof HostEnded ? endOf(task, error) : error;
    } finally {
      signal.removeEventListener("abort", kill);
      await this.#stop(host);
    }
  }

  /** A database as SQL text, at the reader's pace. @throws GatewayError for what the task reports */
  async *dump(path: string): AsyncGenerator<Uint8Array<ArrayBuffer>, void> {
    const host = this.#start();
    const encoder = new TextEncoder();
    const task: DumpTask = { kind: "dump", path };
    try {
      for await (const item of host.stream(task, { timeout: DEADLINE, patience: PAUSE })) {
        if (typeof item === "string") yield encoder.encode(item);
        else resultOf(item as FileReport);
      }
    } finally {
      await this.#stop(host);
    }
  }

  /** Ends what still runs and removes the folder. */
  end(): Promise<void> {
    return this.#ended ??= this.#end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.end();
  }

  #start(): Host {
    if (this.#ended) throw new Error("the job has ended");
    const rights = { read: [this.folder], write: [this.folder] };
    const host = Host.start({ kind: "files", rights, heap: HEAP }, { onLine: this.onLine });
    this.#hosts.add(host);
    return host;
  }

  async #stop(host: Host): Promise<void> {
    host.kill("closed");
    await host.ended;
    this.#hosts.delete(host);
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#hosts].map((host) => this.#stop(host)));
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
    this.leave();
    this.onEnd();
  }
}

/** A process that ended before it said how the task went: nothing of ours makes it fall, so it is the file. */
function endOf({ kind }: FileTask, cause: HostEnded): GatewayError {
  if (cause.reason === "deadline") return new GatewayError("STATEMENT_TIMEOUT", "looking at the file took too long");
  return kind === "clean" || cause.reason !== "crashed"
    ? new GatewayError("UNAVAILABLE", "the copy could not be made now", { cause })
    : new GatewayError("INVALID_REQUEST", "the file is damaged in a way that makes SQLite fail", { cause });
}

function resultOf(report: FileReport): { readonly tables?: number } {
  if (report.ok) return report;
  const { code, message, details } = report;
  if (code === "NO_CAPACITY") throw noRoom(new Error(message));
  if (code !== "INTERNAL") throw new GatewayError(code, message, { details });
  throw new GatewayError("UNAVAILABLE", "the file could not be worked on now; nothing was changed", {
    cause: new Error(message),
  });
}
