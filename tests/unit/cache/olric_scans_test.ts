import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import type { Scan } from "../../../services/cache/driver.ts";
import { OlricDriver, type OlricDriverOptions } from "../../../services/cache/olric/driver.ts";
import { CacheService } from "../../../services/cache/service.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { type Answer, entry, FakeOlric, SILENCE } from "./support/fake_olric.ts";

const REQUEST = { requestId: "test", clientAddress: "127.0.0.1", signal: new AbortController().signal };
const RULES = { maxValueBytes: 1_000, maxBytes: 0, maxScanKeys: 100_000, maxLockWaiters: 1, near: new Map() };
const NOTHING = new Error("KEYNOTFOUND key not found");
const utf8 = new TextEncoder();

const is = (code: ErrorCode) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  return true;
};

/** A member with a map in 271 partitions, which counts what it tells. */
class FakeMap implements Disposable {
  readonly member: FakeOlric;
  /** Names that were told, and keys that were looked at. */
  names = 0;
  looks = 0;
  /** Happens whenever a partition is asked. */
  onScan = () => {};
  /** What it says of a key that is looked at. */
  value: (key: string) => Answer = (key) => entry(key, "1");

  /** @param held keys of each partition; more of them are as empty as can be */
  constructor(readonly held: readonly (readonly string[])[]) {
    this.member = new FakeOlric(([name, first, key, cursor, , count]) => {
      if (name === "DM.GET") this.looks++;
      if (name !== "DM.SCAN") return this.value(key!);
      this.onScan();
      const all = held[Number(first)] ?? [], from = Number(cursor), end = from + Number(count);
      const told = all.slice(from, end);
      this.names += told.length;
      return [utf8.encode(end < all.length ? String(end) : "0"), told.map((key) => utf8.encode(key))];
    });
    this.member.partitions = 271;
  }

  /** So many keys in each partition. */
  static of(keys: number): FakeMap {
    return new FakeMap(Array.from({ length: 271 }, (_, i) => Array.from({ length: keys }, (_, j) => `${i}:${j}`)));
  }

  get scans(): number {
    return this.member.asked.filter(([name]) => name === "DM.SCAN").length;
  }

  async open(options: Partial<OlricDriverOptions> = {}) {
    const driver = await OlricDriver.open({ addresses: [this.member.address], timeout: 60_000, ...options });
    return Object.assign(driver, { [Symbol.asyncDispose]: () => driver.close() });
  }

  [Symbol.dispose](): void {
    this.member[Symbol.dispose]();
  }
}

const page = (driver: OlricDriver, scan: Partial<Scan> = {}, waiter: Pick<typeof REQUEST, "signal"> = REQUEST) =>
  driver.scan("ns", "m", { cursor: undefined, limit: 1_000, matches: undefined, ...scan }, waiter);

/** All keys of a map, page by page, with cursors as callers have them. */
async function walk(driver: OlricDriver, options: { readonly limit: number; readonly match?: string }) {
  const cache = new CacheService(driver, { rulesOf: () => RULES });
  const keys: string[] = [];
  let pages = 0;
  let cursor: string | undefined;
  do {
    const page = await cache.scan("ns", "m", { ...options, ...(cursor !== undefined && { cursor }) }, REQUEST);
    ok(page.keys.length <= options.limit);
    keys.push(...page.keys);
    cursor = page.cursor;
    pages++;
  } while (cursor !== undefined);
  return { keys: keys.sort(), pages };
}

for (const limit of [1, 5, 16, 100, 1_000]) {
  Deno.test(`a page of ${limit} of a hundred thousand keys is full, and no more is read for it`, async () => {
    using map = FakeMap.of(400);
    await using driver = await map.open();
    const { keys, cursor } = await page(driver, { limit });
    equal(new Set(keys).size, limit);
    ok(cursor !== undefined);
    ok(map.names <= limit + 8, `${map.names} names were told`);
    ok(map.looks <= limit + 8, `${map.looks} keys were looked at`);
    // Nothing goes on behind the page.
    await driver.get("ns", { map: "other", key: "k" }, REQUEST);
    ok(map.looks <= limit + 9, `${map.looks} keys were looked at`);
  });
}

for (const [keys, limit] of [[3, 7], [40, 1_000], [10, 100], [1, 3]] as const) {
  Deno.test(`all pages of ${limit} read each of ${keys} keys of a partition once, and give it once`, async () => {
    using map = FakeMap.of(keys);
    await using driver = await map.open();
    const walked = await walk(driver, { limit });
    deepEqual(walked.keys, map.held.flat().sort());
    equal(map.looks, keys * 271);
    ok(map.names <= keys * 271 + walked.pages * 8, `${map.names} names were told`);
    ok(walked.pages <= Math.ceil(keys * 271 / limit) * 1.1 + 1, `${walked.pages} pages`);
  });
}

Deno.test("partitions that have nothing are asked once, several together, also for a page of one", async () => {
  using map = new FakeMap([...Array.from({ length: 200 }, () => []), ["only"]]);
  await using driver = await map.open();
  const { keys, cursor } = await page(driver, { limit: 1 });
  deepEqual(keys, ["only"]);
  ok(map.scans <= 201 + 7, `${map.scans} partitions were asked`);
  deepEqual(await page(driver, { limit: 1, cursor }), { keys: [], cursor: undefined });
  equal(map.scans, 271);
});

Deno.test("keys of one partition alone, where somebody made them so, are all found, and none is read twice", async () => {
  using map = new FakeMap([[], Array.from({ length: 5_000 }, (_, i) => `k${i}`)]);
  await using driver = await map.open();
  const walked = await walk(driver, { limit: 900 });
  deepEqual(walked.keys, map.held.flat().sort());
  deepEqual([map.looks, map.names], [5_000, 5_000]);
});

Deno.test("a pattern that few keys match is looked for in large steps, and only what matches is looked at", async () => {
  using map = FakeMap.of(400);
  await using driver = await map.open();
  deepEqual(await page(driver, { limit: 1, matches: () => false }), { keys: [], cursor: undefined });
  deepEqual([map.looks, map.names], [0, 271 * 400]);
  ok(map.scans < 271 * 5, `${map.scans} questions`);
  const { keys } = await walk(driver, { limit: 10, match: ":399$" });
  deepEqual(keys, map.held.map((partition) => partition.at(-1)).sort());
  ok(map.looks <= 271 * 2, `${map.looks} keys were looked at`);
});

Deno.test("a page of which most is wanted after nothing was is not larger than its limit, and misses none", async () => {
  const plain = Array.from({ length: 200 }, (_, i) => `plain ${i}`);
  const wanted = (partition: number) => Array.from({ length: 200 }, (_, i) => `wanted ${partition} ${i}`);
  using map = new FakeMap(Array.from({ length: 60 }, (_, i) => i < 30 ? plain.map((key) => `${i} ${key}`) : wanted(i)));
  await using driver = await map.open();
  const { keys } = await walk(driver, { limit: 50, match: "^wanted" });
  deepEqual(keys, map.held.slice(30).flat().sort());
  ok(map.looks <= keys.length * 1.5, `${map.looks} keys were looked at`);
  ok(map.names <= map.held.flat().length * 3, `${map.names} names were told`);
});

Deno.test("keys that are not there any more take no room on a page", async () => {
  using map = FakeMap.of(20);
  map.value = (key) => key.endsWith("7") ? entry(key, "1") : NOTHING;
  await using driver = await map.open();
  const first = await page(driver, { limit: 100 });
  equal(first.keys.length, 100);
  const { keys } = await walk(driver, { limit: 100 });
  deepEqual(keys, map.held.flat().filter((key) => key.endsWith("7")).sort());
});

Deno.test("a page ends when its values are many bytes: what is read beyond them is no more than was under way", async () => {
  using map = FakeMap.of(4);
  const large = new Uint8Array(500_000).fill(32);
  map.value = (key) => entry(key, large);
  await using driver = await map.open();
  const { keys, cursor } = await page(driver);
  ok(cursor !== undefined && keys.length > 0);
  ok(map.looks <= 17 + 16, `${map.looks} values of 500 kB were read`);
  map.value = (key) => entry(key, "1");
  const rest: string[] = [];
  for (let next: string | undefined = cursor; next !== undefined;) {
    const more = await page(driver, { cursor: next });
    rest.push(...more.keys);
    next = more.cursor;
  }
  deepEqual([...keys, ...rest].sort(), map.held.flat().sort(), "each of them once");
});

Deno.test("small values before large ones do not make a page that reads all of the large ones", async () => {
  using map = FakeMap.of(200);
  const large = new Uint8Array(300_000).fill(32);
  map.value = (key) => entry(key, map.looks <= 300 ? "1" : large);
  await using driver = await map.open();
  const { keys, cursor } = await page(driver, { limit: 10_000 });
  ok(cursor !== undefined && keys.length > 0);
  ok(map.looks <= 300 + 28 + 16, `${map.looks - 300} values of 300 kB were read`);
});

Deno.test("after a failure nothing more is asked", async () => {
  using map = FakeMap.of(400);
  map.value = (key) => map.looks > 100 ? new Error("ERR out of order") : entry(key, "1");
  await using driver = await map.open();
  await rejects(page(driver), is("UNAVAILABLE"));
  const { scans } = map;
  map.value = (key) => entry(key, "1");
  // It goes behind whatever was under way, on the same connection.
  await page(driver, { limit: 1 });
  ok(map.looks <= 100 + 16 + 1, `${map.looks - 101} keys were looked at after the failure`);
  equal(map.scans, scans + 1);
});

Deno.test("a page whose caller left stops", async () => {
  using map = FakeMap.of(400);
  let ahead = 0;
  const leaving = new AbortController();
  map.value = (key) => {
    if (map.looks === 50) {
      ahead = 1_000;
      leaving.abort(new Error("left"));
    }
    return entry(key, "1");
  };
  await using driver = await map.open({ clock: { now: () => Date.now(), monotonic: () => performance.now() + ahead } });
  await rejects(page(driver, { limit: 50_000 }, leaving), /left/);
  ok(map.looks <= 50 + 16, `${map.looks} keys were looked at`);
});

Deno.test("a page ends when half of its time is over, with what it has, and the rest comes behind its cursor", async () => {
  using map = FakeMap.of(3);
  let ahead = 0;
  map.value = (key) => {
    if (map.looks === 100) ahead += 40_000;
    return entry(key, "1");
  };
  await using driver = await map.open({ clock: { now: () => Date.now(), monotonic: () => performance.now() + ahead } });
  const first = await page(driver);
  ok(first.keys.length > 0 && first.keys.length <= 116, `${first.keys.length} keys`);
  const second = await page(driver, { cursor: first.cursor });
  equal(second.cursor, undefined);
  deepEqual([...first.keys, ...second.keys].sort(), map.held.flat().sort());
});

Deno.test("a page that did not get on in half of its time is refused, and asks no more", async () => {
  using map = FakeMap.of(3);
  let ahead = 0;
  map.onScan = () => ahead = 40_000;
  await using driver = await map.open({ clock: { now: () => Date.now(), monotonic: () => performance.now() + ahead } });
  await rejects(page(driver), is("UNAVAILABLE"));
  deepEqual([map.scans, map.looks], [8, 0]);
});

Deno.test("somebody else is answered while a scan waits: it has connections of its own", async () => {
  using map = FakeMap.of(100);
  map.value = (key) => key === "k" ? entry("k", "2") : SILENCE;
  await using driver = await map.open({ timeout: 1_000 });
  const told = awaitedLater(rejects(page(driver), is("UNAVAILABLE")));
  await until("its keys are being looked at", () => map.looks >= 16);
  for (let i = 0; i < 20; i++) {
    deepEqual((await driver.get("ns", { map: "other", key: "k" }, REQUEST))?.value, { json: "2" });
  }
  await told;
});

Deno.test("however many scans there are, few of them ask at once, and those that wait too long are told", async () => {
  using map = FakeMap.of(100);
  map.value = () => SILENCE;
  await using driver = await map.open({ timeout: 400 });
  const pages = Array.from({ length: 100 }, () => page(driver));
  for (const done of await Promise.allSettled(pages)) ok(done.status === "rejected" && is("UNAVAILABLE")(done.reason));
  ok(map.scans <= 4 * 8, `${map.scans} partitions were asked`);
  ok(map.looks <= 4 * 16, `${map.looks} keys were looked at`);
});

Deno.test("scans that come together are served by turns: a short one is over before a long one before it", async () => {
  using map = FakeMap.of(100);
  await using driver = await map.open();
  const ended: string[] = [];
  const long = awaitedLater(
    Array.from({ length: 8 }, () => page(driver, { limit: 4_000 }).then(() => ended.push("long"))),
  );
  await until("the long ones are under way", () => map.looks > 0);
  await page(driver, { limit: 1 }).then(() => ended.push("short"));
  await Promise.all(long);
  equal(ended[0], "short");
});

Deno.test("who had a partition before is asked first, then its owner: what is on its way is given, what was deleted is not", async () => {
  const has = (keys: readonly string[], asked: string[], name: string) => (command: readonly string[]): Answer => {
    const [operation, partition, key, cursor] = command;
    if (operation !== "DM.SCAN") return key === "deleted" ? NOTHING : entry(key!, "1");
    asked.push(`${name} ${partition} ${cursor}`);
    const at = Number(cursor), told = partition === "2" ? keys.slice(at, at + 1) : [];
    const next = told.length > 0 && at + 1 < keys.length ? String(at + 1) : "0";
    return [utf8.encode(next), told.map((key) => utf8.encode(key))];
  };
  const asked: string[] = [];
  using former = new FakeOlric(has(["moves", "deleted", "moved"], asked, "former"));
  using owner = new FakeOlric(has(["moved", "new"], asked, "owner"));
  for (const one of [former, owner]) {
    one.members = [former.address, owner.address];
    one.owners = (partition) => partition === 2 ? [former.address, owner.address] : [owner.address];
  }
  const driver = await OlricDriver.open({ addresses: [owner.address], timeout: 60_000 });
  try {
    for (const limit of [1, 3, 100]) {
      asked.length = 0;
      const { keys } = await walk(driver, { limit });
      deepEqual([...new Set(keys)].sort(), ["moved", "moves", "new"], `limit ${limit}`);
      deepEqual(asked.filter((one) => one.includes(" 2 ")), [
        "former 2 0",
        "former 2 1",
        "former 2 2",
        "owner 2 0",
        "owner 2 1",
      ]);
    }
  } finally {
    await driver.close();
  }
});

Deno.test("a cursor with a partition twice, out of order, beyond the last, or without anything left is none", async () => {
  using map = FakeMap.of(400);
  await using driver = await map.open();
  const { cursor } = await page(driver, { limit: 100 });
  const [, unseen, positions] = /^(\d+):(.*)$/.exec(cursor!)!;
  const [first, second, ...others] = positions!.split(",");
  ok(second !== undefined, cursor ?? "");
  const odd = [
    `${unseen}:${first},${first}`,
    `${unseen}:${second},${first}`,
    `0:${positions}`,
    `272:${positions}`,
    "271:",
    `${unseen}:,`,
    `${unseen}:${first},`,
    `${unseen}`,
    `-1:${first}`,
    `${unseen}:${others.join()} `,
  ];
  const { scans } = map;
  for (const cursor of odd) await rejects(page(driver, { cursor }), is("INVALID_REQUEST"), cursor);
  equal(map.scans, scans);
  ok((await page(driver, { cursor, limit: 1 })).keys.length === 1);
});
