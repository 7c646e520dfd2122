import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { OlricDriver, type OlricDriverOptions } from "../../../services/cache/olric/driver.ts";
import { hasCode } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { type Answer, entry, FakeOlric, GOODBYE } from "./support/fake_olric.ts";

const WAITER = { signal: new AbortController().signal };
const at = (key: string) => ({ map: "m", key });

async function open(members: readonly FakeOlric[], connections?: number, clock?: OlricDriverOptions["clock"]) {
  const driver = await OlricDriver.open({ addresses: [members[0]!.address], timeout: 5_000, connections, clock });
  return Object.assign(driver, { [Symbol.asyncDispose]: () => driver.close() });
}

/** Members that know each other and answer reads; whose a partition is, goes round. */
function cluster(size: number, answer: (command: readonly string[]) => Answer = ([, , key]) => entry(key!, "1")) {
  const stack = new DisposableStack();
  const members = Array.from({ length: size }, () => stack.use(new FakeOlric(answer)));
  const addresses = members.map(({ address }) => address);
  for (const member of members) {
    member.members = addresses;
    member.owners = (partition) => [addresses[partition % size]!];
  }
  return Object.assign(members, { [Symbol.dispose]: () => stack.dispose() });
}

/** Reads many keys at once, again and again. @returns the most connections that a member had after any of the rounds */
async function readMany(driver: OlricDriver, members: readonly FakeOlric[], rounds: number): Promise<number> {
  let most = 0;
  for (let round = 0; round < rounds; round++) {
    await Promise.all(Array.from({ length: 64 }, (_, i) => driver.get("ns", at(`k${i}`), WAITER)));
    most = Math.max(most, ...members.map(({ connections }) => connections));
  }
  return most;
}

for (
  const [size, connections, expected] of [
    [1, undefined, 2],
    [1, 1, 1],
    [2, undefined, 8],
    [3, undefined, 8],
    [3, 3, 3],
  ] as const
) {
  const configured = connections === undefined ? "by default" : `with up to ${connections} configured`;
  Deno.test(`a gateway keeps ${expected} connections to each of ${size} members that are busy, ${configured}`, async () => {
    using members = cluster(size);
    await using driver = await open(members, connections);
    await until("all are open", async () => {
      await readMany(driver, members, 1);
      return members.every((member) => member.connections === expected);
    });
    equal(await readMany(driver, members, 20), expected, "and no more");
  });
}

Deno.test("one read at a time needs one connection to a member", async () => {
  using members = cluster(2);
  await using driver = await open(members);
  for (let i = 0; i < 40; i++) await driver.get("ns", at(`k${i}`), WAITER);
  for (const { connections } of members) ok(connections <= 1, String(connections));
});

const counting = () => {
  let value = 40;
  return ([name, , key, by]: readonly string[]): Answer =>
    name === "DM.INCR" ? value += Number(by) : name === "DM.GET" ? entry(key!, String(value)) : "PONG";
};
const countsOf = ({ asked }: FakeOlric) => asked.filter(([name]) => name === "DM.INCR").map(([, , key]) => key!);

/** The time of this machine, and more when a test says so. */
function aheadClock() {
  const clock = { ahead: 0, now: () => Date.now() + clock.ahead, monotonic: () => performance.now() + clock.ahead };
  return clock;
}

const KEYS = Array.from({ length: 30 }, (_, i) => `k${i}`);
const countOne = (driver: OlricDriver, key: string) =>
  driver.increment("ns", at(key), { by: 1, initial: 0, ttl: undefined }, WAITER);

Deno.test("each counter is counted by the member that it belongs to, and by no other", async () => {
  using members = cluster(2, counting());
  await using driver = await open(members);
  const count = () => Promise.all(KEYS.map((key) => countOne(driver, key)));
  await count();
  const [first, second] = members.map((member) => new Set(countsOf(member))) as [Set<string>, Set<string>];
  ok(first.size > 0 && second.size > 0, "both have some");
  deepEqual([...first, ...second].sort(), KEYS.toSorted(), "each counter at one of them");
  for (const member of members) {
    member.asked.length = 0;
    member.owners = (partition) => [members[(partition + 1) % 2]!.address];
  }
  await driver.health(WAITER.signal);
  await count();
  deepEqual(members.map((member) => new Set(countsOf(member))), [second, first], "and then at the other");
});

Deno.test("what a member had that is gone is not asked of the next one before that one has taken it over", async () => {
  using left = new FakeOlric(counting());
  const gone = new FakeOlric(counting());
  for (const member of [left, gone]) {
    member.members = [left.address, gone.address];
    member.owners = () => [gone.address];
  }
  const clock = aheadClock();
  await using driver = await open([left], undefined, clock);
  await countOne(driver, "k");
  gone[Symbol.dispose]();
  await until("it is missed", () => countOne(driver, "k").then(() => false, () => true));
  left.members = [left.address];
  left.owners = () => [left.address];
  left.asked.length = 0;
  await driver.health(WAITER.signal);
  for (const work of [() => countOne(driver, "k"), () => driver.get("ns", at("k"), WAITER)]) {
    await rejects(work(), (error) => hasCode(error, "UNAVAILABLE") && /nothing was changed/.test(String(error)));
  }
  deepEqual(left.asked.filter(([name]) => /^DM\.(GET|INCR|PUT)$/.test(name!)), []);
  clock.ahead += 2_000;
  await countOne(driver, "k");
  deepEqual(countsOf(left), ["k"]);
});

Deno.test("what went over from a member that still answers is read from the next one at once", async () => {
  using members = cluster(2, counting());
  const [former, owner] = members as unknown as [FakeOlric, FakeOlric];
  await using driver = await open([owner]);
  for (const member of members) member.owners = () => [former.address];
  await countOne(driver, "k");
  owner.members = [owner.address];
  owner.owners = () => [owner.address];
  await driver.health(WAITER.signal);
  ok(await driver.get("ns", at("k"), WAITER));
});

Deno.test("what went from one member to another that both live is read at once", async () => {
  using members = cluster(2, counting());
  const [former, owner] = members as unknown as [FakeOlric, FakeOlric];
  for (const member of members) member.owners = () => [former.address];
  await using driver = await open(members);
  await driver.get("ns", at("k"), WAITER);
  for (const member of members) member.owners = () => [former.address, owner.address];
  await driver.health(WAITER.signal);
  ok(await driver.get("ns", at("k"), WAITER));
});

Deno.test("what goes over between two that live while a third is lost is read at once, and counted a while later", async () => {
  using members = cluster(2, counting());
  const [former, owner] = members as unknown as [FakeOlric, FakeOlric];
  const lost = new FakeOlric(counting());
  const all = [...members, lost];
  for (const member of all) {
    member.members = all.map(({ address }) => address);
    member.owners = () => [lost.address];
  }
  const clock = aheadClock();
  await using driver = await open(members, undefined, clock);
  await countOne(driver, "k");
  lost[Symbol.dispose]();
  await until("it is missed", () => countOne(driver, "k").then(() => false, () => true));
  for (const [ahead, having] of [[0, [former]], [2_000, [former, owner]]] as const) {
    clock.ahead += ahead;
    for (const member of members) {
      member.members = members.map(({ address }) => address);
      member.owners = () => having.map(({ address }) => address);
    }
    await driver.health(WAITER.signal);
  }
  ok(await driver.get("ns", at("k"), WAITER));
  await rejects(
    countOne(driver, "k"),
    (error) => hasCode(error, "UNAVAILABLE") && /nothing was changed/.test(String(error)),
  );
  deepEqual([countsOf(former), countsOf(owner)], [[], []]);
  clock.ahead += 3_000;
  await countOne(driver, "k");
  deepEqual([countsOf(former), countsOf(owner)], [[], ["k"]]);
});

Deno.test("while the owner of a counter does not answer, nobody else counts it", async () => {
  using members = cluster(2, counting());
  const [owner, other] = members as unknown as [FakeOlric, FakeOlric];
  for (const member of members) member.owners = () => [owner.address];
  owner.answer = () => GOODBYE;
  await using driver = await OlricDriver.open({ addresses: [other.address], timeout: 300 }).then((driver) =>
    Object.assign(driver, { [Symbol.asyncDispose]: () => driver.close() })
  );
  for (let i = 0; i < 3; i++) {
    const counted = driver.increment("ns", at("k"), { by: 1, initial: 0, ttl: undefined }, WAITER);
    await rejects(counted, (error) => hasCode(error, "UNAVAILABLE"));
  }
  deepEqual(countsOf(other), []);
});
