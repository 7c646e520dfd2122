import { OlricTestCluster } from "../engines/support/olric.ts";

/** Which cache the acceptance tests run on: `TEST_CACHE`, by default the gateway's own memory. */
export type CacheDriverName = "memory" | "olric";

/** The cache of this run. @throws Error for one that is not known */
export function chosenCache(): CacheDriverName {
  const name = Deno.env.get("TEST_CACHE") ?? "memory";
  if (name === "memory" || name === "olric") return name;
  throw new Error(`TEST_CACHE=${name}: expected memory or olric`);
}

/** Where the gateways of one suite have their cache. */
export interface TestCache extends AsyncDisposable {
  readonly driver: CacheDriverName;
  /** Sections of the configuration. */
  readonly config: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** The cluster, to be hurt; none where the cache is in the gateway. */
  readonly cluster?: OlricTestCluster;
}

/** Starts what a driver needs: nothing, or an Olric cluster of `TEST_OLRIC_NODES` members, 1 or 3. */
export async function startTestCache(driver: CacheDriverName): Promise<TestCache> {
  if (driver === "memory") return embedded;
  const cluster = await OlricTestCluster.start({ members: Deno.env.get("TEST_OLRIC_NODES") === "3" ? 3 : 1 });
  return {
    driver,
    config: { cache: { driver, olric: { addresses: cluster.addresses } } },
    cluster,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}

const embedded: TestCache = { driver: "memory", config: {}, [Symbol.asyncDispose]: () => Promise.resolve() };
