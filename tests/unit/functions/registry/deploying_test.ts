import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { ModuleContent, type ModuleStorage } from "../../../../services/functions/registry/content.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { Deployment } from "../../../../src/contracts/functions.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { code } from "../../auth/support/node.ts";
import { HOUR } from "../../control_plane/support/clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { stream, utf8 } from "../../storage/support/storage.ts";
import { moduleWith, watched } from "./support/modules.ts";
import { Registries } from "./support/registries.ts";

const down = () => {
  throw new GatewayError("UNAVAILABLE", "the control database cannot be reached");
};
const unknown = () => {
  throw new GatewayError("OUTCOME_UNKNOWN", "the control database did not confirm the change");
};
const records = (sql: string) => /^(insert into|update) "?functions\b/im.test(sql);

Deno.test("what no function may be called, and what cannot be asked for, is refused before anything is read", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  const names = ["", "a/b", "a@1", "a b", ".a", "-a", "a".repeat(65), "é", "a\0", "a\n", "secrets", "triggers"];
  const refused: readonly (readonly [Partial<Deployment>, RegExp])[] = [
    ...names.map((name) => [{ name }, /^name: /] as const),
    [{ memoryLimit: 0 }, /memory_limit_mb: .* from 1 to 128 MiB/],
    [{ memoryLimit: 129 }, /memory_limit/],
    [{ memoryLimit: 1.5 }, /memory_limit/],
    [{ timeout: 60_001 }, /timeout_seconds: .* at most 60 seconds/],
    [{ timeout: NaN }, /timeout_seconds/],
    [{ retryCount: -1 }, /retry_count/],
    [{ retryCount: 11 }, /retry_count/],
    [{ retryDelay: 300_001 }, /retry_delay_seconds: .* at most 300 seconds/],
    [{ concurrency: 17 }, /concurrency: .* 16/],
    [{ concurrency: 0 }, /concurrency/],
    [{ dlqTopic: "" }, /dlq_topic/],
    [{ dlqTopic: "a\nb" }, /dlq_topic/],
    [{ dlqTopic: "é".repeat(128) }, /dlq_topic/],
    [{ env: { "": "a" } }, /env_vars/],
    [{ env: { A: "a\0" } }, /env_vars/],
    [{ env: { A: "\ud800" } }, /env_vars/],
    [{ env: { A: "a".repeat(33_000) } }, /env_vars: .* 32768 bytes/],
    [{ env: Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`A${i}`, ""])) }, /256/],
  ];
  for (const [given, sentence] of refused) {
    let ended = 0;
    const next = () => Promise.reject(new Error("it is read"));
    const wasm = {
      [Symbol.asyncIterator]: () => ({ next, return: () => Promise.resolve({ done: true as const, value: ended++ }) }),
    };
    await rejects(() => gateway.deploy("hello", "", { wasm, ...given }), code("INVALID_REQUEST", sentence));
    equal(ended, 1);
  }
  deepEqual([t.engine.steps, (await gateway.registry.list("shop", { limit: 9 }, CONTEXT)).total], [[], 0]);
});

Deno.test("a module that is too large is ended at the limit, which the error names; nothing is kept", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway({ rules: { maxModuleBytes: 1_000 } });
  const { seen, wasm } = watched(...Array.from({ length: 100 }, () => new Uint8Array(600)));
  await rejects(() => gateway.deploy("hello", "", { wasm }), code("BODY_TOO_LARGE", /1000 bytes/));
  deepEqual([seen, t.engine.steps], [{ read: 2, ended: true }, []]);
});

Deno.test("pieces of a module may be lent", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  const whole = moduleWith("a".repeat(300));
  async function* lent(): AsyncGenerator<Uint8Array> {
    const memory = new Uint8Array(64);
    for (let at = 0; at < whole.length; at += 64) {
      const piece = whole.subarray(at, at + 64);
      memory.set(piece);
      yield await Promise.resolve(memory.subarray(0, piece.length));
    }
  }
  await gateway.deploy("hello", "", { wasm: lent() });
  deepEqual(await gateway.module("hello"), whole);
});

Deno.test("what is no module, asks for too much memory or does not compile is refused with what is wrong, and not kept", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway({
    check: (bytes) => Promise.resolve(bytes.length > 200 ? "function 7 does not validate" : undefined),
  });
  await rejects(() => gateway.deploy("hello", "", { wasm: stream("hello") }), code("MODULE_INVALID"));
  await rejects(() => gateway.deploy("hello", "", { wasm: stream() }), code("MODULE_INVALID"));
  const large = moduleWith("", { pages: 33 });
  await rejects(
    () => gateway.deploy("hello", "", { wasm: stream(large), memoryLimit: 2 }),
    code("MODULE_INVALID", /MiB/),
  );
  await rejects(() => gateway.deploy("hello", "a".repeat(300)), code("MODULE_INVALID", /function 7 does not validate/));
  deepEqual([t.engine.steps, await t.named()], [[], []]);
  equal((await gateway.deploy("hello", "a")).version, 1);
});

Deno.test("a storage that is down in the middle leaves no version, and one that comes back takes the next", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  t.engine.before = (step) => {
    if (step === "add") throw new GatewayError("UNAVAILABLE", "the storage is away");
  };
  await rejects(() => gateway.deploy("hello", "one"), code("UNAVAILABLE"));
  t.engine.before = () => {};
  equal((await gateway.deploy("hello", "one")).version, 1);
  deepEqual(await t.stored(), await t.named());
});

Deno.test("a control plane that is down when the version is recorded leaves neither version nor module", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  gateway.control.before = (sql) => records(sql) ? down() : undefined;
  await rejects(() => gateway.deploy("hello", "one"), code("UNAVAILABLE"));
  gateway.control.before = () => {};
  deepEqual([await t.stored(), await t.named()], [[], []]);
  equal((await gateway.deploy("hello", "one")).version, 1);
});

Deno.test("an answer of the control plane that got lost, or a change that never came, makes one version and no second", async () => {
  for (const when of ["before", "after"] as const) {
    await using t = await Registries.start("shop");
    const gateway = await t.gateway();
    await gateway.deploy("hello", "one");
    let lost = 2;
    gateway.control[when] = (sql) => records(sql) && lost-- > 0 ? unknown() : undefined;
    equal((await gateway.deploy("hello", "two")).version, 2);
    gateway.control[when] = () => {};
    deepEqual(await gateway.shown("hello"), ["2 serves", "1"]);
    deepEqual(await t.stored(), await t.named());
  }
});

Deno.test("a deployment of which nobody can say what became is told so; what is left behind is let go later", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "one");
  let cut = false;
  gateway.control.before = (sql) => {
    if (cut) down();
    if (!records(sql)) return;
    cut = true;
    unknown();
  };
  await rejects(() => gateway.deploy("hello", "two"), code("OUTCOME_UNKNOWN"));
  gateway.control.before = () => {};
  equal((await t.stored()).length, 2);
  const content = sweeperOf(t, gateway.storage);
  await content.sweep(CONTEXT.signal);
  equal((await t.stored()).length, 2, "it may be about to be recorded");
  t.clock.advance(2 * HOUR);
  await content.sweep(CONTEXT.signal);
  deepEqual(await t.stored(), await t.named());
  equal((await t.stored()).length, 1);
});

Deno.test("whoever leaves when it is not known what became of the record keeps the module that may be named", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway(), leaving = new AbortController();
  let lost = true;
  gateway.control.after = (sql) => {
    if (!records(sql) || !lost) return;
    lost = false;
    leaving.abort(new DOMException("gone", "AbortError"));
    unknown();
  };
  const context = { ...CONTEXT, signal: leaving.signal };
  equal((await gateway.deploy("hello", "one", { context })).version, 1);
  deepEqual([await gateway.module("hello"), await t.stored()], [moduleWith("one"), await t.named()]);
});

Deno.test("an engine that is away when modules are let go keeps nobody from deleting", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  for (const text of ["one", "two", "three"]) await gateway.deploy("hello", text);
  t.engine.before = (step) => {
    if (step === "unpin") throw new GatewayError("UNAVAILABLE", "the storage is away");
  };
  await gateway.delete("hello");
  deepEqual([await t.stored(), t.engine.pins.size], [[], 3]);
  t.engine.before = () => {};
  await t.storages.reconcile();
  equal(t.engine.pins.size, 0);
});

Deno.test("a namespace that is deleted, or is another's, when the module has come gets no function", async () => {
  for (const end of ["markDeleting", "replaceNamespace"] as const) {
    await using t = await Registries.start("shop");
    const gateway = await t.gateway();
    await gateway.deploy("old", "old");
    await rejects(
      () => gateway.deploy("hello", "", { wasm: interrupted(() => t[end]("shop", gateway)) }),
      code("CONFLICT", /namespace/),
    );
    const { db } = t.control;
    const rows = await db.selectFrom("functions").select("name").where("name", "=", "hello").execute();
    deepEqual([rows, await t.stored()], [[], await t.named()]);
  }
});

Deno.test("a namespace that goes between the look and the record gets no function either", async () => {
  for (const end of ["markDeleting", "replaceNamespace"] as const) {
    await using t = await Registries.start("shop");
    const gateway = await t.gateway(), other = await t.gateway();
    gateway.control.before = async (sql) => {
      if (!records(sql)) return;
      gateway.control.before = () => {};
      await t[end]("shop", other);
    };
    await rejects(() => gateway.deploy("hello", "one"), code("CONFLICT", /namespace/));
    deepEqual([await t.stored(), await t.named()], [[], []]);
  }
});

Deno.test("the same bytes once more are another version that shares what is stored; what goes meanwhile is stored anew", async () => {
  await using t = await Registries.start("shop", "cafe");
  const gateway = await t.gateway(), other = await t.gateway();
  await gateway.deploy("hello", "same");
  await gateway.deploy("hello", "same", { memoryLimit: 32 });
  await gateway.deploy("other", "same");
  equal((await t.stored()).length, 1);
  await gateway.deploy("hello", "same", { namespace: "cafe" });
  equal((await t.stored()).length, 2);
  await gateway.delete("other");
  await gateway.delete("hello", "1");
  equal((await t.stored()).length, 2);
  gateway.control.before = async (sql) => {
    if (!records(sql)) return;
    gateway.control.before = () => {};
    await other.delete("hello");
  };
  equal((await gateway.deploy("again", "same")).version, 1);
  deepEqual([await gateway.module("again"), await t.stored()], [moduleWith("same"), await t.named()]);
});

Deno.test("what was lost of the storage's claims is stored anew by the next deployment of the same bytes", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "same");
  await gateway.storage.unpin(".functions", (await t.stored())[0]!, CONTEXT);
  await rejects(() => gateway.module("hello"), code("UNAVAILABLE"));
  await gateway.deploy("hello", "same");
  deepEqual(await gateway.module("hello"), moduleWith("same"));
});

Deno.test("whoever leaves while the module is checked has deployed nothing", async () => {
  await using t = await Registries.start("shop");
  const leaving = new AbortController();
  const gateway = await t.gateway({
    check: () => {
      leaving.abort(new DOMException("gone", "AbortError"));
      return Promise.resolve(undefined);
    },
  });
  const context = { ...CONTEXT, signal: leaving.signal };
  await rejects(() => gateway.deploy("hello", "one", { context }), { name: "AbortError" });
  deepEqual([await t.stored(), await t.named()], [[], []]);
});

Deno.test("more deployments at once than there may be are refused, and their sources ended", async () => {
  await using t = await Registries.start("shop", "cafe");
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const gateway = await t.gateway({ check: () => promise });
  const first = awaitedLater(Array.from({ length: 8 }, (_, i) => gateway.deploy("hello", `${i}`)));
  const { seen, wasm } = watched(moduleWith("one"));
  await rejects(() => gateway.deploy("hello", "", { wasm }), code("TOO_MANY_UPLOADS"));
  equal(seen.read, 0);
  const other = awaitedLater(gateway.deploy("hello", "x", { namespace: "cafe" }));
  resolve(undefined);
  equal((await Promise.all(first)).length, 8);
  equal((await other).version, 1);
});

Deno.test("a full set of versions that aliases and triggers name takes no further one", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway({ rules: { maxVersions: 2 } });
  await gateway.deploy("hello", "one");
  const two = await gateway.deploy("hello", "two");
  await gateway.alias("hello", "prod", [1, 100]);
  await t.trigger(two, "2");
  await rejects(() => gateway.deploy("hello", "three"), code("QUOTA_EXCEEDED", /2 versions/));
  deepEqual([await gateway.shown("hello"), (await t.stored()).length], [["2 serves", "1"], 2]);
});

Deno.test("nobody but the registry can let a module go, read it by its content id, or see it listed", async () => {
  await using t = await Registries.start("shop", "cafe");
  const gateway = await t.gateway();
  const { wasmCid } = await gateway.deploy("hello", "one");
  const [stored] = await t.stored();
  for (const namespace of ["shop", "cafe"]) {
    for (const cid of [stored!, wasmCid]) {
      await rejects(() => gateway.storage.unpin(namespace, cid, CONTEXT), code("NOT_FOUND"));
      await rejects(() => gateway.storage.open({ namespace }, cid, [], CONTEXT), code("NOT_FOUND"));
    }
    equal((await gateway.storage.list(namespace, { limit: 9 }, CONTEXT)).total, 0);
  }
  ok(!(t.engine.nodes.values().some((node) => "bytes" in node && node.bytes.includes(0x6d) && isPlain(node.bytes))));
});

Deno.test("each act is in the audit log with who did it, and one that was refused is not", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "one");
  await gateway.deploy("hello", "two");
  await gateway.rollBack("hello", 1);
  await gateway.alias("hello", "prod", [1, 100]);
  await rejects(() => gateway.delete("hello", "1"), code("CONFLICT"));
  await gateway.delete("hello");
  const rows = await t.control.db.selectFrom("audit_events").select(["action", "resource", "actor"]).orderBy("id")
    .execute();
  const acts = [
    "function.deployed",
    "function.deployed",
    "function.rolled_back",
    "function_alias.set",
    "function.deleted",
  ];
  deepEqual(rows, acts.map((action) => ({ action, resource: "hello", actor: "key:key_test" })));
});

const isPlain = (bytes: Uint8Array) => utf8("\0asm").every((byte, i) => bytes[i] === byte);

function sweeperOf(t: Registries, storage: ModuleStorage): ModuleContent {
  return new ModuleContent({ storage, control: t.control, now: t.clock.now, onError: () => {} });
}

/** A module of which something happens before all of it has come. */
async function* interrupted(between: () => Promise<void>): AsyncGenerator<Uint8Array> {
  const bytes = moduleWith("mine");
  yield bytes.subarray(0, 10);
  await between();
  yield bytes.subarray(10);
}
