import { deepEqual, equal, ok, throws } from "node:assert/strict";
import type { Payload } from "../../../src/contracts/pubsub.ts";
import { code } from "./support/positions.ts";
import { requestOf, Subject, text } from "./support/subject.ts";

Deno.test("a key publishes once in five minutes, and answers as the first time", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  const options = { idempotencyKey: "k" };
  const first = subject.publish("t", "1", options);
  subject.publish("t", "2");
  const again = subject.publish("t", "1", options);
  deepEqual([again.repeated, again.position], [true, first.position]);
  equal(first.repeated, false);
  subject.publish("t", "1", options, "bob");
  subject.publish("t", "1", { idempotencyKey: "k2" });
  deepEqual(listener.lines, ["1", "2", "1", "1"]);
  subject.clock.jump(10 * 300_000);
  equal(subject.publish("t", "1", options).repeated, true, "a clock that was set makes nothing older");
  subject.clock.pass(300_000);
  equal(subject.publish("t", "1", options).repeated, false);
  equal(listener.lines.length, 5);
  equal(subject.service.figures().published, 5);
});

Deno.test("a key that comes with other content is refused, whatever is other", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  const options = { idempotencyKey: "k" };
  subject.publish("t", ["ab", "c"], options);
  for (const texts of [["a", "bc"], ["ab"], ["ab", "c", ""], ["ab", "d"], ["c", "ab"], ["abc"]]) {
    throws(() => subject.publish("t", texts, options), code("IDEMPOTENCY_KEY_REUSED"), texts.join());
  }
  throws(() => subject.publish("u", ["ab", "c"], options), code("IDEMPOTENCY_KEY_REUSED"));
  const json: Payload[] = [{ ...text("ab"), json: true }, text("c")];
  throws(() => subject.service.publish("n", "t", json, options, requestOf()), code("IDEMPOTENCY_KEY_REUSED"));
  equal(subject.publish("t", ["ab", "c"], options).repeated, true);
  deepEqual(listener.lines, ["ab", "c"]);
  // Callers and keys are two things.
  subject.publish("t", "x", { idempotencyKey: "bc" }, "a");
  equal(subject.publish("t", "x", { idempotencyKey: "c" }, "ab").repeated, false);
  // Another namespace has keys of its own.
  const other = subject.service.publish("m", "t", [text("other")], options, requestOf());
  ok(!(other instanceof Promise) && !other.repeated);
});

Deno.test("a key that was refused for another reason is as good as new", () => {
  const subject = new Subject({ publishRate: 1 });
  subject.publish("t", "0");
  throws(() => subject.publish("t", "1", { idempotencyKey: "k" }), code("RATE_LIMITED"));
  subject.clock.pass(1_000);
  equal(subject.publish("t", "1", { idempotencyKey: "k" }).repeated, false);
  equal(subject.publish("t", "1", { idempotencyKey: "k" }).repeated, true, "a repetition costs nothing of the rate");
});

Deno.test("a message that two gateways took for one key is delivered once", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  subject.publish("t", ["1", "2"], { idempotencyKey: "k" });
  const copies = subject.cluster.published[0]![1].entries;
  equal(new Set(copies.map(({ id }) => id)).size, 2);
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [...copies, { ...text("3"), at: 0, id: undefined }] });
  subject.local.accept("n/t", { epoch: 3, from: 1, entries: [{ ...text("4"), at: 0, id: "other" }] });
  subject.local.accept("n/t", { epoch: 2, from: 4, entries: [{ ...text("4"), at: 0, id: "other" }] });
  deepEqual(listener.lines, ["1", "2", "3", "4"]);
  equal(subject.service.figures().duplicates, 3);
  deepEqual([...subject.local.heads("n/t")], [[1, 2], [2, 4], [3, 1]], "and counts where it came again");
  const { listener: other } = await subject.listen("u");
  subject.local.accept("n/u", { epoch: 2, from: 1, entries: [{ ...text("5"), at: 0, id: "other" }] });
  deepEqual(other.lines, ["5"], "in another topic it is another message");
  // Somebody repeats here what another gateway has taken.
  const published = subject.service.figures().published;
  const theirs = new Subject();
  theirs.publish("t", "5", { idempotencyKey: "k5" });
  subject.local.accept("n/t", { ...theirs.cluster.published[0]![1], epoch: 2, from: 5 });
  equal(subject.publish("t", "5", { idempotencyKey: "k5" }).repeated, true);
  throws(() => subject.publish("t", "6", { idempotencyKey: "k5" }), code("IDEMPOTENCY_KEY_REUSED"));
  equal(subject.service.figures().published, published);
  deepEqual(listener.lines.slice(4), ["5"]);
});

Deno.test("80,000 keys of a namespace are remembered at least, however long they are; what is forgotten early is counted", () => {
  const subject = new Subject({ historySize: 0 });
  const MOST = 80_000;
  const key = (i: number) => `${"k".repeat(200)}${i}`;
  for (let i = 0; i < MOST; i++) subject.publish("t", "x", { idempotencyKey: key(i) });
  for (const i of [0, 1, MOST - 1]) {
    equal(subject.publish("t", "x", { idempotencyKey: key(i) }).repeated, true, String(i));
    throws(() => subject.publish("t", "y", { idempotencyKey: key(i) }), code("IDEMPOTENCY_KEY_REUSED"));
  }
  deepEqual(subject.service.figures().forgotten, { key: 0, message: 0 });
  subject.publish("t", "x", { idempotencyKey: "one more" });
  deepEqual(subject.service.figures().forgotten, { key: 1, message: 1 });
  equal(subject.publish("t", "x", { idempotencyKey: key(1) }).repeated, true);
  equal(subject.publish("t", "x", { idempotencyKey: key(0) }).repeated, false);
  equal(subject.service.figures().forgotten.key, 2);
  // Those whose time is over are not forgotten early, and what is counted stays when nothing else does.
  subject.clock.pass(300_000);
  for (let i = 0; i < 100; i++) subject.publish("t", "x", { idempotencyKey: `later ${i}` });
  equal(subject.service.figures().forgotten.key, 2);
});

Deno.test("a namespace in which nothing was published with a key for five minutes is forgotten, and what was counted is not", async () => {
  const subject = new Subject({ historySize: 0 });
  subject.publish("t", "x", { idempotencyKey: "k" });
  await subject.clock.advance(299_000);
  equal(subject.publish("t", "x", { idempotencyKey: "k" }).repeated, true);
  await subject.clock.advance(2_000);
  deepEqual(await subject.service.usage("n"), await new Subject().service.usage("n"));
  equal(subject.publish("t", "x", { idempotencyKey: "k" }).repeated, false);
});
