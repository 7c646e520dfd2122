import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { OlricDriver, type OlricDriverOptions } from "../../../services/cache/olric/driver.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { type Answer, entry, FakeOlric, GOODBYE, SILENCE } from "./support/fake_olric.ts";

const WAITER = { signal: new AbortController().signal };
const at = { map: "m", key: "k" };
const NOTHING = new Error("KEYNOTFOUND key not found");

const is = (code: ErrorCode, sentence = /./) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  equal(error.code, code, error.message);
  match(error.message, sentence);
  ok(!/127\.0\.0\.1|ERR|DM\./.test(error.message), error.message);
  return true;
};
const unavailable = is("UNAVAILABLE");

async function open(member: FakeOlric | string, options: Partial<OlricDriverOptions> = {}) {
  const address = typeof member === "string" ? member : member.address;
  const driver = await OlricDriver.open({ addresses: [address], timeout: 1_000, ...options });
  return Object.assign(driver, { [Symbol.asyncDispose]: () => driver.close() });
}

/** The names of the commands that came. */
const names = ({ asked }: FakeOlric) => asked.map(([name]) => name);

Deno.test("a member need not be there when the driver is opened, and is used as soon as it is", async () => {
  const port = new FakeOlric();
  port[Symbol.dispose]();
  await using driver = await open(port.address);
  await rejects(driver.get("ns", at, WAITER), unavailable);
  await rejects(driver.put("ns", at, { json: "1" }, {}, WAITER), unavailable);
  equal((await driver.health(WAITER.signal)).status, "down");
  using _member = new FakeOlric(() => entry("k", "1"), port.port);
  await until("it is used", async () => (await driver.get("ns", at, WAITER)) !== undefined);
  equal((await driver.health(WAITER.signal)).status, "ok");
});

Deno.test("a write that may have arrived is sent once, and the caller is told that it may have happened", async () => {
  for (const answer of [GOODBYE, SILENCE, new Error("ERR tcp 127.0.0.1:1: connect: connection refused")] as const) {
    using member = new FakeOlric(([name]) => name === "DM.PUT" ? answer : "PONG");
    await using driver = await open(member, { timeout: 150 });
    await rejects(driver.put("ns", at, { json: "1" }, {}, WAITER), is("UNAVAILABLE", /may have happened/));
    equal(names(member).filter((name) => name === "DM.PUT").length, 1);
  }
});

Deno.test("a read whose connection ends is asked again, of another member", async () => {
  using owner = new FakeOlric(() => GOODBYE), other = new FakeOlric(() => entry("k", "1"));
  for (const one of [owner, other]) one.members = [owner.address, other.address];
  await using driver = await open(owner);
  deepEqual((await driver.get("ns", at, WAITER))?.value, { json: "1" });
  deepEqual(names(other).filter((name) => name === "DM.GET"), ["DM.GET"]);
});

Deno.test("a member that says nothing is given up by all who wait for it", async () => {
  using member = new FakeOlric(() => SILENCE);
  await using driver = await open(member, { timeout: 300 });
  const asked = Array.from({ length: 50 }, () => driver.get("ns", at, WAITER));
  for (const done of await Promise.allSettled(asked)) ok(done.status === "rejected" && unavailable(done.reason));
});

Deno.test("a configured member that is cut off from the others is told of, though they do without it", async () => {
  const lost = new Error("ERR failed to find enough peers to create quorum");
  using one = new FakeOlric(() => "PONG"), two = new FakeOlric(() => "PONG"), three = new FakeOlric(() => lost);
  for (const member of [one, two, three]) member.members = [one.address, two.address];
  await using driver = await open(one, { addresses: [one, two, three].map(({ address }) => address) });
  const { status, details } = await driver.health(WAITER.signal);
  deepEqual([status, details], ["degraded", { members: 3, reachable: 2 }]);
  three.answer = () => "PONG";
  await until("it is well", async () => (await driver.health(WAITER.signal)).status === "ok");
});

Deno.test("of a write that was given up nothing arrives later: its connection is not closed, but taken back", async () => {
  using member = new FakeOlric(([name]) => name === "DM.PUT" ? SILENCE : "PONG");
  await using driver = await open(member, { timeout: 150 });
  await rejects(driver.put("ns", at, { json: "1" }, {}, WAITER), unavailable);
  await until("the member is told", () => member.resets > 0);
});

Deno.test("what no member says is no answer, and ends nothing", async () => {
  const odd: Answer[] = [
    "OK",
    5,
    null,
    [],
    [[1], [2]],
    new Uint8Array(),
    new Uint8Array(40).fill(255),
    entry("k", "1").subarray(1),
  ];
  for (const answer of odd) {
    using member = new FakeOlric(() => answer);
    await using driver = await open(member);
    await rejects(driver.get("ns", at, WAITER), unavailable);
    await rejects(driver.scan("ns", "m", { cursor: undefined, limit: 5, matches: undefined }, WAITER), unavailable);
    await rejects(driver.maps("ns"), unavailable);
  }
});

Deno.test("whoever leaves is not waited for; the signal is left alone while all is quick", async () => {
  using member = new FakeOlric(() => SILENCE);
  await using driver = await open(member, { timeout: 60_000 });
  const leaving = new AbortController();
  const waiting = driver.get("ns", at, leaving);
  leaving.abort(new Error("left"));
  await rejects(waiting, /left/);
  using quick = new FakeOlric(() => entry("k", "1"));
  await using other = await open(quick);
  const shy = {
    get signal(): AbortSignal {
      throw new Error("the signal was made");
    },
  };
  deepEqual((await other.get("ns", at, shy))?.value, { json: "1" });
});

Deno.test("the password is shown first; a member that needs none is no failure, one that wants another is", async () => {
  using member = new FakeOlric(([name]) => name === "auth" ? "OK" : entry("k", "1"));
  await using driver = await open(member, { password: "secret" });
  ok(await driver.get("ns", at, WAITER));
  deepEqual(member.asked[0], ["auth", "secret"]);

  const noneNeeded = "ERR AUTH <password> called without any password configured for the default user.";
  using open1 = new FakeOlric(([name]) => name === "auth" ? new Error(noneNeeded) : entry("k", "1"));
  await using driver1 = await open(open1, { password: "secret" });
  ok(await driver1.get("ns", at, WAITER));

  using strict = new FakeOlric(([name]) => name === "auth" ? new Error("WRONGPASS invalid username-password") : "OK");
  await using driver2 = await open(strict, { password: "other" });
  await rejects(driver2.get("ns", at, WAITER), (error: GatewayError) => {
    ok(!JSON.stringify(error, Object.getOwnPropertyNames(error)).includes("other"), "the password");
    return unavailable(error);
  });
});

Deno.test("a member that is alone is asked where it was found, whatever address it gives itself", async () => {
  using member = new FakeOlric(() => entry("k", "1"));
  member.members = ["172.17.0.99:3320"];
  await using driver = await open(member);
  ok(await driver.get("ns", at, WAITER));
  deepEqual((await driver.health(WAITER.signal)).details, { members: 1, reachable: 1 });
});

Deno.test("a connection that ended while nobody used it is no failure of the next operation", async () => {
  using member = new FakeOlric(() => entry("k", "1"));
  await using driver = await open(member);
  ok(await driver.get("ns", at, WAITER));
  member.hangUp();
  await until("it is noticed", () => member.connections === 0);
  // The end of a connection is heard in the order in which things happen: before the answers to what others ask after it.
  await using other = await open(member);
  for (let times = 0; times < 5; times++) ok(await other.get("ns", at, WAITER));
  ok(await driver.get("ns", at, WAITER));
});

Deno.test("what is no number is never counted on, and nothing is written", async () => {
  const odd = ['"5"', "[1]", "true", "hello", " ", "9007199254740993", "1e400"];
  for (const stored of odd) {
    using member = new FakeOlric(([name]) => name === "DM.GET" ? entry("k", stored) : name === "DM.PUT" ? "OK" : 1);
    await using driver = await open(member);
    await rejects(driver.increment("ns", at, { by: 1, initial: 0, ttl: undefined }, WAITER), is("WRONG_TYPE"));
    ok(!names(member).includes("DM.INCR"), stored);
    ok(!member.asked.some(([name, map]) => name === "DM.PUT" && map === "2:ns/d/m"), stored);
  }
});

Deno.test("counts of one counter that meet go together, each with its own result", async () => {
  let value = 40;
  using member = new FakeOlric(([name, , , by]) =>
    name === "DM.INCR" ? value += Number(by) : entry("k", String(value))
  );
  await using driver = await open(member);
  const count = (by: number) => driver.increment("ns", at, { by, initial: 0, ttl: undefined }, WAITER);
  deepEqual((await Promise.all([count(1), count(10), count(-1), count(0)])).map((one) => one.value), [41, 51, 50, 50]);
  const counts = member.asked.filter(([name]) => name === "DM.INCR").map(([, , , by]) => by);
  deepEqual(counts, ["1", "9"], "the first goes at once, the others are the sum of what came meanwhile");
});

Deno.test("a count that would leave the whole numbers is refused, those beside it are not", async () => {
  let value = Number.MAX_SAFE_INTEGER - 1;
  using member = new FakeOlric(([name, , , by]) =>
    name === "DM.INCR" ? value += Number(by) : entry("k", String(value))
  );
  await using driver = await open(member);
  const count = (by: number) => driver.increment("ns", at, { by, initial: 0, ttl: undefined }, WAITER);
  const [one, two, three] = await Promise.allSettled([count(1), count(1), count(-5)]);
  deepEqual([one, three].map((done) => done.status === "fulfilled" && done.value.value), [
    Number.MAX_SAFE_INTEGER,
    Number.MAX_SAFE_INTEGER - 5,
  ]);
  ok(two.status === "rejected" && is("WRONG_TYPE")(two.reason));
});

Deno.test("a counter that ends between the look and the count begins anew, with all that it begins with", async () => {
  let looks = 0;
  using member = new FakeOlric(([name]) => {
    if (name === "DM.INCR") return 5;
    if (name === "DM.PUT") return "OK";
    return looks++ === 0 ? entry("k", "70", 1n, Date.now() + 50) : entry("k", "5", 2n);
  });
  await using driver = await open(member);
  equal((await driver.increment("ns", at, { by: 5, initial: 100, ttl: 60_000 }, WAITER)).value, 105);
  deepEqual(member.asked.at(-1), ["DM.PUT", "2:ns/d/m", "k", "105", "PX", "60000", "XX"]);
});

Deno.test("what is not there is not deleted: under what has ended, something older might come up", async () => {
  using member = new FakeOlric(() => NOTHING);
  await using driver = await open(member);
  equal(await driver.delete("ns", at, undefined, WAITER), false);
  deepEqual(names(member), ["DM.GET"]);
});

Deno.test("older versions that come up from below a deleted entry are deleted too; what somebody writes then is not", async () => {
  const versions = [entry("k", "3", 30n), entry("k", "2", 20n), entry("k", "1", 10n)];
  const erase = ([name]: readonly string[]) => {
    if (name === "DM.DEL") versions.shift();
    return name === "DM.DEL" ? 1 : versions[0] ?? NOTHING;
  };
  using member = new FakeOlric(erase);
  await using driver = await open(member);
  equal(await driver.delete("ns", at, undefined, WAITER), true);
  equal(versions.length, 0);
  versions.push(entry("k", "3", 30n), entry("k", "new", 40n));
  equal(await driver.delete("ns", at, undefined, WAITER), true);
  equal(versions.length, 1);
});

Deno.test("compare-and-set happens under a lock that is freed with it, whatever comes of it", async () => {
  using member = new FakeOlric(([name, map]) => {
    if (name === "DM.GET") return map === "2:ns/d/m" ? entry("k", "1", 7n) : NOTHING;
    return "OK";
  });
  await using driver = await open(member);
  const put = (version: string) => driver.put("ns", at, { json: "1" }, { condition: { version } }, WAITER);
  equal((await put("7")).version, "7");
  deepEqual(member.asked.map(([name, map]) => `${name} ${map}`), [
    "DM.GET 2:ns/w/m",
    "DM.PUT 2:ns/w/m",
    "DM.GET 2:ns/d/m",
    "DM.PUT 2:ns/d/m",
    "DM.GET 2:ns/d/m",
    "DM.UNLOCK 2:ns/w/m",
  ]);
  deepEqual(member.asked[1]!.slice(4), ["PX", "2000", "NX"]);
  deepEqual(member.asked[3]!.slice(3), ["1", "XX"]);
  member.asked.length = 0;
  await rejects(put("8"), is("PRECONDITION_FAILED"));
  equal(names(member).at(-1), "DM.UNLOCK");
  ok(!member.asked.some(([name, map]) => name === "DM.PUT" && map === "2:ns/d/m"));
});

Deno.test("a version that another gateway overwrote at once is told as one that no entry has", async () => {
  using member = new FakeOlric(([name, map]) => {
    if (name === "DM.GET") return map === "2:ns/d/m" ? entry("k", '"theirs"', 9n) : NOTHING;
    return "OK";
  });
  await using driver = await open(member);
  const { version } = await driver.put("ns", at, { json: '"mine"' }, { versioned: true }, WAITER);
  equal(version, "8");
});

Deno.test("while another gateway holds the lock of an entry the write waits, and gives up in time", async () => {
  let held = true;
  using member = new FakeOlric(([name, map, , value]) => {
    if (name === "DM.GET") return map === "2:ns/w/m" && held ? entry("k", "their token") : NOTHING;
    return name === "DM.PUT" && map === "2:ns/w/m" && held ? new Error("KEYFOUND key found") : value === "" ? "" : "OK";
  });
  await using driver = await open(member, { timeout: 150 });
  await rejects(driver.swap("ns", at, { json: "1" }, undefined, WAITER), unavailable);
  ok(!member.asked.some(([name, map]) => name === "DM.PUT" && map === "2:ns/d/m"));
  const waiting = driver.swap("ns", at, { json: "1" }, undefined, WAITER);
  held = false;
  equal(await waiting, undefined);
});

Deno.test("a lock's number that was lost between two commands begins with the time again", async () => {
  using member = new FakeOlric(([name, , , by]) => {
    if (name === "DM.GET") return NOTHING;
    return name === "DM.INCR" ? Number(by) : "OK";
  });
  await using driver = await open(member);
  const lease = await driver.tryLock("ns", at, 5_000, WAITER);
  ok(lease!.fencing > 1.7e15);
});

Deno.test("a lock's number that is an old one catches up with the time, one of this second goes on by one", async () => {
  const now = 1.8e12;
  let stored = now * 1_000 - 8_000_000;
  using member = new FakeOlric(([name, , , by]) => {
    if (name === "DM.GET") return NOTHING;
    return name === "DM.INCR" ? stored += Number(by) : "OK";
  });
  const clock = { now: () => now, monotonic: () => performance.now() };
  await using driver = await open(member, { clock });
  const numbers = [];
  for (let i = 0; i < 3; i++) numbers.push((await driver.tryLock("ns", at, 5_000, WAITER))!.fencing);
  deepEqual(numbers, [now * 1_000, now * 1_000 + 1, now * 1_000 + 2]);
});

Deno.test("a lease that was over before the answer was there is nobody's: said of a new one as of one that is held", async () => {
  let late = 0;
  using member = new FakeOlric(([name]) => {
    late += 400;
    return name === "DM.GET" ? NOTHING : name === "DM.INCR" ? 1.8e15 : "OK";
  });
  const clock = { now: () => Date.now(), monotonic: () => performance.now() + late };
  await using driver = await open(member, { timeout: 60_000, clock });
  await rejects(driver.tryLock("ns", at, 1_000, WAITER), is("UNAVAILABLE", /lease was over .* longer/));
  await rejects(driver.renew("ns", at, "0".repeat(32), 500, WAITER), is("LOCK_LOST"));
  ok(await driver.tryLock("ns", at, 60_000, WAITER));
});

Deno.test("a token that is none is not sent to a member", async () => {
  using member = new FakeOlric();
  await using driver = await open(member);
  for (const token of ["", "x", "00", "g".repeat(32), `${"0".repeat(32)} `, "A".repeat(32)]) {
    await rejects(driver.unlock("ns", at, token, WAITER), is("LOCK_LOST"));
    await rejects(driver.renew("ns", at, token, 1_000, WAITER), is("LOCK_LOST"));
  }
  deepEqual(member.asked, []);
});

Deno.test("a cursor that is none is refused, and none of them reaches a member", async () => {
  using member = new FakeOlric();
  await using driver = await open(member);
  const odd = [
    "",
    "x",
    "1",
    "0.0.0",
    "0.0.0.",
    "-1.0.0.a",
    "7.0.0.a",
    "0.0.18446744073709551616.a",
    "0.0.1e3.a",
    "0.0.0.a b",
  ];
  for (const cursor of odd) {
    await rejects(driver.scan("ns", "m", { cursor, limit: 5, matches: undefined }, WAITER), is("INVALID_REQUEST"));
  }
  deepEqual(member.asked, []);
});

Deno.test("a scan whose partition others have by now begins that partition anew", async () => {
  const cursors: string[] = [];
  using member = new FakeOlric((command) => {
    if (command[0] !== "DM.SCAN") return entry(command[2]!, "1");
    if (command[1] === "3") cursors.push(command[3]!);
    const isThird = command[1] === "3" && command[3] === "0";
    const key = new TextEncoder().encode(`${command[1]}:${command[3]}`);
    return [new TextEncoder().encode(isThird ? "77" : "0"), [key]];
  });
  using other = new FakeOlric(member.answer);
  for (const one of [member, other]) one.members = [member.address, other.address];
  await using driver = await open(member);
  const scan = (cursor?: string) => driver.scan("ns", "m", { cursor, limit: 4, matches: undefined }, WAITER);
  const first = await scan();
  deepEqual(first.keys, ["0:0", "1:0", "2:0", "3:0"]);
  const restOf = async () => {
    const keys: string[] = [];
    for (let { cursor } = first; cursor !== undefined;) {
      const page = await scan(cursor);
      keys.push(...page.keys);
      cursor = page.cursor;
    }
    return keys.sort();
  };
  cursors.length = 0;
  deepEqual(await restOf(), ["3:77", "4:0", "5:0", "6:0"]);
  deepEqual(cursors, ["77"]);
  for (const one of [member, other]) one.owners = () => [other.address];
  await driver.health(WAITER.signal);
  cursors.length = 0;
  deepEqual(await restOf(), ["3:0", "3:77", "4:0", "5:0", "6:0"]);
  deepEqual(cursors, ["0", "77"]);
});

Deno.test("after close() nothing is asked any more, and whoever waits is told", async () => {
  using member = new FakeOlric(() => SILENCE);
  const driver = await open(member, { timeout: 60_000 });
  const waiting = driver.get("ns", at, WAITER);
  const told = awaitedLater(rejects(waiting, unavailable));
  await until("it was asked", () => member.asked.length > 0);
  await driver.close();
  await told;
  await rejects(driver.get("ns", at, WAITER), unavailable);
});
