import { deepEqual, equal, ok } from "node:assert/strict";
import { Descriptors, type Questions, type Wanted } from "../../../src/kernel/descriptors.ts";

/** What a descriptor is: a connection by its other end, one that has ended, or something else. */
type Kind = { readonly name: string; readonly port: number; readonly localPort?: number } | "ended" | "file";

/** Port of this side, where nothing else is said. */
const SERVER = 8080;

/** A process whose descriptors are the test's. */
function fakeProcess(size = 65_536) {
  const table = new Map<number, Kind>();
  let questions = 0;
  const clock = { now: 0 };
  const ask: Questions = {
    peer(fd) {
      questions++;
      const kind = table.get(fd);
      return typeof kind === "object" ? { port: kind.port, name: () => kind.name } : undefined;
    },
    localPort(fd) {
      const kind = table.get(fd);
      if (kind === undefined || kind === "file") return undefined;
      return kind === "ended" ? SERVER : kind.localPort ?? SERVER;
    },
    figures(fd) {
      const isClosed = table.get(fd) === "ended";
      return { isEstablished: !isClosed, isClosed, acknowledged: 0, received: 0 };
    },
  };
  /** How many questions something takes. */
  const asked = (work: () => void) => {
    const before = questions;
    work();
    return questions - before;
  };
  return { table, asked, clock, descriptors: new Descriptors(ask, () => size, () => clock.now) };
}

const client = (n: number): Kind & object => ({ name: `192.0.2.1:${n}`, port: n % 65_536 });
const wanted = (n: number, localPort = SERVER): Wanted => ({ ...client(n), localPort });

Deno.test("ten thousand who keep their connections open and do nothing are asked once, not for each that comes", () => {
  const { table, asked, descriptors, clock } = fakeProcess();
  for (let n = 1; n <= 10_000; n++) table.set(n + 10, client(n));
  ok(asked(() => equal(descriptors.find(wanted(10_000)), 10_010)) >= 10_000);
  descriptors.take(10_010, 10_000);
  ok(asked(() => equal(descriptors.find(wanted(5_000)), 5_010)) < 10, "one of them");
  table.set(10_011, client(10_001));
  ok(asked(() => equal(descriptors.find(wanted(10_001)), 10_011)) < 10, "one that is new");
  // One leaves that came late, and its number goes to another.
  table.set(10_009, client(10_002));
  ok(asked(() => equal(descriptors.find(wanted(10_002)), 10_009)) < 200, "one with the number of a late one");
  table.set(20, client(10_003));
  clock.now += 1_000;
  equal(descriptors.find(wanted(10_003)), 20, "and one with the number of an early one");
});

Deno.test("one behind thousands of descriptors that are none is found, and behind the last there is none", () => {
  const { table, descriptors } = fakeProcess(8_192);
  for (let fd = 3; fd < 5_000; fd++) table.set(fd, "file");
  table.set(5_000, client(1));
  equal(descriptors.find(wanted(1)), 5_000);
  const other = fakeProcess(8_192);
  for (let fd = 3; fd < 5_000; fd++) other.table.set(fd, "file");
  ok(other.asked(() => equal(other.descriptors.find(wanted(1)), "none")) < 10_000);
  const again = other.asked(() => {
    for (let n = 2; n < 100; n++) other.descriptors.find(wanted(n));
  });
  ok(again < 20_000, "who asks for what is not there does not have everything searched each time");
  other.table.set(6_000, client(1));
  equal(other.descriptors.find(wanted(1)), "unknown", "and so is not told that it is not there");
  other.clock.now += 1_000;
  equal(other.descriptors.find(wanted(1)), 6_000);
});

Deno.test("one that somebody has is passed over, but where its number has gone to another", () => {
  const { table, descriptors } = fakeProcess(128);
  table.set(10, client(1));
  equal(descriptors.find(wanted(1)), 10);
  descriptors.take(10, 1);
  table.set(10, client(2));
  equal(descriptors.find(wanted(2)), 10);
});

Deno.test("one that has ended is told from none, and one that somebody has is not it", () => {
  const { table, descriptors } = fakeProcess(128);
  equal(descriptors.find(wanted(1)), "none");
  const second = fakeProcess(128);
  second.table.set(10, "ended");
  equal(second.descriptors.find(wanted(1)), "gone");
  const third = fakeProcess(128);
  third.table.set(10, client(1));
  third.descriptors.take(10, 1);
  third.table.set(10, "ended");
  equal(third.descriptors.find(wanted(2)), "none");
  equal(table.size, 0);
});

Deno.test("one that was known before and has ended is told also while not everything is searched", () => {
  const { table, descriptors } = fakeProcess(65_536);
  table.set(10, client(1));
  table.set(11, client(2));
  equal(descriptors.find(wanted(2)), 11);
  equal(descriptors.find(wanted(3)), "none");
  for (let fd = 12; fd < 100; fd++) table.set(fd, client(fd));
  equal(descriptors.find(wanted(99)), 99);
  table.set(10, "ended");
  equal(descriptors.find(wanted(1)), "gone");
});

Deno.test("where there are few, all are searched each time", () => {
  const { table, descriptors } = fakeProcess(1_024);
  for (let n = 2; n < 100; n++) equal(descriptors.find(wanted(n)), "none");
  table.set(1_000, client(1));
  equal(descriptors.find(wanted(1)), 1_000);
});

Deno.test("the port of this side tells two connections of one other end apart; where it does not, both are named", () => {
  const { table, descriptors } = fakeProcess(128);
  table.set(10, { ...client(1), localPort: 4001 });
  table.set(11, client(1));
  equal(descriptors.find(wanted(1)), 11);
  deepEqual(descriptors.alike(11, wanted(1)), []);
  descriptors.take(11, 1);
  table.set(12, client(1));
  equal(descriptors.find(wanted(1)), 12);
  deepEqual(descriptors.alike(12, wanted(1)), [11]);
});

Deno.test("numbers that come and go in great number are all still found", () => {
  const { table, descriptors, clock } = fakeProcess(2_048);
  for (let round = 0; round < 20; round++) {
    for (let fd = 10; fd < 1_000; fd++) table.set(fd, client(round * 1_000 + fd));
    const n = round * 1_000 + 10 + round;
    equal(descriptors.find(wanted(n)), 10 + round);
    for (let fd = 10; fd < 1_000; fd++) table.delete(fd);
    clock.now += 1_000;
    equal(descriptors.find(wanted(65_000)), "none");
    clock.now += 1_000;
  }
});
