import { IpfsDriver } from "../../services/storage/ipfs/driver.ts";
import { IpfsTestCluster } from "../engines/support/ipfs_cluster.ts";
import { KuboTestCluster } from "../engines/support/kubo.ts";
import { findProgram, type Program } from "../engines/support/programs.ts";
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
  return {
    name,
    ignore: missing.length === 0 ? undefined : `missing: ${missing.join(", ")}`,
    async start(chunkSize) {
      await using stack = new AsyncDisposableStack();
      const kubos = stack.use(await KuboTestCluster.start({ nodes }));
      const cluster = needs.length > 1 ? stack.use(await IpfsTestCluster.start({ kubos })) : undefined;
      const options = { kubo: kubos.urls, cluster: cluster?.urls, timeout: TIMEOUT, chunkSize };
      const driver = new IpfsDriver(options);
      stack.defer(() => driver.close());
      const started = stack.move();
      return { driver, [Symbol.asyncDispose]: () => started.disposeAsync() };
    },
  };
}
