import { GatewayError } from "../../../src/contracts/errors.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { Host, HostEnded } from "../../../src/hosts/host.ts";
import type { DumpTask, FileReport, FileTask } from "./tasks.ts";

/** How many copies are made or taken at once on one gateway: each is a process and as much disk as a database. */
const MAX_JOBS = 8;
/** Milliseconds after which what a gateway left behind that was killed is removed. */
const LEFT_BEHIND = 24 * 60 * 60 * 1_000;

type Waiter = Pick<RequestContext, "signal">;

/** Makes room for work on files: one job at a time for a namespace, each with a folder that goes with it. */
export class FileJobs {
  readonly #running = new Set<string>();
  #ready = false;

  /**
   * @param folder made when it is needed; what is older than a day in it goes then
   * @param onLine told what the processes write to standard error
   */
  constructor(private readonly folder: string, private readonly onLine: (line: string) => void) {}

  /** @throws GatewayError `TOO_MANY_STATEMENTS` when the namespace has one already, `NO_CAPACITY` when too many others have */
  async begin(namespace: string): Promise<Job> {
    if (this.#running.has(namespace)) {
      throw new GatewayError(
        "TOO_MANY_STATEMENTS",
        "another backup or restore of this namespace is under way; nothing was done",
        { retryAfter: 5 },
      );
    }
    if (this.#running.size >= MAX_JOBS) {
      throw new GatewayError("NO_CAPACITY", "too many backups and restores are under way here", { retryAfter: 5 });
    }
    this.#running.add(namespace);
    try {
      if (!this.#ready) await this.#prepare();
      const folder = await Deno.makeTempDir({ dir: this.folder, prefix: "job-" });
      return new Job(folder, this.onLine, () => this.#running.delete(namespace));
    } catch (error) {
      this.#running.delete(namespace);
      throw error;
    }
  }

  async #prepare(): Promise<void> {
    await Deno.mkdir(this.folder, { recursive: true, mode: 0o700 });
    for await (const { name } of Deno.readDir(this.folder)) await removeIfOld(`${this.folder}/${name}`);
    this.#ready = true;
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
const DEADLINE = 10 * 60 * 1_000, PATIENCE = 60_000;
/** Megabytes. */
const HEAP = 1_024;

/** One piece of work on files, in a folder of its own. */
export class Job implements AsyncDisposable {
  readonly #hosts = new Set<Host>();
  #ended: Promise<void> | undefined;

  constructor(
    private readonly folder: string,
    private readonly onLine: (line: string) => void,
    private readonly onEnd: () => void,
  ) {}

  /** A file in the job's folder. */
  path(name: string): string {
    return `${this.folder}/${name}`;
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
      for await (const item of host.stream(task, { timeout: DEADLINE, patience: PATIENCE })) {
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
  if (code !== "INTERNAL") throw new GatewayError(code, message, { details });
  throw new GatewayError("UNAVAILABLE", "the file could not be worked on now; nothing was changed", {
    cause: new Error(message),
  });
}
