import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { migrate } from "../../services/control_plane/migrate.ts";
import { migrations } from "../../services/control_plane/migrations/index.ts";
import { cidOf } from "../support/memory_content.ts";
import { code } from "../unit/auth/support/node.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { ALL, isSettled, Requester } from "../unit/pins/support/requests.ts";
import { Storages, utf8 } from "../unit/storage/support/storage.ts";
import { now, onEveryDriver, type Open, raw } from "./control_drivers.ts";

const HELLO = cidOf(utf8("hello")), WORLD = cidOf(utf8("world"));

const withStorages = (scenario: (t: Storages) => Promise<void>) => async (open: Open) => {
  const control = open();
  await migrate(control, { now });
  const storages = await Storages.on(control, "shop", "cafe");
  try {
    await scenario(storages);
  } finally {
    await storages.close();
  }
};

onEveryDriver({
  "requests are made, listed, replaced and removed, with the claims that they need": withStorages(async (t) => {
    const gateway = t.gateway(), shop = new Requester(gateway, "shop");
    for (const text of ["hello", "world"]) await gateway.upload("cafe", text, { visibility: "public" });
    const meta = { "a\"'\\": "é\u2028", b: "1" };
    const one = await shop.add(HELLO, { name: "One", meta });
    const two = await shop.add(HELLO, { name: "two" });
    deepEqual(await shop.get(one.id), one);
    deepEqual(one.meta, meta);
    deepEqual(await shop.shown(), ["two pinned", "One pinned"]);
    deepEqual(await shop.shown({ meta: { b: "1" } }), ["One pinned"]);
    deepEqual(await shop.shown({ name: "ONE", match: "iexact", cids: [HELLO, WORLD] }), ["One pinned"]);
    deepEqual(await shop.shown({ name: "w", match: "partial" }), ["two pinned"]);
    deepEqual(await shop.shown({ before: two.createdAt }), ["One pinned"]);
    deepEqual(await shop.shown({ statuses: ["queued", "failed"] }), []);
    const three = await shop.replace(one.id, WORLD, { name: "three" });
    await rejects(() => shop.replace(one.id, WORLD), code("NOT_FOUND"));
    await shop.remove(two.id);
    deepEqual(await shop.shown(), ["three pinned"]);
    deepEqual((await t.usage()).find(({ namespace }) => namespace === "shop"), {
      namespace: "shop",
      bytes: 5,
      objects: 1,
    });
    await shop.remove(three.id);
    await isSettled(t);
    deepEqual(t.errors, []);
  }),

  "requests go with their claim; quotas and the race for one request are decided once": withStorages(async (t) => {
    const gateway = t.gateway(), shop = new Requester(gateway, "shop");
    await gateway.upload("shop", "hello");
    await gateway.upload("shop", "world");
    const few = t.gateway({ rules: { maxObjects: 3 } });
    const results = await Promise.allSettled(Array.from({ length: 6 }, () => new Requester(few, "shop").add(HELLO)));
    const refused = results.filter((result) => result.status === "rejected").map(({ reason }) => reason.code);
    deepEqual(refused, Array(3).fill("QUOTA_EXCEEDED"));
    const { requests } = await few.service.requests.list("shop", { limit: 9, statuses: ALL }, CONTEXT);
    equal(new Set(requests.map(({ createdAt }) => createdAt)).size, 3);
    const raced = await Promise.allSettled([1, 2, 3].map(() => shop.replace(requests[0]!.id, WORLD)));
    equal(raced.filter(({ status }) => status === "fulfilled").length, 1);
    for (const result of raced) if (result.status === "rejected") equal(result.reason.code, "NOT_FOUND");
    await gateway.unpin("shop", HELLO);
    equal((await shop.shown()).length, 1);
    await gateway.service.purge("shop", CONTEXT.signal);
    equal((await t.control.run(raw("SELECT 1 FROM storage_pin_requests"))).rows.length, 0);
    await t.reconcile();
    await isSettled(t);
  }),

  "content is had again from the network by who had it, and by nobody else": withStorages(async (t) => {
    const gateway = t.gateway({ remotePins: true });
    const shop = new Requester(gateway, "shop"), cafe = new Requester(gateway, "cafe");
    t.engine.far.set(HELLO, { bytes: utf8("hello") });
    const first = await shop.add(HELLO);
    equal(first.status, "queued");
    await t.told();
    await t.reconcile(gateway);
    equal((await shop.get(first.id)).status, "pinned");
    await shop.remove(first.id);
    await cafe.add(HELLO, { name: "cafe" });
    await t.reconcile(gateway);
    deepEqual(await cafe.shown(), ["cafe queued"]);
    await shop.add(HELLO, { name: "shop" });
    await t.reconcile(gateway);
    deepEqual([await shop.shown(), await cafe.shown()], [["shop pinned"], ["cafe queued"]]);
  }),

  "what was claimed before there were requests stays without any": async (open) => {
    const control = open();
    await migrate(control, { now, migrations: migrations.slice(0, 3) });
    await control.run(
      control.db.insertInto("namespaces").values({
        name: "old",
        database_name: "old",
        state: "active",
        created_at: 1,
        created_by: "test",
      }),
    );
    await control.run(
      raw(`INSERT INTO storage_objects (namespace, cid, written, name, size, charged, kind, visibility, encrypted,
      pinned, replication_min, replication_max, available, asked_at, link_serial, created_at, created_by)
      VALUES ('old', '${HELLO}', '${HELLO}', 'a', 5, 5, 'file', 'private', 0, 1, 1, 1, 1, 1, 0, 1, 'test')`),
    );
    await control.run(raw("INSERT INTO storage_usage VALUES ('old', 5, 1)"));
    ok((await migrate(control, { now })).includes(4));
    await using t = await Storages.on(control);
    const old = new Requester(t.gateway(), "old");
    const { id } = await old.add(HELLO);
    await old.remove(id);
    deepEqual((await t.objects()).map(({ namespace }) => namespace), ["old"]);
  },
});
