import { PortReservation } from "./ports.ts";
import { requireProgram } from "./programs.ts";
import { TiedProcess } from "./tied_process.ts";
import { Hopeless, until } from "./wait.ts";

/** How Kubo nodes are started. */
export interface KuboStart {
  readonly nodes: 1 | 3;
  /** Further members of sections of the configuration: `{ Datastore: { HashOnRead: true } }`. */
  readonly config?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** Whether the nodes know each other, so that each finds what another has. Default true. */
  readonly connected?: boolean;
  /** Milliseconds for all nodes to become ready. Default 30,000. */
  readonly deadline?: number;
}

const EMPTY_DIRECTORY = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";

/** One Kubo, which can be hurt. */
export class KuboTestNode {
  #process: TiedProcess | undefined = undefined;

  constructor(
    readonly id: string,
    /** Of its RPC. */
    readonly url: string,
    /** Multiaddress by which others reach it, with its peer id. */
    readonly address: string,
    readonly repository: string,
    private readonly command: readonly string[],
    readonly log: string,
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

  /** Whether it serves. @throws Hopeless when its process has ended by itself */
  async isReady(): Promise<boolean> {
    if (this.#process?.ended) throw new Hopeless(`ipfs ${this.id} ended by itself\n${this.tail()}`);
    return await this.ask("id").then(() => true, () => false);
  }

  /**
   * Runs a command, within 5 seconds.
   * @param args further arguments of the command, by name
   * @returns what it printed @throws Error with what it said instead
   */
  async ask(command: string, args: Readonly<Record<string, string>> = {}): Promise<string> {
    const response = await fetch(`${this.url}/api/v0/${command}?${new URLSearchParams(args)}`, {
      method: "POST",
      signal: AbortSignal.timeout(5_000),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`ipfs ${this.id}: ${command}: ${text}`);
    return text;
  }

  /** CIDs of what it has pinned with everything below, but for the empty directory, which it pins by itself. */
  async pins(): Promise<readonly string[]> {
    const { Keys = {} } = JSON.parse(await this.ask("pin/ls", { type: "recursive" })) as { Keys?: object };
    return Object.keys(Keys).filter((cid) => cid !== EMPTY_DIRECTORY);
  }

  /** Whether it has the block itself. */
  async has(cid: string): Promise<boolean> {
    return await this.ask("block/stat", { arg: cid, offline: "true" }).then(() => true, () => false);
  }

  /** Adds a file as `ipfs add --cid-version=1 --raw-leaves` does. @returns its CID */
  async add(bytes: Uint8Array<ArrayBuffer>, args: Readonly<Record<string, string>> = {}): Promise<string> {
    const body = new FormData();
    body.append("file", new Blob([bytes]));
    const query = new URLSearchParams({ "cid-version": "1", "raw-leaves": "true", ...args });
    const response = await fetch(`${this.url}/api/v0/add?${query}`, { method: "POST", body });
    return (await response.json() as { Hash: string }).Hash;
  }

  /** Its last lines of output. */
  tail(): string {
    return this.#process?.tail() ?? Deno.readTextFileSync(this.log).slice(-2_000);
  }
}

/** Kubo nodes that reach each other and nothing else, with data in a temporary folder that goes with them. */
export class KuboTestCluster implements AsyncDisposable {
  private constructor(
    readonly nodes: readonly KuboTestNode[],
    private readonly folder: string,
    private readonly reserved: PortReservation,
    private readonly options: KuboStart,
  ) {}

  /** Starts all nodes and waits until they are ready. @throws Error with the last lines of output when they do not get there */
  static async start(options: KuboStart): Promise<KuboTestCluster> {
    const program = requireProgram("ipfs");
    const folder = await Deno.makeTempDir({ prefix: "orama-kubo-" });
    const reserved = PortReservation.take(options.nodes * 2);
    const nodes = await Promise.all(Array.from({ length: options.nodes }, async (_, i) => {
      const api = reserved.ports[2 * i]!, swarm = reserved.ports[2 * i + 1]!;
      const repository = `${folder}/k${i}`;
      const peer = await initialise(program, repository, api, swarm, options.config ?? {});
      const command = ["env", `IPFS_PATH=${repository}`, "IPFS_TELEMETRY=off", program, "daemon", "--migrate=false"];
      const address = `/ip4/127.0.0.1/tcp/${swarm}/p2p/${peer}`;
      return new KuboTestNode(`k${i}`, `http://127.0.0.1:${api}`, address, repository, command, `${folder}/k${i}.log`);
    }));
    const cluster = new KuboTestCluster(nodes, folder, reserved, options);
    try {
      await Promise.all(nodes.map((node) => node.start()));
      await cluster.ready();
      return cluster;
    } catch (cause) {
      const logs = cluster.tails();
      await cluster[Symbol.asyncDispose]();
      throw new Error(`Kubo did not start\n${logs}`, { cause });
    }
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Waits until all nodes, or those given, are ready and connected with each other. */
  async ready(nodes: readonly KuboTestNode[] = this.nodes): Promise<void> {
    const { deadline = 30_000, connected = true } = this.options;
    await Promise.all(nodes.map((node) => until(`ipfs ${node.id} is ready`, () => node.isReady(), deadline)));
    if (!connected) return;
    for (const node of nodes) {
      for (const other of nodes) if (other !== node) await node.ask("swarm/connect", { arg: other.address });
    }
  }

  /** The last lines of output of every node, for the message of a failed test. */
  tails(): string {
    return this.nodes.map((node) => `--- ipfs ${node.id}, last lines of output\n${node.tail()}`).join("\n");
  }

  /** Kills all nodes and removes their data. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    this.reserved[Symbol.dispose]();
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** Sections that keep a node on this machine: no routing, relays, address translation, or reports to anybody. */
const ALONE = {
  Routing: { Type: "none" },
  Provide: { Enabled: false },
  AutoNAT: { ServiceMode: "disabled" },
  Swarm: {
    DisableNatPortMap: true,
    RelayClient: { Enabled: false },
    RelayService: { Enabled: false },
    EnableHolePunching: false,
    Transports: { Network: { Relay: false } },
  },
  HTTPRetrieval: { Enabled: false },
  Plugins: { Plugins: { telemetry: { Disabled: true } } },
};

/** @returns its peer id */
async function initialise(
  program: string,
  repository: string,
  api: number,
  swarm: number,
  config: NonNullable<KuboStart["config"]>,
): Promise<string> {
  const { success, stderr } = await new Deno.Command(program, {
    args: ["init", "--profile=test"],
    env: { IPFS_PATH: repository },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`ipfs init: ${new TextDecoder().decode(stderr)}`);
  const file = `${repository}/config`;
  const sections = JSON.parse(await Deno.readTextFile(file)) as Record<string, Record<string, unknown>>;
  const own = {
    ...ALONE,
    Addresses: {
      API: `/ip4/127.0.0.1/tcp/${api}`,
      Gateway: [],
      Swarm: [`/ip4/127.0.0.1/tcp/${swarm}`],
      Announce: [],
      AppendAnnounce: [],
      NoAnnounce: [],
    },
  };
  for (const [name, members] of [...Object.entries(own), ...Object.entries(config)]) {
    sections[name] = { ...sections[name], ...members };
  }
  await Deno.writeTextFile(file, JSON.stringify(sections));
  return String(sections["Identity"]?.["PeerID"]);
}
