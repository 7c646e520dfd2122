import { deepEqual, equal } from "node:assert/strict";
import { MemoryDriver } from "../../../services/cache/memory/driver.ts";
import { NearDriver } from "../../../services/cache/near/driver.ts";
import type { CacheNearWrite } from "../../../src/contracts/cache.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type {
  Delivery,
  Message,
  Payload,
  Published,
  PubSub,
  Subscriber,
  Subscription,
} from "../../../src/contracts/pubsub.ts";
import { hintAtWrites } from "../../../src/near_hints.ts";
import { BETWEEN_GATEWAYS, THEIR_RULES } from "../../../src/revocation_hints.ts";
import { FakeClock, settled } from "./support/fake_clock.ts";
import { FarDriver } from "./support/far_driver.ts";
import { numberIn, SHOP, USERS, WAITER } from "./support/near.ts";

const json = (value: number) => ({ json: String(value) });
const at = (key: string, map = USERS) => ({ map, key });

/** Hands what is published to all who are subscribed, as gateways that are linked do. */
class SharedTopics implements Pick<PubSub, "publish" | "subscribe"> {
  readonly published: string[] = [];
  readonly #subscribers: Subscriber[] = [];
  failing = false;

  publish(namespace: string, _topic: string, [payload]: readonly Payload[]): Published {
    if (this.failing) throw new GatewayError("UNAVAILABLE", "stopping");
    equal(namespace, BETWEEN_GATEWAYS);
    this.published.push(new TextDecoder().decode(payload!.data));
    this.say(payload!.data);
    return { position: undefined, repeated: false };
  }

  subscribe(_namespace: string, _topic: string, subscriber: Subscriber): Promise<Subscription> {
    if (this.failing) return Promise.reject(new GatewayError("UNAVAILABLE", "stopping"));
    this.#subscribers.push(subscriber);
    return Promise.resolve({} as Subscription);
  }

  /** Whatever somebody says. */
  say(data: Uint8Array<ArrayBuffer>): void {
    const message: Message = { kind: "message", data, json: true, at: 0, position: undefined };
    const delivery: Delivery = { topic: "near", events: [message], as: (encode) => encode(delivery) };
    for (const subscriber of this.#subscribers) subscriber.deliver(delivery);
  }
}

/** Gateways with near caches before one memory, in which copies live for an hour. */
function setting(topics = new SharedTopics()) {
  const clock = new FakeClock(), stop = new AbortController(), errors: unknown[] = [];
  const memory = new MemoryDriver({ maxBytes: 2 ** 24, clock });
  const lives = new Map([[USERS, 3_600_000]]);
  let count = 0;
  return {
    topics,
    clock,
    stop,
    errors,
    gateway() {
      const far = new FarDriver(memory);
      const near = new NearDriver({ driver: far.driver, maxBytes: 2 ** 22, livesOf: () => lives, clock });
      const sender = `gateway-${++count}`;
      const onError = (error: unknown) => errors.push(error);
      hintAtWrites({ pubsub: topics, near, sender, clock, signal: stop.signal, onError });
      /** Asks, and whoever has to be asked answers at once. */
      const now = async <T>(ask: () => T): Promise<Awaited<T>> => {
        const before = far.calls.length, answer = ask();
        if (far.calls.length > before) far.last.arrive();
        return await answer;
      };
      return {
        far,
        near,
        read: async (key: string) => numberIn(await now(() => near.get(SHOP, at(key), WAITER))),
        write: (key: string, value: number, map = USERS) =>
          now(() => near.put(SHOP, at(key, map), json(value), {}, WAITER)),
      };
    },
    [Symbol.asyncDispose]: () => memory.close(),
  };
}

Deno.test("what one gateway wrote the others read as soon as they have heard of it", async () => {
  await using t = setting();
  const [one, other, third] = [t.gateway(), t.gateway(), t.gateway()];
  await one.write("a", 1);
  await one.write("b", 1);
  await t.clock.advance(5);
  for (const gateway of [other, third]) deepEqual([await gateway.read("a"), await gateway.read("b")], [1, 1]);
  await one.write("a", 2);
  equal(await other.read("a"), 1, "nobody waits for a hint");
  await t.clock.advance(5);
  for (const gateway of [other, third]) {
    equal(await gateway.read("a"), 2);
    const asked = gateway.far.calls.length;
    equal(await gateway.read("b"), 1);
    equal(gateway.far.calls.length, asked, "what was not written is still a copy");
  }
  deepEqual(t.errors, []);
});

Deno.test("every way to write is told, whatever came of it, and no reading is", async () => {
  await using t = setting();
  const { near, far } = t.gateway();
  const told: CacheNearWrite[] = [];
  near.onWrite((write) => told.push(write));
  const keys = ["a", "b"];
  const writes = {
    put: () => near.put(SHOP, at("a"), json(1), {}, WAITER),
    putMany: () => near.putMany(SHOP, USERS, keys.map((key) => ({ key, value: json(1) })), undefined, WAITER),
    swap: () => near.swap(SHOP, at("a"), json(1), undefined, WAITER),
    delete: () => near.delete(SHOP, at("a"), undefined, WAITER),
    deleteMany: () => near.deleteMany(SHOP, USERS, keys, WAITER),
    increment: () => near.increment(SHOP, at("a"), { by: 1, initial: 0, ttl: undefined }, WAITER),
    expire: () => near.expire(SHOP, at("a"), 1_000, WAITER),
    drop: () => near.drop(SHOP, USERS, WAITER),
  };
  for (const [name, write] of Object.entries(writes)) {
    told.length = 0;
    const answer = Promise.try<unknown, []>(write).catch(() => {});
    deepEqual(told, [], `${name}: not before it is over`);
    far.last.fail(new GatewayError("UNAVAILABLE", "no answer"));
    await answer;
    const written = name.endsWith("Many") ? keys : name === "drop" ? undefined : ["a"];
    deepEqual(told, [{ namespace: SHOP, map: USERS, keys: written }], name);
  }
  told.length = 0;
  const read = near.get(SHOP, at("a"), WAITER, { current: true });
  far.last.arrive();
  await read;
  const elsewhere = near.put(SHOP, at("a", "other"), json(1), {}, WAITER);
  far.last.arrive();
  await elsewhere;
  deepEqual(told, [], "nor is a map told of that has no near cache");
});

Deno.test("writes of a moment are one hint, without a value, and not for the ears of who gave it", async () => {
  await using t = setting();
  const one = t.gateway();
  for (let i = 0; i < 50; i++) await one.write(`k${i % 5}`, 1_000 + i);
  equal(await one.read("k1"), 1_046);
  await t.clock.advance(5);
  equal(t.topics.published.length, 1);
  deepEqual(JSON.parse(t.topics.published[0]!), ["gateway-1", [[SHOP, USERS, ["k0", "k1", "k2", "k3", "k4"]]]]);
  const asked = one.far.calls.length;
  equal(await one.read("k1"), 1_046);
  equal(one.far.calls.length, asked, "its own copies are as new as its writes");
  await t.clock.advance(1_000);
  equal(t.topics.published.length, 1, "who writes nothing says nothing");
});

Deno.test("of too many keys the map is told as a whole, and no hint is longer than may be", async () => {
  await using t = setting();
  const [one, other] = [t.gateway(), t.gateway()];
  await one.write("mine", 1);
  equal(await other.read("mine"), 1);
  for (let i = 0; i < 600; i++) await one.write(`k${i}`, i);
  await one.write("mine", 2);
  await t.clock.advance(5);
  equal(await other.read("mine"), 2);
  for (let i = 0; i < 300; i++) await one.write("\u0001".repeat(250) + i, i);
  await t.clock.advance(5);
  for (const hint of t.topics.published) {
    const bytes = new TextEncoder().encode(hint).length;
    equal(bytes <= THEIR_RULES.maxMessageBytes, true, `${bytes} bytes`);
  }
});

Deno.test("a read that is under way when a hint comes leaves no copy", async () => {
  await using t = setting();
  const [one, other] = [t.gateway(), t.gateway()];
  await one.write("a", 1);
  await t.clock.advance(5);
  const slow = other.near.get(SHOP, at("a"), WAITER);
  other.far.last.happen();
  await one.write("a", 2);
  await t.clock.advance(5);
  other.far.last.arrive();
  equal(numberIn(await slow), 1);
  equal(await other.read("a"), 2);
});

Deno.test("what is no hint changes nothing, and where none can be given everything else goes on", async () => {
  const topics = new SharedTopics();
  await using t = setting(topics);
  const other = t.gateway();
  await other.write("a", 1);
  await t.clock.advance(5);
  equal(await other.read("a"), 1);
  const asked = other.far.calls.length;
  for (
    const text of [
      "",
      "{}",
      "null",
      "[]",
      '["x"]',
      '["x",{}]',
      '["x",[7,null,"shop",["shop"],["shop","users"],["shop","users","a"],["shop","users",[1]],[1,"users",["a"]]]]',
      '["gateway-1",[["shop","users",["a"]]]]',
      '["x",[["cafe","users",["a"]],["shop","other",null]]]',
    ]
  ) topics.say(new TextEncoder().encode(text));
  topics.say(new Uint8Array([0xff, 0xfe]));
  equal(await other.read("a"), 1);
  equal(other.far.calls.length, asked);

  topics.failing = true;
  const deaf = t.gateway();
  await settled();
  await deaf.write("a", 2);
  await t.clock.advance(5);
  equal(t.errors.length, 2, "told once that none will be heard, once that none was given");
  equal(await deaf.read("a"), 2);
  t.stop.abort();
  await deaf.write("a", 3);
  await t.clock.advance(5);
  equal(t.errors.length, 2, "who stops hints at nothing");
});
