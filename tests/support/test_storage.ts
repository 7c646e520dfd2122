import { IpfsTestCluster } from "../engines/support/ipfs_cluster.ts";
import { KuboTestCluster } from "../engines/support/kubo.ts";

/** Which storage the acceptance tests run on: `TEST_STORAGE`, by default a folder of the gateway. */
export type StorageDriverName = "local" | "ipfs";

/** The storage of this run. @throws Error for one that is not known */
export function chosenStorage(): StorageDriverName {
  const name = Deno.env.get("TEST_STORAGE") ?? "local";
  if (name === "local" || name === "ipfs") return name;
  throw new Error(`TEST_STORAGE=${name}: expected local or ipfs`);
}

/** Where the gateways of one suite have their content. */
export interface TestStorage extends AsyncDisposable {
  readonly driver: StorageDriverName;
  /** Sections of the configuration. */
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The nodes, to be hurt; none where content is in a folder. */
  readonly kubos?: KuboTestCluster;
  /** The peers on them, to be hurt. */
  readonly cluster?: IpfsTestCluster;
}

/** Starts what a driver needs: nothing, or Kubo with IPFS Cluster, `TEST_IPFS_NODES` of each, 1 or 3. */
export async function startTestStorage(driver: StorageDriverName): Promise<TestStorage> {
  if (driver === "local") return embedded;
  await using stack = new AsyncDisposableStack();
  const kubos = stack.use(await KuboTestCluster.start({ nodes: Deno.env.get("TEST_IPFS_NODES") === "3" ? 3 : 1 }));
  const cluster = stack.use(await IpfsTestCluster.start({ kubos }));
  const engines = stack.move();
  return { ...storageOn(kubos, cluster), [Symbol.asyncDispose]: async () => await engines.disposeAsync() };
}

/** What a gateway needs on engines that run already, and that somebody else ends: their addresses. */
export function storageOn(kubos: KuboTestCluster, cluster: IpfsTestCluster): TestStorage {
  return {
    driver: "ipfs",
    config: { storage: { driver: "ipfs", ipfs: { kubo: kubos.urls, cluster: cluster.urls } } },
    kubos,
    cluster,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

const embedded: TestStorage = { driver: "local", config: {}, [Symbol.asyncDispose]: () => Promise.resolve() };
