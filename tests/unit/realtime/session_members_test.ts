import { deepEqual, equal, ok } from "node:assert/strict";
import { knownSession } from "./support/sessions.ts";

const crowd = (many: number, size = 0) =>
  Array.from(
    { length: many },
    (_, i) => ({ id: `m${i}`, joinedAt: i, meta: { text: "x".repeat(size) }, connections: 1 }),
  );
const idsOf = (members: unknown) => (members as { id: string }[]).map(({ id }) => id);

Deno.test("who is in a topic is told in pages, each with how many there are", async () => {
  const { say, pubsub } = knownSession();
  pubsub.present = crowd(5);
  const [first] = await say({ id: 1, type: "presence", topic: "t", limit: 3 });
  deepEqual([idsOf(first!.members), first!.count], [["m0", "m1", "m2"], 5]);
  const [rest] = await say({ id: 2, type: "presence", topic: "t", limit: 3, after: first!.next });
  deepEqual([idsOf(rest!.members), rest!.count, "next" in rest!], [["m3", "m4"], 5, false]);
  const [all] = await say({ id: 3, type: "presence", topic: "t" });
  deepEqual([idsOf(all!.members).length, "next" in all!], [5, false]);
  for (
    const wrong of [{ limit: 0 }, { limit: 1_001 }, { limit: "3" }, { after: "" }, { after: "nonsense" }, { after: 1 }]
  ) {
    const [refused] = await say({ id: 4, type: "presence", topic: "t", ...wrong });
    const [{ field }] = refused!.details as [{ field: string }];
    deepEqual([refused!.code, field], ["INVALID_REQUEST", Object.keys(wrong)[0]], JSON.stringify(wrong));
  }
});

Deno.test("no answer holds more members than a slow line takes at once, whatever is asked for", async () => {
  const { say, pubsub } = knownSession({ rules: { maxQueueBytes: 1_000_000 } });
  pubsub.present = crowd(3_000, 1_000);
  const [subscribed] = await say({ id: 1, type: "subscribe", topic: "t", presence: true });
  const seen = idsOf(subscribed!.members);
  ok(seen.length > 50 && seen.length < 70, String(seen.length));
  for (let after = subscribed!.members_next; after !== undefined;) {
    const [page] = await say({ id: 2, type: "presence", topic: "t", after });
    const ids = idsOf(page!.members);
    ok(ids.length > 0 && ids.length < 70, String(ids.length));
    equal(page!.count, 3_000);
    seen.push(...ids);
    after = page!.next;
  }
  deepEqual(seen, idsOf(pubsub.present));
  const [quiet] = await say({ id: 3, type: "subscribe", topic: "u" });
  deepEqual(["members" in quiet!, "members_next" in quiet!], [false, false]);
});
