import { deepEqual, equal, rejects } from "node:assert/strict";
import { positionText, sumOf } from "../../../services/pubsub/position.ts";
import { code, entry, position, two, view } from "./support/positions.ts";
import { said, Subject } from "./support/subject.ts";

Deno.test("history comes in pages that leave nothing out, and says whether it is complete", async () => {
  const subject = new Subject({ historySize: 6 });
  const positions = Array.from({ length: 10 }, (_, i) => subject.publish("t", String(i + 1)).position);
  const seen: string[] = [];
  let page = await subject.history("t", undefined, 4);
  equal(page.complete, undefined);
  seen.push(...page.messages.map(said));
  equal(page.more, true);
  page = await subject.history("t", page.position, 4);
  deepEqual([page.more, page.complete], [false, true]);
  seen.push(...page.messages.map(said));
  deepEqual(seen, ["5", "6", "7", "8", "9", "10"]);
  equal(page.position, positions[9]);
  deepEqual((await subject.history("t", page.position)).messages, []);
  const old = await subject.history("t", positions[0]);
  deepEqual([old.messages.map(said), old.complete], [["5", "6", "7", "8", "9", "10"], false]);
  equal(old.position, positions[9]);
  const nothing = await subject.history("never");
  deepEqual([nothing.messages, nothing.more], [[], false]);
  subject.publish("never", "1");
  deepEqual((await subject.history("never", nothing.position)).messages.map(said), ["1"]);
  for (const limit of [0, -1, 1.5, NaN, Infinity]) {
    await rejects(subject.history("t", undefined, limit), code("INVALID_REQUEST"));
  }
});

Deno.test("history of several gateways is in one order, and one can go on from any message of it", async () => {
  const subject = two();
  const a = { epoch: 1, from: 4, entries: [entry("a4", 1), entry("a5", 4)] };
  const b = { epoch: 2, from: 9, entries: [entry("b9", 2), entry("b10", 3)] };
  subject.cluster.keeping = () => Promise.resolve([b, { ...a, entries: [a.entries[0]!] }, a]);
  subject.cluster.finding = () => Promise.resolve({ complete: false, reason: "unreachable" });
  const all = await subject.history("t");
  deepEqual(all.messages.map(said), ["a4", "b9", "b10", "a5"]);
  deepEqual(
    all.messages.map(({ position }) => position),
    [[4, 8], [4, 9], [4, 10], [5, 10]].map(([a, b]) => position(view(2, [1, a!], [2, b!]))),
  );
  for (const [i, { position }] of all.messages.entries()) {
    const page = await subject.history("t", position);
    deepEqual([page.messages.map(said), page.complete], [["a4", "b9", "b10", "a5"].slice(i + 1), false]);
    equal(page.position, all.position);
  }
  // A life that is newer than the position is unread.
  const newer = await subject.history("t", position(view(1, [1, 5])));
  deepEqual(newer.messages.map(said), ["b9", "b10"]);
  equal(newer.position, position(view(1, [1, 5], [2, 10])));
});

Deno.test("looking something up joins the topic for a while, and gives it up again", async () => {
  const subject = new Subject();
  const { position } = subject.publish("t", "1");
  await subject.history("t", position);
  await subject.history("t");
  deepEqual([subject.cluster.joins, subject.cluster.leaves], [["n/t"], []]);
  await subject.clock.advance(10_000);
  deepEqual(subject.cluster.leaves, ["n/t"]);
  await subject.history("never", positionText(sumOf("n/never"), view(1, [1, 0])));
  await subject.clock.advance(400_000);
  equal(subject.service.figures().topics, 0);
});
