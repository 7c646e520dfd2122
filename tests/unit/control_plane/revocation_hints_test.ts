import { deepEqual, equal, ok } from "node:assert/strict";
import { RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Delivery, Published, PubSub, Subscriber, Subscription } from "../../../src/contracts/pubsub.ts";
import { NAMESPACE_PATTERN } from "../../../src/contracts/namespaces.ts";
import { BETWEEN_GATEWAYS, hintAtRevocations } from "../../../src/revocation_hints.ts";
import { until } from "../../engines/support/wait.ts";
import { TestClock } from "./support/clock.ts";
import { openControl } from "./support/control.ts";
import { WatchedControl } from "./support/doubles.ts";

/** Hands what is published to all who are subscribed, as gateways that are linked do. */
class SharedTopics implements Pick<PubSub, "publish" | "subscribe"> {
  readonly published: string[] = [];
  readonly #subscribers: Subscriber[] = [];
  failing = false;

  publish(namespace: string, topic: string): Published {
    if (this.failing) throw new GatewayError("UNAVAILABLE", "stopping");
    this.published.push(`${namespace}/${topic}`);
    for (const subscriber of this.#subscribers) subscriber.deliver({} as Delivery);
    return { position: undefined, repeated: false };
  }

  subscribe(_namespace: string, _topic: string, subscriber: Subscriber): Promise<Subscription> {
    if (this.failing) return Promise.reject(new GatewayError("UNAVAILABLE", "stopping"));
    this.#subscribers.push(subscriber);
    return Promise.resolve({} as Subscription);
  }
}

async function gateways() {
  const database = await openControl();
  const { now } = new TestClock();
  const topics = new SharedTopics(), stop = new AbortController(), errors: unknown[] = [];
  // None of them looks by itself.
  const feed = () =>
    new RevocationFeed(new WatchedControl(database), { now, monotonic: now, interval: 500, maxSilence: 60_000 });
  const hinting = (revocations: RevocationFeed) => {
    const onError = (error: unknown) => errors.push(error);
    hintAtRevocations({ pubsub: topics, revocations, signal: stop.signal, onError });
    return revocations;
  };
  return {
    topics,
    stop,
    errors,
    feed,
    hinting,
    async revoke(by: RevocationFeed, id: string) {
      await database.run(by.entry("key", id));
      await by.pull();
    },
    [Symbol.asyncDispose]: () => database.close(),
  };
}

Deno.test("what one gateway revokes the others look for at once, and nobody answers a hint with a hint", async () => {
  await using t = await gateways();
  const [one, other, third] = [t.hinting(t.feed()), t.hinting(t.feed()), t.hinting(t.feed())];
  await t.revoke(one, "1");
  for (const feed of [other, third]) await until("it has heard", () => feed.find("key", "1") !== undefined);
  deepEqual(t.topics.published, [`${BETWEEN_GATEWAYS}/revocations`]);
  await t.revoke(other, "2");
  for (const feed of [one, third]) await until("it has heard", () => feed.find("key", "2") !== undefined);
  equal(t.topics.published.length, 2);
  deepEqual(t.errors, []);
});

Deno.test("no namespace can be called as gateways call theirs", () => {
  equal(NAMESPACE_PATTERN.test(BETWEEN_GATEWAYS), false);
});

Deno.test("a hint that cannot be given costs nothing but its speed", async () => {
  await using t = await gateways();
  t.topics.failing = true;
  const [one, other] = [t.hinting(t.feed()), t.feed()];
  await t.revoke(one, "1");
  ok(one.find("key", "1"));
  await until("it is told", () => t.errors.length === 2);
  await other.pull();
  ok(other.find("key", "1"));
  t.stop.abort();
  await t.revoke(one, "2");
  ok(one.find("key", "2"));
  equal(t.errors.length, 2, "who stops hints at nothing");
});
