import { newOwner, type Owner } from "../../support/accounts.ts";
import { type Sections, TestGateway } from "../../support/gateway.ts";
import { SecretBook } from "../../support/secrets.ts";
import { StorageCaller } from "../../support/storage.ts";
import { databaseOn } from "../../support/test_database.ts";
import { storageOn } from "../../support/test_storage.ts";
import { type Engines, engineTest } from "./engine_test.ts";
import type { IpfsTestCluster } from "./ipfs_cluster.ts";
import type { KuboTestCluster } from "./kubo.ts";

/** Two gateways on one control plane and on the same nodes of IPFS. */
export interface GatewayPair {
  readonly gateways: readonly [TestGateway, TestGateway];
  readonly kubos: KuboTestCluster;
  readonly cluster: IpfsTestCluster;
  /** Makes a namespace; it ends with the test. At most two of them. */
  owner(): Promise<{ readonly owner: Owner; readonly at: readonly [StorageCaller, StorageCaller] }>;
}

/** A test on two gateways that share RQLite, Kubo and IPFS Cluster. @param config of both */
export function pairTest(name: string, config: Sections, run: (pair: GatewayPair) => Promise<void>): void {
  engineTest(name, ["rqlited", "ipfs", "ipfs-cluster-service"], async (engines: Engines) => {
    const kubos = await engines.kubo({ nodes: 1 });
    const [cluster, control, ...tenants] = await Promise.all([
      engines.ipfsCluster({ kubos }),
      engines.rqlite({ nodes: 1 }),
      engines.rqlite({ nodes: 1 }),
      engines.rqlite({ nodes: 1 }),
    ]);
    await using database = await databaseOn(control, tenants);
    const storage = storageOn(kubos, cluster), secrets = new SecretBook();
    const options = { driver: "rqlite", cacheDriver: "memory", database, storage, secrets, config } as const;
    await using first = await TestGateway.start(options);
    await using second = await TestGateway.start(options);
    await using owners = new AsyncDisposableStack();
    await run({
      gateways: [first, second],
      kubos,
      cluster,
      async owner() {
        const owner = owners.use(await newOwner(first));
        const key = { key: owner.apiKey };
        return { owner, at: [new StorageCaller(first, key), new StorageCaller(second, key)] };
      },
    });
  });
}
