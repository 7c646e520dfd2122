import { Buffer } from "node:buffer";
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { Redis } from "ioredis";
import { OlricDriver } from "../../services/cache/olric/driver.ts";
import { mapName } from "../../services/cache/olric/encoding.ts";
import type { CacheValue } from "../../src/contracts/cache.ts";
import { type ErrorCode, GatewayError } from "../../src/contracts/errors.ts";
import { engineTest } from "./support/engine_test.ts";
import type { OlricStart, OlricTestCluster } from "./support/olric.ts";
import { until } from "./support/wait.ts";

const WAITER = { signal: new AbortController().signal };
const NS = "shop", MAP = "carts";
const at = (key: string) => ({ map: MAP, key });
const json = (value: unknown): CacheValue => ({ json: JSON.stringify(value) });
const is = (code: ErrorCode) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  return true;
};

/** Some other program on the cluster: it knows nothing of the driver. */
class Other {
  readonly #redis: Redis;

  constructor({ nodes: [node] }: OlricTestCluster, password?: string) {
    const [host, port] = node!.address.split(":") as [string, string];
    const plain = { protocol: 2, enableReadyCheck: false, disableClientInfo: true } as const;
    this.#redis = new Redis({ ...plain, host, port: Number(port), ...(password !== undefined && { password }) });
  }

  async ask(command: string, ...args: (string | Buffer)[]): Promise<string> {
    return String(await this.#redis.call(command, ...args));
  }

  [Symbol.dispose](): void {
    this.#redis.disconnect();
  }
}

function driverTest(
  name: string,
  run: (driver: OlricDriver, cluster: OlricTestCluster) => Promise<void>,
  starts: readonly OlricStart[] = [{ members: 1 }, { members: 3 }],
): void {
  for (const start of starts) {
    engineTest(`${start.members} of Olric: ${name}`, ["olric-server"], async (engines) => {
      const cluster = await engines.olric(start);
      const { password } = start;
      const driver = await OlricDriver.open({ addresses: cluster.addresses, password });
      try {
        await run(driver, cluster);
      } finally {
        await driver.close();
      }
    });
  }
}

driverTest(
  "what another program stored as text is read, and what is stored can be read by it",
  async (driver, cluster) => {
    using other = new Other(cluster);
    const map = mapName(NS, "d", MAP);
    await other.ask("DM.PUT", map, "text", "hello");
    await other.ask("DM.PUT", map, "json", '{"a":[1.50]}');
    await other.ask("DM.PUT", map, "bytes", Buffer.from([0xff, 0, 0xfe]));
    await other.ask("DM.PUT", map, "count", "41");
    deepEqual((await driver.get(NS, at("text"), WAITER))?.value, { json: '"hello"' });
    deepEqual((await driver.get(NS, at("json"), WAITER))?.value, { json: '{"a":[1.50]}' });
    deepEqual((await driver.get(NS, at("bytes"), WAITER))?.value, {
      bytes: Uint8Array.of(0xff, 0, 0xfe),
      type: "application/octet-stream",
    });
    equal((await driver.increment(NS, at("count"), { by: 1, initial: 0, ttl: undefined }, WAITER)).value, 42);
    await driver.put(NS, at("ours"), json({ b: "é" }), {}, WAITER);
    equal(await other.ask("DM.GET", map, "ours"), '{"b":"é"}');
  },
);

driverTest("keys are characters and no commands: options, patterns, line ends and NUL", async (driver) => {
  const keys = [
    "NX",
    "EX",
    "RW",
    "RC",
    "MATCH",
    "\r\nDM.DESTROY x\r\n",
    "*1\r\n$4\r\nPING\r\n",
    "\0",
    "\0\0",
    "$-1",
    " ",
    "é",
    "e\u0301",
  ];
  await driver.putMany(NS, MAP, keys.map((key) => ({ key, value: json(key) })), undefined, WAITER);
  const found = await driver.getMany(NS, MAP, keys, WAITER);
  deepEqual(found.map((one) => one?.value), keys.map((key) => json(key)));
  const { keys: scanned } = await driver.scan(NS, MAP, { cursor: undefined, limit: 100, matches: undefined }, WAITER);
  deepEqual([...scanned].sort(), [...keys].sort());
  equal(await driver.deleteMany(NS, MAP, keys, WAITER), keys.length);
});

driverTest(
  "a value beyond the tables of the members is refused and leaves what was there; sizes around it end nobody",
  async (driver) => {
    await driver.put(NS, at("big"), json("small"), {}, WAITER);
    const large = (length: number): CacheValue => ({ json: `"${"x".repeat(length - 2)}"` });
    for (let length = 65_536 - 40; length <= 65_536 - 26; length++) {
      const written = driver.put(NS, at("big"), large(length), {}, WAITER);
      await written.catch((error) => ok(is("BODY_TOO_LARGE")(error)));
    }
    const bytes = { bytes: new Uint8Array(70_000), type: "a/b" };
    await driver.put(NS, at("kept"), json(1), {}, WAITER);
    for (const value of [large(65_537), large(200_000), bytes]) {
      await rejects(driver.put(NS, at("kept"), value, {}, WAITER), is("BODY_TOO_LARGE"));
      await rejects(driver.put(NS, at("kept"), value, { versioned: true }, WAITER), is("BODY_TOO_LARGE"));
      await rejects(driver.put(NS, at("new"), value, { condition: "absent" }, WAITER), is("BODY_TOO_LARGE"));
      await rejects(driver.swap(NS, at("kept"), value, undefined, WAITER), is("BODY_TOO_LARGE"));
    }
    deepEqual((await driver.get(NS, at("kept"), WAITER))?.value, json(1));
    equal((await driver.health(WAITER.signal)).status, "ok");
  },
  [{ members: 1, tableSize: 65_536 }, { members: 3, tableSize: 65_536 }],
);

driverTest("an older version of a large entry does not come up when the entry is deleted", async (driver) => {
  const large = (letter: string): CacheValue => ({ json: `"${letter.repeat(200_000)}"` });
  for (const version of [undefined, "last"]) {
    // Two of them fill a table, so these are in several.
    let last: string | undefined;
    for (const letter of "abcde") {
      last = (await driver.put(NS, at("k"), large(letter), { versioned: true }, WAITER)).version;
    }
    equal(await driver.delete(NS, at("k"), version && last, WAITER), true);
    equal(await driver.get(NS, at("k"), WAITER), undefined);
    equal(await driver.delete(NS, at("k"), undefined, WAITER), false);
  }
});

driverTest("an entry whose time was changed keeps its value, on every member", async (driver, cluster) => {
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
  await driver.putMany(NS, MAP, keys.map((key) => ({ key, value: json(key) })), 5_000, WAITER);
  for (const key of keys) equal(await driver.expire(NS, at(key), 60_000, WAITER), true);
  for (const key of keys) equal(await driver.expire(NS, at(key), undefined, WAITER), true);
  for (const address of cluster.addresses) {
    const one = await OlricDriver.open({ addresses: [address] });
    for (const key of keys) {
      const found = await one.get(NS, at(key), WAITER);
      deepEqual([found?.value, found?.expiresAt], [json(key), undefined]);
    }
    await one.close();
  }
});

driverTest(
  "a lock can be held on for as long as its holder likes, and is free at once when it is freed",
  async (driver) => {
    const lease = await driver.tryLock(NS, at("lock"), 2_000, WAITER);
    for (let i = 0; i < 20; i++) {
      const { expiresAt } = await driver.renew(NS, at("lock"), lease!.token, 60_000, WAITER);
      ok(expiresAt > Date.now() + 50_000);
      equal(await driver.tryLock(NS, at("lock"), 1_000, WAITER), undefined);
    }
    await driver.unlock(NS, at("lock"), lease!.token, WAITER);
    const next = await driver.tryLock(NS, at("lock"), 1_000, WAITER);
    ok(next!.fencing > lease!.fencing);
    await rejects(driver.renew(NS, at("lock"), lease!.token, 1_000, WAITER), is("LOCK_LOST"));
    await rejects(driver.unlock(NS, at("lock"), lease!.token, WAITER), is("LOCK_LOST"));
    await driver.unlock(NS, at("lock"), next!.token, WAITER);
  },
);

driverTest("a lease that is over is given to the next, and its old holder is told", async (driver) => {
  const lease = await driver.tryLock(NS, at("short"), 60, WAITER);
  let next: Awaited<ReturnType<typeof driver.tryLock>>;
  await until("it is free", async () => (next = await driver.tryLock(NS, at("short"), 5_000, WAITER)) !== undefined);
  ok(Date.now() >= lease!.expiresAt - 20);
  ok(next!.fencing > lease!.fencing);
  await rejects(driver.unlock(NS, at("short"), lease!.token, WAITER), is("LOCK_LOST"));
});

driverTest("a scan meets every key of many, page by page, and none whose time is over", async (driver) => {
  const keys = Array.from({ length: 1_500 }, (_, i) => `key:${i}`);
  await driver.putMany(NS, MAP, keys.map((key) => ({ key, value: json(1) })), undefined, WAITER);
  await driver.putMany(NS, MAP, keys.slice(0, 200).map((key) => ({ key: `old ${key}`, value: json(1) })), 1, WAITER);
  const found: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await driver.scan(NS, MAP, { cursor, limit: 100, matches: (key) => /\d$/.test(key) }, WAITER);
    ok(page.keys.length <= 100);
    found.push(...page.keys);
    cursor = page.cursor;
  } while (cursor !== undefined);
  deepEqual([...new Set(found)].sort(), keys.sort());
});

driverTest(
  "namespaces never meet, whatever their maps are called; a purge leaves nothing of one and all of the other",
  async (driver) => {
    const spaces = ["a", "ab", "a/d", "a/d/b", "1:a"];
    for (const space of spaces) {
      for (const map of ["b", "/b", "d/b", "a/d/b"]) {
        await driver.put(
          space,
          { map, key: "k" },
          json([space, map]),
          {},
          WAITER,
        );
      }
      ok(await driver.tryLock(space, at("lock"), 60_000, WAITER));
    }
    for (const space of spaces) {
      deepEqual((await driver.maps(space)).map(({ name, keys }) => [name, keys]), [["/b", 1], ["a/d/b", 1], ["b", 1], [
        "d/b",
        1,
      ]]);
      deepEqual((await driver.get(space, { map: "b", key: "k" }, WAITER))?.value, json([space, "b"]));
    }
    await driver.purge("a", WAITER.signal);
    deepEqual(await driver.usage("a"), { cache_bytes: 0, cache_keys: 0 });
    ok(await driver.tryLock("a", at("lock"), 1_000, WAITER), "its locks are free");
    for (const space of spaces.slice(1)) {
      equal((await driver.usage(space)).cache_keys, 4);
      equal(await driver.tryLock(space, at("lock"), 1_000, WAITER), undefined);
    }
    await driver.drop("ab", "b", WAITER);
    equal((await driver.usage("ab")).cache_keys, 3);
    equal(await driver.tryLock("ab", at("lock"), 1_000, WAITER), undefined, "its locks stay");
  },
);

driverTest("a cluster with a password is used with it alone", async (driver, cluster) => {
  await driver.put(NS, at("k"), json(1), {}, WAITER);
  const without = await OlricDriver.open({ addresses: cluster.addresses });
  await rejects(without.get(NS, at("k"), WAITER), is("UNAVAILABLE"));
  equal((await without.health(WAITER.signal)).status, "down");
  await without.close();
  const wrong = await OlricDriver.open({ addresses: cluster.addresses, password: "wrong" });
  await rejects(wrong.get(NS, at("k"), WAITER), is("UNAVAILABLE"));
  await wrong.close();
}, [{ members: 1, password: "secret" }]);

driverTest("a password that nobody asks for is no failure", async (_, cluster) => {
  const driver = await OlricDriver.open({ addresses: cluster.addresses, password: "needless" });
  await driver.put(NS, at("k"), json(1), {}, WAITER);
  await driver.close();
}, [{ members: 1 }]);

driverTest("every key is asked of the member that has it, whichever member is configured", async (driver, cluster) => {
  const one = await OlricDriver.open({ addresses: [cluster.addresses[2]!] });
  await one.putMany(
    NS,
    MAP,
    Array.from({ length: 300 }, (_, i) => ({ key: `k${i}`, value: json(i) })),
    undefined,
    WAITER,
  );
  const found = await driver.getMany(NS, MAP, Array.from({ length: 300 }, (_, i) => `k${i}`), WAITER);
  deepEqual(found.map((entry) => entry?.value), Array.from({ length: 300 }, (_, i) => json(i)));
  deepEqual((await one.health(WAITER.signal)).details, { members: 3, reachable: 3 });
  await one.close();
}, [{ members: 3 }]);
