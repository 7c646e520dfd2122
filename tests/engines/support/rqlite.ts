import { CERTIFICATES, pathOf } from "../../support/certificates/index.ts";
import { PortReservation } from "./ports.ts";
import { requireProgram } from "./programs.ts";
import { TiedProcess } from "./tied_process.ts";
import { Hopeless, until } from "./wait.ts";

/** How an rqlite cluster is started. */
export interface RqliteStart {
  readonly nodes: 1 | 3;
  /**
   * Elections within about 0.2 s instead of rqlite's 1 to 1.6 s. Default: with one node, whose start waits for an election;
   * three nodes keep what a real cluster has.
   */
  readonly fastElections?: boolean;
  /** Requests must carry this user (HTTP Basic); without it everybody may do everything. */
  readonly user?: { readonly username: string; readonly password: string };
  /** Serves HTTPS alone, with the tests' certificate for 127.0.0.1; `mutual`: and answers only who shows that of the gateway. */
  readonly tls?: "server" | "mutual";
  /** Further command line flags. */
  readonly flags?: readonly string[];
  /** Milliseconds for all nodes to become ready. Default 30,000. */
  readonly deadline?: number;
}

const TLS = ["-http-cert", pathOf("node.pem"), "-http-key", pathOf("key.pem")];
const MUTUAL = ["-http-verify-client", "-http-ca-cert", pathOf("authority.pem")];

/** What the tests themselves ask nodes with. */
const clientOf = (tls: RqliteStart["tls"]) =>
  tls && Deno.createHttpClient({
    caCerts: [CERTIFICATES.authority],
    cert: CERTIFICATES.gateway,
    key: CERTIFICATES.key,
  });

const FAST_ELECTIONS = ["-raft-timeout", "-raft-election-timeout", "-raft-leader-lease-timeout"].flatMap((
  flag,
) => [flag, "200ms"]);

/** One rqlited, which can be hurt. */
export class RqliteTestNode {
  #process: TiedProcess | undefined = undefined;

  constructor(
    readonly id: string,
    readonly url: string,
    private readonly command: readonly string[],
    readonly log: string,
    private readonly client: Deno.HttpClient | undefined,
  ) {}

  /** Starts it, for the first time or again on its old data, and does not wait until it is ready. */
  async start(): Promise<void> {
    this.#process = await TiedProcess.start(this.command, this.log);
  }

  /** `kill -9`; comes back when the process is gone. */
  async kill(): Promise<void> {
    await this.#process?.kill();
    this.#process = undefined;
  }

  /** `kill -9` and a new start on the old data; does not wait until it is ready. */
  async restart(): Promise<void> {
    await this.kill();
    await this.start();
  }

  /** `SIGSTOP`: its connections stay open and nobody answers. */
  pause(): void {
    this.#process?.signal("SIGSTOP");
  }

  /** `SIGCONT`. */
  resume(): void {
    this.#process?.signal("SIGCONT");
  }

  /** `SIGTERM`, as from somebody else: nobody told this object that its process ends. */
  terminate(): void {
    this.#process?.signal("SIGTERM");
  }

  /** @throws Hopeless with its last words when its process has ended by itself */
  assertRuns(): void {
    if (this.#process?.ended) throw new Hopeless(`rqlited ${this.id} ended by itself\n${this.tail()}`);
  }

  /** Whether it serves and knows a leader. @throws Hopeless when its process has ended by itself */
  async isReady(): Promise<boolean> {
    this.assertRuns();
    const response = await this.ask("/readyz").catch(() => undefined);
    await response?.body?.cancel();
    return response?.status === 200;
  }

  /** Asks it something that is answered within a second. */
  async ask(path: string, headers: HeadersInit = {}): Promise<Response> {
    const signal = AbortSignal.timeout(1_000);
    return await fetch(this.url + path, { headers, signal, ...(this.client && { client: this.client }) });
  }

  /** Its last lines of output. */
  tail(): string {
    return this.#process?.tail() ?? Deno.readTextFileSync(this.log).slice(-2_000);
  }
}

/** A cluster of its own, with data in a temporary folder that goes with it. */
export class RqliteTestCluster implements AsyncDisposable {
  private constructor(
    readonly nodes: readonly RqliteTestNode[],
    private readonly folder: string,
    private readonly reserved: PortReservation,
    private readonly user: RqliteStart["user"],
    private readonly deadline: number,
    private readonly client: Deno.HttpClient | undefined,
  ) {}

  /** Starts all nodes and waits until they are ready. @throws Error with the last lines of output when they do not get there */
  static async start(options: RqliteStart): Promise<RqliteTestCluster> {
    const program = requireProgram("rqlited");
    const folder = await Deno.makeTempDir({ prefix: "orama-rqlite-" });
    const reserved = PortReservation.take(options.nodes * 2);
    const { ports } = reserved;
    const address = (port: number | undefined) => `127.0.0.1:${port}`;
    const raft = ports.slice(options.nodes).map(address);
    const flags = [...(options.fastElections ?? options.nodes === 1 ? FAST_ELECTIONS : []), ...(options.flags ?? [])];
    if (options.tls) flags.push(...TLS, ...(options.tls === "mutual" ? MUTUAL : []));
    if (options.nodes > 1) flags.push("-bootstrap-expect", String(options.nodes), "-join", raft.join(","));
    if (options.user !== undefined) {
      const users = [{ ...options.user, perms: ["all"] }, {
        username: "*",
        perms: ["ready", "join", "join-read-only"],
      }];
      await Deno.writeTextFile(`${folder}/users.json`, JSON.stringify(users));
      flags.push("-auth", `${folder}/users.json`);
      if (options.nodes > 1) flags.push("-join-as", options.user.username);
    }
    const client = clientOf(options.tls);
    const scheme = options.tls ? "https" : "http";
    const nodes = raft.map((raftAddress, i) => {
      const own = ["-fk", "-node-id", `n${i}`, "-http-addr", address(ports[i]), "-raft-addr", raftAddress];
      const command = [program, ...own, ...flags, `${folder}/n${i}`];
      return new RqliteTestNode(`n${i}`, `${scheme}://${address(ports[i])}`, command, `${folder}/n${i}.log`, client);
    });
    const cluster = new RqliteTestCluster(nodes, folder, reserved, options.user, options.deadline ?? 30_000, client);
    try {
      await Promise.all(nodes.map((node) => node.start()));
      await cluster.ready();
      return cluster;
    } catch (cause) {
      const logs = cluster.tails();
      await cluster[Symbol.asyncDispose]();
      throw new Error(`rqlite did not start\n${logs}`, { cause });
    }
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Waits until all nodes, or those given, are ready. */
  async ready(nodes: readonly RqliteTestNode[] = this.nodes): Promise<void> {
    await Promise.all(nodes.map((node) => until(`rqlited ${node.id} is ready`, () => node.isReady(), this.deadline)));
  }

  /** The leader, as the nodes that answer see it; waits for an election. */
  async leader(): Promise<RqliteTestNode> {
    let leader: RqliteTestNode | undefined;
    await until("there is a leader", async () => {
      this.nodes.forEach((node) => node.assertRuns());
      for (const node of this.nodes) leader ??= await this.#leaderAsSeenBy(node).catch(() => undefined);
      return leader !== undefined;
    }, this.deadline);
    return leader!;
  }

  /** The last lines of output of every node, for the message of a failed test. */
  tails(): string {
    return this.nodes.map((node) => `--- rqlited ${node.id}, last lines of output\n${node.tail()}`).join("\n");
  }

  /** Kills all nodes and removes their data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    this.client?.close();
    this.reserved[Symbol.dispose]();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #leaderAsSeenBy(node: RqliteTestNode): Promise<RqliteTestNode | undefined> {
    const headers = new Headers();
    if (this.user !== undefined) {
      headers.set(
        "authorization",
        `Basic ${new TextEncoder().encode(`${this.user.username}:${this.user.password}`).toBase64()}`,
      );
    }
    const response = await node.ask("/nodes?ver=2&timeout=500ms", headers);
    const { nodes } = await response.json() as { nodes: { id: string; leader: boolean; reachable: boolean }[] };
    const id = nodes.find(({ leader, reachable }) => leader && reachable)?.id;
    return this.nodes.find((one) => one.id === id);
  }
}
