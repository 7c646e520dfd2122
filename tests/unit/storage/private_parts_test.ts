import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { cidOf } from "../../support/memory_content.ts";
import { until } from "../../engines/support/wait.ts";
import { principal } from "../auth/support/node.ts";
import { HOUR } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { everySchedule, type Schedule } from "../control_plane/support/schedules.ts";
import { Requester } from "../pins/support/requests.ts";
import { filesOf, type Gateway, Storages, utf8 } from "./support/storage.ts";

const PART = cidOf(utf8("a secret")), FAR = cidOf(utf8("from afar"));

/** Gateways, and a private directory of `shop` with {@link PART} in it. */
async function start(...others: readonly string[]): Promise<{ t: Storages; gateway: Gateway; root: string }> {
  const t = await Storages.start("shop", "cafe", ...others);
  const gateway = t.gateway({ remotePins: true });
  t.engine.far.set(FAR, { bytes: utf8("from afar") });
  return { t, gateway, root: await uploaded(gateway) };
}

async function uploaded(gateway: Gateway): Promise<string> {
  const files = filesOf({ "a/b.txt": "a secret", "c.txt": "another" });
  const { object } = await gateway.service.uploadDirectory(principal({ namespace: "shop" }), files, {}, CONTEXT);
  return object.cid;
}

const availableTo = async (t: Storages, name: string) =>
  (await t.objects()).filter(({ namespace, available }) => namespace === name && available === 1)
    .map(({ cid }) => cid);
const wasTold = (t: Storages, cid: string) => t.engine.steps.includes(`pin ${cid}`);

Deno.test("a part of what others have privately is content that nobody finds, in every answer, for ever", async () => {
  const { t, gateway, root } = await start();
  await using _ = t;
  const nobody = cidOf(utf8("nobody"));
  const cafe = new Requester(gateway, "cafe"), bar = "bar";
  await t.namespace(bar);
  const pinState = t.engine.pinState.bind(t.engine);
  t.engine.pinState = async (cid) =>
    cid === nobody ? { status: "pinning", peers: [], error: undefined } : await pinState(cid);
  // The private root itself is a third thing that must look the same.
  const all = [PART, nobody, root];
  const seen = new Map<string, unknown[]>(all.map((cid) => [cid, []])), ids = new Map<string, string>();
  const see = (cid: string, answer: object) =>
    seen.get(cid)!.push({ ...answer, cid: "it", id: "", createdAt: 0, written: "" });
  for (const cid of all) {
    const made = await cafe.add(cid, { name: "x" });
    ids.set(cid, made.id);
    see(cid, made);
    see(cid, await gateway.pin(bar, cid, { name: "x" }));
  }
  for (let quarter = 0; quarter < 6; quarter++) {
    await t.reconcile(gateway);
    for (const cid of all) {
      see(cid, await cafe.get(ids.get(cid)!));
      see(cid, (await gateway.service.status(bar, cid, CONTEXT)).pin);
      for (const namespace of ["cafe", bar]) {
        await rejects(() => gateway.read({ namespace }, cid), { code: "NOT_FOUND" });
      }
    }
  }
  deepEqual(seen.get(PART), seen.get(nobody));
  deepEqual(seen.get(root), seen.get(nobody));
  equal((await cafe.get(ids.get(PART)!)).details, "no node that was asked has it");
  for (const cid of all) equal((await gateway.service.recover(bar, cid, CONTEXT)).pin.status, "queued");
  await t.reconcile(gateway);
  ok(!wasTold(t, PART));
  deepEqual([await availableTo(t, "cafe"), await availableTo(t, bar)], [[], []]);
  equal(await gateway.read({ namespace: "shop" }, root, "a", "b.txt"), "a secret");
});

/** Until it is disposed of, nothing that is to happen after a while does. */
function withoutTimers(): Disposable {
  const original = globalThis.setTimeout;
  globalThis.setTimeout = Object.assign(() => 0, original);
  return { [Symbol.dispose]: () => void (globalThis.setTimeout = original) };
}

Deno.test("no answer about what is looked for waits for the engine, which would tell by its time", async () => {
  const { t, gateway, root } = await start();
  await using _ = t;
  const cafe = new Requester(gateway, "cafe");
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  t.engine.before = async () => {
    waiting++;
    await gate.promise;
  };
  const nobody = cidOf(utf8("nobody"));
  // Nor does one wait for it a while: what does has no end here.
  using _timers = withoutTimers();
  for (const cid of [PART, root, nobody, FAR]) {
    const { id } = await cafe.add(cid);
    equal((await gateway.pin("cafe", cid)).size, undefined);
    equal((await gateway.service.recover("cafe", cid, CONTEXT)).pin.status, "queued");
    await gateway.service.change("cafe", cid, { name: "y" }, CONTEXT);
    const { id: next } = await cafe.replace(id, cid, { name: "z" });
    await cafe.remove(next);
    await gateway.unpin("cafe", cid);
  }
  ok(waiting > 0);
  gate.resolve();
  await t.told();
});

Deno.test("who has the bytes of a part and uploads them has them at once", async () => {
  for (const first of ["pin", "upload"] as const) {
    const { t, gateway } = await start();
    await using _ = t;
    if (first === "pin") {
      await gateway.pin("cafe", PART);
      await t.told();
      deepEqual(await availableTo(t, "cafe"), []);
    }
    await gateway.upload("cafe", "a secret");
    deepEqual(await availableTo(t, "cafe"), [PART]);
    equal(await gateway.read({ namespace: "cafe" }, PART), "a secret");
    ok(t.engine.pins.has(PART));
    // What it gave up itself it may have again, though nodes have it; others may not.
    await gateway.unpin("cafe", PART);
    await gateway.pin("cafe", PART);
    await gateway.pin("shop", PART);
    await t.told();
    await t.reconcile(gateway);
    deepEqual(await availableTo(t, "cafe"), [PART]);
    ok(!(await availableTo(t, "shop")).includes(PART));
  }
});

Deno.test("a node that does not answer may have it: it is looked for once all say that they do not", async () => {
  const { t, gateway } = await start();
  await using _ = t;
  t.engine.before = (step) => {
    if (step === "has") throw new GatewayError("UNAVAILABLE", "the storage cannot be reached now");
  };
  for (const cid of [PART, FAR]) {
    await gateway.pin("cafe", cid);
    await t.reconcile(gateway);
    equal((await gateway.service.status("cafe", cid, CONTEXT)).pin.status, "queued");
  }
  ok(t.errors.length > 0, "an operator is told why nothing is looked for");
  equal(wasTold(t, PART) || wasTold(t, FAR), false);
  t.engine.before = () => {};
  await t.reconcile(gateway);
  deepEqual(await availableTo(t, "cafe"), [FAR]);
  ok(!wasTold(t, PART));
});

Deno.test("what comes before the engine could be asked is withheld; what was asked for in vain is asked for anew", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway({ remotePins: true });
  t.engine.before = (step) => {
    if (step === "has") throw new GatewayError("UNAVAILABLE", "the storage cannot be reached now");
  };
  await gateway.pin("cafe", PART);
  await until("the engine could not be asked", () => t.errors.length > 0);
  t.engine.before = () => {};
  await uploaded(gateway);
  await t.reconcile(gateway);
  deepEqual([await availableTo(t, "cafe"), wasTold(t, PART)], [[], false]);

  const later = cidOf(utf8("later"));
  t.engine.status = "pinning";
  await gateway.pin("cafe", later);
  for (let quarter = 0; quarter < 6; quarter++) await t.reconcile(gateway);
  ok(wasTold(t, later) && !t.engine.pins.has(later));
  await gateway.service.uploadDirectory(principal({ namespace: "shop" }), filesOf({ x: "later" }), {}, CONTEXT);
  t.engine.status = "pinned";
  t.engine.steps.length = 0;
  await gateway.service.recover("cafe", later, CONTEXT);
  await t.told();
  await t.reconcile(gateway);
  deepEqual([await availableTo(t, "cafe"), wasTold(t, later)], [[], false]);
});

Deno.test("what was found in part, and took longer than anybody waits, is no reason to withhold it", async () => {
  const { t, gateway } = await start("bar");
  await using _ = t;
  t.engine.status = "pinning";
  await gateway.pin("cafe", FAR);
  for (let quarter = 0; quarter < 6; quarter++) await t.reconcile(gateway);
  equal((await gateway.service.status("cafe", FAR, CONTEXT)).pin.status, "error");
  ok(t.engine.nodes.has(FAR) && !t.engine.pins.has(FAR));
  await gateway.service.recover("cafe", FAR, CONTEXT);
  await t.told();
  ok(t.engine.pins.has(FAR), "it is looked for again");
  await gateway.unpin("cafe", FAR);
  await gateway.pin("bar", FAR);
  await t.told();
  t.engine.status = "pinned";
  await t.reconcile(gateway);
  deepEqual(await availableTo(t, "bar"), [FAR], "also by others");
});

Deno.test("what everybody could read may be pinned after its last claim, by whomever, until somebody has it privately", async () => {
  const { t, gateway } = await start();
  await using _ = t;
  const open = cidOf(utf8("for all"));
  await gateway.upload("shop", "for all", { visibility: "public" });
  await gateway.unpin("shop", open);
  await gateway.pin("cafe", open);
  await t.told();
  await t.reconcile(gateway);
  deepEqual(await availableTo(t, "cafe"), [open]);
  await gateway.unpin("cafe", open);
  await gateway.pin("shop", open);
  await t.told();
  await t.reconcile(gateway);
  ok(!(await availableTo(t, "shop")).includes(open));
});

Deno.test("what nodes have of nobody's is asked for again an hour later, and looked for when they have let it go", async () => {
  const { t, gateway, root } = await start();
  await using _ = t;
  await gateway.unpin("shop", root);
  for (const isThere of [true, false]) {
    await gateway.pin("cafe", PART);
    await t.told();
    equal(t.engine.pins.has(PART), !isThere);
    t.engine.collect();
    t.clock.advance(2 * HOUR);
    await t.reconcile(gateway);
  }
});

for (const lost of [false, true]) {
  Deno.test(`a gateway that ends ${lost ? "after" : "before"} any step of looking for content gives no part away, and withholds nothing that was found`, async () => {
    let steps = 0;
    for (let ended = true; ended; steps++) {
      const { t } = await start();
      await using _ = t;
      const gateway = t.gateway({ remotePins: true });
      let left = steps;
      ended = false;
      const end = () => {
        ended = true;
        throw new Error("the gateway has ended");
      };
      const before = () => ended || !lost && left-- === 0 ? end() : undefined;
      const after = () => ended || lost && left-- === 0 ? end() : undefined;
      Object.assign(gateway.control, { before, after });
      Object.assign(t.engine, { before, after });
      for (const cid of [PART, FAR]) await gateway.pin("cafe", cid).catch(() => {});
      await until("it has ended, or has nothing to do", async () => {
        return ended || (await t.pins()).every(({ applied, version }) => applied === version);
      });
      await gateway.service.close();
      t.engine.before = t.engine.after = () => {};
      const next = t.gateway({ remotePins: true });
      await t.reconcile(next);
      for (const cid of [PART, FAR]) await next.pin("cafe", cid);
      await t.told();
      await t.reconcile(next);
      deepEqual(await availableTo(t, "cafe"), [FAR], `step ${steps}`);
      ok(!wasTold(t, PART), `step ${steps}`);
    }
    ok(steps > 8, String(steps));
  });
}

/** What a gateway does, until it has nothing to do in the background either; those of its queries that count wait for their turn. */
function scheduled(t: Storages, schedule: Schedule, gateway: Gateway, counts: RegExp, act: () => Promise<unknown>) {
  const turn = schedule.client(t.control).before;
  let open = 0;
  gateway.control.before = async (sql) => {
    open++;
    if (counts.test(sql)) await turn(sql);
  };
  gateway.control.after = () => void open--;
  return async () => {
    await act();
    // Nothing but queries takes it a turn of the loop: an engine in memory does not.
    for (let idle = 0; idle < 5; idle++) {
      await setImmediate();
      if (open > 0) idle = 0;
    }
  };
}

Deno.test("two who pin a part at once are given nothing, in every order of their queries", async () => {
  const orders = await everySchedule(async (schedule) => {
    const { t } = await start("bar");
    await using _ = t;
    await schedule.run(["cafe", "bar"].map((namespace) => {
      const gateway = t.gateway({ remotePins: true });
      return scheduled(t, schedule, gateway, /withheld/, () => gateway.pin(namespace, PART));
    }));
    await t.reconcile();
    ok(!wasTold(t, PART));
    deepEqual([await availableTo(t, "cafe"), await availableTo(t, "bar")], [[], []]);
  }, 10_000);
  ok(orders > 10, String(orders));
});

Deno.test("the last unpin of private content and a pin of it at once give nothing away, in every order of their queries", async () => {
  const HELLO = cidOf(utf8("hello"));
  const orders = await everySchedule(async (schedule) => {
    await using t = await Storages.start("shop", "cafe");
    await t.gateway({ remotePins: true }).upload("shop", "hello", { type: "text/plain" });
    const [unpins, pins] = [t.gateway({ remotePins: true }), t.gateway({ remotePins: true })];
    await schedule.run([
      scheduled(t, schedule, unpins, /storage_(pins|objects)/, () => unpins.unpin("shop", HELLO)),
      scheduled(t, schedule, pins, /storage_(pins|objects)/, () => pins.pin("cafe", HELLO)),
    ]);
    await t.reconcile(t.gateway({ remotePins: true }));
    equal(t.engine.pins.size, 0);
    deepEqual(await availableTo(t, "cafe"), []);
  }, 10_000);
  ok(orders > 10, String(orders));
});
