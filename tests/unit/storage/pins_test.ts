import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { HOUR, MINUTE } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { cidOf, type Step } from "../../support/memory_content.ts";
import { endsAfter, type Gateway, Storages, utf8 } from "./support/storage.ts";

const HELLO = cidOf(utf8("hello"));
const down = () => new GatewayError("UNAVAILABLE", "the engine is down");

/** What must hold when nothing is under way any more: the engine keeps exactly what somebody claims, and everything is counted. */
async function isInOrder(t: Storages): Promise<void> {
  const claimed = await t.control.db.selectFrom("storage_objects").select("cid").distinct().where("pinned", "=", 1)
    .orderBy("cid")
    .execute();
  deepEqual([...t.engine.pins.keys()].sort(), claimed.map(({ cid }) => cid), "the engine keeps what is claimed");
  const rows = await t.pins();
  deepEqual(rows.map(({ cid }) => cid), claimed.map(({ cid }) => cid), "rows are of what is wanted");
  for (const row of rows) deepEqual([row.wanted, row.applied, row.holder], [1, row.version, null]);
  const { db } = t.control;
  const sums = await db.selectFrom("storage_objects").groupBy("namespace").orderBy("namespace")
    .select(({ fn }) => ["namespace", fn.sum<number>("charged").as("bytes"), fn.countAll<number>().as("objects")])
    .execute();
  const usage = (await t.usage()).filter(({ objects }) => objects > 0);
  deepEqual(usage.map((row) => ({ ...row })), sums.map((row) => ({ ...row })), "usage is the sum of the claims");
}

/** An upload by one namespace and the last unpin by another, of the same content, each on a gateway of its own. */
async function twoGateways(): Promise<{ t: Storages; uploads: Gateway; unpins: Gateway }> {
  const t = await Storages.start("shop", "cafe");
  await t.gateway().upload("shop", "hello", { type: "text/plain" });
  return { t, uploads: t.gateway(), unpins: t.gateway() };
}

/** Lets the engine wait at a step until somebody lets it go on. */
function held(t: Storages, step: Step): { readonly reached: Promise<void>; go(): void } {
  const reached = Promise.withResolvers<void>(), gone = Promise.withResolvers<void>();
  t.engine.before = async (name) => {
    if (name !== step) return;
    t.engine.before = () => {};
    reached.resolve();
    await gone.promise;
  };
  return { reached: reached.promise, go: gone.resolve };
}

Deno.test("an unpin that the engine is slow to do does not undo the pin of who uploads meanwhile", async () => {
  const { t, uploads, unpins } = await twoGateways();
  await using _ = t;
  const unpin = held(t, "unpin");
  const unpinned = awaitedLater(unpins.unpin("shop", HELLO));
  await unpin.reached;
  const object = await uploads.upload("cafe", "hello");
  equal(object.cid, HELLO, "who uploads does not wait for it");
  equal((await uploads.service.status("cafe", HELLO, CONTEXT)).pin.status, "queued", "and is told how it is");
  unpin.go();
  await unpinned;
  equal((await uploads.service.status("cafe", HELLO, CONTEXT)).pin.status, "pinned");
  await isInOrder(t);
});

Deno.test("a pin that the engine is slow to do does not outlive the last claim", async () => {
  const { t, uploads, unpins } = await twoGateways();
  await using _ = t;
  const pin = held(t, "pin");
  const uploaded = awaitedLater(uploads.upload("cafe", "hello"));
  await pin.reached;
  await unpins.unpin("shop", HELLO);
  await unpins.unpin("cafe", HELLO);
  pin.go();
  await uploaded;
  equal(t.engine.pins.size, 0);
  await isInOrder(t);
});

Deno.test("an upload and the last unpin at once end with the pin, in every order of their queries", async () => {
  let ends = 0;
  const orders = await everySchedule(async (schedule) => {
    await using t = await Storages.start("shop", "cafe");
    await t.gateway().upload("shop", "hello", { type: "text/plain" });
    const upload = t.gateway(), unpin = t.gateway();
    const [first, second] = [schedule.client(t.control), schedule.client(t.control)];
    upload.control.before = first.before;
    unpin.control.before = second.before;
    const results = await schedule.run([
      () => upload.upload("cafe", "hello", { type: "text/plain" }),
      () => unpin.unpin("shop", HELLO),
    ]);
    ok(results.every(({ status }) => status === "fulfilled"), JSON.stringify(results));
    ok(t.engine.pins.has(HELLO), "nobody has to come by for it");
    await isInOrder(t);
    ends++;
  });
  equal(ends, orders);
  ok(orders > 10, String(orders));
});

for (const lost of [false, true]) {
  for (const what of ["upload", "unpin", "change"] as const) {
    const how = lost ? "after" : "before";
    Deno.test(`a gateway that ends ${how} any step of ${what} leaves what the next one makes good`, async () => {
      let steps = 0;
      for (;; steps++) {
        await using t = await Storages.start("shop", "cafe");
        await t.gateway().upload("shop", "hello", { type: "text/plain" });
        const gateway = t.gateway();
        const hasEnded = endsAfter(gateway, t, steps, lost);
        const act = {
          upload: () => gateway.upload("cafe", "hello", { type: "text/plain" }),
          unpin: () => gateway.unpin("shop", HELLO),
          change: () => gateway.service.change("shop", HELLO, { pin: false }, CONTEXT),
        };
        const error = await act[what]().then(() => undefined, (error: Error) => error);
        const ended = hasEnded();
        t.engine.before = t.engine.after = () => {};
        if (!ended) {
          equal(error, undefined);
          break;
        }
        await t.reconcile();
        await isInOrder(t);
        const claims = await t.objects();
        const own = claims.some(({ namespace }) => namespace === (what === "upload" ? "cafe" : "shop"));
        // Where it was told that it failed, it may have happened; where it was told that it is done, it is.
        if (error === undefined) equal(own, what !== "unpin", `step ${steps}`);
      }
      ok(steps >= 3, String(steps));
    });
  }
}

Deno.test("an engine that is down fails no upload once it has the bytes; it is told when it is back, ever more seldom", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  t.engine.before = (step) => {
    if (step === "pin") throw down();
  };
  await gateway.upload("shop", "hello");
  const { pin } = await gateway.service.status("shop", HELLO, CONTEXT);
  deepEqual([pin.status, pin.error], ["error", "the engine is down"]);
  equal(t.errors.length, 1);
  let tries = 0;
  t.engine.before = (step) => {
    if (step === "pin") tries++;
    throw down();
  };
  for (let minute = 0; minute < 60; minute++) {
    t.clock.advance(MINUTE);
    await gateway.service.reconcile();
  }
  ok(tries >= 10 && tries <= 20, String(tries));
  t.engine.before = () => {};
  await t.reconcile();
  await isInOrder(t);
  equal((await gateway.service.status("shop", HELLO, CONTEXT)).pin.status, "pinned");
});

Deno.test("what the engine gave up on is not told anything else for a while: it may still come about", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  t.engine.before = (step) => {
    if (step === "unpin") throw down();
  };
  await gateway.unpin("shop", HELLO);
  t.engine.before = () => {};
  t.engine.steps.length = 0;
  await t.gateway().upload("cafe", "hello");
  deepEqual(t.engine.steps, [`add ${HELLO}`]);
  t.engine.pins.delete(HELLO);
  await t.reconcile();
  await isInOrder(t);
});

Deno.test("a gateway that slept through its lease finds that out, and has the engine told again", async () => {
  await using t = await Storages.start("shop", "cafe");
  const sleeper = t.gateway(), other = t.gateway();
  await sleeper.upload("shop", "hello");
  const unpin = held(t, "unpin");
  const unpinned = awaitedLater(sleeper.unpin("shop", HELLO));
  await unpin.reached;
  t.clock.advance(2 * MINUTE);
  await other.upload("cafe", "hello");
  ok(t.engine.pins.has(HELLO));
  unpin.go();
  await unpinned;
  ok(t.engine.pins.has(HELLO), "its late unpin was made good");
  await t.reconcile();
  await isInOrder(t);
});

Deno.test("a late pin of what nobody has any more is taken back, though no row is left of it", async () => {
  await using t = await Storages.start("shop");
  const sleeper = t.gateway();
  const pin = held(t, "pin");
  const uploaded = awaitedLater(sleeper.upload("shop", "hello"));
  await pin.reached;
  t.clock.advance(2 * MINUTE);
  await t.gateway().unpin("shop", HELLO);
  deepEqual(await t.pins(), []);
  pin.go();
  await uploaded;
  equal(t.engine.pins.size, 0);
  await isInOrder(t);
});

Deno.test("leases are one gateway's at a time, whatever many of them do at once", async () => {
  const namespaces = ["shop", "cafe", "bar", "inn"];
  await using t = await Storages.start(...namespaces);
  const chance = new Chance(7);
  let at = 0, most = 0, calls = 0;
  t.engine.before = async (step) => {
    if (step !== "pin" && step !== "unpin") return;
    calls++;
    most = Math.max(most, ++at);
    for (let turns = chance.below(6); turns > 0; turns--) await setImmediate();
    at--;
  };
  await Promise.all(namespaces.map(async (namespace) => {
    const gateway = t.gateway();
    for (let i = 0; i < 40; i++) {
      if (chance.below(2) === 0) await gateway.upload(namespace, "hello", { pin: chance.below(3) > 0 });
      else await gateway.unpin(namespace, HELLO).catch(() => {});
      for (let turns = chance.below(4); turns > 0; turns--) await setImmediate();
    }
  }));
  t.engine.before = () => {};
  equal(most, 1);
  ok(calls > 20, String(calls));
  await t.reconcile();
  await isInOrder(t);
});

Deno.test("what the engine has forgotten is pinned again when somebody looks", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  t.engine.pins.clear();
  equal((await gateway.service.status("shop", HELLO, CONTEXT)).pin.status, "queued");
  await t.reconcile();
  equal((await gateway.service.status("shop", HELLO, CONTEXT)).pin.status, "pinned");
});

Deno.test("a pin that failed at the engine says so, and is tried again by recover()", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  await gateway.upload("shop", "hello");
  t.engine.status = "error";
  const { pin } = await gateway.service.status("shop", HELLO, CONTEXT);
  deepEqual([pin.status, pin.error], ["error", "it did not come"]);
  t.engine.steps.length = 0;
  t.engine.status = "pinning";
  equal((await gateway.service.recover("shop", HELLO, CONTEXT)).pin.status, "pinning");
  ok(t.engine.steps.filter((step) => step.startsWith("pin ")).length >= 1);
  await gateway.service.change("shop", HELLO, { pin: false }, CONTEXT);
  await rejects(gateway.service.recover("shop", HELLO, CONTEXT), { code: "CONFLICT" });
});

Deno.test("content from the network: queued, then there, counted and one's own", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ remotePins: true });
  const { size, kind } = await gateway.pin("shop", HELLO, {
    origins: [`/ip4/203.0.113.9/tcp/4001/p2p/${"Q".repeat(46)}`],
  });
  deepEqual([size, kind], [undefined, "file"]);
  await t.told();
  match(String(t.engine.pins.get(HELLO)?.origins), /203\.0\.113\.9/);
  t.engine.status = "pinning";
  await t.reconcile(gateway);
  equal((await gateway.service.status("shop", HELLO, CONTEXT)).pin.status, "queued");
  await rejects(() => gateway.read({ namespace: "shop" }, HELLO), { code: "NOT_FOUND" });
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 0, objects: 1 }]);
  t.engine.nodes.set(HELLO, { bytes: utf8("hello") });
  t.engine.status = "pinned";
  await t.reconcile(gateway);
  equal((await gateway.service.status("shop", HELLO, CONTEXT)).pin.status, "pinned");
  equal(await gateway.read({ namespace: "shop" }, HELLO), "hello");
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 5, objects: 1 }]);
});

for (const rules of [{}, { maxBytes: 4 }, { maxObjectBytes: 4 }]) {
  Deno.test(`what others have privately is content that nobody finds, whatever may be had: ${JSON.stringify(rules)}`, async () => {
    await using t = await Storages.start("shop", "cafe");
    await t.gateway().upload("shop", "hello");
    // Nor does it make a difference that it would not fit.
    const gateway = t.gateway({ remotePins: true, rules });
    const nobody = cidOf(utf8("nobody"));
    const seen: Record<string, unknown[]> = { [HELLO]: [], [nobody]: [] };
    // The engine finds nothing of what nobody has.
    const pinState = t.engine.pinState.bind(t.engine);
    t.engine.pinState = async (cid) =>
      cid === nobody ? { status: "pinning", peers: [], error: undefined } : await pinState(cid);
    for (const cid of [HELLO, nobody]) {
      const { createdAt: _, ...object } = await gateway.pin("cafe", cid, { name: "x" });
      seen[cid]!.push({ ...object, cid: "it" });
    }
    for (let quarter = 0; quarter < 6; quarter++) {
      await t.reconcile(gateway);
      for (const cid of [HELLO, nobody]) {
        seen[cid]!.push((await gateway.service.status("cafe", cid, CONTEXT)).pin);
        await rejects(() => gateway.read({ namespace: "cafe" }, cid), { code: "NOT_FOUND" });
      }
    }
    deepEqual(seen[HELLO], seen[nobody]);
    deepEqual(seen[HELLO]!.at(-1), { status: "error", peers: [], error: "no node that was asked has it" });
    ok(!t.engine.pins.has(nobody), "nobody looks for it any more");
    equal((await gateway.service.recover("cafe", HELLO, CONTEXT)).pin.status, "queued");
    await t.reconcile(gateway);
    equal((await t.objects()).find(({ namespace }) => namespace === "cafe")?.available, 0);
  });
}

Deno.test("what was private is not found soon after its last claim has gone: nodes may still have it", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway({ remotePins: true });
  await gateway.upload("shop", "hello");
  await gateway.pin("cafe", HELLO);
  await gateway.unpin("shop", HELLO);
  ok(!t.engine.pins.has(HELLO), "who waits for it does not keep it");
  for (let i = 0; i < 8; i++) await t.reconcile(gateway);
  equal(t.engine.pins.size, 0);
  deepEqual(await t.objects(), [{
    namespace: "cafe",
    cid: HELLO,
    available: 0,
    problem: "no node that was asked has it",
  }]);
  await gateway.unpin("cafe", HELLO);
  t.clock.advance(31 * 24 * HOUR);
  await t.reconcile(gateway);
  deepEqual(await t.pins(), [], "the note goes, in time");
  await gateway.pin("cafe", HELLO);
  await t.told();
  ok(!t.engine.pins.has(HELLO), "nodes still have it");
  t.engine.nodes.clear();
  t.clock.advance(2 * HOUR);
  await gateway.pin("cafe", HELLO);
  await t.told();
  ok(t.engine.pins.has(HELLO));
});

Deno.test("who waits gets what becomes public, and what it uploads itself", async () => {
  await using t = await Storages.start("shop", "cafe", "bar");
  const gateway = t.gateway({ remotePins: true });
  await gateway.upload("shop", "hello");
  await gateway.pin("cafe", HELLO);
  await gateway.pin("bar", HELLO);
  await gateway.upload("bar", "hello");
  equal(await gateway.read({ namespace: "bar" }, HELLO), "hello");
  await gateway.service.change("shop", HELLO, { visibility: "public" }, CONTEXT);
  await t.reconcile(gateway);
  equal((await gateway.service.object("cafe", HELLO, CONTEXT)).size, 5);
  deepEqual((await t.usage()).map(({ bytes, objects }) => [bytes, objects]), [[5, 1], [5, 1], [5, 1]]);
  await isInOrder(t);
});

Deno.test("content from the network that is more than the namespace may have is let go, with the reason", async () => {
  await using t = await Storages.start("shop");
  for (const rules of [{ maxBytes: 4 }, { maxObjectBytes: 4 }]) {
    const gateway = t.gateway({ remotePins: true, rules });
    t.engine.far.set(HELLO, { bytes: utf8("hello") });
    await gateway.pin("shop", HELLO);
    await t.told();
    await t.reconcile(gateway);
    const { pin } = await gateway.service.status("shop", HELLO, CONTEXT);
    deepEqual([pin.status, pin.error], ["error", "the namespace may not have so many bytes"]);
    await t.reconcile(gateway);
    equal(t.engine.pins.size, 0);
    deepEqual(await t.usage(), [{ namespace: "shop", bytes: 0, objects: 1 }]);
    await gateway.unpin("shop", HELLO);
  }
});

Deno.test("origins are multiaddresses of peers", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ remotePins: true });
  for (const origin of ["", "http://x", "/ip4/1.2.3.4/tcp/1", "/ip4/1.2.3.4/p2p/x\n", `/a/p2p/${"Q".repeat(300)}`]) {
    await rejects(() => gateway.pin("shop", HELLO, { origins: [origin] }), { code: "INVALID_REQUEST" }, origin);
  }
  await rejects(() => gateway.pin("shop", HELLO, { origins: Array(21).fill(`/p2p/${"Q".repeat(46)}`) }), {
    code: "INVALID_REQUEST",
  });
});
