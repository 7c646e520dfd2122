import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { code } from "../auth/support/node.ts";
import { HOUR } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { Bench, LIFE, OTHER, pieces, RULES, SHOP, someBytes, Tap } from "./support/resumable.ts";

const MB = 1_000_000;

Deno.test("what unfinished uploads will come to counts from their beginning, and is given back however they end", async () => {
  await using bench = await Bench.open();
  bench.depot.used = { bytes: 5 * MB, objects: 1 };
  await rejects(bench.create({ length: 10 * MB + 1 }), (error: GatewayError) => {
    deepEqual([error.code, error.extra.details], ["BODY_TOO_LARGE", { limit: 10 * MB }]);
    return true;
  });
  const first = await bench.create({ length: 10 * MB });
  await rejects(bench.create({ length: 5 * MB + 1 }), code("QUOTA_EXCEEDED"));
  const second = await bench.create({ length: 5 * MB });
  await rejects(bench.create({ length: 1 }), code("QUOTA_EXCEEDED"));
  await bench.create({ length: 10 * MB }, OTHER);
  await bench.uploads.remove(SHOP, second);
  const [third, ...refused] = await Promise.allSettled([1, 2, 3].map(() => bench.create({ length: 5 * MB })));
  equal(third!.status, "fulfilled");
  deepEqual(
    refused.map(({ status }) => status),
    ["rejected", "rejected"],
    "those that come at once are counted as well",
  );
  const next = await bench.afterKill();
  const again = { length: 1, metadata: "", options: {} };
  await rejects(next.create(SHOP, again, CONTEXT), code("QUOTA_EXCEEDED"), "after a restart too");
  await next.remove(SHOP, first);
  await next.create(SHOP, again, CONTEXT);
});

Deno.test("an upload whose length is not known takes what it sends, and no more than there is", async () => {
  await using bench = await Bench.open();
  bench.rules = { ...RULES, maxBytes: MB };
  const id = await bench.create({ length: undefined });
  const other = await bench.create({ length: 600_000 });
  await bench.append(id, 0, pieces(someBytes(300_000)));
  await rejects(bench.append(id, 300_000, pieces(someBytes(50_000), someBytes(50_001))), code("QUOTA_EXCEEDED"));
  equal((await bench.look(id)).offset, 350_000, "what fits is kept");
  await rejects(bench.append(id, 350_000, "", { length: 400_001 }), code("QUOTA_EXCEEDED"));
  await bench.uploads.remove(SHOP, other);
  equal((await bench.append(id, 350_000, "", { length: 400_001 })).length, 400_001);
  bench.rules = { ...RULES, maxObjectBytes: 100 };
  const small = await bench.create({ length: undefined });
  await rejects(bench.append(small, 0, pieces(someBytes(100), someBytes(1))), code("BODY_TOO_LARGE"));
});

Deno.test("a namespace has so many unfinished uploads and no more, and no more objects than it may", async () => {
  await using bench = await Bench.open();
  for (let i = 0; i < 4; i++) await bench.create({ length: 1 });
  await rejects(bench.create({ length: 1 }), (error: GatewayError) => {
    deepEqual([error.code, error.status], ["TOO_MANY_UPLOADS", 429]);
    return true;
  });
  await bench.create({ length: 1 }, OTHER);
  bench.depot.used = { bytes: 0, objects: 4 };
  await bench.create({ length: 1 }, { ...OTHER, namespace: "third" });
  await rejects(bench.create({ length: 1 }, { ...OTHER, namespace: "third" }), code("QUOTA_EXCEEDED", /5 objects/));
});

Deno.test("finished uploads are none of the unfinished", async () => {
  await using bench = await Bench.open();
  for (let i = 0; i < 10; i++) equal((await bench.append(await bench.create({ length: 1 }), 0, "x")).object?.size, 1);
  deepEqual(await bench.uploads.usage("shop"), { unfinished_uploads: 0, reserved_bytes: 0 });
});

Deno.test("an upload goes when nothing has come of it for its life, and what it held is free again", async () => {
  await using bench = await Bench.open();
  const start = bench.clock.time;
  const left = await bench.create({ length: 10 * MB });
  const id = await bench.create();
  equal((await bench.look(id)).expiresAt, start + LIFE);
  bench.clock.advance(23 * HOUR);
  const { expiresAt } = await bench.append(id, 0, "hello ");
  equal(expiresAt, start + 23 * HOUR + LIFE);
  bench.clock.advance(HOUR);
  await rejects(bench.look(left), code("NOT_FOUND"), "to the millisecond, whenever the sweep comes");
  equal((await bench.look(id)).offset, 6);
  const other = await bench.create({ length: 10 * MB });
  bench.clock.advance(LIFE - HOUR);
  await bench.uploads.sweep();
  deepEqual(await bench.files(), [`${other}.upload`]);
  bench.clock.advance(HOUR);
  const next = await bench.afterKill();
  await next.sweep();
  await rejects(next.look(SHOP, other, CONTEXT), code("NOT_FOUND"));
  await bench.uploads.sweep();
  deepEqual(await bench.files(), []);
  deepEqual(bench.errors, []);
});

Deno.test("what is staged is counted: unfinished uploads, their bytes on the disk, and those that expired before their end", async () => {
  await using bench = await Bench.open();
  const figures = () => bench.uploads.figures();
  deepEqual(await figures(), { unfinished: 0, bytes: 0, expired: 0 });
  const stored = await bench.create({ length: 1 });
  await bench.append(stored, 0, "x");
  const begun = await bench.create();
  await bench.append(begun, 0, "hello ");
  await bench.create({}, OTHER);
  const size = Deno.statSync(`${bench.folder}/${begun}.bytes`).size;
  deepEqual(await figures(), { unfinished: 2, bytes: size, expired: 0 });
  const next = await bench.afterKill();
  deepEqual(await next.figures(), { unfinished: 2, bytes: size, expired: 0 }, "after a restart too");
  bench.clock.advance(LIFE);
  await Promise.all([bench.uploads.sweep(), rejects(bench.look(begun), code("NOT_FOUND"))]);
  deepEqual(await figures(), { unfinished: 0, bytes: 0, expired: 2 }, "each once, and not the one that is stored");
  await bench.uploads.remove(SHOP, await bench.create());
  deepEqual(await figures(), { unfinished: 0, bytes: 0, expired: 2 });
});

Deno.test("an upload that is being sent does not go meanwhile", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const tap = new Tap();
  const part = awaitedLater(bench.append(id, 0, tap));
  tap.give("hello ");
  await until("bytes are there", async () => (await bench.look(id)).offset === 6);
  bench.clock.advance(2 * LIFE);
  await bench.uploads.sweep();
  tap.give("world");
  tap.end();
  equal((await part).object?.size, 11);
});

Deno.test("with its namespace an upload goes, whatever is being done with it, and no other", async () => {
  await using bench = await Bench.open();
  const other = await bench.create({}, OTHER);
  const part = awaitedLater(bench.append(await bench.create(), 0, new Tap()));
  bench.depot.gate = new Promise(() => {});
  const storing = awaitedLater(bench.append(await bench.create(), 0, "hello world"));
  await bench.create();
  await until(
    "bytes are there",
    async () => (await bench.files()).filter((name) => name.endsWith(".bytes")).length === 2,
  );
  await bench.uploads.purge("shop");
  await rejects(part, code("NOT_FOUND"));
  await rejects(storing, code("NOT_FOUND"));
  deepEqual(await bench.files(), [`${other}.upload`]);
  deepEqual(await bench.uploads.usage("shop"), { unfinished_uploads: 0, reserved_bytes: 0 });
  await bench.uploads.purge("shop");
});

Deno.test("what is given up while it is sent or stored is gone for all of them", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const tap = new Tap();
  const part = awaitedLater(bench.append(id, 0, tap));
  tap.give("hello world");
  await until("bytes are there", async () => (await bench.look(id)).offset === 11);
  await bench.uploads.remove(SHOP, id);
  await rejects(part, code("NOT_FOUND"));
  await rejects(bench.look(id), code("NOT_FOUND"));
  await rejects(bench.uploads.remove(SHOP, id), code("NOT_FOUND"));
  deepEqual(await bench.files(), []);
  equal(bench.depot.stored.length, 0);
});

Deno.test("a disk that is nearly full takes no more, and what is there stays", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  await bench.append(id, 0, "hello ");
  bench.disk.free = 2 ** 30 + 10;
  await rejects(bench.create({ length: 11 }), code("NO_CAPACITY"));
  bench.disk.free = 2 ** 30 - 1;
  await rejects(bench.append(id, 6, "world"), (error: GatewayError) => {
    deepEqual([error.code, error.status], ["NO_CAPACITY", 503]);
    return true;
  });
  bench.disk.free = 2 ** 40;
  bench.disk.room = 0;
  await rejects(bench.append(id, 6, "world"), code("NO_CAPACITY"));
  await rejects(bench.create(), code("NO_CAPACITY"));
  equal((await bench.look(id)).offset, 6);
  bench.disk.room = Infinity;
  equal((await bench.append(id, 6, "world")).object?.size, 11);
  deepEqual(await bench.uploads.usage("shop"), { unfinished_uploads: 0, reserved_bytes: 0 });
});

Deno.test("what is stored is told, though the disk is too full to note it", async () => {
  await using bench = await Bench.open({ patience: 50 });
  const gate = Promise.withResolvers<void>();
  bench.depot.gate = gate.promise;
  const id = await bench.create();
  const part = awaitedLater(bench.append(id, 0, "hello world"));
  await until("it is being stored", () => bench.depot.asked === 1);
  await rejects(bench.look(id), code("UPLOAD_LOCKED"));
  bench.disk.room = 0;
  gate.resolve();
  equal((await part).object?.size, 11);
  equal((await bench.look(id)).object?.size, 11);
  deepEqual(bench.errors, ["noting that an upload is stored"]);
});

Deno.test("two gateways on one folder: the second says so, and a namespace can go all the same", async () => {
  await using bench = await Bench.open();
  const id = await bench.create();
  const second = bench.on(bench.folder);
  await rejects(second.look(SHOP, id, CONTEXT), code("UNAVAILABLE", /storage\.uploads\.folder/));
  await second.purge("shop");
  deepEqual(bench.errors, ["removing the uploads of a namespace"]);
  await bench.uploads.close();
  equal((await second.look(SHOP, id, CONTEXT)).offset, 0, "once the first has ended");
  await second.close();
});

Deno.test("a record that cannot be opened stands in nobody's way, and goes when its time is over", async () => {
  await using bench = await Bench.open();
  const [whole, damaged] = [await bench.create(), await bench.create()];
  const record = JSON.parse(Deno.readTextFileSync(`${bench.folder}/${damaged}.upload`));
  match(record.sealed, /^v1\./);
  Deno.writeTextFileSync(`${bench.folder}/${damaged}.upload`, JSON.stringify({ ...record, sealed: "v1.AAAA" }));
  Deno.writeTextFileSync(`${bench.folder}/${"e".repeat(32)}.upload`, "{");
  const next = await bench.afterKill();
  equal((await next.look(SHOP, whole, CONTEXT)).offset, 0);
  await rejects(next.look(SHOP, damaged, CONTEXT), code("NOT_FOUND"));
  deepEqual(bench.errors, [`reading the upload ${damaged}`]);
  bench.clock.advance(LIFE);
  const last = await bench.afterKill();
  await last.sweep();
  deepEqual(bench.errors.length, 1);
});
