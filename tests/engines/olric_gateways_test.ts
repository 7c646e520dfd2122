import { deepEqual, equal, ok } from "node:assert/strict";
import { OlricDriver } from "../../services/cache/olric/driver.ts";
import { CacheService } from "../../services/cache/service.ts";
import type { CacheEntry } from "../../src/contracts/cache.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { json, REQUEST, RULES } from "../contracts/cache_drivers.ts";
import { engineTest } from "./support/engine_test.ts";
import { OlricTestCluster } from "./support/olric.ts";
import { until } from "./support/wait.ts";

const SHOP = "shop";
const at = (key: string) => ({ map: "m", key });

/** Gateways that share one cluster of three members. */
async function sharing(
  count: number,
  run: (gateways: readonly CacheService[], cluster: OlricTestCluster) => Promise<void>,
): Promise<void> {
  await using cluster = await OlricTestCluster.start({ members: 3, replicas: 2 });
  const gateways: CacheService[] = [];
  try {
    for (let i = 0; i < count; i++) {
      const driver = await OlricDriver.open({ addresses: cluster.addresses });
      gateways.push(new CacheService(driver, { rulesOf: () => RULES }));
    }
    await run(gateways, cluster);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.close()));
  }
}

const test = (name: string, count: number, run: Parameters<typeof sharing>[1]) =>
  engineTest(name, ["olric-server"], () => sharing(count, run));

/** Six callers, each of whom does every sixth of the work: two gateways have three each. */
const inTurns = (count: number, work: (i: number) => Promise<void>): Promise<unknown> =>
  Promise.all(
    Array.from({ length: 6 }, async (_, caller) => {
      for (let i = caller; i < count; i += 6) await work(i);
    }),
  );

/** The code of the error that it ends with; `undefined` where there is none. @throws any other error */
const failure = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(() => undefined, (error) => {
    if (error instanceof GatewayError) return error.code;
    throw error;
  });

const numberIn = (entry: CacheEntry | undefined) =>
  entry === undefined ? 0 : "json" in entry.value ? Number(entry.value.json) : NaN;

test("counts of two gateways are all in, and no two see the same sum", 2, async (gateways) => {
  const sums = await Promise.all(
    Array.from({ length: 400 }, async (_, i) => (await gateways[i % 2]!.increment(SHOP, at("n"), {}, REQUEST)).value),
  );
  deepEqual(sums.toSorted((a, b) => a - b), Array.from({ length: 400 }, (_, i) => i + 1));
});

test("each version is followed by one other: compare-and-set of two gateways", 2, async (gateways) => {
  await gateways[0]!.put(SHOP, at("n"), json(0), {}, REQUEST);
  let done = 0, refused = 0;
  const work = async (gateway: CacheService) => {
    for (let mine = 0; mine < 25;) {
      const found = await gateway.get(SHOP, at("n"), REQUEST);
      const condition = { version: found!.version };
      const code = await failure(
        Promise.resolve(gateway.put(SHOP, at("n"), json(numberIn(found) + 1), { condition }, REQUEST)),
      );
      if (code === undefined) mine++, done++;
      else equal(code, "PRECONDITION_FAILED"), refused++;
    }
  };
  await Promise.all([...gateways, ...gateways].map(work));
  equal(done, 100);
  ok(refused > 0, "some met");
  equal(numberIn(await gateways[1]!.get(SHOP, at("n"), REQUEST)), 100);
});

test(
  "of all who write where nothing is, through whichever gateway, one wins, and its value is there",
  2,
  async (gateways) => {
    for (let round = 0; round < 30; round++) {
      const key = `nx${round}`;
      const codes = await Promise.all(
        Array.from({ length: 16 }, (_, i) => {
          const put = gateways[i % 2]!.put(SHOP, at(key), json(i), { condition: "absent" }, REQUEST);
          return failure(Promise.resolve(put));
        }),
      );
      deepEqual(codes.toSorted(), [...new Array(15).fill("PRECONDITION_FAILED"), undefined]);
      const winner = codes.indexOf(undefined);
      for (const gateway of gateways) equal(numberIn(await gateway.get(SHOP, at(key), REQUEST)), winner);
    }
  },
);

test(
  "who writes where something is finds it through either gateway, and nothing where it was deleted",
  2,
  async (gateways) => {
    const replace = (i: number, key: string, value: number) =>
      failure(
        Promise.resolve(gateways[i % 2]!.put(SHOP, at(key), json(value), { condition: "present" }, REQUEST)),
      );
    for (let round = 0; round < 20; round++) {
      const key = `xx${round}`, all = Array.from({ length: 8 }, (_, i) => i);
      const early = await Promise.all(all.map((i) => replace(i, key, i)));
      deepEqual([...new Set(early)], ["PRECONDITION_FAILED"]);
      equal(await gateways[1]!.get(SHOP, at(key), REQUEST), undefined);
      await gateways[0]!.put(SHOP, at(key), json(-1), {}, REQUEST);
      deepEqual([...new Set(await Promise.all(all.map((i) => replace(i, key, i))))], [undefined]);
      const last = numberIn(await gateways[round % 2]!.get(SHOP, at(key), REQUEST));
      ok(all.includes(last), String(last));
      // One is deleted in the midst of it: who comes later is refused, and it stays away.
      const [, ...codes] = await Promise.all([
        gateways[round % 2]!.delete(SHOP, at(key), undefined, REQUEST),
        ...all.map((i) => replace(i, key, i)),
      ]);
      for (const code of codes) ok(code === undefined || code === "PRECONDITION_FAILED", code ?? "");
      for (const gateway of gateways) equal(await gateway.get(SHOP, at(key), REQUEST), undefined);
    }
  },
);

test(
  "what is swapped out by one is what another put in: each value comes out once, through whichever gateway",
  2,
  async (gateways) => {
    const COUNT = 60, found: number[] = [];
    await inTurns(COUNT, async (i) => {
      const before = await gateways[i % 2]!.swap(SHOP, at("s"), json(i), undefined, REQUEST);
      found.push(before === undefined ? -1 : numberIn(before));
    });
    const last = numberIn(await gateways[0]!.get(SHOP, at("s"), REQUEST));
    deepEqual([...found, last].toSorted((a, b) => a - b), Array.from({ length: COUNT + 1 }, (_, i) => i - 1));
  },
);

test("counts of fractions by two gateways are all in, and no two see the same sum", 2, async (gateways) => {
  // Sums of quarters are exact.
  const by = (i: number) => [0.25, 0.5, 1.75][i % 3]!;
  const COUNT = 60, sums: number[] = [];
  await inTurns(COUNT, async (i) => {
    sums.push((await gateways[i % 2]!.increment(SHOP, at("f"), { by: by(i) }, REQUEST)).value);
  });
  const whole = Array.from({ length: COUNT }, (_, i) => by(i)).reduce((sum, one) => sum + one, 0);
  equal(new Set(sums).size, COUNT);
  equal(Math.max(...sums), whole);
  const sorted = sums.toSorted((a, b) => a - b);
  for (const [i, sum] of sorted.entries()) ok([0.25, 0.5, 1.75].includes(sum - (sorted[i - 1] ?? 0)), sorted.join(" "));
  for (const gateway of gateways) equal(numberIn(await gateway.get(SHOP, at("f"), REQUEST)), whole);
});

test(
  "a lock has one holder at a time on two gateways, each with a larger number than all before",
  2,
  async (gateways) => {
    let holders = 0;
    const numbers: number[] = [];
    const work = async (gateway: CacheService) => {
      for (let i = 0; i < 8; i++) {
        const lease = await gateway.lock(SHOP, at("l"), { lease: 10_000, wait: 60_000 }, REQUEST);
        equal(++holders, 1);
        numbers.push(lease.fencing);
        await gateway.get(SHOP, at("l"), REQUEST);
        holders--;
        await gateway.unlock(SHOP, at("l"), lease.token, REQUEST);
      }
    };
    await Promise.all([...gateways, ...gateways].map(work));
    equal(numbers.length, 32);
    ok(numbers.every((number, i) => i === 0 || number > numbers[i - 1]!), numbers.join(" "));
  },
);

test(
  "when one of three members is killed, nothing is lost or wrong, and all answers come back",
  1,
  async (gateways, cluster) => {
    const [gateway] = gateways as [CacheService];
    const KEYS = 300;
    for (let i = 0; i < KEYS; i++) await gateway.put(SHOP, at(`k${i}`), json(i), {}, REQUEST);
    await cluster.nodes[2]!.kill();
    const killed = performance.now();
    let unavailable = 0;
    await until("every entry is there", async () => {
      for (let i = 0; i < KEYS; i += 20) {
        const found = await Promise.all(
          Array.from({ length: 20 }, (_, n) =>
            Promise.resolve(gateway.get(SHOP, at(`k${i + n}`), REQUEST)).then(
              (entry) => numberIn(entry) === i + n,
              (error) => {
                if (!(error instanceof GatewayError && error.code === "UNAVAILABLE")) throw error;
                unavailable++;
                return undefined;
              },
            )),
        );
        // An entry that is there may be out of reach for a while; it is never another one, or nothing.
        ok(!found.includes(false), `wrong answer among k${i} to k${i + 19}`);
        if (found.includes(undefined)) return false;
      }
      return true;
    });
    const seconds = ((performance.now() - killed) / 1000).toFixed(1);
    await Deno.stdout.write(
      new TextEncoder().encode(
        `all entries there ${seconds} s after the kill; ${unavailable} reads were UNAVAILABLE\n`,
      ),
    );
    await until("writes go on", async () => {
      const codes = await Promise.all(
        Array.from(
          { length: 60 },
          (_, i) => failure(Promise.resolve(gateway.put(SHOP, at(`k${i}`), json(i), {}, REQUEST))),
        ),
      );
      return codes.every((code) => code === undefined);
    });
  },
);

test("with no member left everything is UNAVAILABLE soon, and comes back with them", 1, async (gateways, cluster) => {
  const [gateway] = gateways as [CacheService];
  await gateway.put(SHOP, at("k"), json(1), {}, REQUEST);
  for (const node of cluster.nodes) await node.kill();
  const works: readonly (() => unknown)[] = [
    () => gateway.get(SHOP, at("k"), REQUEST),
    () => gateway.put(SHOP, at("k"), json(2), {}, REQUEST),
    () => gateway.delete(SHOP, at("k"), undefined, REQUEST),
    () => gateway.increment(SHOP, at("n"), {}, REQUEST),
    () => gateway.scan(SHOP, "m", {}, REQUEST),
    () => gateway.maps(SHOP, REQUEST),
    () => gateway.lock(SHOP, at("l"), { lease: 1_000 }, REQUEST),
  ];
  for (const work of works) equal(await failure(Promise.resolve().then(work)), "UNAVAILABLE");
  equal((await gateway.health(REQUEST.signal)).status, "down");
  for (const node of cluster.nodes) await node.start();
  await cluster.ready();
  await until(
    "it works again",
    async () =>
      (await failure(Promise.resolve().then(() => gateway.put(SHOP, at("k"), json(3), {}, REQUEST)))) === undefined,
    30_000,
  );
  equal(numberIn(await gateway.get(SHOP, at("k"), REQUEST)), 3);
});
