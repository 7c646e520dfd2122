import { RqliteTestCluster } from "../engines/support/rqlite.ts";

/** Which driver the acceptance tests run on: `TEST_DRIVER`, by default the embedded one. */
export type Driver = "sqlite" | "rqlite";

/** The driver of this run. @throws Error for one that is not known */
export function chosenDriver(): Driver {
  const name = Deno.env.get("TEST_DRIVER") ?? "sqlite";
  if (name === "sqlite" || name === "rqlite") return name;
  throw new Error(`TEST_DRIVER=${name}: expected sqlite or rqlite`);
}

/** How many namespaces can exist at once on the driver of this run. */
export function capacity(driver = chosenDriver()): number {
  return driver === "sqlite" ? Infinity : Number(Deno.env.get("TEST_RQLITE_POOL") ?? 2);
}

/** Where the gateways of one suite keep their tables and their namespaces' data. */
export interface TestDatabase extends AsyncDisposable {
  readonly driver: Driver;
  /** Sections of the configuration. */
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The cluster of the control plane, to be hurt; none where everything is embedded. */
  readonly control?: RqliteTestCluster;
}

/** Starts what a driver needs: nothing, or a control cluster and one cluster for each namespace. */
export async function startTestDatabase(driver: Driver): Promise<TestDatabase> {
  return driver === "sqlite" ? embedded : await startRqlite();
}

const embedded: TestDatabase = {
  driver: "sqlite",
  config: {},
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

async function startRqlite(): Promise<TestDatabase> {
  const nodes = Deno.env.get("TEST_RQLITE_NODES") === "3" ? 3 : 1;
  const starts = await Promise.allSettled(
    Array.from({ length: 1 + capacity("rqlite") }, () => RqliteTestCluster.start({ nodes })),
  );
  const clusters = starts.flatMap((start) => start.status === "fulfilled" ? [start.value] : []);
  const end = () => Promise.all(clusters.map((cluster) => cluster[Symbol.asyncDispose]()));
  const failure = starts.find(({ status }) => status === "rejected");
  if (failure?.status === "rejected") {
    await end();
    throw failure.reason;
  }
  const [control, ...tenants] = clusters as [RqliteTestCluster, ...RqliteTestCluster[]];
  const database = await databaseOn(control, tenants);
  return {
    ...database,
    async [Symbol.asyncDispose]() {
      await end();
      await database[Symbol.asyncDispose]();
    },
  };
}

/** What a gateway needs beside clusters that run already, and that somebody else ends: a root key, and their addresses. */
export async function databaseOn(
  control: RqliteTestCluster,
  tenants: readonly RqliteTestCluster[],
): Promise<TestDatabase> {
  const folder = await Deno.makeTempDir({ prefix: "orama-root-key-" });
  const keyFile = `${folder}/root.key`;
  await Deno.writeTextFile(keyFile, crypto.getRandomValues(new Uint8Array(32)).toHex(), { mode: 0o600 });
  const pool = tenants.map(({ urls }, i) => ({ name: `tenant-${i}`, urls }));
  return {
    driver: "rqlite",
    config: {
      auth: { root_key_file: keyFile },
      database: { driver: "rqlite", rqlite: { control: control.urls, pool } },
    },
    control,
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
