import { newOwner, type Owner } from "../../support/accounts.ts";
import { deploy } from "../../support/functions.ts";
import { type Sections, TestGateway } from "../../support/gateway.ts";
import { SecretBook } from "../../support/secrets.ts";
import { databaseOn } from "../../support/test_database.ts";
import { storageOn } from "../../support/test_storage.ts";
import { assembled } from "../../support/wat.ts";
import { type Engines, engineTest } from "./engine_test.ts";
import type { IpfsTestCluster } from "./ipfs_cluster.ts";
import type { KuboTestCluster } from "./kubo.ts";
import type { RqliteStart, RqliteTestCluster } from "./rqlite.ts";
import { until } from "./wait.ts";

/** Milliseconds in which gateways have heard of a change: a second, and room for a slow machine. */
export const HEARD = 5_000;

/** Two gateways on one control plane, on the same nodes of IPFS, and linked to each other. */
export interface FunctionGateways {
  readonly gateways: readonly [TestGateway, TestGateway];
  /** Of the control plane. */
  readonly control: RqliteTestCluster;
  readonly kubos: KuboTestCluster;
  readonly cluster: IpfsTestCluster;
  /** A namespace, which ends with the test where a gateway is left to end it. At most two of them. */
  owner(): Promise<{ readonly owner: Owner; readonly key: { readonly key: string } }>;
}

/** How these gateways are started. */
export interface FunctionGatewaysStart {
  /** Nodes of the control plane. Default 1. */
  readonly control?: RqliteStart["nodes"];
  /** Of both. */
  readonly config?: Sections;
}

/** A test of functions on two gateways that are processes, and on real engines. */
export function functionsTest(
  name: string,
  { control: nodes = 1, config = {} }: FunctionGatewaysStart,
  run: (pair: FunctionGateways) => Promise<void>,
): void {
  engineTest(name, ["rqlited", "ipfs", "ipfs-cluster-service"], async (engines: Engines) => {
    const kubos = await engines.kubo({ nodes: 1 });
    const [cluster, control, ...tenants] = await Promise.all([
      engines.ipfsCluster({ kubos }),
      engines.rqlite({ nodes }),
      engines.rqlite({ nodes: 1 }),
      engines.rqlite({ nodes: 1 }),
    ]);
    await using database = await databaseOn(control, tenants);
    const options = {
      driver: "rqlite",
      cacheDriver: "memory",
      database,
      storage: storageOn(kubos, cluster),
      secrets: new SecretBook(),
      config: { pubsub: { driver: "libp2p" }, ...config },
    } as const;
    await using first = await TestGateway.start(options);
    await using second = await TestGateway.start(options);
    for (const gateway of [first, second]) {
      await until("the gateways are linked", async () => {
        const told = (await gateway.call("GET", "/v1/status")).expect(200).get("services.pubsub.details");
        return (told as { readonly linked: number }).linked === 1;
      }, 120_000);
    }
    await using owners = new AsyncDisposableStack();
    await run({
      gateways: [first, second],
      control,
      kubos,
      cluster,
      async owner() {
        const owner = await newOwner(first);
        // A gateway that was killed ends nothing, and the engines end with the test anyway.
        owners.defer(() => Promise.resolve(owner[Symbol.asyncDispose]()).catch(() => {}));
        return { owner, key: { key: owner.apiKey } };
      },
    });
  });
}

/** Process ids of the hosts of functions that a gateway has started (Linux: proc(5)), whoever their parent is by now. */
export function functionHosts({ pid }: TestGateway): number[] {
  const found: number[] = [];
  for (const { name } of Deno.readDirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (Deno.readTextFileSync(`/proc/${name}/cmdline`).includes(`\0host\0function\0${pid}\0`)) {
        found.push(Number(name));
      }
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** Deploys a function whose every answer is a text without quotes. */
export const deployText = async (
  gateway: TestGateway,
  credential: { readonly key: string },
  name: string,
  text: string,
  fields: Readonly<Record<string, string>> = {},
): Promise<number> =>
  (await deploy(gateway, credential, name, await answering(text), fields)).get("function.version") as number;

/** A module that answers a text without quotes. */
export const answering = (text: string): Promise<Uint8Array<ArrayBuffer>> =>
  assembled(
    "answering",
    `(module
      (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\\10\\00\\00\\00\\${text.length.toString(16).padStart(2, "0")}\\00\\00\\00")
      (data (i32.const 16) "${text}")
      (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))`,
  );

/** A module that logs what it reads, up to 60,000 bytes of it. */
export const logging = (): Promise<Uint8Array<ArrayBuffer>> =>
  assembled(
    "logging",
    `(module
      (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
      (import "env" "log_info" (func $log_info (param i32 i32)))
      (memory (export "memory") 1)
      (data (i32.const 0) "\\10\\00\\00\\00\\60\\ea\\00\\00")
      (func (export "_start")
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (call $log_info (i32.const 16) (i32.load (i32.const 8)))))`,
  );
