import { deepEqual, equal, throws } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { type Revocation, RevocationFeed } from "../../../services/control_plane/revocations.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { DAY, HOUR, SECOND, TestClock } from "./support/clock.ts";
import { openControl } from "./support/control.ts";
import { WatchedControl } from "./support/doubles.ts";

async function feeds() {
  const database = await openControl();
  const clock = new TestClock();
  const monotonic = new TestClock();
  /** Lets time pass. To move `clock` alone is to set it. */
  const pass = (milliseconds: number) => [clock, monotonic].forEach((one) => one.advance(milliseconds));
  const states: unknown[] = [];
  const feedOf = (control: WatchedControl, interval = 500) =>
    new RevocationFeed(control, {
      now: clock.now,
      monotonic: monotonic.now,
      interval,
      maxSilence: 60 * SECOND,
      onState: (error) => states.push(error),
    });
  const control = new WatchedControl(database);
  const feed = feedOf(control);
  const heard: string[] = [];
  feed.onRevoked(({ kind, id }) => heard.push(`${kind}:${id}`));
  const revoke = (kind: Revocation["kind"], id: string) => database.run(feed.entry(kind, id));
  return {
    database,
    clock,
    pass,
    control,
    feed,
    feedOf,
    heard,
    revoke,
    states,
    [Symbol.asyncDispose]: () => database.close(),
  };
}

const unavailable = { name: "GatewayError", code: "UNAVAILABLE" };

Deno.test("pull() tells each revocation once, in order", async () => {
  await using t = await feeds();
  await t.revoke("key", "1");
  await t.revoke("session", "2");
  await t.feed.pull();
  await t.revoke("namespace", "shop");
  await t.feed.pull();
  await t.feed.pull();
  deepEqual(t.heard, ["key:1", "session:2", "namespace:shop"]);
  equal(t.feed.seq, 3);
  equal(t.feed.find("session", "2")?.at, t.clock.time);
  equal(t.feed.find("session", "1"), undefined);
});

Deno.test("what was revoked here is told apart from what is only heard of, once, and not before it is committed", async () => {
  await using t = await feeds();
  const other = t.feedOf(t.control);
  let [own, others] = [0, 0];
  t.feed.onOwn(() => own++);
  other.onOwn(() => others++);
  const entry = t.feed.entry("key", "1");
  await t.database.run(other.entry("key", "0"));
  await t.feed.pull();
  await other.pull();
  deepEqual([own, others], [0, 1]);
  await t.database.run(entry);
  await t.revoke("session", "2");
  for (let i = 0; i < 2; i++) await Promise.all([t.feed.pull(), other.pull()]);
  deepEqual([own, others], [1, 1]);
});

Deno.test("a long sequence is read to its end, whole pages included", async () => {
  await using t = await feeds();
  for (const count of [2_500, 1_500]) {
    await t.database.atomically(Array.from({ length: count }, (_, i) => t.feed.entry("session", `${count}/${i}`)));
  }
  await t.feed.pull();
  equal(t.heard.length, 4_000);
  equal(t.heard.at(-1), "session:1500/1499");
  equal(t.control.calls.length, 5, "four whole pages and the empty one that ends them");
});

Deno.test("pull() waits for what was committed before it was called, though another one is under way", async () => {
  await using t = await feeds();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  t.control.after = () => gate;
  const early = awaitedLater(t.feed.pull());
  await setImmediate();
  // The answer to this read is on its way and knows nothing of what is committed now.
  t.control.after = () => {};
  let done = false;
  const late = awaitedLater(t.feed.pull().then(() => done = true));
  await setImmediate();
  equal(done, false);
  await t.revoke("key", "1");
  open();
  await Promise.all([early, late]);
  deepEqual(t.heard, ["key:1"]);
  equal(t.control.calls.length, 2);
});

Deno.test("many who pull at once share a read", async () => {
  await using t = await feeds();
  const { promise: gate, resolve: open } = Promise.withResolvers<void>();
  t.control.before = () => gate;
  const all = awaitedLater(Array.from({ length: 20 }, () => t.feed.pull()));
  await setImmediate();
  open();
  await Promise.all(all);
  equal(t.control.calls.length, 1);
});

Deno.test("a feed that never heard anything vouches for nothing", async () => {
  await using t = await feeds();
  throws(() => t.feed.assertFresh(), unavailable);
  await t.feed.pull();
  t.feed.assertFresh();
});

Deno.test("a silent feed vouches for a minute, then for nothing, until it hears again", async () => {
  await using t = await feeds();
  await t.feed.pull();
  t.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  t.pass(60 * SECOND);
  await t.feed.pull();
  t.feed.assertFresh();
  t.pass(1);
  await t.feed.pull();
  throws(() => t.feed.assertFresh(), unavailable);
  t.control.before = () => {};
  await t.feed.pull();
  t.feed.assertFresh();
  equal(t.states.length, 2, "told once that it fails and once that it is over");
  equal((t.states[0] as Error).message, "down");
  equal(t.states[1], undefined);
});

Deno.test("silence is measured by a clock that nobody sets: neither forwards nor backwards changes what is believed", async () => {
  await using t = await feeds();
  await t.feed.pull();
  t.clock.advance(DAY);
  t.feed.assertFresh();
  t.clock.advance(-2 * DAY);
  t.feed.assertFresh();
  t.pass(60 * SECOND + 1);
  throws(() => t.feed.assertFresh(), unavailable);
});

Deno.test("freshness counts from the beginning of a look: what is committed during it may be missed", async () => {
  await using t = await feeds();
  t.control.before = () => t.pass(30 * SECOND);
  await t.feed.pull();
  t.pass(30 * SECOND);
  t.feed.assertFresh();
  t.pass(1);
  throws(() => t.feed.assertFresh(), unavailable);
});

Deno.test("a page that fails half-way loses nothing: the next look goes on there", async () => {
  await using t = await feeds();
  await t.database.atomically(Array.from({ length: 1_200 }, (_, i) => t.feed.entry("key", String(i))));
  t.control.before = () => {
    if (t.control.calls.length === 1) throw new GatewayError("UNAVAILABLE", "down");
  };
  await t.feed.pull();
  equal(t.heard.length, 1_000);
  t.control.before = () => {};
  await t.feed.pull();
  deepEqual(t.heard, Array.from({ length: 1_200 }, (_, i) => `key:${i}`));
});

Deno.test("a revocation is remembered for longer than any token lives, and then no more", async () => {
  await using t = await feeds();
  await t.revoke("session", "1");
  await t.feed.pull();
  t.pass(DAY + 60 * SECOND);
  await t.feed.pull();
  equal(
    t.feed.find("session", "1") === undefined,
    false,
    "an access token of a day, on a clock that is a minute behind",
  );
  t.pass(HOUR);
  await t.feed.pull();
  equal(t.feed.find("session", "1"), undefined);
});

Deno.test("what is revoked again and again does not keep the others in memory", async () => {
  await using t = await feeds();
  await t.revoke("member", "shop/a");
  await t.revoke("session", "1");
  t.pass(20 * HOUR);
  await t.revoke("member", "shop/a");
  await t.feed.pull();
  t.pass(6 * HOUR);
  await t.feed.pull();
  equal(t.feed.find("session", "1"), undefined);
  equal(t.feed.find("member", "shop/a")?.seq, 3);
});

Deno.test("what gateways merely remember is told and not kept, and its rows are worth an hour", async () => {
  await using t = await feeds();
  const told = ["settings", "function", "secret", "triggers"] as const;
  for (const kind of told) await t.revoke(kind, "shop/a");
  await t.revoke("key", "1");
  await t.feed.pull();
  deepEqual(t.heard, [...told.map((kind) => `${kind}:shop/a`), "key:1"]);
  deepEqual(told.map((kind) => t.feed.find(kind, "shop/a")), told.map(() => undefined));
  equal(t.feed.find("key", "1")?.seq, 5);
  t.pass(HOUR);
  const late = t.feedOf(t.control), heard: string[] = [];
  late.onRevoked(({ kind }) => heard.push(kind));
  await late.pull();
  // Nobody reads routes anew who was not told.
  deepEqual(heard, ["triggers", "key"]);
});

Deno.test("a gateway that starts hears what was revoked before and still matters", async () => {
  await using t = await feeds();
  await t.revoke("session", "old");
  t.pass(2 * DAY);
  await t.revoke("session", "new");
  const late = t.feedOf(t.control);
  await late.pull();
  equal(late.find("session", "new") === undefined, false);
  equal(late.find("session", "old"), undefined);
});

Deno.test("start() looks at once and then regularly, until stop()", async () => {
  await using t = await feeds();
  const feed = t.feedOf(t.control, 1);
  const { promise: heard, resolve } = Promise.withResolvers<void>();
  feed.onRevoked(() => resolve());
  await feed.start();
  equal(t.control.calls.length, 1);
  await t.revoke("key", "1");
  await heard;
  feed.stop();
  await feed.pull();
  const calls = t.control.calls.length;
  // Nothing to wait for: a look that came after stop() would come with the next timers.
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 2));
  equal(t.control.calls.length, calls);
});
