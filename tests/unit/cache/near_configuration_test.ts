import { deepEqual, equal } from "node:assert/strict";
import { nearDefaults, openCache } from "../../../src/cache_drivers.ts";
import { RULES } from "../../contracts/cache_drivers.ts";

const configOf = (driver: "memory" | "olric", max_bytes: number) => ({
  driver,
  memory: { max_bytes: 2 ** 20 },
  olric: { addresses: ["127.0.0.1:1"], password: undefined, connections: 1, request_timeout: 1_000 },
  near: { max_bytes, max_ttl: 5_000 },
});

Deno.test("what is on Olric has a near cache unless the operator gives it no memory; what is in memory has none", async () => {
  for (
    const [driver, bytes, available] of [
      ["olric", 1_000, true],
      ["olric", 0, false],
      ["memory", 1_000, false],
    ] as const
  ) {
    const config = configOf(driver, bytes);
    deepEqual(nearDefaults(config), { max_ttl: 5_000, available });
    const { cache } = await openCache(config, {
      rulesOf: () => RULES,
      onNamespaceGone: () => {},
      timed: (engine) => engine,
    });
    equal(cache.statistics().near !== undefined, available, `${driver} with ${bytes} bytes`);
    await cache.close();
  }
});
