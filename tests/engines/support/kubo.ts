import { EngineGroup, type EnginePlace, EngineProcess } from "./engine_process.ts";
import { requireProgram } from "./programs.ts";
import { until } from "./wait.ts";

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
export class KuboTestNode extends EngineProcess {
  constructor(
    id: string,
    /** Of its RPC. */
    readonly url: string,
    /** Multiaddress by which others reach it, with its peer id. */
    readonly address: string,
    readonly repository: string,
    command: readonly string[],
    log: string,
  ) {
    super("ipfs", id, command, log);
  }

  /** Whether it serves. @throws Hopeless when its process has ended by itself */
  async isReady(): Promise<boolean> {
    this.assertRuns();
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

  /** CIDs of all blocks that it has itself, of version 1 and codec `raw` whatever they were added as. */
  async blocks(): Promise<readonly string[]> {
    const lines = (await this.ask("refs/local")).trim().split("\n");
    return lines.filter((line) => line !== "").map((line) => (JSON.parse(line) as { Ref: string }).Ref);
  }

  /** Its collection: takes all blocks that no pin holds. */
  async collect(): Promise<void> {
    await this.ask("repo/gc", { quiet: "true" });
  }

  /** Whether it has the block itself. */
  async has(cid: string): Promise<boolean> {
    return await this.ask("block/stat", { arg: cid, offline: "true" }).then(() => true, () => false);
  }

  /** Adds a file as `ipfs add --cid-version=1 --raw-leaves` does. @returns its CID, or that of what it is wrapped with */
  async add(bytes: Uint8Array<ArrayBuffer>, args: Readonly<Record<string, string>> = {}): Promise<string> {
    const body = new FormData();
    body.append("file", new Blob([bytes]));
    const query = new URLSearchParams({ "cid-version": "1", "raw-leaves": "true", ...args });
    const response = await fetch(`${this.url}/api/v0/add?${query}`, { method: "POST", body });
    const [root] = (await response.text()).trim().split("\n").slice(-1);
    return (JSON.parse(root!) as { Hash: string }).Hash;
  }
}

/** Kubo nodes that reach each other and nothing else, with data in a temporary folder that goes with them. */
export class KuboTestCluster extends EngineGroup {
  private constructor(
    readonly nodes: readonly KuboTestNode[],
    place: EnginePlace,
    private readonly connected: boolean,
  ) {
    super(nodes, place);
  }

  /** Starts all nodes and waits until they are ready. @throws Error with the last lines of output when they do not get there */
  static async start({ nodes, config = {}, connected = true, deadline }: KuboStart): Promise<KuboTestCluster> {
    const program = requireProgram("ipfs");
    return await this.launch({ name: "Kubo", ports: nodes * 2, deadline }, async (place) => {
      const all = await Promise.all(Array.from({ length: nodes }, async (_, i) => {
        const [api, swarm] = place.reserved.ports.slice(2 * i) as [number, number];
        const path = `${place.folder}/k${i}`;
        const peer = await initialise(program, path, api, swarm, config);
        const command = ["env", `IPFS_PATH=${path}`, "IPFS_TELEMETRY=off", program, "daemon", "--migrate=false"];
        const address = `/ip4/127.0.0.1/tcp/${swarm}/p2p/${peer}`;
        return new KuboTestNode(`k${i}`, `http://127.0.0.1:${api}`, address, path, command, `${path}.log`);
      }));
      return new KuboTestCluster(all, place, connected);
    });
  }

  get urls(): string[] {
    return this.nodes.map(({ url }) => url);
  }

  /** Waits until all nodes, or those given, are ready and connected with each other. */
  async ready(nodes: readonly KuboTestNode[] = this.nodes): Promise<void> {
    const { deadline } = this.place;
    await Promise.all(nodes.map((node) => until(`ipfs ${node.id} is ready`, () => node.isReady(), deadline)));
    if (!this.connected) return;
    for (const node of nodes) {
      for (const other of nodes) if (other !== node) await node.ask("swarm/connect", { arg: other.address });
    }
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
