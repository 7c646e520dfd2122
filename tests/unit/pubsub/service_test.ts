import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { code, entry, position, view } from "./support/positions.ts";
import { Listener, QUICK, requestOf, RULES, said, Subject, text } from "./support/subject.ts";

Deno.test("publishing waits for nothing and makes no promise, and nobody makes the request's signal for it", async () => {
  const subject = new Subject();
  await subject.listen("t");
  const published = subject.service.publish("n", "t", [text("1")], {}, QUICK);
  equal(published instanceof Promise, false);
  ok(!(published instanceof Promise) && published.position !== undefined && !published.repeated);
  await subject.service.subscribe("n", "t", new Listener(), {}, QUICK);
});

Deno.test("rules that have to be asked for are waited for, and hold", async () => {
  const rules = { ...RULES, maxMessageBytes: 3 };
  const subject = new Subject({}, { rulesOf: () => Promise.resolve(rules) });
  await rejects(
    async () => await subject.service.publish("n", "t", [text("1234")], {}, requestOf()),
    code("BODY_TOO_LARGE"),
  );
  const listener = new Listener();
  await subject.subscribe("t", listener);
  await subject.service.publish("n", "t", [text("123")], {}, requestOf());
  await subject.turn();
  deepEqual(listener.lines, ["123"]);
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [{ ...text("456"), at: 0, id: undefined }] });
  deepEqual(listener.lines, ["123", "456"]);
});

Deno.test("a topic is 1 to 255 bytes of UTF-8 without control characters, and any others are refused", async () => {
  const subject = new Subject();
  const bad = [
    "",
    "\0",
    "a\nb",
    "\x7f",
    "\x1f",
    "\ud800",
    "a\udc00",
    "x".repeat(256),
    "ä".repeat(128),
    "😀".repeat(64),
  ];
  for (const topic of bad) {
    throws(() => subject.publish(topic, "1"), code("INVALID_REQUEST"), JSON.stringify(topic));
    await rejects(subject.subscribe(topic, new Listener()), code("INVALID_REQUEST"), JSON.stringify(topic));
    await rejects(subject.history(topic), code("INVALID_REQUEST"), JSON.stringify(topic));
    const member = { id: topic, meta: undefined };
    await rejects(subject.subscribe("t", new Listener(), { member }), code("INVALID_REQUEST"), JSON.stringify(topic));
  }
  equal(subject.service.figures().topics, 0);
  const good = [
    " ",
    "/",
    "a/b",
    "a.b",
    "x".repeat(255),
    "ä".repeat(127),
    "😀".repeat(63),
    "\u0085",
    "é",
    "e\u0301",
    "__proto__",
  ];
  for (const topic of good) {
    const { listener } = await subject.listen(topic);
    subject.publish(topic, topic);
    deepEqual(listener.lines, [topic]);
    deepEqual(listener.deliveries.map((delivery) => delivery.topic), [topic]);
  }
  deepEqual(subject.service.topics("n"), good.toSorted());
});

Deno.test("topics of two namespaces are two, however they are spelled", async () => {
  const subject = new Subject();
  const at = async (namespace: string, topic: string) => {
    const listener = new Listener();
    await subject.service.subscribe(namespace, topic, listener, {}, requestOf());
    return listener;
  };
  const all = [await at("a", "b/c"), await at("a-b", "c"), await at("a", "b"), await at("c", "b/c")];
  await subject.turn();
  await subject.service.publish("a", "b/c", [text("1")], {}, requestOf());
  deepEqual(all.map(({ lines }) => lines), [["1"], [], [], []]);
  deepEqual(subject.service.topics("a"), ["b", "b/c"]);
  deepEqual(subject.service.topics("nobody"), []);
});

Deno.test("a message beyond the rule publishes nothing of its batch", async () => {
  const subject = new Subject({ maxMessageBytes: 3 });
  const { listener } = await subject.listen("t");
  throws(() => subject.publish("t", ["1", "1234"]), code("BODY_TOO_LARGE"));
  throws(() => subject.publish("t", []), code("INVALID_REQUEST"));
  subject.publish("t", ["", "123"]);
  deepEqual(listener.lines, ["", "123"]);
});

Deno.test("whoever publishes faster than the rule is told when to go on, and a clock that is set does not help", () => {
  const subject = new Subject({ publishRate: 10 });
  for (let i = 0; i < 10; i++) subject.publish("t", "x");
  const refused = (error: unknown) => code("RATE_LIMITED")(error) && (error as GatewayError).extra.retryAfter === 1;
  throws(() => subject.publish("t", "x"), refused);
  throws(() => subject.publish("other", "x"), refused);
  subject.clock.jump(3_600_000);
  throws(() => subject.publish("t", "x"), refused);
  subject.clock.jump(-7_200_000);
  throws(() => subject.publish("t", "x"), refused);
  subject.clock.pass(100);
  subject.publish("t", "x");
  throws(() => subject.publish("t", "x"), refused);
  subject.clock.pass(1_000);
  subject.publish("t", Array.from({ length: 20 }, () => "x"));
  throws(() => subject.publish("t", "x"), code("RATE_LIMITED"), "a batch passes whole, and is paid for");
  subject.clock.pass(1_100);
  subject.publish("t", "x");
});

Deno.test("a namespace of which nothing is left still has to pay for what it published", async () => {
  const subject = new Subject({ publishRate: 1, historySize: 0 });
  subject.publish("t", Array.from({ length: 60 }, () => "x"));
  equal(subject.service.figures().topics, 0);
  await subject.clock.advance(30_000);
  throws(() => subject.publish("t", "x"), code("RATE_LIMITED"));
  await subject.clock.advance(31_000);
  subject.publish("t", "x");
});

Deno.test("topics with subscribers are bounded, and those without make room", async () => {
  const subject = new Subject({ maxTopics: 3 });
  const { subscription } = await subject.listen("a");
  await subject.listen("b");
  subject.publish("c", "1");
  subject.publish("d", "2");
  deepEqual((await subject.history("c")).messages, [], "the one that was unused for longest");
  deepEqual((await subject.history("d")).messages.map(said), ["2"]);
  await subject.listen("e");
  await rejects(subject.subscribe("f", new Listener()), code("TOO_MANY_TOPICS"));
  throws(() => subject.publish("f", "3"), code("TOO_MANY_TOPICS"));
  await subject.listen("a");
  subscription.close();
  await rejects(subject.subscribe("f", new Listener()), code("TOO_MANY_TOPICS"), "one is still there");
  const other = await subject.service.subscribe("m", "a", new Listener(), {}, requestOf());
  other.close();
  const small = new Subject({ maxTopics: 2 });
  for (const topic of ["a", "b", "a", "c"]) small.publish(topic, topic);
  deepEqual((await small.history("b")).messages, [], "what was published in last is not unused");
  deepEqual((await small.history("a")).messages.map(said), ["a", "a"]);
});

Deno.test("subscriptions of a namespace are bounded, also those that are not answered yet", async () => {
  const subject = new Subject({}, { maxSubscriptions: 2 });
  const opened = Promise.withResolvers<void>();
  subject.cluster.joining = () => opened.promise;
  const first = subject.subscribe("t", new Listener()), second = subject.subscribe("t", new Listener());
  await rejects(subject.subscribe("t", new Listener()), code("TOO_MANY_SUBSCRIPTIONS"));
  opened.resolve();
  (await first).close();
  await subject.subscribe("t", new Listener());
  await rejects(subject.subscribe("t", new Listener()), code("TOO_MANY_SUBSCRIPTIONS"));
  (await second).close();
});

Deno.test("a subscription is answered when the others have heard of it, and stands where they are then", async () => {
  const subject = new Subject();
  const opened = Promise.withResolvers<void>();
  subject.cluster.joining = () => opened.promise;
  const listeners = [new Listener(), new Listener()];
  const answers: string[] = [];
  const both = listeners.map((listener, i) => subject.subscribe("t", listener).then(() => answers.push(String(i))));
  subject.cluster.seen = { open: new Set([1, 2]), known: 2 };
  await settled();
  subject.local.begin("n/t", 2, 70);
  subject.local.accept("n/t", { epoch: 2, from: 71, entries: [{ ...text("71"), at: 0, id: undefined }] });
  deepEqual(answers, []);
  opened.resolve();
  await Promise.all(both);
  await subject.turn();
  subject.local.accept("n/t", { epoch: 2, from: 72, entries: [{ ...text("72"), at: 0, id: undefined }] });
  deepEqual(listeners.map(({ lines }) => lines), [["72"], ["72"]]);
  deepEqual(subject.cluster.joins, ["n/t"], "once for both");
  const { subscription } = await subject.listen("t");
  deepEqual(subject.cluster.joins, ["n/t"], "with another subscriber nothing is asked");
  equal(subscription.position, listeners[0]!.messages[0]!.position);
});

Deno.test("what other gateways send is handed on in their order, once, and a gap is told to everyone", async () => {
  const subject = new Subject();
  subject.cluster.seen = { open: new Set([1, 2]), known: 2 };
  const { listener } = await subject.listen("t");
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("1"), entry("2")] });
  subject.local.accept("n/t", { epoch: 2, from: 2, entries: [entry("2"), entry("3")] });
  subject.local.accept("n/t", { epoch: 2, from: 1, entries: [entry("1")] });
  await subject.listen("t");
  subject.local.begin("n/t", 2, 9);
  subject.local.gap("n/t", "expired");
  subject.local.accept("n/t", { epoch: 2, from: 10, entries: [entry("10")] });
  subject.local.accept("n/unknown", { epoch: 2, from: 1, entries: [entry("x")] });
  subject.local.gap("n/unknown", "expired");
  subject.local.begin("n/unknown", 2, 4);
  deepEqual(listener.lines, ["1", "2", "3", "gap expired", "10"]);
  equal(subject.service.figures().gaps.expired, 1);
  const gap = listener.events[3];
  ok(gap?.kind === "gap");
  equal(gap.position, position(view(2, [1, 0], [2, 9])));
  // What does not follow on what was taken before begins anew, rather than in a wrong place.
  subject.local.accept("n/t", { epoch: 2, from: 20, entries: [entry("20")] });
  deepEqual([listener.lines.at(-1), subject.local.heads("n/t").get(2), subject.local.first("n/t", 2)], ["20", 20, 20]);
});
