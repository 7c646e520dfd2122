import { GatewayError } from "../../../src/contracts/errors.ts";
import { type Host, HostEnded } from "../../../src/hosts/host.ts";
import { KeyedHosts, NoHost, type Seat } from "../../../src/hosts/keyed_hosts.ts";
import type { DriverEvent } from "../driver.ts";
import { namespaceFile } from "./namespace_file.ts";
import type { CommitRecord, OpenOrder, OpenReply, SqliteSettings, TroubleReply, UpkeepReply } from "./messages.ts";

/** How many processes run SQL. */
export interface SqliteHostsOptions {
  /** At once, one for each namespace in use. Default 16. */
  readonly max: number;
  /** Started ahead. Default 1. */
  readonly spares: number;
  /** Milliseconds after which an unused one ends. Default five minutes. */
  readonly idle: number;
}

/** Where the files lie, how they are opened, and who is told what. */
export interface SqliteHostsSurroundings {
  /** The folder of all databases; made when it is missing. */
  readonly dir: string;
  readonly settings: SqliteSettings;
  /** Stands for this gateway in what is written down of its writes. */
  readonly instance: string;
  readonly observe: (event: DriverEvent) => void;
  /** Told what a host says of itself, and what is wrong with a file. */
  readonly log: (line: string, namespace: string | undefined) => void;
}

/** What a namespace's host found when it opened the file. */
export interface Opened {
  readonly commits: CommitRecord | undefined;
}

/** Milliseconds in which a host must have opened its file; a log to be recovered may be long. */
const OPENING = 60_000;
/** Milliseconds between two looks for files to look after. */
const UPKEEP = 30_000;

/** The processes of a folder of databases: which namespace has which, and what is wrong with a file that none can open. */
export class SqliteHosts {
  readonly #folder: string;
  readonly #around: SqliteHostsSurroundings;
  readonly #hosts: KeyedHosts<Opened>;
  readonly #written = new Set<string>();
  readonly #upkeep: ReturnType<typeof setInterval>;

  constructor(
    { max = 16, spares = 1, idle = 5 * 60_000 }: Partial<SqliteHostsOptions>,
    around: SqliteHostsSurroundings,
  ) {
    const { dir, settings, observe, log } = around;
    this.#around = around;
    Deno.mkdirSync(dir, { recursive: true, mode: 0o700 });
    // The rights of a process are for the folder itself, not for a name of it.
    this.#folder = Deno.realPathSync(dir);
    this.#hosts = new KeyedHosts({
      program: {
        kind: "sql",
        rights: { read: [this.#folder], write: [this.#folder] },
        // Rows are held twice while they are made into an answer.
        heap: Math.ceil(2 * settings.memory / 2 ** 20) + 256,
      },
      open: (host, namespace) => this.#open(host, namespace),
      // Whoever takes it meets what came of it.
      warm: (host) => void host.request({ op: "warm" }, OPENING).catch(() => {}),
      max,
      spares,
      idle,
      watch: {
        started: () => observe({ kind: "host_started" }),
        ended: (reason) => observe({ kind: "host_ended", reason }),
        line: log,
      },
    });
    this.#upkeep = setInterval(() => this.#lookAfter(), UPKEEP);
    Deno.unrefTimer(Number(this.#upkeep));
  }

  /** Starts the spares. Nothing waits for them. */
  warm(): void {
    this.#hosts.warm();
  }

  /** The file of a namespace, which may not exist. */
  path(namespace: string): string {
    return `${this.#folder}/${namespaceFile(namespace)}`;
  }

  /** The namespace's host when it is there at once. */
  peek(namespace: string): Seat<Opened> | undefined {
    return this.#hosts.peek(namespace);
  }

  /** The namespace's host, started if need be. @throws GatewayError `UNAVAILABLE` */
  async seat(namespace: string): Promise<Seat<Opened>> {
    try {
      return this.#hosts.peek(namespace) ?? await this.#hosts.take(namespace);
    } catch (error) {
      throw error instanceof NoHost || error instanceof HostEnded ? noHost(error) : error;
    }
  }

  /**
   * The seat behind one whose host has ended. After crashes there may be none for a while, and only it knows what was committed.
   * @throws what keeps the file from being opened, NoHost, HostEnded when several ended while they opened it
   */
  async next(namespace: string): Promise<Seat<Opened>> {
    for (let ended = 0;;) {
      try {
        return await this.#hosts.take(namespace);
      } catch (error) {
        if (error instanceof HostEnded && ++ended < OPENING_TRIES) continue;
        if (!(error instanceof NoHost) || error.wait === undefined) throw error;
        await new Promise((resolve) => setTimeout(resolve, error.wait));
      }
    }
  }

  /** Something was written: the file is looked after some time later. */
  wrote(namespace: string): void {
    this.#written.add(namespace);
  }

  /** The host of a namespace is of no more use. */
  discard(namespace: string): void {
    this.#hosts.peek(namespace)?.host.kill("closed");
  }

  /** Runs something while nobody has the namespace's file open and its log is empty. Statements wait; streams are cut. */
  async suspend<T>(namespace: string, run: () => Promise<T>): Promise<T> {
    // A host that closes the file puts the log into it. A file that cannot be opened is suspended as it is.
    for (let tries = 0; tries < 2; tries++) {
      const lives = await this.#hosts.take(namespace).then(({ host }) => host.request({ op: "upkeep" }, OPENING))
        .then(() => true, () => false);
      if (lives) break;
    }
    return await this.without(namespace, run);
  }

  /** Runs something while nobody has the namespace's file open, whatever is in its log. */
  without<T>(namespace: string, run: () => Promise<T>): Promise<T> {
    return this.#hosts.without(namespace, run);
  }

  /** What a client is told of trouble with its file; the log is told where and what to do. */
  explain(namespace: string, { message, mayHaveApplied }: TroubleReply): GatewayError {
    const line = `${this.path(namespace)}: ${message}; ${ADVICE}`;
    this.#around.log(line, namespace);
    const cause = new Error(line);
    return mayHaveApplied
      ? new GatewayError("OUTCOME_UNKNOWN", "the disk failed during the write, which may have been applied", { cause })
      : new GatewayError("UNAVAILABLE", "the database of this namespace cannot be used now", { cause });
  }

  /** How many there are, for {@link ServiceHealth}. */
  figures(): Readonly<Record<"hosts_running" | "hosts_spare" | "hosts_killed", number>> {
    const { running, spare, killed } = this.#hosts.figures();
    return { hosts_running: running, hosts_spare: spare, hosts_killed: killed };
  }

  async close(): Promise<void> {
    clearInterval(this.#upkeep);
    await this.#hosts.close();
  }

  async #open(host: Host, namespace: string): Promise<Opened> {
    const { settings, instance } = this.#around;
    const order: OpenOrder = { op: "open", path: this.path(namespace), settings, instance };
    const reply = await host.request(order, OPENING) as OpenReply;
    if (reply.kind === "trouble") throw this.explain(namespace, reply);
    return { commits: reply.commits };
  }

  #lookAfter(): void {
    for (const [namespace, { host }] of this.#hosts.seats()) {
      if (host.pending > 0 || !this.#written.delete(namespace)) continue;
      // It gives back a bounded number of pages; a failure is met again by whoever comes next.
      host.request({ op: "upkeep" }, OPENING).then((reply) => {
        const upkeep = reply as UpkeepReply;
        if (upkeep.kind === "done" && upkeep.more) this.#written.add(namespace);
      }, () => {});
    }
  }
}

/** How many hosts may end while they open a file before nobody can tell what is in it. */
const OPENING_TRIES = 3;

const ADVICE =
  "look at the disk (space, permissions, errors); restore a damaged file from a backup, or move it away to begin empty";

/** What a client is told that finds no host. */
export const noHost = (cause: Error): GatewayError =>
  new GatewayError(
    "UNAVAILABLE",
    cause instanceof NoHost
      ? "no process is free for the database of this namespace: too many namespaces are busy, or its processes crash"
      : "the process of this namespace's database ended; nothing was applied",
    { cause },
  );
