import { deepEqual, equal, ok } from "node:assert/strict";
import { ForgottenHeads } from "../../../services/pubsub/forgotten.ts";
import { positionText, sumOf } from "../../../services/pubsub/position.ts";
import { Listener, requestOf, said, Subject, text } from "./support/subject.ts";

const BIG = "x".repeat(2 ** 20);
const history = async (subject: Subject, topic: string) => (await subject.history(topic)).messages.map(said);

Deno.test("messages of 1 MiB in a history of less are delivered, and none is kept", async () => {
  const subject = new Subject({ maxHistoryBytes: 2 ** 19 });
  const { listener, subscription } = await subject.listen("t");
  for (let i = 0; i < 5; i++) subject.publish("t", BIG);
  equal(listener.messages.length, 5);
  deepEqual(await history(subject, "t"), []);
  equal(subject.service.figures().historyBytes, 0);
  equal((await subject.listen("t", { since: subscription.position })).subscription.unrecovered, "expired");
  const last = listener.messages.at(-1)!.position;
  equal((await subject.listen("t", { since: last })).subscription.recovered, true);
});

Deno.test("a namespace keeps so many bytes, and the topic loses first that was published in longest ago", async () => {
  const subject = new Subject({ maxHistoryBytes: 3_500 });
  const big = (content: string) => content.padEnd(800, ".");
  for (const topic of ["a", "b", "c"]) subject.publish(topic, big(topic));
  subject.publish("a", big("a2"));
  deepEqual(await Promise.all(["a", "b", "c"].map((topic) => history(subject, topic))), [
    [big("a"), big("a2")],
    [],
    [big("c")],
  ]);
  // Its own oldest, where it has all that there is.
  for (let i = 0; i < 5; i++) subject.publish("a", big(`a${i}`));
  deepEqual(await history(subject, "a"), [big("a2"), big("a3"), big("a4")]);
  deepEqual(await history(subject, "c"), []);
  const { historyBytes, historyMessages } = subject.service.figures();
  equal(historyMessages, 3);
  ok(historyBytes > 2_400 && historyBytes <= 3_500, String(historyBytes));
  deepEqual((await subject.service.usage("n")).history_bytes, historyBytes);
});

Deno.test("all namespaces together keep so many bytes, and one with few topics does not pay for all", async () => {
  const subject = new Subject({}, { maxHistoryBytes: 6_000 });
  const publish = (namespace: string, topic: string) =>
    subject.service.publish(namespace, topic, [text("x".repeat(800))], {}, requestOf());
  publish("a", "1");
  publish("b", "1");
  for (let i = 0; i < 10; i++) {
    publish("a", "1");
    publish("b", String(i));
  }
  ok(subject.service.figures().historyBytes <= 6_000);
  equal((await subject.service.usage("a")).history_messages, 4);
  equal((await subject.service.usage("b")).history_messages, 1);
});

Deno.test("what is too old goes by itself, without a timer for each topic", async () => {
  const subject = new Subject({ historyTtl: 10_000 });
  for (let i = 0; i < 1_000; i++) subject.publish(`t${i}`, "1");
  equal(subject.clock.timers, 1);
  await subject.clock.advance(5_000);
  subject.publish("t7", "2");
  deepEqual(await history(subject, "t7"), ["1", "2"]);
  await subject.clock.advance(6_000);
  equal(subject.service.figures().topics, 1);
  deepEqual(await history(subject, "t7"), ["2"]);
  await subject.clock.advance(6_000);
  deepEqual([subject.service.figures().topics, subject.service.figures().historyBytes], [0, 0]);
  await subject.clock.advance(2_000);
  equal(subject.clock.timers, 0, "with nothing there nobody looks");
  subject.publish("t", "1");
  equal(subject.clock.timers, 1);
});

Deno.test("a clock that is set makes nothing older or younger", async () => {
  const subject = new Subject({ historyTtl: 10_000 });
  subject.publish("t", "1");
  subject.clock.jump(10 * 86_400_000);
  subject.publish("t", "2");
  subject.clock.jump(-20 * 86_400_000);
  subject.publish("t", "3");
  await subject.clock.advance(9_000);
  deepEqual(await history(subject, "t"), ["1", "2", "3"]);
  await subject.clock.advance(2_000);
  deepEqual(await history(subject, "t"), []);
});

Deno.test("less history by a new rule takes effect without a message, also in topics that are used", async () => {
  const subject = new Subject();
  await subject.listen("t");
  subject.publish("t", ["1", "2", "3"]);
  subject.rules = { ...subject.rules, historySize: 1 };
  await subject.clock.advance(2_000);
  equal(subject.service.figures().historyMessages, 1);
  subject.rules = { ...subject.rules, historySize: 0 };
  await subject.clock.advance(2_000);
  equal(subject.service.figures().historyMessages, 0);
});

Deno.test("topics by the hundred thousand leave nothing behind but what is bounded", async () => {
  const subject = new Subject({ maxTopics: 1_000, historySize: 5 });
  const listener = new Listener();
  for (let i = 0; i < 100_000; i++) subject.publish(`t${i}`, "1");
  equal(subject.service.figures().topics, 1_000);
  equal(subject.service.figures().historyMessages, 1_000);
  subject.rules = { ...subject.rules, maxTopics: 200_000 };
  for (let i = 0; i < 20_000; i++) (await subject.subscribe(`t${i}`, listener)).close();
  await subject.clock.advance(1_000_000);
  const { topics, subscriptions, historyBytes } = subject.service.figures();
  deepEqual([topics, subscriptions, historyBytes], [0, 0, 0]);
  equal(subject.clock.timers, 0);
  deepEqual(listener.lines, []);
});

Deno.test("an offset is never given twice, however long ago a topic was used", async () => {
  const subject = new Subject({ historyTtl: 1_000 }, { rememberedHeads: 3 });
  const first = subject.publish("t", ["1", "2"]).position;
  await subject.clock.advance(5_000);
  equal(subject.service.figures().topics, 0);
  deepEqual([...subject.local.heads("n/t")], [[1, 2]]);
  equal((await subject.listen("t", { since: first })).subscription.recovered, true);
  subject.publish("t", "3");
  const back = await subject.listen("t", { since: first });
  deepEqual(back.subscription.missed.map(said), ["3"]);
});

Deno.test("of a topic whose head was forgotten nobody is told that nothing is missing", async () => {
  const subject = new Subject({ historyTtl: 1_000 }, { rememberedHeads: 3 });
  const old = subject.publish("t", ["1", "2", "3", "4"]).position;
  const quiet = await subject.listen("quiet");
  const never = positionText(sumOf("n/never"), { heads: new Map([[1, 0]]), known: 1 });
  await subject.clock.advance(5_000);
  const long = subject.publish("long", Array.from({ length: 9 }, String)).position;
  for (const topic of ["a", "b", "c"]) {
    await subject.clock.advance(5_000);
    subject.publish(topic, "1");
  }
  await subject.clock.advance(5_000);
  equal(subject.local.forgotten, 9);
  deepEqual([...subject.local.keys()].toSorted(), ["n/a", "n/b", "n/c", "n/quiet"]);
  const back = async (topic: string, since: string | undefined) => {
    const { subscription } = await subject.listen(topic, { since });
    subscription.close();
    return subscription.unrecovered ?? subscription.missed.map(said);
  };
  equal(await back("t", old), "expired");
  equal(await back("never", never), "expired", "nobody knows that it was never used");
  deepEqual(await back("long", long), []);
  subject.publish("t", "5");
  equal(await back("t", old), "expired");
  // It was in use all the time: nothing was published in it.
  quiet.subscription.close();
  await subject.clock.advance(10_000);
  deepEqual(await back("quiet", quiet.subscription.position), []);
  const { listener } = await subject.listen("t");
  subject.publish("t", "6");
  const { position } = listener.messages[0]!;
  subject.publish("t", "7");
  deepEqual(await back("t", position), ["7"]);
});

Deno.test("a head that others follow is not forgotten, nor one that they were told", async () => {
  const subject = new Subject({ historyTtl: 1_000 }, { rememberedHeads: 2 });
  subject.cluster.watchedKeys.add("n/followed");
  deepEqual([...subject.local.heads("n/followed")], [[1, 0]]);
  for (let i = 0; i < 20; i++) subject.publish(`t${i}`, ["1", "2", "3"]);
  await subject.clock.advance(5_000);
  equal(subject.local.forgotten, 3);
  deepEqual([...subject.local.heads("n/followed")], [[1, 0]]);
  subject.publish("followed", "1");
  equal(subject.cluster.published.at(-1)![1].from, 1);
});

Deno.test("another life counts from the beginning, and what is left of the one before stays what it is", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  subject.publish("t", ["1", "2"]);
  subject.publish("gone", "1");
  subject.epoch = 4;
  subject.publish("t", "3");
  deepEqual(listener.lines, ["1", "2", "3"]);
  deepEqual([...subject.local.heads("n/t")], [[1, 2], [4, 1]]);
  deepEqual(subject.cluster.published.map(([, { epoch, from }]) => [epoch, from]), [[1, 1], [1, 1], [4, 1]]);
  await subject.clock.advance(400_000);
  deepEqual([...subject.local.heads("n/t")], [[1, 2], [4, 1]], "of its own lives always");
  deepEqual([...subject.local.heads("n/gone")], [[4, 0]]);
});

Deno.test("epochs that have ended are forgotten with the last that is kept of them", async () => {
  const subject = new Subject({ historyTtl: 1_000 });
  subject.cluster.seen = { open: new Set([1, 2]), known: 2 };
  await subject.listen("t");
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [{ ...text("1"), at: 0, id: undefined }] });
  subject.cluster.seen = { open: new Set([1, 3]), known: 3 };
  await subject.clock.advance(900);
  equal(subject.local.heads("n/t").get(2), 1);
  await subject.clock.advance(5_000);
  equal(subject.local.heads("n/t").get(2), undefined);
});

Deno.test("heads are remembered up to a number, and the highest of the others is never undercut", () => {
  const watched = new Set<string>(), life = { epoch: 1 };
  const heads = new ForgottenHeads({ epoch: () => life.epoch, isWatched: (key) => watched.has(key), most: 2 });
  heads.put("a", 5);
  heads.put("b", 3);
  heads.put("a", 6);
  heads.put("c", 1);
  deepEqual([heads.floor, heads.get("a"), heads.get("b"), heads.get("c")], [3, 6, 3, 1]);
  deepEqual([...heads.keys()], ["a", "c"]);
  watched.add("a");
  heads.put("d", 2);
  deepEqual([heads.floor, [...heads.keys()]], [3, ["d", "a"]], "the one that is not followed goes");
  equal(heads.take("a"), 6);
  equal(heads.take("a"), 3, "whoever is not remembered goes on behind all of them");
  equal(heads.told("e"), 3);
  life.epoch = 2;
  deepEqual([heads.floor, heads.get("d"), [...heads.keys()]], [0, 0, []]);
  deepEqual([1, 2, 3].map((epoch) => heads.isOwn(epoch)), [true, true, false]);
  for (let i = 0; i < 100; i++) {
    watched.add(`w${i}`);
    heads.put(`w${i}`, i);
  }
  ok([...heads.keys()].length <= 2, "and it is bounded whatever is followed");
});
