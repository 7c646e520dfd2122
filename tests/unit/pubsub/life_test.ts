import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import { awaitedLater } from "../../support/awaited_later.ts";
import { settled } from "../cache/support/fake_clock.ts";
import { code } from "./support/positions.ts";
import { Listener, requestOf, said, Subject } from "./support/subject.ts";

Deno.test("one who is present hears of oneself first, and of each who comes and leaves once", async () => {
  const subject = new Subject();
  const ada = await subject.listen("t", { member: { id: "ada", meta: { tea: 1 } } });
  const silent = await subject.listen("t", { presence: false });
  const bob = await subject.listen("t", { member: { id: "bob", meta: undefined } });
  const again = await subject.listen("t", { member: { id: "ada", meta: { tea: 2 } } });
  deepEqual(ada.listener.lines, ["join ada", "join bob"]);
  deepEqual(bob.listener.lines, ["join bob"]);
  deepEqual(again.listener.lines, []);
  const [join] = ada.listener.events;
  ok(join?.kind === "join");
  deepEqual(join.member, { id: "ada", meta: { tea: 1 }, joinedAt: subject.clock.now(), connections: 1 });
  equal(join.at, subject.clock.now());
  deepEqual(subject.service.members("n", "t").map(({ id, connections }) => [id, connections]), [["ada", 2], [
    "bob",
    1,
  ]]);
  ada.subscription.close();
  ada.subscription.close();
  deepEqual(bob.listener.lines, ["join bob"], "she is still there");
  deepEqual(subject.service.members("n", "t").map(({ id, meta }) => [id, meta]), [["ada", { tea: 2 }], [
    "bob",
    undefined,
  ]]);
  again.subscription.close();
  deepEqual(bob.listener.lines, ["join bob", "leave ada"]);
  equal(subject.service.figures().members, 1);
  subject.publish("t", "1");
  deepEqual(silent.listener.lines, ["1"]);
  equal(subject.service.figures().delivered, 2, "who comes and leaves is no message");
  await rejects(
    subject.subscribe("t", new Listener(), { member: { id: "x", meta: { big: "ä".repeat(2_048) } } }),
    code("INVALID_REQUEST"),
  );
});

Deno.test("a namespace that is deleted ends its subscriptions, those that are being made, and its history", async () => {
  const subject = new Subject();
  const listeners = [new Listener(), new Listener()];
  await subject.subscribe("t", listeners[0]!, { member: { id: "ada", meta: undefined } });
  await subject.subscribe("t", listeners[1]!, { member: { id: "bob", meta: undefined } });
  await subject.turn();
  const other = new Listener();
  await subject.service.subscribe("m", "t", other, {}, requestOf());
  const first = subject.publish("t", "1", { idempotencyKey: "k" });
  const opened = Promise.withResolvers<void>();
  subject.cluster.joining = () => opened.promise;
  const unanswered = new Listener();
  const making = awaitedLater(subject.subscribe("new", unanswered));
  await settled();
  const before = listeners.map(({ events }) => events.length);
  await subject.service.purge("n");
  await subject.service.purge("n");
  opened.resolve();
  await rejects(making, code("NOT_FOUND"));
  await subject.turn();
  deepEqual(listeners.map(({ ends }) => ends), [1, 1]);
  deepEqual(listeners.map(({ events }) => events.length), before, "nobody hears of the others leaving");
  deepEqual([other.ends, unanswered.ends], [0, 0]);
  deepEqual(await subject.service.usage("n"), {
    topics: 0,
    subscriptions: 0,
    members: 0,
    history_messages: 0,
    history_bytes: 0,
  });
  deepEqual(subject.cluster.leaves.toSorted(), ["n/new", "n/t"]);
  deepEqual(subject.service.members("n", "t"), []);
  // Whoever has its name next begins behind it.
  equal(subject.publish("t", "2", { idempotencyKey: "k" }).repeated, false);
  const recovered = await subject.listen("t", { since: first.position });
  equal(recovered.subscription.recovered, true);
  deepEqual(recovered.subscription.missed.map(said), ["2"]);
});

Deno.test("one who looks something up while the namespace is deleted takes nothing from those who come after", async () => {
  const subject = new Subject();
  const { position } = subject.publish("t", "1");
  const opened = Promise.withResolvers<void>();
  subject.cluster.joining = () => opened.promise;
  const looking = subject.history("t", position);
  await settled();
  await subject.service.purge("n");
  subject.cluster.joining = () => Promise.resolve();
  const { listener } = await subject.listen("t");
  opened.resolve();
  deepEqual((await looking).messages, []);
  await subject.clock.advance(20_000);
  deepEqual([subject.cluster.joins, subject.cluster.leaves], [["n/t", "n/t"], ["n/t"]]);
  subject.publish("t", "2");
  deepEqual(listener.lines, ["2"]);
  equal(subject.cluster.published.at(-1)![1].from, 2, "no offset is given twice");
});

Deno.test("a gateway that stops tells its subscribers, takes nothing more, and still answers the others", async () => {
  const subject = new Subject();
  const { listener } = await subject.listen("t");
  subject.publish("t", ["1", "2"]);
  const opened = Promise.withResolvers<void>();
  subject.cluster.joining = () => opened.promise;
  const making = awaitedLater(subject.subscribe("new", new Listener()));
  await settled();
  const closing = subject.service.close();
  opened.resolve();
  await rejects(making, code("UNAVAILABLE"));
  await subject.turn();
  await closing;
  await subject.service.close();
  equal(listener.ends, 1);
  throws(() => subject.publish("t", "3"), code("UNAVAILABLE"));
  await rejects(subject.subscribe("t", new Listener()), code("UNAVAILABLE"));
  equal((await subject.service.health()).status, "down");
  equal(subject.local.range("n/t", 1, 0, Infinity)?.entries.length, 2);
  deepEqual([...subject.local.heads("n/t")], [[1, 2]]);
  equal(subject.clock.timers, 0);
});

Deno.test("a gateway without a number passes messages on, and says that nothing can be recovered", async () => {
  const subject = new Subject();
  subject.epoch = undefined;
  const { listener, subscription } = await subject.listen("t");
  const published = subject.publish("t", "1");
  deepEqual([subscription.position, published.position, listener.messages[0]?.position], [
    undefined,
    undefined,
    undefined,
  ]);
  equal((await subject.service.health()).status, "degraded");
  deepEqual(subject.cluster.published, [], "nobody else could put it in order");
  subject.epoch = 3;
  const second = subject.publish("t", "2");
  equal((await subject.service.health()).status, "ok");
  deepEqual(listener.lines, ["1", "2"]);
  deepEqual([...subject.local.heads("n/t")], [[3, 1]]);
  const back = await subject.listen("t", { since: second.position });
  deepEqual([back.subscription.recovered, back.subscription.missed], [true, []]);
});

Deno.test("the others go on sending for a while when the last one leaves, since most come back", async () => {
  const subject = new Subject();
  const first = await subject.listen("t");
  first.subscription.close();
  await subject.clock.advance(3_000);
  const second = await subject.listen("t");
  await subject.clock.advance(30_000);
  deepEqual([subject.cluster.joins.length, subject.cluster.leaves.length], [1, 0]);
  second.subscription.close();
  await subject.clock.advance(30_000);
  deepEqual([subject.cluster.joins.length, subject.cluster.leaves.length], [1, 1]);
  await subject.listen("t");
  equal(subject.cluster.joins.length, 2);
});

Deno.test("a request that is given up while the others are told leaves nothing behind", async () => {
  const subject = new Subject();
  const opened = Promise.withResolvers<void>();
  subject.cluster.joining = () => opened.promise;
  const controller = new AbortController();
  const refused = subject.service.subscribe("n", "t", new Listener(), {}, requestOf("alice", controller.signal));
  controller.abort(new Error("gone"));
  opened.resolve();
  await rejects(refused, /gone/);
  equal(subject.service.figures().subscriptions, 0);
  deepEqual(subject.service.topics("n"), []);
  await subject.clock.advance(10_000);
  deepEqual(subject.cluster.leaves, ["n/t"]);
  equal(subject.service.figures().topics, 0);
});
