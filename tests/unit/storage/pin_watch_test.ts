import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { PinState, PinStatus } from "../../../src/contracts/storage.ts";
import { PinKeeper } from "../../../services/storage/pin_keeper.ts";
import { PinRows } from "../../../services/storage/pin_rows.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { Chance } from "../control_plane/support/chance.ts";
import { HOUR, MINUTE } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import type { WatchedControl } from "../control_plane/support/doubles.ts";
import { everySchedule } from "../control_plane/support/schedules.ts";
import { cidOf } from "../../support/memory_content.ts";
import { Storages, utf8 } from "./support/storage.ts";

const HELLO = cidOf(utf8("hello"));
const down = () => new GatewayError("UNAVAILABLE", "the engine is down");

/** Content that is pinned, and that the engine was told of some time ago. */
async function pinned(...contents: readonly string[]): Promise<Storages> {
  const t = await Storages.start("shop", "cafe");
  const gateway = t.gateway();
  for (const content of contents) await gateway.upload("shop", content);
  t.clock.advance(10 * MINUTE);
  t.engine.steps.length = 0;
  return t;
}

const watching = (t: Storages) => t.gateway({ watchPins: true });
/** How often the engine was asked to pin. */
const pinsOf = (t: Storages) => t.engine.steps.filter((step) => step.startsWith("pin ")).length;

/** Gives some pins a state of their own. */
function stateOf(t: Storages, states: (cid: string) => Partial<PinState> | undefined): void {
  const pinState = t.engine.pinState.bind(t.engine);
  t.engine.pinState = async (cid) => ({ ...await pinState(cid), ...states(cid) });
}

const peer = (name: string, status: PinStatus) => ({ id: name, name, status });

Deno.test("a pin that failed at the engine is tried again by itself, ever more seldom, and at once when it fails anew", async () => {
  await using t = await pinned("hello");
  const { service } = watching(t);
  t.engine.status = "error";
  const tries: number[] = [];
  const watch = async (minutes: number) => {
    for (let minute = 0; minute < minutes; minute += 5) {
      const before = pinsOf(t);
      await service.reconcile();
      if (pinsOf(t) > before) tries.push(t.clock.now());
      t.clock.advance(5 * MINUTE);
    }
  };
  await watch(24 * 60);
  const pauses = tries.slice(1).map((time, i) => (time - tries[i]!) / MINUTE);
  deepEqual(pauses.slice(0, 4), [5, 10, 20, 40]);
  deepEqual(pauses, pauses.toSorted((a, b) => a - b));
  equal(pauses.at(-1), 240);
  deepEqual(service.statistics().recoveries, { asked: tries.length, failed: 0 });
  t.engine.status = "pinned";
  await watch(5);
  t.engine.status = "error";
  tries.length = 0;
  const failed = t.clock.now();
  await watch(10);
  deepEqual(tries, [failed, failed + 5 * MINUTE], "it begins anew");
});

for (const where of ["the same gateway", "another gateway"]) {
  Deno.test(`an unpin on ${where} while the engine is slow to recover a pin is not undone`, async () => {
    await using t = await pinned("hello");
    const watches = watching(t), unpins = where === "another gateway" ? t.gateway() : watches;
    t.engine.status = "error";
    const reached = Promise.withResolvers<void>(), gone = Promise.withResolvers<void>();
    t.engine.before = async (step) => {
      if (step !== "pin") return;
      t.engine.before = () => {};
      reached.resolve();
      await gone.promise;
    };
    const looked = awaitedLater(watches.service.reconcile());
    await reached.promise;
    const unpinned = unpins.unpin("shop", HELLO);
    if (where === "another gateway") await unpinned;
    ok(t.engine.pins.has(HELLO), "nobody speaks to the engine meanwhile");
    gone.resolve();
    await Promise.all([looked, unpinned]);
    equal(t.engine.pins.size, 0);
    deepEqual(await t.pins(), []);
  });
}

Deno.test("an unpin that comes while a recovery fails waits until nothing of that can come about, and no longer", async () => {
  await using t = await pinned("hello");
  const unpins = t.gateway();
  t.engine.status = "error";
  t.engine.before = async (step) => {
    if (step !== "pin") return;
    t.engine.before = () => {};
    await unpins.unpin("shop", HELLO);
    throw down();
  };
  await watching(t).service.reconcile();
  await unpins.service.reconcile();
  equal(t.engine.pins.size, 1);
  t.clock.advance(10_000);
  await unpins.service.reconcile();
  equal(t.engine.pins.size, 0);
});

Deno.test("an unpin while a pin is recovered on behalf of who has it is not undone", async () => {
  await using t = await pinned("hello");
  const asks = t.gateway(), unpins = t.gateway();
  let unpinned: Promise<unknown> | undefined;
  let pins = 0;
  t.engine.before = async (step) => {
    // The second one is that of the recovery: the engine was told anew before.
    if (step === "pin" && ++pins === 2) await (unpinned = unpins.unpin("shop", HELLO));
  };
  await rejects(asks.service.recover("shop", HELLO, CONTEXT), { code: "NOT_FOUND" });
  await unpinned;
  equal(pins, 2);
  equal(t.engine.pins.size, 0);
});

/** Who tells the engine, with a way of its own to the control plane. */
const keeperOf = (t: Storages, control: WatchedControl, seed: number): PinKeeper =>
  new PinKeeper({
    pins: new PinRows(control, t.clock.now),
    driver: t.engine,
    random: new Chance(seed).bytes,
    onError: (_cid, error) => t.errors.push(error),
  });

Deno.test("a recovery and the last unpin at once end without the pin, in every order of their queries", async () => {
  const orders = await everySchedule(async (schedule) => {
    await using t = await pinned("hello");
    const unpins = t.gateway();
    const keeper = keeperOf(t, schedule.client(t.control), 9);
    unpins.control.before = schedule.client(t.control).before;
    const results = await schedule.run<unknown>([
      () => keeper.recover(HELLO, "due"),
      () => unpins.unpin("shop", HELLO),
    ]);
    ok(results.every(({ status }) => status === "fulfilled"), JSON.stringify(results));
    equal(t.engine.pins.size, 0, "nobody has to come by for it");
    deepEqual([await t.pins(), t.errors], [[], []]);
  });
  ok(orders >= 10, String(orders));
});

Deno.test("a gateway that slept through the lease of a recovery takes back what came too late", async () => {
  await using t = await pinned("hello");
  const sleeper = watching(t), other = t.gateway();
  t.engine.status = "error";
  t.engine.before = async (step) => {
    if (step !== "pin") return;
    t.engine.before = () => {};
    t.clock.advance(2 * MINUTE);
    await other.unpin("shop", HELLO);
    equal(t.engine.pins.size, 0);
    deepEqual(await t.pins(), []);
  };
  await sleeper.service.reconcile();
  equal(t.engine.pins.size, 0);
  deepEqual(await t.pins(), []);
});

for (const lost of [false, true]) {
  Deno.test(`a gateway that ends ${lost ? "after" : "before"} any step of a recovery leaves what others go on with`, async () => {
    for (let steps = 0;; steps++) {
      await using t = await pinned("hello");
      const ends = watching(t);
      t.engine.status = "error";
      let left = steps, ended = false;
      const step = () => {
        if (ended || left-- === 0) {
          ended = true;
          throw new Error("the gateway has ended");
        }
      };
      if (lost) ends.control.after = t.engine.after = step;
      else ends.control.before = t.engine.before = step;
      await ends.service.reconcile();
      t.engine.before = t.engine.after = () => {};
      if (!ended) {
        ok(steps >= 3, String(steps));
        break;
      }
      t.clock.advance(10 * MINUTE);
      const before = pinsOf(t);
      await watching(t).service.reconcile();
      ok(pinsOf(t) > before, `step ${steps}`);
      await t.gateway().unpin("shop", HELLO);
      equal(t.engine.pins.size, 0, `step ${steps}`);
    }
  });
}

Deno.test("pins are many: a round looks at a part of them, a few at once, and the next one goes on", async () => {
  const contents = Array.from({ length: 450 }, (_, i) => `content ${i}`);
  await using t = await pinned(...contents);
  const { service } = watching(t);
  let at = 0, most = 0;
  const seen: string[][] = [];
  t.engine.before = async (step, cid) => {
    if (step !== "pinState") return;
    seen.at(-1)!.push(cid);
    most = Math.max(most, ++at);
    await Promise.resolve();
    at--;
  };
  for (let round = 0; round < 4; round++) {
    seen.push([]);
    deepEqual(service.statistics().pins, round < 3 ? {} : { pinned: 450 }, "told when all were looked at");
    await service.reconcile();
  }
  deepEqual(seen.map(({ length }) => length), [200, 200, 50, 0], "and then there is a pause");
  deepEqual(seen.flat().toSorted(), contents.map((content) => cidOf(utf8(content))).toSorted());
  ok(most > 1 && most <= 8, String(most));
  equal(pinsOf(t), 0, "what is well is left alone");
});

Deno.test("pins are counted by how it goes with them, those that the engine was not told of too", async () => {
  await using t = await pinned("hello", "pinning", "failed", "well");
  const gateway = watching(t);
  const states: Readonly<Record<string, PinStatus>> = { pinning: "pinning", failed: "error" };
  const byCid = new Map(Object.entries(states).map(([content, status]) => [cidOf(utf8(content)), status]));
  stateOf(t, (cid) => ({ status: byCid.get(cid) ?? "pinned" }));
  t.engine.before = (step) => {
    if (step === "pin") throw down();
  };
  await gateway.upload("shop", "refused");
  await gateway.service.reconcile();
  deepEqual(gateway.service.statistics().pins, { pinned: 2, pinning: 1, error: 2 });
});

Deno.test("an engine that is down is not asked for every pin, and that is told once", async () => {
  await using t = await pinned(...Array.from({ length: 100 }, (_, i) => `content ${i}`));
  const { service } = watching(t);
  let asked = 0;
  t.engine.before = (step) => {
    if (step === "pinState") asked++;
    throw down();
  };
  await service.reconcile();
  ok(asked <= 8, String(asked));
  equal(t.errors.length, 1);
  t.engine.before = () => {};
  await service.reconcile();
  deepEqual(service.statistics().pins, { pinned: 100 - asked, unknown: asked }, "the others are looked at next");
});

Deno.test("one that cannot be recovered keeps no other one from it, waits longer each time, and is told of once", async () => {
  await using t = await pinned("hello", "a", "b", "c");
  const { service } = watching(t);
  t.engine.status = "error";
  t.engine.before = (step, cid) => {
    if (step === "pin" && cid !== HELLO) throw new GatewayError("UNAVAILABLE", "there are fewer peers than copies");
  };
  await service.reconcile();
  deepEqual(service.statistics().recoveries, { asked: 1, failed: 3 });
  equal(t.errors.length, 1);
  for (let at = 0; at < HOUR; at += 5 * MINUTE) {
    t.clock.advance(5 * MINUTE);
    await service.reconcile();
  }
  // After 5, 15 and 35 minutes.
  deepEqual(service.statistics().recoveries, { asked: 4, failed: 12 });
});

Deno.test("gateways share the pauses", async () => {
  await using t = await pinned("hello");
  t.engine.status = "error";
  const gateways = Array.from({ length: 4 }, () => watching(t));
  for (const { service } of gateways) await service.reconcile();
  equal(pinsOf(t), 1);
  t.clock.advance(5 * MINUTE);
  // One of them has seen that it is time before another one does something about it.
  const seen = Promise.withResolvers<void>(), done = Promise.withResolvers<void>();
  t.engine.before = async (step) => {
    if (step !== "pinState") return;
    t.engine.before = () => {};
    seen.resolve();
    await done.promise;
  };
  const late = awaitedLater(gateways[0]!.service.reconcile());
  await seen.promise;
  for (const { service } of gateways.slice(1)) await service.reconcile();
  done.resolve();
  await late;
  equal(pinsOf(t), 2);
  deepEqual(t.errors, []);
});

Deno.test("a copy that failed is tried again also where enough others are kept", async () => {
  await using t = await pinned("hello", "well");
  stateOf(t, (cid) => ({ peers: [peer("a", "pinned"), peer("b", cid === HELLO ? "error" : "pinned")] }));
  await watching(t).service.reconcile();
  deepEqual(t.engine.steps.filter((step) => step.startsWith("pin ")), [`pin ${HELLO}`]);
});

Deno.test("what the engine has forgotten it is told anew, unless it was told just now", async () => {
  await using t = await pinned("hello");
  const gateway = watching(t);
  await gateway.upload("shop", "young");
  t.engine.pins.clear();
  t.engine.steps.length = 0;
  await gateway.service.reconcile();
  deepEqual([...t.engine.pins.keys()], [HELLO]);
  t.clock.advance(5 * MINUTE);
  await gateway.service.reconcile();
  equal(t.engine.pins.size, 2);
  await gateway.unpin("shop", HELLO);
  equal(t.engine.pins.size, 1);
});
