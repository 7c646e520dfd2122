import { EngineGroup, type EnginePlace, EngineProcess } from "./engine_process.ts";
import type { Machine } from "./network.ts";
import { requireProgram } from "./programs.ts";
import { Hopeless, until } from "./wait.ts";

/** How an Olric cluster is started. */
export interface OlricStart {
  readonly members: 1 | 3;
  /** How many members keep an entry. Default: 1 with one member, 2 with three. */
  readonly replicas?: number;
  /** Default: everybody may do everything. */
  readonly password?: string;
  /** What the tables of the storage engine take, in bytes: the largest entry. Default 524,288, as Olric's own examples have it. */
  readonly tableSize?: number;
  /** How often tables are compacted, as a Go duration. Default: Olric's own, ten minutes. */
  readonly compaction?: string;
  /** Further lines of sections of the configuration: `{ memberlist: { suspicionMult: 2 } }`. */
  readonly flags?: Readonly<Record<string, Readonly<Record<string, string | number | boolean>>>>;
  /** Where each member runs. Default: all of them here. */
  readonly machines?: readonly Machine[];
  /** Milliseconds for all members to become ready. Default 30,000. */
  readonly deadline?: number;
}

/** How often a member that ended by itself before it was ready is started again. */
const STARTS_AGAIN = 5;

/** One olric-server, which can be hurt. It keeps nothing on disk: whenever it starts it is empty. */
export class OlricTestNode extends EngineProcess {
  /** How often it was started because it had ended by itself. */
  #startsAgain = 0;
  #ready = false;

  constructor(
    id: string,
    /** `host:port`, by which it is a member. */
    readonly address: string,
    command: readonly string[],
    log: string,
    private readonly password: string | undefined,
  ) {
    super("olric-server", id, command, log);
  }

  /** Starts it, for the first time or again and empty, and does not wait until it is ready. */
  override async start(): Promise<void> {
    this.#startsAgain = 0;
    this.#ready = false;
    await super.start();
  }

  /**
   * How many members it knows, itself among them. Does what a supervisor does: starts it again when it has ended by itself before
   * it was ready. Of members that start together one may do that, when another does not take it for their coordinator yet.
   * @throws Hopeless when it has ended by itself too often, or after it had been ready: what it held is gone
   */
  async members(): Promise<number> {
    if (this.ended) {
      const when = this.#ready
        ? "after it had been ready"
        : this.#startsAgain < STARTS_AGAIN
        ? undefined
        : "again and again";
      if (when !== undefined) throw new Hopeless(`olric-server ${this.id} ended by itself, ${when}\n${this.tail()}`);
      this.#startsAgain++;
      await super.start();
    }
    const auth = this.password === undefined ? "" : `AUTH ${this.password}\r\n`;
    const answer = await this.#exchange(`${auth}CLUSTER.MEMBERS\r\n`, auth === "" ? 1 : 2);
    return Number(/^(?:\+OK\r\n)?\*(\d+)\r\n/.exec(answer)?.[1] ?? 0);
  }

  /** From here on, until it is started anew, it must not end by itself. */
  settle(): void {
    this.#ready = true;
  }

  /** All that it wrote, over all its starts. */
  output(): string {
    return Deno.readTextFileSync(this.log);
  }

  /** What it says to commands in one line each, as far as the first `lines` lines; within a second. */
  async #exchange(commands: string, lines: number): Promise<string> {
    const [hostname, port] = this.address.split(":") as [string, string];
    using connection = await Deno.connect({ hostname, port: Number(port) });
    const giveUp = setTimeout(() => connection.close(), 1_000);
    try {
      await connection.write(new TextEncoder().encode(commands));
      const buffer = new Uint8Array(4_096);
      let answer = "";
      while (answer.split("\r\n").length <= lines) {
        const read = await connection.read(buffer);
        if (read === null) break;
        answer += new TextDecoder().decode(buffer.subarray(0, read));
      }
      return answer;
    } finally {
      clearTimeout(giveUp);
    }
  }
}

/** A cluster of its own, with its configuration in a temporary folder that goes with it. */
export class OlricTestCluster extends EngineGroup {
  private constructor(readonly nodes: readonly OlricTestNode[], place: EnginePlace) {
    super(nodes, place);
  }

  /** Starts all members and waits until each knows all. @throws Error with the last lines of output when they do not get there */
  static async start(options: OlricStart): Promise<OlricTestCluster> {
    const program = requireProgram("olric-server");
    const { members, machines, password, deadline } = options;
    return await this.launch({ name: "Olric", ports: members * 2, deadline }, async (place) => {
      const { folder, reserved: { ports } } = place;
      const places = Array.from({ length: members }, (_, i): Place => ({
        host: machines?.[i]?.address ?? "127.0.0.1",
        port: ports[i]!,
        gossipPort: ports[members + i]!,
      }));
      const nodes = await Promise.all(places.map(async (own, i) => {
        const file = `${folder}/m${i}.yaml`;
        await Deno.writeTextFile(file, configurationOf(options, own, places.filter((other) => other !== own)));
        const command = [program, "-c", file];
        const run = machines?.[i]?.run(command) ?? command;
        return new OlricTestNode(`m${i}`, `${own.host}:${own.port}`, run, `${folder}/m${i}.log`, password);
      }));
      return new OlricTestCluster(nodes, place);
    });
  }

  get addresses(): string[] {
    return this.nodes.map(({ address }) => address);
  }

  /** Waits until all members, or those given, know as many members as there are, or as many as are expected. */
  async ready(nodes: readonly OlricTestNode[] = this.nodes, expected: number = nodes.length): Promise<void> {
    const names = nodes.map(({ id }) => id).join(", ");
    await until(`olric-server ${names}: each knows ${expected} members`, async () => {
      // Of one time, and all of them: one that knew everybody may have ended while others were waited for.
      const answers = await Promise.allSettled(nodes.map((node) => node.members()));
      const failures = answers.flatMap((answer) => answer.status === "rejected" ? [answer.reason as unknown] : []);
      if (failures.length > 0) throw failures.find((failure) => failure instanceof Hopeless) ?? failures[0];
      return answers.every((answer) => answer.status === "fulfilled" && answer.value === expected);
    }, this.place.deadline);
    for (const node of nodes) node.settle();
  }
}

/** Where a member is reached, by clients and by the others. */
interface Place {
  readonly host: string;
  readonly port: number;
  readonly gossipPort: number;
}

/**
 * What Olric's own examples have for a cluster on one machine, but for ports, numbers of members, and `bootstrapTimeout`:
 * `services/cache/olric/DESIGN.md` says why.
 */
function configurationOf(options: OlricStart, { host, port, gossipPort }: Place, peers: readonly Place[]): string {
  const several = options.members > 1;
  const { compaction, flags } = options;
  const sections: Record<string, Record<string, unknown>> = {
    server: {
      bindAddr: host,
      bindPort: port,
      bootstrapTimeout: "100ms",
      partitionCount: 271,
      replicaCount: options.replicas ?? (several ? 2 : 1),
      writeQuorum: 1,
      readQuorum: 1,
      readRepair: true,
      replicationMode: 0,
      memberCountQuorum: several ? 2 : 1,
      routingTablePushInterval: "10s",
      keepAlivePeriod: "300s",
    },
    client: { dialTimeout: "1s", readTimeout: "3s", writeTimeout: "3s" },
    logging: { verbosity: 3, level: "WARN", output: "stderr" },
    memberlist: {
      environment: "local",
      bindAddr: host,
      bindPort: gossipPort,
      enableCompression: false,
      joinRetryInterval: "200ms",
      maxJoinAttempts: 25,
      ...(several && { peers: peers.map((peer) => `${peer.host}:${peer.gossipPort}`) }),
    },
    dmaps: {
      engine: { name: "kvstore", config: { tableSize: options.tableSize ?? 524_288 } },
      ...(compaction !== undefined && { triggerCompactionInterval: compaction }),
    },
    ...(options.password !== undefined && { authentication: { password: options.password } }),
  };
  for (const [name, lines] of Object.entries(flags ?? {})) sections[name] = { ...sections[name], ...lines };
  // JSON is YAML.
  return JSON.stringify(sections);
}
