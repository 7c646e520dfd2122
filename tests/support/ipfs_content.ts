import { IpfsDriver } from "../../services/storage/ipfs/driver.ts";
import { IpfsTestCluster } from "../engines/support/ipfs_cluster.ts";
import { KuboTestCluster } from "../engines/support/kubo.ts";
import { findProgram, type Program } from "../engines/support/programs.ts";
import { until } from "../engines/support/wait.ts";
import type { ContentUnderTest } from "./test_content.ts";

/** Nobody has what a test asks in vain for: it need not wait long to know. */
const TIMEOUT = 3_000;

/** The driver on one Kubo alone, on one with a Cluster, and on three. */
export const IPFS: readonly ContentUnderTest[] = [
  under("kubo", 1, ["ipfs"]),
  under("ipfs cluster", 1, ["ipfs", "ipfs-cluster-service"]),
  under("ipfs cluster of 3", 3, ["ipfs", "ipfs-cluster-service"]),
];

function under(name: string, nodes: 1 | 3, needs: readonly Program[]): ContentUnderTest {
  const missing = needs.filter((program) => findProgram(program) === undefined);
  let engines: IpfsEngines | undefined;
  return {
    name,
    ignore: missing.length === 0 ? undefined : `missing: ${missing.join(", ")}`,
    async start(chunkSize) {
      if (engines === undefined) engines = await IpfsEngines.start(nodes, needs.length > 1);
      else await engines.clear();
      const { kubos, cluster } = engines;
      const driver = new IpfsDriver({ kubo: kubos.urls, cluster: cluster?.urls, timeout: TIMEOUT, chunkSize });
      return { driver, [Symbol.asyncDispose]: () => driver.close(), tails: () => engines?.tails() ?? "" };
    },
    async end() {
      await engines?.[Symbol.asyncDispose]();
      engines = undefined;
    },
  };
}

/** Kubo nodes, with or without a Cluster, that hold the content of one scenario after the other and never of two. */
class IpfsEngines implements AsyncDisposable {
  private constructor(
    readonly kubos: KuboTestCluster,
    readonly cluster: IpfsTestCluster | undefined,
    /** Blocks that a node has from the beginning. */
    private readonly first: ReadonlySet<string>,
    private readonly owned: AsyncDisposable,
  ) {}

  static async start(nodes: 1 | 3, withCluster: boolean): Promise<IpfsEngines> {
    await using stack = new AsyncDisposableStack();
    const kubos = stack.use(await KuboTestCluster.start({ nodes }));
    const cluster = withCluster ? stack.use(await IpfsTestCluster.start({ kubos })) : undefined;
    const first = new Set((await Promise.all(kubos.nodes.map((node) => node.blocks()))).flat());
    return new IpfsEngines(kubos, cluster, first, stack.move());
  }

  /** Takes away all that was put in: afterwards they are as when they were started. @throws Error when they do not get there */
  async clear(): Promise<void> {
    await this.#unpin();
    for (const node of this.kubos.nodes) {
      await until(`ipfs ${node.id} holds nothing`, async () => {
        for (const cid of await node.pins()) await node.ask("pin/rm", { arg: cid });
        await node.collect();
        return (await node.blocks()).every((cid) => this.first.has(cid));
      }, 30_000);
    }
  }

  async #unpin(): Promise<void> {
    const { kubos, cluster } = this;
    if (cluster === undefined) return;
    // A peer writes pins down a moment after it was told, and in order: once it has this one, there are no others to come.
    const last = await kubos.nodes[0]!.add(crypto.getRandomValues(new Uint8Array(16)), { pin: "false" });
    const [peer] = cluster.peers;
    await peer!.ask(`/pins/${last}`, "POST");
    await until("the last pin is written down", () => peer!.isAllocated(last));
    await until("no peer wants anything", async () => {
      const wanted = await Promise.all(cluster.peers.map((one) => one.allocations()));
      for (const cid of new Set(wanted.flat())) await peer!.ask(`/pins/${cid}`, "DELETE").catch(() => {});
      return wanted.flat().length === 0;
    }, 30_000);
    await until("no node holds a pin", async () => {
      const pins = await Promise.all(kubos.nodes.map((node) => node.pins()));
      return pins.flat().length === 0;
    }, 30_000);
  }

  tails(): string {
    return [this.kubos.tails(), this.cluster?.tails() ?? ""].join("\n");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.owned[Symbol.asyncDispose]();
  }
}
