import type { RowStream } from "../../../src/contracts/database.ts";
import type { ServiceHealth, Usage } from "../../../src/contracts/health.ts";
import type { RequestContext } from "../../../src/contracts/request.ts";
import { HostEnded } from "../../../src/hosts/host.ts";
import type { Seat } from "../../../src/hosts/keyed_hosts.ts";
import type { DriverEvent, DriverReply, DriverRequest, SqlDriver, StreamRequest } from "../driver.ts";
import { InFlight } from "../in_flight.ts";
import { removeIfThere, sizeIfThere } from "../../disk/files.ts";
import { filesOf } from "./namespace_file.ts";
import { backUp } from "./backup.ts";
import { mayWrite } from "./commits.ts";
import { FULL, isDiskFull } from "./full.ts";
import { noHost, type Opened, SqliteHosts, type SqliteHostsOptions } from "./hosts.ts";
import { MAX_STREAMS, type RunOrder, type RunReply, type SqliteSettings } from "./messages.ts";
import { afterTheEnd } from "./recovery.ts";
import { rowStream } from "./stream.ts";

/** Where the files lie, how they are kept, and by how many processes. */
export interface SqliteDriverOptions extends Partial<SqliteSettings> {
  /** The folder of all databases; made when it is missing. */
  readonly dir: string;
  readonly hosts?: Partial<SqliteHostsOptions>;
  /** Told what goes on. Called at once; must not throw. */
  readonly observe?: (event: DriverEvent) => void;
  /** Told what a host says of itself, and what is wrong with a file. */
  readonly log?: (line: string, namespace: string | undefined) => void;
}

type Waiter = Pick<RequestContext, "signal">;

/** To how many hosts a request that is not to blame goes, because others end them. */
const MAX_HOSTS = 100;

/** How often a request was asked. */
interface Tries {
  readonly hosts: number;
  /** Of hosts that ended by themselves while it ran. */
  readonly crashes: number;
}

const FIRST: Tries = { hosts: 1, crashes: 0 };

/**
 * Embedded SQLite, one file per namespace, each in a process of its own, because a statement cannot be interrupted and a process
 * can be killed. `DESIGN.md` tells how the outcome of a write is known all the same.
 */
export class SqliteDriver implements SqlDriver {
  readonly #dir: string;
  readonly #busyTimeout: number;
  readonly #hosts: SqliteHosts;
  readonly #observe: (event: DriverEvent) => void;
  readonly #log: NonNullable<SqliteDriverOptions["log"]>;
  /** Stands for this driver in what is written down of its writes. */
  readonly #instance = crypto.randomUUID();
  readonly #streams = new InFlight("streams");
  #writes = 0;

  constructor(options: SqliteDriverOptions) {
    const { dir, synchronous = "FULL", busyTimeout = 5_000, memory = 256 * 2 ** 20, hosts = {} } = options;
    this.#dir = dir;
    this.#busyTimeout = busyTimeout;
    this.#observe = options.observe ?? (() => {});
    this.#log = options.log ?? (() => {});
    this.#hosts = new SqliteHosts(hosts, {
      dir,
      settings: { synchronous, busyTimeout, memory },
      instance: this.#instance,
      observe: this.#observe,
      log: this.#log,
    });
  }

  /** Starts spare processes. Nothing waits for them. */
  warm(): void {
    this.#hosts.warm();
  }

  run(request: DriverRequest): Promise<DriverReply> {
    const { mode, statements, ceiling, maxDatabaseBytes } = request;
    const write = mayWrite(statements);
    if (mode === "write" && statements.length !== 1) return this.#oneByOne(request);
    const order: RunOrder = {
      op: "run",
      mode,
      statements,
      ceiling,
      maxDatabaseBytes,
      ...(write && { write: ++this.#writes }),
    };
    return this.#askAnyone(request, order, FIRST);
  }

  async stream({ namespace, statement, timeout, level }: StreamRequest): Promise<RowStream> {
    this.#streams.begin(namespace, MAX_STREAMS);
    const over = () => this.#streams.end(namespace);
    try {
      for (let hosts = 1;; hosts++) {
        const { host } = await this.#hosts.seat(namespace);
        try {
          return await rowStream(host, { statement, timeout, level }, {
            over,
            explain: (trouble) => this.#hosts.explain(namespace, trouble),
          });
        } catch (error) {
          if (!(error instanceof HostEnded)) throw error;
          if (hosts === MAX_HOSTS) throw noHost(error);
        }
      }
    } catch (error) {
      over();
      throw error;
    }
  }

  /**
   * Runs something while nobody has the namespace's file open and its log is empty. Statements wait meanwhile; streams are cut.
   * @param run is given the path of the file, which may not exist
   */
  suspend<T>(namespace: string, run: (path: string) => Promise<T>): Promise<T> {
    return this.#hosts.suspend(namespace, () => run(this.#hosts.path(namespace)));
  }

  /** Writes a copy of the database as it is at one moment to a new file, beside running statements. */
  async backup(namespace: string, toPath: string, { signal }: Waiter): Promise<void> {
    // The file of a namespace that was never used is made by its host.
    await this.#hosts.seat(namespace);
    const order = { from: this.#hosts.path(namespace), to: toPath, busyTimeout: this.#busyTimeout };
    await backUp(order, signal, this.#log);
  }

  async purge(namespace: string): Promise<void> {
    await this.#hosts.without(namespace, async () => {
      for (const file of filesOf(this.#hosts.path(namespace))) await removeIfThere(file);
    });
  }

  async usage(namespace: string): Promise<Usage> {
    const sizes = await Promise.all(filesOf(this.#hosts.path(namespace)).map(sizeIfThere));
    return { database_bytes: sizes.reduce((sum, size) => sum + size, 0) };
  }

  async health(): Promise<ServiceHealth> {
    const start = performance.now();
    const details = this.#hosts.figures();
    try {
      await Deno.stat(this.#dir);
      return { status: "ok", driver: "sqlite", latency_ms: performance.now() - start, details };
    } catch {
      return { status: "down", driver: "sqlite", reason: "the data folder cannot be read", details };
    }
  }

  close(): Promise<void> {
    return this.#hosts.close();
  }

  async #oneByOne(request: DriverRequest): Promise<DriverReply> {
    const end = performance.now() + request.timeout;
    const outcomes = [];
    for (const statement of request.statements) {
      const timeout = Math.max(1, end - performance.now());
      const reply = await this.run({ ...request, statements: [statement], timeout });
      if (reply.kind === "rolled_back") outcomes.push({ ok: false as const, fault: reply.fault });
      else outcomes.push(...reply.outcomes);
    }
    return { kind: "done", outcomes };
  }

  #askAnyone(request: DriverRequest, order: RunOrder, tries: Tries): Promise<DriverReply> {
    const seat = this.#hosts.peek(request.namespace);
    return seat
      ? this.#ask(seat, request, order, tries)
      : this.#hosts.seat(request.namespace).then((seat) => this.#ask(seat, request, order, tries));
  }

  #ask(seat: Seat<Opened>, request: DriverRequest, order: RunOrder, tries: Tries): Promise<DriverReply> {
    return seat.host.request(order, request.timeout).then(
      (reply) => this.#reply(request, reply as RunReply),
      (error) => this.#askAgain(error, request, order, tries),
    );
  }

  #reply(request: DriverRequest, reply: RunReply): DriverReply {
    const { namespace } = request;
    if (reply.kind === "trouble") {
      // Opened anew next time: by then the file may have been put right.
      if (reply.reopen) this.#hosts.discard(namespace);
      throw this.#hosts.explain(namespace, reply);
    }
    if (reply.group !== undefined) {
      this.#observe({ kind: "group", access: "write", statements: reply.group });
      this.#hosts.wrote(namespace);
    }
    const isFull = faultOf(reply)?.kind === "quota";
    if (isFull && isDiskFull(this.#hosts.path(namespace), request.maxDatabaseBytes)) {
      throw this.#hosts.explain(namespace, { kind: "trouble", message: FULL, mayHaveApplied: false, reopen: false });
    }
    return reply;
  }

  async #askAgain(error: unknown, request: DriverRequest, order: RunOrder, tries: Tries): Promise<DriverReply> {
    if (!(error instanceof HostEnded)) throw error;
    const crashes = tries.crashes + (error.running && error.reason === "crashed" ? 1 : 0);
    const next = () => this.#hosts.next(request.namespace);
    const told = await afterTheEnd(error, order, { instance: this.#instance, next, crashes });
    if (told) return told;
    if (tries.hosts === MAX_HOSTS) throw noHost(error);
    return await this.#askAnyone(request, order, { hosts: tries.hosts + 1, crashes });
  }
}

function faultOf(reply: DriverReply) {
  if (reply.kind === "rolled_back") return reply.fault;
  const [outcome] = reply.outcomes;
  return outcome?.ok === false ? outcome.fault : undefined;
}
