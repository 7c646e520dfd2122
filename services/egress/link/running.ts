import { type HostProcess, spawnHost } from "../../../src/hosts/spawn.ts";
import { FRAME, FrameWriter } from "../wire/frames.ts";
import { READY, type StartMessage } from "../wire/messages.ts";
import { FOLDER_PREFIX } from "./left_folders.ts";

/** What a process is started with. */
export interface RunningOptions extends Omit<StartMessage, "path" | "ca"> {
  /** Certificates in PEM of authorities that are trusted beside those of the system. */
  readonly ca: readonly string[];
  /**
   * Where the system lets it connect to: hosts, addresses and ranges of IPv4, with ports or without. Nothing in `allow` is everything;
   * `deny` wins over it.
   */
  readonly net: { readonly allow: readonly string[]; readonly deny: readonly string[] };
  /** Hears what the process writes to its log. */
  readonly onLine: (line: string) => void;
}

/** A process that sends, from its start to its end. */
export class RunningProcess {
  /** Resolves when it takes connections. Rejects when it ends before. */
  readonly ready: Promise<void>;
  /** Resolves when it is gone, and its folder as well. Never rejects. */
  readonly ended: Promise<void>;
  readonly #process: HostProcess;
  readonly #path: string;
  readonly #onLine: (line: string) => void;

  private constructor(readonly folder: string, options: RunningOptions) {
    const { kind, ipv6, ca, net, onLine } = options;
    const path = this.#path = `${folder}/socket`;
    this.#onLine = onLine;
    // A compiled file knows no flags, but its process may ask what the system trusts.
    const byFlag = ca.length > 0 && !Deno.build.standalone;
    this.#process = spawnHost({
      kind: "egress",
      ...byFlag ? { certificates: authoritiesIn(folder) } : {},
      rights: {
        read: [path],
        write: [path],
        net: { allow: net.allow.length === 0 ? [] : [...net.allow, `unix:${path}`], deny: net.deny },
      },
    }, onLine);
    const ready = Promise.withResolvers<void>();
    // Who waits for it hears of it; nobody has to.
    ready.promise.catch(() => {});
    this.ready = ready.promise;
    const heard = this.#hear(ready.resolve);
    this.ended = this.#process.exited.then(async (how) => {
      ready.reject(new Error(`the process that sends requests has ended: ${how}`));
      await heard;
      await Deno.remove(folder, { recursive: true }).catch(() => {});
    });
    const start: StartMessage = { path, kind, ipv6, ca: byFlag ? [] : ca };
    const writer = new FrameWriter({ write: (bytes) => this.#process.write(bytes).then(() => bytes.length) });
    writer.writeJson(FRAME.start, start).catch((error) => {
      onLine(`the process that sends requests could not be told how: ${String(error)}`);
      this.kill();
    });
  }

  /** @throws what keeps a process from being started */
  static async start(options: RunningOptions): Promise<RunningProcess> {
    // Nobody else may enter it (mode 0700), and the name is nobody's yet.
    const folder = await Deno.makeTempDir({ prefix: FOLDER_PREFIX });
    try {
      if (options.ca.length > 0) await Deno.writeTextFile(authoritiesIn(folder), options.ca.join("\n"));
      return new RunningProcess(folder, options);
    } catch (error) {
      await Deno.remove(folder, { recursive: true });
      throw error;
    }
  }

  /** Its process id. */
  get pid(): number {
    return this.#process.pid;
  }

  /** One connection, for one hop. @throws what the system says when the process is not there */
  connect(): Promise<Deno.UnixConn> {
    return Deno.connect({ transport: "unix", path: this.#path });
  }

  /** Resolves when it answers a connection by which nothing is asked. @throws as {@link connect}, and what a connection throws */
  async answers(): Promise<void> {
    using connection = await this.connect();
    await connection.closeWrite();
    // It leaves as it was left, or refuses: either way it is at work.
    await connection.read(new Uint8Array(1));
  }

  /** Ends it at once, and with it whatever it does. */
  kill(): void {
    this.#process.kill();
  }

  async #hear(ready: () => void): Promise<void> {
    for await (const chunk of this.#process.output) {
      // One byte, once: there is nothing else that a sound one says here.
      if (chunk.length === 1 && chunk[0] === READY) ready();
      else {
        this.#onLine("the process that sends requests is killed for what it wrote");
        this.kill();
      }
    }
  }
}

const authoritiesIn = (folder: string): string => `${folder}/authorities.pem`;
