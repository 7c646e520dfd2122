import { CERTIFICATES, pathOf } from "../../support/certificates/index.ts";
import { EngineGroup, type EnginePlace, EngineProcess } from "./engine_process.ts";
import type { Machine } from "./network.ts";
import { requireProgram } from "./programs.ts";
import { until } from "./wait.ts";

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
  /** Where each node runs. Default: all of them here. */
  readonly machines?: readonly Machine[];
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
export class RqliteTestNode extends EngineProcess {
  constructor(
    id: string,
    readonly url: string,
    command: readonly string[],
    log: string,
    private readonly client: Deno.HttpClient | undefined,
  ) {
    super("rqlited", id, command, log);
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
}

/** A cluster of its own, with data in a temporary folder that goes with it. */
export class RqliteTestCluster extends EngineGroup {
  private constructor(
    readonly nodes: readonly RqliteTestNode[],
    place: EnginePlace,
    private readonly user: RqliteStart["user"],
    private readonly client: Deno.HttpClient | undefined,
  ) {
    super(nodes, place);
  }

  /** Starts all nodes and waits until they are ready. @throws Error with the last lines of output when they do not get there */
  static async start(options: RqliteStart): Promise<RqliteTestCluster> {
    const program = requireProgram("rqlited");
    const { nodes: count, machines, user, deadline } = options;
    return await this.launch({ name: "rqlite", ports: count * 2, deadline }, async (place) => {
      const { folder, reserved: { ports } } = place;
      const address = (i: number, port: number | undefined) => `${machines?.[i]?.address ?? "127.0.0.1"}:${port}`;
      const raft = ports.slice(count).map((port, i) => address(i, port));
      const flags = [...(options.fastElections ?? count === 1 ? FAST_ELECTIONS : []), ...(options.flags ?? [])];
      if (options.tls) flags.push(...TLS, ...(options.tls === "mutual" ? MUTUAL : []));
      if (count > 1) flags.push("-bootstrap-expect", String(count), "-join", raft.join(","));
      if (user !== undefined) {
        const everybody = { username: "*", perms: ["ready", "join", "join-read-only"] };
        await Deno.writeTextFile(`${folder}/users.json`, JSON.stringify([{ ...user, perms: ["all"] }, everybody]));
        flags.push("-auth", `${folder}/users.json`);
        if (count > 1) flags.push("-join-as", user.username);
      }
      const client = clientOf(options.tls);
      const scheme = options.tls ? "https" : "http";
      const nodes = raft.map((raftAddress, i) => {
        const http = address(i, ports[i]);
        const own = ["-fk", "-node-id", `n${i}`, "-http-addr", http, "-raft-addr", raftAddress];
        const command = [program, ...own, ...flags, `${folder}/n${i}`];
        const run = machines?.[i]?.run(command) ?? command;
        return new RqliteTestNode(`n${i}`, `${scheme}://${http}`, run, `${folder}/n${i}.log`, client);
      });
      return new RqliteTestCluster(nodes, place, user, client);
    });
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Waits until all nodes, or those given, are ready. */
  async ready(nodes: readonly RqliteTestNode[] = this.nodes): Promise<void> {
    await Promise.all(
      nodes.map((node) => until(`rqlited ${node.id} is ready`, () => node.isReady(), this.place.deadline)),
    );
  }

  /** The leader, as the nodes that answer see it; waits for an election. */
  async leader(): Promise<RqliteTestNode> {
    let leader: RqliteTestNode | undefined;
    await until("there is a leader", async () => {
      this.nodes.forEach((node) => node.assertRuns());
      for (const node of this.nodes) leader ??= await this.#leaderAsSeenBy(node).catch(() => undefined);
      return leader !== undefined;
    }, this.place.deadline);
    return leader!;
  }

  /** Kills all nodes and removes their data. */
  override async [Symbol.asyncDispose](): Promise<void> {
    await super[Symbol.asyncDispose]();
    this.client?.close();
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
