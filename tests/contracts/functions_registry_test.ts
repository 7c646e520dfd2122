import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { migrate } from "../../services/control_plane/migrate.ts";
import { code, principal } from "../unit/auth/support/node.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { moduleWith } from "../unit/functions/registry/support/modules.ts";
import { Registries } from "../unit/functions/registry/support/registries.ts";
import { now, onEveryDriver, type Open } from "./control_drivers.ts";

/** Runs a scenario with gateways on this control plane, which somebody else closes. */
const withRegistries = (scenario: (t: Registries) => Promise<void>) => async (open: Open) => {
  const control = open();
  await migrate(control, { now });
  const registries = await Registries.on(control, "shop", "cafe");
  try {
    await scenario(registries);
  } finally {
    await registries.close();
  }
};

onEveryDriver({
  "versions are deployed, shown, rolled back, aliased and deleted, and their modules are kept as they came":
    withRegistries(
      async (t) => {
        const gateway = await t.gateway();
        const first = await gateway.deploy("hello", "one", {
          env: { A: "é\u2028\"'" },
          isPublic: true,
          dlqTopic: "dead",
        });
        deepEqual([first.version, first.serving, first.env, first.isPublic], [1, true, { A: "é\u2028\"'" }, true]);
        deepEqual(await gateway.registry.get("shop", "hello", undefined, CONTEXT), first);
        await gateway.deploy("hello", "two");
        t.clock.advance(5);
        const third = await gateway.deploy("hello", "three", { concurrency: 2, retryCount: 3 });
        equal(third.id, first.id);
        deepEqual(await gateway.shown("hello"), ["3 serves", "2", "1"]);
        deepEqual(await gateway.module("hello", "1"), moduleWith("one"));
        deepEqual((await gateway.rollBack("hello")).version, 2);
        deepEqual((await gateway.rollBack("hello")).version, 1);
        await rejects(() => gateway.rollBack("hello"), code("NOT_FOUND"));
        await gateway.rollBack("hello", 3);
        await gateway.alias("hello", "prod", [1, 90], [3, 10]);
        deepEqual([await gateway.serves("hello", "prod", 0.89), await gateway.serves("hello", "prod", 0.9)], [1, 3]);
        await rejects(() => gateway.delete("hello", "1"), code("CONFLICT", /prod/));
        await rejects(() => gateway.delete("hello", "3"), code("CONFLICT", /serves/));
        await gateway.delete("hello", "2");
        deepEqual(await gateway.shown("hello"), ["3 serves", "1"]);
        await gateway.registry.deleteAlias(principal({ namespace: "shop" }), "hello", "prod", CONTEXT);
        deepEqual(await gateway.registry.aliases("shop", "hello", CONTEXT), []);
        await gateway.delete("hello");
        await rejects(() => gateway.delete("hello"), code("NOT_FOUND"));
        for (const reference of [undefined, "1", "3", "latest", "prod"]) {
          await rejects(() => gateway.registry.get("shop", "hello", reference, CONTEXT), code("NOT_FOUND"));
          await rejects(() => gateway.serves("hello", reference), code("NOT_FOUND"));
        }
        const again = await gateway.deploy("hello", "one");
        deepEqual([again.version, again.id === first.id], [4, false]);
        deepEqual(await t.stored(), await t.named());
        deepEqual(t.errors, []);
      },
    ),

  "deployments at once get a number each, none twice and none left out": withRegistries(async (t) => {
    const gateways = [await t.gateway(), await t.gateway(), await t.gateway()];
    const versions = await Promise.all(
      Array.from({ length: 9 }, (_, i) => gateways[i % 3]!.deploy("hello", `module ${i % 4}`)),
    );
    deepEqual(versions.map(({ version }) => version).sort((a, b) => a - b), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    equal(new Set(versions.map(({ id }) => id)).size, 1);
    deepEqual(await gateways[0]!.shown("hello"), ["9 serves", "8", "7", "6", "5", "4", "3", "2", "1"]);
    deepEqual(await t.stored(), await t.named());
  }),

  "as many functions as there may be, whatever many do at once": withRegistries(async (t) => {
    const gateways = [await t.gateway({ rules: { maxFunctions: 3 } }), await t.gateway({ rules: { maxFunctions: 3 } })];
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => gateways[i % 2]!.deploy(`f${i}`, `module ${i}`)),
    );
    const refused = results.filter((result) => result.status === "rejected").map(({ reason }) => reason.code);
    deepEqual(refused, Array(5).fill("QUOTA_EXCEEDED"));
    deepEqual((await gateways[0]!.registry.list("shop", { limit: 9 }, CONTEXT)).total, 3);
    deepEqual(await t.stored(), await t.named());
    deepEqual(await gateways[0]!.registry.usage("cafe", CONTEXT.signal), {
      functions: 0,
      versions: 0,
      module_bytes: 0,
    });
  }),

  "the oldest version goes that nobody names, and its module with the last version that has it": withRegistries(
    async (t) => {
      const gateway = await t.gateway({ rules: { maxVersions: 3 } });
      for (const text of ["same", "other", "same"]) await gateway.deploy("hello", text);
      equal((await t.stored()).length, 2);
      await gateway.alias("hello", "stable", [2, 100]);
      await gateway.deploy("hello", "four");
      deepEqual(await gateway.shown("hello"), ["4 serves", "3", "2"]);
      equal((await t.stored()).length, 3);
      await gateway.deploy("hello", "five");
      deepEqual(await gateway.shown("hello"), ["5 serves", "4", "2"]);
      deepEqual(await gateway.module("hello", "2"), moduleWith("other"));
      deepEqual([(await t.stored()).length, await t.stored()], [3, await t.named()]);
    },
  ),

  "lists go on behind a name, and show nothing of other namespaces": withRegistries(async (t) => {
    const gateway = await t.gateway();
    for (const name of ["b", "a", "C", "d"]) await gateway.deploy(name, name);
    await gateway.deploy("e", "e", { namespace: "cafe" });
    await gateway.delete("b");
    const page = await gateway.registry.list("shop", { limit: 2 }, CONTEXT);
    const rest = await gateway.registry.list("shop", { limit: 2, cursor: page.cursor }, CONTEXT);
    const names = [...page.functions, ...rest.functions].map(({ name }) => name);
    deepEqual([names, page.total, rest.cursor], [["C", "a", "d"], 3, undefined]);
    await rejects(() => gateway.registry.list("shop", { limit: 2, cursor: "x" }, CONTEXT), code("INVALID_REQUEST"));
    await rejects(() => gateway.registry.get("cafe", "a", undefined, CONTEXT), code("NOT_FOUND"));
    await rejects(() => gateway.delete("a", undefined, "cafe"), code("NOT_FOUND"));
  }),

  "a namespace goes with all its functions, and the next of its name has none and counts anew": withRegistries(
    async (t) => {
      const gateway = await t.gateway();
      for (const name of ["a", "b"]) {
        for (const text of ["one", "two"]) await gateway.deploy(name, `${name} ${text}`);
      }
      const kept = await gateway.deploy("a", "a one", { namespace: "cafe" });
      await gateway.delete("b");
      await gateway.alias("a", "prod", [1, 100]);
      await t.trigger(await gateway.registry.get("shop", "a", undefined, CONTEXT), "prod");
      await t.replaceNamespace("shop", gateway);
      await gateway.registry.purge("shop", CONTEXT.signal);
      await rejects(() => gateway.serves("a"), code("NOT_FOUND"));
      equal((await t.stored()).length, 1);
      equal((await gateway.deploy("a", "new")).version, 1);
      equal((await gateway.registry.get("cafe", "a", undefined, CONTEXT)).id, kept.id);
      ok((await gateway.registry.prepared(kept, CONTEXT.signal)).length > 0);
      deepEqual(t.errors, []);
    },
  ),

  "another gateway hears of a change with the revocations, and itself knows it at once": withRegistries(async (t) => {
    const one = await t.gateway(), two = await t.gateway();
    await one.deploy("hello", "one");
    deepEqual([await one.serves("hello"), await two.serves("hello")], [1, 1]);
    await one.deploy("hello", "two");
    deepEqual([await one.serves("hello"), await two.serves("hello")], [2, 1]);
    await two.revocations.pull();
    equal(await two.serves("hello"), 2);
    await two.delete("hello");
    await one.revocations.pull();
    await rejects(() => one.serves("hello"), code("NOT_FOUND"));
  }),
});
