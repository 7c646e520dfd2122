import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import type { PubSubRules } from "../../../src/contracts/settings.ts";
import { code } from "./support/positions.ts";
import { Listener, requestOf, said, Subject, text } from "./support/subject.ts";

/** Ten topics and a hundred messages per second, of which a key has 80 %, and whoever was given a token a fifth. */
const SHARED = { maxTopics: 10, credentialShare: 80, guestShare: 20 };

/** Several who share one namespace. */
class Shared extends Subject {
  constructor(rules: Partial<PubSubRules> = {}) {
    super({ ...SHARED, ...rules });
  }

  open(caller: string, topic: string, isGuest = true) {
    return this.service.subscribe("n", topic, new Listener(), {}, { ...requestOf(caller), isGuest });
  }

  say(caller: string, topic: string, texts = ["x"], isGuest = true) {
    return this.service.publish("n", topic, texts.map(text), {}, { ...requestOf(caller), isGuest });
  }

  async kept(...topics: readonly string[]): Promise<string> {
    const found = await Promise.all(topics.map(async (topic) => (await this.history(topic)).messages.map(said)));
    return topics.filter((_, i) => found[i]!.length > 0).join(" ");
  }
}

const names = (count: number, prefix = "t") => Array.from({ length: count }, (_, i) => `${prefix}${i}`);
const refusedFor = (of: string, limit: number) => (error: unknown) => {
  ok(code("TOO_MANY_TOPICS")(error));
  deepEqual((error as { extra: { details: unknown } }).extra.details, { of, limit });
  return true;
};

Deno.test("one credential has a share of the topics of its namespace, and the others go on", async () => {
  const subject = new Shared();
  const first = await subject.open("guest", "t0"), again = await subject.open("guest", "t0");
  await subject.open("guest", "t1");
  await rejects(subject.open("guest", "t2"), refusedFor("credential", 2));
  await subject.open("guest", "t1");
  await subject.open("other", "t2");
  first.close();
  await rejects(subject.open("guest", "t3"), refusedFor("credential", 2), "it has another subscription to it");
  again.close();
  again.close();
  await subject.open("guest", "t3");
  await rejects(subject.open("guest", "t4"), refusedFor("credential", 2));
  // A key has more, and not all.
  for (const topic of names(7, "k")) await subject.open("key", topic, false);
  await rejects(subject.open("key", "k7", false), refusedFor("namespace", 10));
  await subject.open("key", "t1", false);
  await rejects(subject.open("key", "t3", false), refusedFor("credential", 8));
});

Deno.test("a subscription that fails takes nothing of a share", async () => {
  const subject = new Shared();
  subject.cluster.joining = () => Promise.reject(new Error("the others cannot be asked"));
  for (const topic of names(5)) await rejects(subject.open("guest", topic), /cannot be asked/);
  subject.cluster.joining = () => Promise.resolve();
  await subject.open("guest", "t8");
  await subject.open("guest", "t9");
});

Deno.test("whoever publishes in ever new topics, or comes and goes, loses what is kept of its own", async () => {
  const subject = new Shared();
  for (const topic of names(4, "k")) subject.say("key", topic, ["x"], false);
  for (const topic of names(5)) subject.say("guest", topic);
  equal(await subject.kept(...names(4, "k"), ...names(5)), "k0 k1 k2 k3 t3 t4");
  subject.say("guest", "t3");
  subject.say("guest", "t5");
  equal(await subject.kept(...names(6)), "t3 t5", "what was published in last is not unused");
  for (const topic of names(5, "u")) {
    const subscription = await subject.open("guest", topic);
    subject.say("guest", topic);
    subscription.close();
  }
  equal(await subject.kept(...names(4, "k"), ...names(6), ...names(5, "u")), "k0 k1 k2 k3 u3 u4");
  // It counts for who published in it last; with a subscriber for nobody but that one.
  subject.say("key", "u3", ["y"], false);
  const reader = await subject.open("reader", "u4");
  for (const topic of ["v0", "v1"]) subject.say("guest", topic);
  equal(await subject.kept("u3", "u4", "v0", "v1"), "u3 u4 v0 v1");
  reader.close();
  equal(await subject.kept("u3", "u4", "v0", "v1"), "u3 u4 v1");
});

Deno.test("a subscription takes from nobody what may still be missed: it is refused while all topics are of use", async () => {
  const subject = new Shared({ maxTopics: 3, historyTtl: 60_000, guestShare: 100 });
  for (const topic of ["a", "b", "c"]) subject.say("key", topic, [topic], false);
  const { position } = await subject.history("a");
  await rejects(subject.open("guest", "d"), refusedFor("namespace", 3));
  await rejects(subject.history("d", position), code("INVALID_REQUEST"), "no position of this topic");
  equal(await subject.kept("a", "b", "c"), "a b c");
  await subject.clock.advance(20_000);
  subject.say("key", "a", ["a"], false);
  await subject.clock.advance(11_000);
  (await subject.open("guest", "d")).close();
  equal(await subject.kept("a", "b", "c"), "a c", "half of its time was over");
  // What nobody uses, and nothing is kept of, makes room at once.
  await subject.open("guest", "e");
  equal(await subject.kept("a", "b", "c"), "a c");
  // Who publishes may, and who published something gives that up rather than to be refused.
  subject.say("other", "f", ["f"], false);
  equal(await subject.kept("a", "c", "f"), "a f");
  await subject.open("other", "g", false);
  equal(await subject.kept("a", "f"), "a");
});

Deno.test("one credential has a share of the rate of its namespace, and what it is refused costs the others nothing", async () => {
  const subject = new Shared({ publishRate: 10 });
  const limited = (of: string, limit: number) => (error: unknown) => {
    ok(code("RATE_LIMITED")(error));
    deepEqual((error as { extra: { details: unknown } }).extra.details, { of, limit });
    return true;
  };
  subject.say("guest", "t", ["1", "2"]);
  for (let i = 0; i < 20; i++) throws(() => subject.say("guest", "t"), limited("credential", 2));
  for (let i = 0; i < 8; i++) subject.say("key", "t", ["x"], false);
  throws(() => subject.say("key", "t", ["x"], false), limited("credential", 8));
  throws(() => subject.say("other", "t"), limited("namespace", 10));
  subject.clock.pass(1_000);
  // What the namespace refuses is not counted for who was refused.
  subject.say("other", "t", ["1", "2"]);
  throws(() => subject.say("other", "t"), limited("credential", 2));
  // A debt is not forgotten with all else.
  const alone = new Shared({ publishRate: 10, historySize: 0 });
  alone.say("guest", "t", names(10));
  await alone.clock.advance(3_000);
  throws(() => alone.say("guest", "t"), limited("credential", 2));
  await alone.clock.advance(2_000);
  alone.say("guest", "t");
  const free = new Shared({ publishRate: 0 });
  for (let i = 0; i < 100; i++) free.say("guest", "t");
});

Deno.test("a gateway that stops keeps for the others what is over a share", async () => {
  const subject = new Shared();
  for (const topic of names(5)) {
    await subject.open(`reader ${topic}`, topic);
    subject.say("guest", topic);
  }
  const closed = subject.service.close();
  await subject.turn();
  await closed;
  deepEqual(names(5).map((topic) => subject.local.range(`n/${topic}`, 1, 0, Infinity)?.entries.length), [
    1,
    1,
    1,
    1,
    1,
  ]);
});
