import { LONGEST_TEST, withinDeadline } from "../../support/deadline.ts";
import type { EngineGroup } from "./engine_process.ts";
import { type IpfsClusterStart, IpfsTestCluster } from "./ipfs_cluster.ts";
import { type KuboStart, KuboTestCluster } from "./kubo.ts";
import { type OlricStart, OlricTestCluster } from "./olric.ts";
import { findProgram, isRequired, type Program, requireProgram } from "./programs.ts";
import { type RqliteStart, RqliteTestCluster } from "./rqlite.ts";

/** Starts engines for one test; they end with it. */
export interface Engines {
  /** A new and empty rqlite cluster. */
  rqlite(options: RqliteStart): Promise<RqliteTestCluster>;
  /** A new and empty Olric cluster. */
  olric(options: OlricStart): Promise<OlricTestCluster>;
  /** New and empty Kubo nodes. */
  kubo(options: KuboStart): Promise<KuboTestCluster>;
  /** A new and empty IPFS Cluster. */
  ipfsCluster(options: IpfsClusterStart): Promise<IpfsTestCluster>;
}

/**
 * A test that needs real engines. Where a program is missing the test counts as ignored and its name says which one;
 * with `TEST_ENGINES_REQUIRED=1` it fails instead, unless nobody insists on that program ({@link isRequired}). A failure shows the last
 * lines that the engines wrote.
 */
export function engineTest(name: string, needs: readonly Program[], run: (engines: Engines) => Promise<void>): void {
  const missing = needs.filter((program) => findProgram(program) === undefined);
  Deno.test({
    name: missing.length === 0 ? name : `${name} [missing: ${missing.join(", ")}]`,
    ignore: missing.length > 0 && !missing.some(isRequired),
    async fn() {
      for (const program of needs) requireProgram(program);
      const clusters: EngineGroup[] = [];
      const remember = <T extends EngineGroup>(cluster: T): T => {
        clusters.push(cluster);
        return cluster;
      };
      const engines: Engines = {
        rqlite: async (options) => remember(await RqliteTestCluster.start(options)),
        olric: async (options) => remember(await OlricTestCluster.start(options)),
        kubo: async (options) => remember(await KuboTestCluster.start(options)),
        ipfsCluster: async (options) => remember(await IpfsTestCluster.start(options)),
      };
      try {
        await withinDeadline(run(engines), "the test was over", LONGEST_TEST);
      } catch (cause) {
        if (clusters.length === 0) throw cause;
        const message = cause instanceof Error ? cause.message : String(cause);
        throw new Error(`${message}\n${clusters.map((cluster) => cluster.tails()).join("\n")}`, { cause });
      } finally {
        await Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]()));
      }
    },
  });
}
