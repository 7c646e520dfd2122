import { deepEqual, equal, match, ok } from "node:assert/strict";
import { NearDriver } from "../../services/cache/near/driver.ts";
import { OlricDriver } from "../../services/cache/olric/driver.ts";
import { CacheService } from "../../services/cache/service.ts";
import { openCache } from "../../src/cache_drivers.ts";
import type { CacheEntry } from "../../src/contracts/cache.ts";
import { json, REQUEST, RULES } from "../contracts/cache_drivers.ts";
import { signIn, uniqueName } from "../support/accounts.ts";
import { awaitedLater } from "../support/awaited_later.ts";
import { CacheCaller } from "../support/cache.ts";
import { TestGateway } from "../support/gateway.ts";
import { databaseOn } from "../support/test_database.ts";
import { ethereumWallet } from "../support/wallet.ts";
import { FakeClock } from "../unit/cache/support/fake_clock.ts";
import { engineTest } from "./support/engine_test.ts";
import { until } from "./support/wait.ts";

const SHOP = "shop", USERS = "users", LIFE = 1_000;
const at = (key: string) => ({ map: USERS, key });
const numberIn = (entry: CacheEntry | undefined) => entry && "json" in entry.value && Number(entry.value.json);

/** A gateway with a near cache whose clock the test has. */
async function nearGateway(addresses: readonly string[]) {
  const clock = new FakeClock(Date.now());
  const driver = await OlricDriver.open({ addresses });
  const lives = new Map([[USERS, LIFE]]);
  const near = new NearDriver({ driver, maxBytes: 2 ** 20, livesOf: () => lives, clock });
  const cache = new CacheService(near, { rulesOf: () => RULES });
  return {
    clock,
    cache,
    near,
    number: async (key: string) => numberIn(await cache.get(SHOP, at(key), REQUEST)),
    [Symbol.asyncDispose]: () => cache.close(),
  };
}

engineTest(
  "what one gateway writes it reads at once, and another no later than a copy lives",
  ["olric-server"],
  async (engines) => {
    const { addresses } = await engines.olric({ members: 1 });
    await using one = await nearGateway(addresses);
    await using other = await nearGateway(addresses);
    const writes: readonly (readonly [what: string, write: () => unknown, after: number | undefined])[] = [
      ["put", () => one.cache.put(SHOP, at("a"), json(2), {}, REQUEST), 2],
      ["getset", () => one.cache.swap(SHOP, at("a"), json(3), undefined, REQUEST), 3],
      ["incr", () => one.cache.increment(SHOP, at("a"), {}, REQUEST), 2],
      ["mput", () => one.cache.putMany(SHOP, USERS, [{ key: "a", value: json(5) }], undefined, REQUEST), 5],
      ["delete", () => one.cache.delete(SHOP, at("a"), undefined, REQUEST), undefined],
      ["drop", () => one.cache.drop(SHOP, USERS, REQUEST), undefined],
    ];
    for (const [what, write, after] of writes) {
      await one.cache.put(SHOP, at("a"), json(1), {}, REQUEST);
      other.clock.pass(LIFE);
      deepEqual([await one.number("a"), await other.number("a")], [1, 1], what);
      await write();
      equal(await one.number("a"), after, `${what}: here at once`);
      equal(await other.number("a"), 1, `${what}: there a copy`);
      other.clock.pass(LIFE - 1);
      equal(await other.number("a"), 1, `${what}: to its end`);
      other.clock.pass(1);
      equal(await other.number("a"), after, `${what}: and no longer`);
    }
    const { hits, misses } = other.near.near();
    deepEqual([hits, misses], [2 * writes.length, 2 * writes.length]);
  },
);

engineTest(
  "through one gateway with a near cache readers never go back behind a write that was answered",
  ["olric-server"],
  async (engines) => {
    const { addresses } = await engines.olric({ members: 1 });
    await using gateway = await nearGateway(addresses);
    let written = 0, over = false, seen = 0;
    const reader = async () => {
      while (!over) {
        const least = written;
        const value = await gateway.number("n") || 0;
        ok(value >= least, `${value} after ${least} was written`);
        if (value > 0) seen++;
        // A hit is no reason for the event loop to turn.
        if (seen % 50 === 0) await new Promise((resolve) => setTimeout(resolve));
      }
    };
    const readers = awaitedLater(Promise.all(Array.from({ length: 8 }, reader)));
    for (let i = 1; i <= 500; i++) {
      await gateway.cache.put(SHOP, at("n"), json(i), {}, REQUEST);
      written = i;
      if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
    over = true;
    await readers;
    const { hits, misses } = gateway.near.near();
    ok(hits > 0 && misses > 0, `${hits} hits, ${misses} misses`);
  },
);

engineTest(
  "copies of a namespace go when the gateway hears that it is gone, and when other rules hold",
  ["olric-server"],
  async (engines) => {
    const { addresses } = await engines.olric({ members: 1 });
    let near = new Map([[USERS, 3_600_000]]);
    const heard: ((namespace: string) => void)[] = [];
    const olric = { addresses, password: undefined, connections: 1, request_timeout: 2_000 };
    const bounds = { memory: { max_bytes: 0 }, near: { max_bytes: 2 ** 20, max_ttl: 5_000 } };
    const { cache } = await openCache({ driver: "olric", olric, ...bounds }, {
      rulesOf: () => ({ ...RULES, near }),
      onNamespaceGone: (tell) => heard.push(tell),
      timed: (engine) => engine,
    });
    await using other = await nearGateway(addresses);
    try {
      const number = async () => numberIn(await cache.get(SHOP, at("a"), REQUEST));
      const writeElsewhere = (value: number) => other.cache.put(SHOP, at("a"), json(value), {}, REQUEST);
      await writeElsewhere(1);
      equal(await number(), 1);
      await writeElsewhere(2);
      equal(await number(), 1);
      for (const tell of heard) tell("cafe");
      equal(await number(), 1);
      for (const tell of heard) tell(SHOP);
      equal(await number(), 2);
      await writeElsewhere(3);
      equal(await number(), 2);
      near = new Map(near);
      equal(await number(), 3);
    } finally {
      await cache.close();
    }
  },
);

engineTest(
  "an owner's near cache holds from the answer on, for plain reads alone, until it is taken back",
  ["olric-server"],
  async (engines) => {
    const { addresses } = await engines.olric({ members: 1 });
    const config = { cache: { driver: "olric", olric: { addresses }, near: { max_ttl: "1h" } } };
    await using gateway = await TestGateway.start({ driver: "sqlite", cacheDriver: "memory", config });
    const elsewhere = await OlricDriver.open({ addresses });
    try {
      const namespace = uniqueName();
      const { accessToken: token, apiKey: key } = await signIn(gateway, ethereumWallet(), namespace);
      const cache = new CacheCaller(gateway, { key });
      const operator = (await gateway.makeKey("--operator")).key;
      const writeElsewhere = (value: number, map = USERS) =>
        elsewhere.put(namespace, { map, key: "a" }, json(value), {}, REQUEST);
      const set = async (near: unknown) =>
        (await gateway.call("PATCH", `/v1/namespaces/${namespace}/settings`, { token, body: { cache: { near } } }))
          .expect(200);
      const figure = async (name: string) => {
        const { text } = (await gateway.call("GET", "/metrics", { key: operator })).expect(200);
        return Number(new RegExp(`^cache_near_${name} (\\d+)$`, "m").exec(text)?.[1]);
      };

      await cache.put(USERS, "a", 1);
      equal(await cache.value(USERS, "a"), 1);
      await writeElsewhere(2);
      equal(await cache.value(USERS, "a"), 2, "there is none unless the owner says so");
      deepEqual([await figure("hits_total"), await figure("misses_total")], [0, 0]);

      const answer = await set([{ dmap: USERS, ttl: "1h" }]);
      deepEqual(answer.get("effective.cache.near"), [{ dmap: USERS, ttl: 3_600_000 }]);
      const held = await cache.get(USERS, "a");
      await writeElsewhere(3);
      deepEqual((await cache.get(USERS, "a")).body, held.body, "as it was, with its version");
      deepEqual((await cache.call("mget", { dmap: USERS, keys: ["a", "b"] })).get("results.0.value"), 2);
      const raw = await cache.raw("GET", [USERS, "a"]);
      equal(raw.text, "2");
      const stale = raw.headers.get("etag")!;
      equal((await cache.raw("GET", [USERS, "a"], { headers: { "if-none-match": stale } })).status, 304);
      deepEqual([await figure("hits_total"), await figure("misses_total")], [4, 2]);
      ok(await figure("entries") === 1 && await figure("bytes") > 0);

      // What decides a write, or comes of one, is asked for.
      equal((await cache.raw("GET", [USERS, "a"], { headers: { "if-match": stale } })).status, 412);
      const headers = { "if-match": `${stale}, "0"` };
      equal((await cache.raw("PUT", [USERS, "a"], { raw: "4", headers })).status, 412);
      equal(await cache.value(USERS, "a"), 3, "who was refused reads what is there");
      await elsewhere.expire(namespace, { map: USERS, key: "a" }, 3_600_000, REQUEST);
      ok(Number((await cache.call("ttl", { dmap: USERS, key: "a" })).get("ttl_ms")) > 3_000_000);
      await cache.value(USERS, "a");
      await elsewhere.delete(namespace, { map: USERS, key: "a" }, undefined, REQUEST);
      equal(await cache.value(USERS, "a"), 3);
      equal((await cache.raw("DELETE", [USERS, "a"], { headers: { "if-none-match": '"0"' } })).status, 404);
      (await cache.get(USERS, "a")).expect(404);
      await writeElsewhere(5);
      equal(await cache.value(USERS, "a"), 5, "a miss is asked for each time");

      await writeElsewhere(6, "other");
      equal(await cache.value("other", "a"), 6);
      await writeElsewhere(7, "other");
      equal(await cache.value("other", "a"), 7, "other maps have none");
      equal((await cache.call("incr", { dmap: USERS, key: "a" })).get("value"), 6);
      equal(await cache.value(USERS, "a"), 6);

      await writeElsewhere(8);
      equal(await cache.value(USERS, "a"), 6);
      await set(null);
      equal(await cache.value(USERS, "a"), 8, "from the answer on there is none");
      await set([{ dmap: USERS, ttl: 3_600_000 }]);
      equal(await cache.value(USERS, "a"), 8);

      (await gateway.call("DELETE", `/v1/namespaces/${namespace}`, { token })).expect(200);
      const heir = ethereumWallet();
      let next: Awaited<ReturnType<typeof signIn>> | undefined;
      await until("the name is free", async () => {
        next = await signIn(gateway, heir, namespace).catch(() => undefined);
        return next !== undefined;
      });
      const path = `/v1/namespaces/${namespace}/settings`;
      const body = { cache: { near: [{ dmap: USERS, ttl: "1h" }] } };
      (await gateway.call("PATCH", path, { token: next!.accessToken, body })).expect(200);
      const heirs = new CacheCaller(gateway, { key: next!.apiKey });
      (await heirs.get(USERS, "a")).expect(404);
      match((await heirs.call("mget", { dmap: USERS, keys: ["a"] })).text, /"results":\[\]/);
    } finally {
      await elsewhere.close();
    }
  },
);

engineTest(
  "what one gateway writes another that it is linked with reads at once, however long copies may live",
  ["olric-server", "rqlited"],
  async (engines) => {
    const [{ addresses }, control, tenant] = await Promise.all([
      engines.olric({ members: 1 }),
      engines.rqlite({ nodes: 1 }),
      engines.rqlite({ nodes: 1 }),
    ]);
    await using database = await databaseOn(control, [tenant]);
    const config = {
      pubsub: { driver: "libp2p" },
      cache: { driver: "olric", olric: { addresses }, near: { max_ttl: "1h" } },
    };
    const start = () => TestGateway.start({ driver: "rqlite", cacheDriver: "memory", database, config });
    await using one = await start();
    await using other = await start();
    for (const gateway of [one, other]) {
      await until("they are linked", async () => {
        const details = (await gateway.call("GET", "/v1/status")).expect(200).get("services.pubsub.details");
        return (details as { linked: number }).linked === 1;
      });
    }
    const namespace = uniqueName();
    const { accessToken: token, apiKey: key } = await signIn(one, ethereumWallet(), namespace);
    const body = { cache: { near: [{ dmap: USERS, ttl: "1h" }] } };
    (await one.call("PATCH", `/v1/namespaces/${namespace}/settings`, { token, body })).expect(200);
    const [here, there] = [new CacheCaller(one, { key }), new CacheCaller(other, { key })];
    const hits = async () => {
      const { text } = (await other.call("GET", "/metrics", { key: operator })).expect(200);
      return Number(/^cache_near_hits_total (\d+)$/m.exec(text)?.[1]);
    };
    const operator = (await other.makeKey("--operator")).key;
    await here.put(USERS, "a", 0);
    await until("copies are held there", async () => {
      await there.value(USERS, "a");
      return await hits() > 0;
    });
    for (let n = 1; n <= 20; n++) {
      await here.put(USERS, "a", n);
      await until("it is read there", async () => await there.value(USERS, "a") === n);
    }
    (await here.call("delete", { dmap: USERS, key: "a" })).expect(200);
    await until("it is gone there", async () => (await there.get(USERS, "a")).status === 404);
  },
);
