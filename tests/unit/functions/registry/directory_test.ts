import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { FunctionVersion } from "../../../../src/contracts/functions.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { code } from "../../auth/support/node.ts";
import { SECOND } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { Registries, type RegistryGateway } from "./support/registries.ts";

const { signal } = CONTEXT;
const resolve = ({ registry }: RegistryGateway, name = "hello") =>
  registry.resolve("shop", name, undefined, () => 0, signal);
const isRead = (sql: string) => sql.startsWith("SELECT n.state");
const reads = ({ control }: RegistryGateway) => control.calls.filter(isRead).length;

Deno.test("what is known is answered without a promise, and many who ask at once make one look-up", async () => {
  await using t = await Registries.start("shop");
  await (await t.gateway()).deploy("hello", "one");
  const gateway = await t.gateway();
  const versions = await Promise.all(Array.from({ length: 50 }, () => resolve(gateway)));
  deepEqual([new Set(versions.map(({ version }) => version)), reads(gateway)], [new Set([1]), 1]);
  ok(!(resolve(gateway) instanceof Promise));
  await Promise.allSettled(Array.from({ length: 50 }, () => resolve(gateway, "nobody")));
  await rejects(async () => await resolve(gateway, "nobody"), code("NOT_FOUND"));
  equal(reads(gateway), 2);
});

Deno.test("names that no function can have are not looked for, however long they are", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  for (const name of ["", "a/b", "x".repeat(100_000), "hello@1"]) {
    await rejects(async () => await resolve(gateway, name), code("NOT_FOUND"));
  }
  await rejects(() => gateway.serves("hello", undefined, 0, "x".repeat(100_000)), code("NOT_FOUND"));
  await rejects(() => gateway.serves("hello", undefined, 0, ".functions"), code("NOT_FOUND"));
  equal(reads(gateway), 0);
});

Deno.test("what nobody told of is known after some seconds all the same", async () => {
  await using t = await Registries.start("shop");
  const one = await t.gateway(), deaf = await t.gateway();
  await one.deploy("hello", "one");
  await resolve(deaf);
  await rejects(async () => await resolve(deaf, "other"), code("NOT_FOUND"));
  await one.deploy("hello", "two");
  await one.deploy("other", "one");
  t.clock.advance(3 * SECOND);
  equal((await resolve(deaf)).version, 1);
  t.clock.advance(3 * SECOND);
  equal((await resolve(deaf)).version, 2);
  equal((await resolve(deaf, "other")).version, 1);
});

Deno.test("a control plane that is away takes no function away for a minute, and is not asked by every call", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "one");
  await resolve(gateway);
  let asked = 0;
  gateway.control.before = (sql) => {
    if (!isRead(sql)) return;
    asked++;
    throw new GatewayError("UNAVAILABLE", "the control plane is away");
  };
  t.clock.advance(10 * SECOND);
  for (let i = 0; i < 20; i++) equal((await resolve(gateway)).version, 1);
  equal(asked, 1);
  await rejects(async () => await resolve(gateway, "unheard"), code("UNAVAILABLE"));
  t.clock.advance(60 * SECOND);
  await rejects(async () => await resolve(gateway), code("UNAVAILABLE"));
  gateway.control.before = () => {};
  equal((await resolve(gateway)).version, 1);
});

/** Has the next look-up wait for its answer, which is on its way. */
function heldBack({ control }: RegistryGateway) {
  const begun = Promise.withResolvers<void>(), late = Promise.withResolvers<void>();
  control.after = async (sql) => {
    if (!isRead(sql)) return;
    control.after = () => {};
    begun.resolve();
    await late.promise;
  };
  return { begun: begun.promise, resolve: late.resolve };
}

Deno.test("a control plane that does not answer is not waited for by every call", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "one");
  await resolve(gateway);
  const late = heldBack(gateway);
  t.clock.advance(10 * SECOND);
  equal((await resolve(gateway)).version, 1);
  ok(!(resolve(gateway) instanceof Promise));
  late.resolve();
});

Deno.test("whoever has left already leaves nothing behind that fails", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  gateway.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "the control plane is away");
  };
  const left = AbortSignal.abort(new DOMException("gone", "AbortError"));
  await rejects(async () => await gateway.registry.resolve("shop", "hello", undefined, () => 0, left), {
    name: "AbortError",
  });
  await new Promise((resolve) => setTimeout(resolve, 1));
});

Deno.test("a look-up that began before a change is neither kept nor joined after it", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway(), other = await t.gateway();
  await other.deploy("hello", "one");
  const late = heldBack(gateway);
  const early = awaitedLater(Promise.resolve(resolve(gateway)));
  await late.begun;
  await other.deploy("hello", "two");
  await gateway.revocations.pull();
  equal((await resolve(gateway)).version, 2);
  late.resolve();
  equal((await early).version, 1);
  equal((await resolve(gateway)).version, 2);
});

Deno.test("a look-up that began before the namespace was deleted is not kept for who has its name then", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway(), other = await t.gateway();
  await other.deploy("hello", "one");
  const late = heldBack(gateway);
  const early = awaitedLater(Promise.resolve(resolve(gateway)));
  await late.begun;
  await t.replaceNamespace("shop", other);
  await gateway.revocations.pull();
  await rejects(async () => await resolve(gateway), code("NOT_FOUND"));
  late.resolve();
  await early;
  await rejects(async () => await resolve(gateway), code("NOT_FOUND"));
});

Deno.test("whoever leaves does not take the look-up of the others with it", async () => {
  await using t = await Registries.start("shop");
  await (await t.gateway()).deploy("hello", "one");
  const gateway = await t.gateway();
  const leaving = new AbortController();
  const left = awaitedLater(
    Promise.resolve(gateway.registry.resolve("shop", "hello", undefined, () => 0, leaving.signal)),
  );
  const stayed = awaitedLater(Promise.resolve(resolve(gateway)));
  leaving.abort(new DOMException("gone", "AbortError"));
  await rejects(() => left, { name: "AbortError" });
  equal((await stayed).version, 1);
});

/** How often the engine was asked for content. */
const looks = (t: Registries) => t.engine.steps.filter((step) => step.startsWith("look")).length;

async function two(t: Registries): Promise<{ gateway: RegistryGateway; version: FunctionVersion }> {
  const version = await (await t.gateway()).deploy("hello", "one");
  return { gateway: await t.gateway(), version };
}

Deno.test("a module is read once for all who want it, and then answered without a promise, prepared", async () => {
  await using t = await Registries.start("shop");
  const { gateway, version } = await two(t);
  const modules = await Promise.all(Array.from({ length: 20 }, () => gateway.registry.prepared(version, signal)));
  deepEqual([new Set(modules).size, looks(t)], [1, 1]);
  ok(!(gateway.registry.prepared(version, signal) instanceof Promise));
  ok(WebAssembly.validate(new Uint8Array(modules[0]!)));
  const { memory } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(modules[0]!))).exports;
  (memory as WebAssembly.Memory).grow(1);
  equal((memory as WebAssembly.Memory).buffer.byteLength, 2 * 65_536);
});

Deno.test("a module that cannot be read is UNAVAILABLE, which is not remembered", async () => {
  await using t = await Registries.start("shop");
  const { gateway, version } = await two(t);
  t.engine.before = (step) => {
    if (step === "look") throw new GatewayError("UNAVAILABLE", "the storage is away");
  };
  await rejects(async () => await gateway.registry.prepared(version, signal), code("UNAVAILABLE"));
  t.engine.before = () => {};
  ok((await gateway.registry.prepared(version, signal)).length > 0);
});

Deno.test("bytes that are not those that were deployed are never run", async () => {
  await using t = await Registries.start("shop");
  const { gateway, version } = await two(t);
  const { db } = t.control;
  const other = await gateway.deploy("other", "two");
  const [row] = await db.selectFrom("function_versions").select("stored_cid").where("name", "=", other.name).execute();
  await t.control.run(
    db.updateTable("function_versions").set({ stored_cid: row!.stored_cid }).where("name", "=", "hello"),
  );
  await rejects(async () => await gateway.registry.prepared(version, signal), code("UNAVAILABLE"));
  equal(t.errors.length, 1);
});

Deno.test("modules in memory are bounded in bytes, and go with their namespace", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway({ moduleCache: 2_500 });
  const versions: FunctionVersion[] = [];
  for (let i = 0; i < 4; i++) versions.push(await gateway.deploy(`f${i}`, `${i}`.repeat(1_000)));
  for (const version of versions) await gateway.registry.prepared(version, signal);
  const held = () => versions.map((version) => !(gateway.registry.prepared(version, signal) instanceof Promise));
  const large = await gateway.deploy("large", "a".repeat(5_000));
  equal((await gateway.registry.prepared(large, signal)).length > 5_000, true);
  deepEqual(held().filter(Boolean).length, 2);
  for (const version of versions) await gateway.registry.prepared(version, signal);
  await t.markDeleting("shop", gateway);
  const after = versions.map((version) => gateway.registry.prepared(version, signal));
  deepEqual(after.map((module) => module instanceof Promise), [true, true, true, true]);
  await Promise.allSettled(after);
});

Deno.test("a module that was being read when its namespace went is not kept", async () => {
  await using t = await Registries.start("shop");
  const { gateway, version } = await two(t);
  const late = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  t.engine.after = async (step) => {
    if (step !== "look") return;
    t.engine.after = () => {};
    begun.resolve();
    await late.promise;
  };
  const reading = awaitedLater(Promise.resolve(gateway.registry.prepared(version, signal)));
  await begun.promise;
  await t.markDeleting("shop", gateway);
  late.resolve();
  await Promise.allSettled([reading]);
  const again = gateway.registry.prepared(version, signal);
  ok(again instanceof Promise);
  await Promise.allSettled([again]);
});
