import { EngineGroup, type EnginePlace, EngineProcess } from "./engine_process.ts";
import type { KuboTestCluster, KuboTestNode } from "./kubo.ts";
import { requireProgram } from "./programs.ts";
import { until } from "./wait.ts";

/** How the peers of an IPFS Cluster are started. */
export interface IpfsClusterStart {
  /** One peer for each. They stay when the cluster ends. */
  readonly kubos: KuboTestCluster;
  /** Whom the REST API asks for. Default: everybody may do everything. */
  readonly user?: { readonly username: string; readonly password: string };
  /** How long a peer tries to pin before that counts as failed, as a Go duration. Default `20s`. */
  readonly pinTimeout?: string;
  /** How often failed pins are tried again by the peers themselves, as a Go duration. Default `10s`. */
  readonly recoverInterval?: string;
  /** Milliseconds for all peers to become ready. Default 30,000. */
  readonly deadline?: number;
}

/** One peer, which can be hurt; its Kubo stays as it is. */
export class IpfsClusterTestPeer extends EngineProcess {
  constructor(
    id: string,
    /** Of its REST API. */
    readonly url: string,
    readonly kubo: KuboTestNode,
    command: readonly string[],
    log: string,
    private readonly user: IpfsClusterStart["user"],
  ) {
    super("ipfs-cluster-service", id, command, log);
  }

  /** Whether it knows how much room so many peers have: before that it allocates nothing. @throws Hopeless when its process has ended */
  async isReady(peers: number): Promise<boolean> {
    this.assertRuns();
    const metrics = JSON.parse(await this.ask("/monitor/metrics/freespace")) as readonly { readonly valid: boolean }[];
    return metrics.filter(({ valid }) => valid).length >= peers;
  }

  /** Asks it something. @returns what it said, within 5 seconds @throws Error with what it said instead */
  async ask(path: string, method = "GET"): Promise<string> {
    const headers = new Headers();
    if (this.user !== undefined) {
      headers.set("authorization", `Basic ${btoa(`${this.user.username}:${this.user.password}`)}`);
    }
    const response = await fetch(this.url + path, { method, headers, signal: AbortSignal.timeout(5_000) });
    const text = await response.text();
    if (!response.ok) throw new Error(`ipfs-cluster-service ${this.id}: ${path}: ${text}`);
    return text;
  }

  /** CIDs of all that it wants kept. */
  async allocations(): Promise<readonly string[]> {
    const lines = (await this.ask("/allocations")).split("\n").filter((line) => line.startsWith("{"));
    return lines.map((line) => (JSON.parse(line) as { cid: string }).cid);
  }

  /** Whether the CID is one of those that it wants kept. */
  async isAllocated(cid: string): Promise<boolean> {
    return await this.ask(`/allocations/${cid}`).then(() => true, () => false);
  }
}

/** An IPFS Cluster of its own on Kubo nodes that are there, with data in a temporary folder that goes with it. */
export class IpfsTestCluster extends EngineGroup {
  private constructor(readonly peers: readonly IpfsClusterTestPeer[], place: EnginePlace) {
    super(peers, place);
  }

  /** Starts all peers and waits until they are ready. @throws Error with the last lines of output when they do not get there */
  static async start(options: IpfsClusterStart): Promise<IpfsTestCluster> {
    const program = requireProgram("ipfs-cluster-service");
    const { kubos: { nodes }, deadline } = options;
    return await this.launch({ name: "IPFS Cluster", ports: nodes.length * 2, deadline }, async (place) => {
      const { folder, reserved } = place;
      const ports = nodes.map((_, i) => ({ rest: reserved.ports[2 * i]!, swarm: reserved.ports[2 * i + 1]! }));
      const identities = await Promise.all(nodes.map((_, i) => initialise(program, `${folder}/c${i}`)));
      const addresses = identities.map((id, i) => `/ip4/127.0.0.1/tcp/${ports[i]!.swarm}/p2p/${id}`);
      const secret = crypto.getRandomValues(new Uint8Array(32)).toHex();
      const peers = await Promise.all(nodes.map(async (kubo, i) => {
        const others = addresses.filter((_, other) => other !== i);
        const configuration = configurationOf(options, `c${i}`, secret, ports[i]!, others, kubo);
        await Deno.writeTextFile(`${folder}/c${i}/service.json`, configuration);
        const url = `http://127.0.0.1:${ports[i]!.rest}`;
        const command = [program, "-c", `${folder}/c${i}`, "daemon"];
        return new IpfsClusterTestPeer(`c${i}`, url, kubo, command, `${folder}/c${i}.log`, options.user);
      }));
      return new IpfsTestCluster(peers, place);
    });
  }

  get urls(): string[] {
    return this.peers.map(({ url }) => url);
  }

  /** Waits until all peers, or those given, know of as many as there are. */
  async ready(peers: readonly IpfsClusterTestPeer[] = this.peers, expected: number = peers.length): Promise<void> {
    await Promise.all(
      peers.map((peer) =>
        until(
          `ipfs-cluster-service ${peer.id} knows ${expected} peers`,
          () => peer.isReady(expected),
          this.place.deadline,
        )
      ),
    );
  }
}

/** @returns its peer id */
async function initialise(program: string, folder: string): Promise<string> {
  const { success, stderr } = await new Deno.Command(program, {
    args: ["-c", folder, "init", "--consensus", "crdt"],
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) throw new Error(`ipfs-cluster-service init: ${new TextDecoder().decode(stderr)}`);
  return (JSON.parse(await Deno.readTextFile(`${folder}/identity.json`)) as { id: string }).id;
}

/** As `services/storage/ipfs/DESIGN.md` advises operators, with shorter times. */
function configurationOf(
  options: IpfsClusterStart,
  name: string,
  secret: string,
  ports: { readonly rest: number; readonly swarm: number },
  others: readonly string[],
  kubo: KuboTestNode,
): string {
  const { user, pinTimeout = "20s", recoverInterval = "10s" } = options;
  return JSON.stringify({
    cluster: {
      peername: name,
      secret,
      listen_multiaddress: [`/ip4/127.0.0.1/tcp/${ports.swarm}`],
      peer_addresses: others,
      mdns_interval: "0s",
      enable_relay_hop: false,
      monitor_ping_interval: "2s",
      peer_watch_interval: "2s",
      state_sync_interval: "30s",
      pin_recover_interval: recoverInterval,
      replication_factor_min: -1,
      replication_factor_max: -1,
      disable_repinning: false,
    },
    consensus: {
      crdt: {
        cluster_name: "orama-test",
        trusted_peers: ["*"],
        batching: { max_batch_size: 100, max_batch_age: "100ms" },
        rebroadcast_interval: "5s",
      },
    },
    api: {
      restapi: {
        http_listen_multiaddress: `/ip4/127.0.0.1/tcp/${ports.rest}`,
        basic_auth_credentials: user === undefined ? null : { [user.username]: user.password },
      },
    },
    ipfs_connector: {
      ipfshttp: { node_multiaddress: `/ip4/127.0.0.1/tcp/${new URL(kubo.url).port}`, pin_timeout: pinTimeout },
    },
    pin_tracker: { stateless: { concurrent_pins: 10 } },
    monitor: { pubsubmon: { check_interval: "2s" } },
    allocator: { balanced: { allocate_by: ["freespace"] } },
    informer: { disk: { metric_ttl: "5s", metric_type: "freespace" } },
    datastore: { pebble: { pebble_options: { cache_size_bytes: 8_388_608, mem_table_size: 4_194_304 } } },
  });
}
