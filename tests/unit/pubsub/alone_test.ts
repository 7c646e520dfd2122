import { deepEqual, equal, ok } from "node:assert/strict";
import { Alone } from "../../../services/pubsub/cluster/alone.ts";
import type { LocalMember, LocalTopics } from "../../../services/pubsub/cluster/cluster.ts";
import type { Member } from "../../../src/contracts/pubsub.ts";

/** Topics that take down who came and left. */
function subject() {
  const told: (readonly [string, number | undefined, number | undefined])[] = [];
  const present = (_key: string, id: string, before: Member | undefined, after: Member | undefined) =>
    void told.push([id, before?.connections, after?.connections]);
  const alone = new Alone({ topics: { present } as unknown as LocalTopics, epoch: () => 1 });
  return { alone, told };
}
const member = (connection: number, id: string, joinedAt = connection): LocalMember => ({
  connection,
  id,
  meta: { connection },
  joinedAt,
});

Deno.test("a member is there while one of its connections is, and what the first of them says holds", () => {
  const { alone, told } = subject();
  const [a1, a2, b1] = [member(1, "a"), member(2, "a"), member(3, "b")];
  for (const one of [a1, a2, b1]) alone.enter("n/t", one);
  deepEqual(alone.members("n/t"), [
    { id: "a", meta: { connection: 1 }, joinedAt: 1, connections: 2 },
    { id: "b", meta: { connection: 3 }, joinedAt: 3, connections: 1 },
  ]);
  alone.exit("n/t", a1);
  deepEqual(alone.members("n/t").map(({ id, joinedAt }) => [id, joinedAt]), [["a", 2], ["b", 3]]);
  alone.exit("n/t", a1);
  alone.exit("n/t", a2);
  alone.exit("n/t", b1);
  alone.exit("n/t", b1);
  deepEqual(alone.members("n/t"), []);
  deepEqual(told, [
    ["a", undefined, 1],
    ["a", 1, 2],
    ["b", undefined, 1],
    ["a", 2, 1],
    ["a", 1, undefined],
    ["b", 1, undefined],
  ]);
});

Deno.test("who is present in one topic is not in another, whatever it is called", () => {
  const { alone } = subject();
  alone.enter("n/t", member(1, "__proto__"));
  deepEqual(alone.members("n/u"), []);
  equal(alone.members("n/t")[0]!.id, "__proto__");
});

Deno.test("the view is one object for as long as the epoch is", () => {
  const life: { epoch?: number } = {};
  const alone = new Alone({ topics: {} as LocalTopics, epoch: () => life.epoch });
  const before = alone.view;
  equal(alone.view, before);
  life.epoch = 7;
  deepEqual([[...alone.view.open], alone.view.known], [[7], 7]);
  deepEqual([...before.open], []);
  equal(alone.view, alone.view);
});

Deno.test("the list of those who are present is one object until somebody comes, leaves or is another", () => {
  const { alone } = subject();
  const list = () => alone.members("n/t");
  const empty = list();
  const seen = new Set([empty]);
  equal(list(), empty);
  const [b, a, again] = [member(1, "b", 5), member(2, "a", 5), member(3, "a", 6)];
  for (const change of [() => alone.enter("n/t", b), () => alone.enter("n/t", a), () => alone.enter("n/t", again)]) {
    change();
    equal(list(), list());
    equal(seen.size, seen.add(list()).size - 1);
  }
  deepEqual(list().map(({ id, connections }) => [id, connections]), [["a", 2], ["b", 1]]);
  alone.enter("n/u", member(9, "x"));
  for (let i = 0; i < 100; i++) equal(alone.members(`n/${i}`).length, 0);
  deepEqual(list().map(({ id }) => id), ["a", "b"]);
  alone.exit("n/t", a);
  alone.exit("n/t", again);
  deepEqual(list().map(({ id }) => id), ["b"]);
});

Deno.test("what a connection of a member costs does not depend on how many it has", () => {
  const { alone } = subject();
  const COUNT = 1_000;
  let reads = 0;
  const all = Array.from({ length: COUNT }, (_, i): LocalMember => ({
    get connection() {
      reads++;
      return i;
    },
    id: "a",
    meta: undefined,
    joinedAt: i,
  }));
  for (const one of all) alone.enter("n/t", one);
  // From the front, from the back, and from the middle.
  const order = all.map((one, i) => [i % 3 === 0 ? i : i % 3 === 1 ? 2 * COUNT - i : 3 * COUNT, one] as const);
  const left = new Set(all);
  for (const [, one] of order.sort(([a], [b]) => a - b)) {
    alone.exit("n/t", one);
    left.delete(one);
    const [first] = left, [told] = alone.members("n/t");
    equal(told?.connections ?? 0, left.size);
    equal(told?.joinedAt, first?.joinedAt, "of the first that is still there");
  }
  ok(reads <= 10 * COUNT, `${reads} looks at ${COUNT} connections`);
});
