import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { awaitedLater } from "../../support/awaited_later.ts";
import { code, principal } from "../auth/support/node.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { filesOf, Storages, stream, utf8 } from "./support/storage.ts";

/** Pieces without end; says how many were taken, and whether the taking was ended. */
function endless(bytes: number) {
  const seen = { taken: 0, ended: false };
  const content = async function* () {
    try {
      for (;;) {
        seen.taken++;
        yield await Promise.resolve(new Uint8Array(bytes));
      }
    } finally {
      seen.ended = true;
    }
  };
  return { seen, content: content() };
}

Deno.test("an upload without end is broken off as soon as it cannot fit", async () => {
  await using t = await Storages.start("shop");
  for (
    const [rules, refused] of [
      [{ maxObjectBytes: 10_000 }, "BODY_TOO_LARGE"],
      [{ maxBytes: 10_000 }, "QUOTA_EXCEEDED"],
    ] as const
  ) {
    const gateway = t.gateway({ rules });
    for (const kind of ["upload", "importCar"] as const) {
      const { seen, content } = endless(1_000);
      await rejects(gateway.service[kind](principal(), content, {}, CONTEXT), code(refused));
      deepEqual(seen, { taken: 11, ended: true });
    }
  }
  deepEqual(await t.objects(), []);
});

Deno.test("the files of a directory count together", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxObjectBytes: 10 } });
  const six = "sixsix";
  const upload = (files: Record<string, string>) =>
    gateway.service.uploadDirectory(principal(), filesOf(files), {}, CONTEXT);
  await rejects(upload({ a: six, b: six }), code("BODY_TOO_LARGE"));
  equal((await upload({ a: six, b: "four" })).object.size, 10);
});

Deno.test("what is said to be too much is refused before a byte is taken", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxObjectBytes: 50, maxBytes: 60 } });
  await gateway.upload("shop", "x".repeat(40));
  for (const [length, refused] of [[51, "BODY_TOO_LARGE"], [21, "QUOTA_EXCEEDED"]] as const) {
    const { seen, content } = endless(1);
    await rejects(gateway.service.upload(principal(), content, { length }, CONTEXT), code(refused));
    equal(seen.taken, 0);
  }
  await gateway.upload("shop", "y".repeat(20), { length: 20 });
});

Deno.test("uploads under way on a gateway count before they are there", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway({ rules: { maxBytes: 100 } });
  const go = Promise.withResolvers<void>(), taken = Promise.withResolvers<void>();
  const slow = async function* () {
    yield utf8("x".repeat(60));
    taken.resolve();
    await go.promise;
  };
  const first = awaitedLater(gateway.service.upload(principal(), slow(), {}, CONTEXT));
  await taken.promise;
  await rejects(() => gateway.upload("shop", "y".repeat(41)), code("QUOTA_EXCEEDED"));
  await gateway.upload("cafe", "y".repeat(41));
  await gateway.upload("shop", "z".repeat(40));
  await rejects(() => gateway.upload("shop", "!"), code("QUOTA_EXCEEDED"));
  go.resolve();
  await first;
  deepEqual((await t.usage()).at(-1), { namespace: "shop", bytes: 100, objects: 2 });
});

Deno.test("bytes of an upload that failed are given back", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxBytes: 100 } });
  const broken = async function* () {
    yield await Promise.resolve(utf8("x".repeat(90)));
    throw new Error("the client left");
  };
  for (let i = 0; i < 5; i++) {
    await rejects(gateway.service.upload(principal(), broken(), {}, CONTEXT), /the client left/);
  }
  await gateway.upload("shop", "x".repeat(100));
});

Deno.test("an upload that is broken off holds nothing back while it ends", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxBytes: 100 } });
  const refused = Promise.withResolvers<void>(), ended = Promise.withResolvers<void>();
  const slowToEnd = async function* () {
    try {
      for (;;) yield await Promise.resolve(utf8("x".repeat(40)));
    } finally {
      refused.resolve();
      await ended.promise;
    }
  };
  const large = awaitedLater(gateway.service.upload(principal(), slowToEnd(), {}, CONTEXT));
  await refused.promise;
  try {
    await gateway.upload("shop", "y".repeat(100));
  } finally {
    ended.resolve();
  }
  await rejects(large, code("QUOTA_EXCEEDED"));
  deepEqual((await t.usage()).at(-1), { namespace: "shop", bytes: 100, objects: 1 });
});

Deno.test("quotas hold across gateways that know nothing of each other", async () => {
  for (const [rules, most] of [[{ maxBytes: 1_000 }, 10], [{ maxObjects: 7 }, 7]] as const) {
    await using t = await Storages.start("shop");
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, i) => t.gateway({ rules }).upload("shop", `${i}`.padEnd(100))),
    );
    const failed = results.filter((result) => result.status === "rejected").map(({ reason }) => reason.code);
    equal(failed.length, 30 - most);
    deepEqual(new Set(failed), new Set(["QUOTA_EXCEEDED"]));
    deepEqual(await t.usage(), [{ namespace: "shop", bytes: most * 100, objects: most }]);
    equal(t.engine.pins.size, most, "what was refused is not kept");
  }
});

Deno.test("where a namespace is full, what it has may be renewed, changed and let go", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxObjects: 1 } });
  const { cid } = await gateway.upload("shop", "hello");
  await rejects(() => gateway.upload("shop", "more"), code("QUOTA_EXCEEDED", /1 objects/));
  equal((await gateway.upload("shop", "hello", { name: "again" })).name, "again");
  const lowered = t.gateway({ rules: { maxBytes: 1, maxObjects: 1 } });
  equal((await lowered.pin("shop", cid, { name: "once more" })).name, "once more");
  await lowered.unpin("shop", cid);
  await rejects(() => lowered.upload("shop", "hello"), code("QUOTA_EXCEEDED", /1 bytes/));
  await gateway.upload("shop", "hello");
});

Deno.test("0 is no quota", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxBytes: 0, maxObjects: 0 } });
  await gateway.upload("shop", "x".repeat(100_000));
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 100_000, objects: 1 }]);
});

Deno.test("only so many uploads of a namespace are under way at once, on one gateway", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway({ rules: { maxUploads: 2 } });
  const go = Promise.withResolvers<void>();
  const slow = async function* (name: string) {
    await go.promise;
    yield utf8(name);
  };
  const under = awaitedLater(["a", "b"].map((name) => gateway.service.upload(principal(), slow(name), {}, CONTEXT)));
  while (t.engine.steps.length === 0 && under.length < 2) await setImmediate();
  await rejects(() => gateway.upload("shop", "c"), (error: Error & { code: string; status: number }) => {
    deepEqual([error.code, error.status], ["TOO_MANY_UPLOADS", 429]);
    return true;
  });
  await gateway.upload("cafe", "c");
  go.resolve();
  await Promise.all(under);
  await gateway.upload("shop", "c");
});

Deno.test("a CAR counts as many bytes as it has, and as many as it is read for", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ rules: { maxObjectBytes: 1_000 } });
  const importCar = t.engine.importCar.bind(t.engine);
  t.engine.importCar = async (car, waiter) => ({ ...await importCar(car, waiter), size: 900 });
  await gateway.service.importCar(principal(), stream("small"), {}, CONTEXT);
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 900, objects: 1 }]);
  t.engine.importCar = async (car, waiter) => ({ ...await importCar(car, waiter), size: 1_001 });
  await rejects(gateway.service.importCar(principal(), stream("bomb"), {}, CONTEXT), code("BODY_TOO_LARGE"));
  t.engine.importCar = async (car, waiter) => ({ ...await importCar(car, waiter), size: 3, kind: "file" });
  await gateway.service.importCar(principal(), stream("x".repeat(50)), {}, CONTEXT);
  ok((await t.usage())[0]!.bytes === 950);
  const encrypt = gateway.service.importCar(principal(), stream("x"), { encrypt: true }, CONTEXT);
  await rejects(encrypt, code("INVALID_REQUEST", /^encrypt/));
});

Deno.test("an upload whose client has left is not claimed", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway();
  const left = new AbortController();
  t.engine.after = (step) => {
    if (step === "add") left.abort(new DOMException("the client left", "AbortError"));
  };
  const context = { ...CONTEXT, signal: left.signal };
  await rejects(gateway.service.upload(principal(), stream("hello"), {}, context), { name: "AbortError" });
  deepEqual(await t.objects(), []);
});
