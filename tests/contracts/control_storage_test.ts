import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { migrate } from "../../services/control_plane/migrate.ts";
import { cidOf } from "../support/memory_content.ts";
import { code, principal } from "../unit/auth/support/node.ts";
import { DAY } from "../unit/control_plane/support/clock.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { filesOf, Storages, utf8 } from "../unit/storage/support/storage.ts";
import { onEveryDriver, type Open } from "./control_drivers.ts";

const HELLO = cidOf(utf8("hello"));

/** Runs a scenario with gateways on this control plane, which somebody else closes. */
const withStorages = (scenario: (t: Storages) => Promise<void>) => async (open: Open) => {
  const control = open();
  await migrate(control, { now: () => 0 });
  const storages = await Storages.on(control, "shop", "cafe");
  try {
    await scenario(storages);
  } finally {
    await storages.close();
  }
};

onEveryDriver({
  "claims are made, renewed, listed, changed and given up, and each is counted once": withStorages(async (t) => {
    const gateway = t.gateway(), { service } = gateway;
    const first = await gateway.upload("shop", "hello", { name: "a.txt" });
    deepEqual(await gateway.upload("shop", "hello", { name: "a.txt" }), first);
    await gateway.upload("cafe", "hello", { visibility: "public", replication: { min: 2, max: 4 } });
    for (let i = 0; i < 5; i++) await gateway.upload("shop", `content ${i}`, { name: `File_${i}` });
    deepEqual(await t.usage(), [
      { namespace: "cafe", bytes: 5, objects: 1 },
      { namespace: "shop", bytes: 50, objects: 6 },
    ]);
    deepEqual(t.engine.pins.get(HELLO)?.replication, { min: 2, max: 4 });
    const page = await service.list("shop", { limit: 2, name: "file" }, CONTEXT);
    const rest = await service.list("shop", { limit: 9, name: "file", cursor: page.cursor }, CONTEXT);
    deepEqual([page.objects.length, page.total, rest.objects.length, rest.cursor], [2, 5, 3, undefined]);
    equal((await service.change("shop", HELLO, { name: "b", visibility: "public" }, CONTEXT)).visibility, "public");
    equal((await gateway.unpin("shop", HELLO)).name, "b");
    await rejects(() => gateway.unpin("shop", HELLO), code("NOT_FOUND"));
    equal(await gateway.read({}, HELLO), "hello");
    await gateway.unpin("cafe", HELLO);
    equal(t.engine.pins.has(HELLO), false);
    deepEqual(t.errors, []);
  }),

  "quotas hold, whatever many do at once": withStorages(async (t) => {
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, i) => t.gateway({ rules: { maxBytes: 50 } }).upload("shop", `${i}`.padEnd(10))),
    );
    const refused = results.filter((result) => result.status === "rejected").map(({ reason }) => reason.code);
    deepEqual(refused, Array(7).fill("QUOTA_EXCEEDED"));
    deepEqual(await t.usage(), [{ namespace: "shop", bytes: 50, objects: 5 }]);
  }),

  "what is public is given to who pins it, what expires goes, and a namespace goes with all it has": withStorages(
    async (t) => {
      const gateway = t.gateway({ remotePins: true }), { service } = gateway;
      await gateway.upload("shop", "hello", { visibility: "public", pin: false });
      equal((await gateway.pin("cafe", HELLO)).size, 5);
      await gateway.upload("shop", "soon gone", { pin: false });
      t.clock.advance(2 * DAY);
      await service.reconcile();
      deepEqual((await t.objects()).map(({ namespace, cid }) => [namespace, cid]), [["cafe", HELLO]]);
      const { db } = t.control;
      await t.control.run(db.updateTable("namespaces").set({ state: "deleting" }).where("name", "=", "cafe"));
      await rejects(() => gateway.upload("cafe", "late"), code("CONFLICT"));
      await service.purge("cafe", CONTEXT.signal);
      await t.control.run(db.deleteFrom("namespaces").where("name", "=", "cafe"));
      await service.reconcile();
      deepEqual([await t.objects(), t.engine.pins.size, t.errors], [[], 0, []]);
    },
  ),

  "what others have privately is not found by who waits for it; what is found is counted": withStorages(async (t) => {
    const gateway = t.gateway({ remotePins: true });
    await gateway.upload("shop", "hello");
    const other = cidOf(utf8("from afar"));
    t.engine.far.set(other, { bytes: utf8("from afar") });
    await gateway.pin("cafe", HELLO);
    await gateway.pin("cafe", other);
    await t.told();
    await t.reconcile(gateway);
    deepEqual(
      (await t.objects()).filter(({ namespace }) => namespace === "cafe").map(({ available }) => available).sort(),
      [
        0,
        1,
      ],
    );
    deepEqual((await t.usage())[0], { namespace: "cafe", bytes: 9, objects: 2 });
  }),

  "a part of what others have privately is not found either, and what was public or was found is, again": withStorages(
    async (t) => {
      const gateway = t.gateway({ remotePins: true });
      const files = filesOf({ "a.txt": "hello", "b.txt": "other" });
      await gateway.service.uploadDirectory(principal({ namespace: "shop" }), files, {}, CONTEXT);
      const other = cidOf(utf8("from afar")), open = cidOf(utf8("for all"));
      t.engine.far.set(other, { bytes: utf8("from afar") });
      await gateway.upload("shop", "for all", { visibility: "public" });
      await gateway.unpin("shop", open);
      for (let i = 0; i < 2; i++) {
        for (const cid of [HELLO, other, open]) await gateway.pin("cafe", cid);
        await t.told();
        await t.reconcile(gateway);
        const given = (await t.objects()).filter(({ namespace, available }) => namespace === "cafe" && available === 1);
        deepEqual(given.map(({ cid }) => cid), [other, open].sort());
        ok(!t.engine.pins.has(HELLO));
        for (const cid of [HELLO, other, open]) await gateway.unpin("cafe", cid);
      }
      deepEqual(t.errors, []);
    },
  ),

  "what fails at the engine is recovered once for all gateways, and an unpin meanwhile comes after it": withStorages(
    async (t) => {
      await t.gateway().upload("shop", "hello");
      t.clock.advance(DAY);
      t.engine.status = "error";
      const gateways = Array.from({ length: 3 }, () => t.gateway({ watchPins: true }));
      for (const { service } of gateways) await service.reconcile();
      const asked = () => gateways.map(({ service }) => service.statistics().recoveries.asked);
      deepEqual(asked(), [1, 0, 0]);
      t.clock.advance(DAY);
      t.engine.before = async (step) => {
        if (step !== "pin") return;
        t.engine.before = () => {};
        await gateways[1]!.unpin("shop", HELLO);
      };
      await gateways[0]!.service.reconcile();
      deepEqual(asked(), [2, 0, 0]);
      deepEqual([await t.pins(), t.engine.pins.size, t.errors], [[], 0, []]);
    },
  ),
});
