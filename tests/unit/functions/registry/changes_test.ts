import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { code, principal } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { Registries, type RegistryGateway } from "./support/registries.ts";

/** A function with versions 1 to 3. */
async function deployed(t: Registries): Promise<RegistryGateway> {
  const gateway = await t.gateway();
  for (const text of ["one", "two", "three"]) await gateway.deploy("hello", text);
  return gateway;
}

Deno.test("an alias that names nothing, too much or not all is refused with its field", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  for (const alias of ["", "1", "007", "latest", "a.b", "a@b", "a/b", "é", "a".repeat(65)]) {
    await rejects(() => gateway.alias("hello", alias, [1, 100]), code("INVALID_REQUEST", /^alias: /));
  }
  const wrong: readonly (readonly [readonly (readonly [number, number])[], RegExp])[] = [
    [[], /targets/],
    [[[1, 99]], /100 in all, and are 99/],
    [[[1, 60], [2, 60]], /are 120/],
    [[[1, 0], [2, 100]], /targets\.0\.weight/],
    [[[1, 50.5], [2, 49.5]], /targets\.0\.weight/],
    [[[1, 101]], /targets\.0\.weight/],
    [[[1, -100], [2, 200]], /weight/],
    [[[1, 50], [1, 50]], /each version once/],
    [[[0, 100]], /targets\.0\.version/],
    [[[1.5, 100]], /targets\.0\.version/],
    [Array.from({ length: 9 }, (_, i) => [i + 1, i === 8 ? 20 : 10] as const), /1 to 8/],
  ];
  for (const [targets, sentence] of wrong) {
    await rejects(() => gateway.alias("hello", "prod", ...targets), code("INVALID_REQUEST", sentence));
  }
  await gateway.delete("hello", "2");
  await rejects(() => gateway.alias("hello", "prod", [1, 50], [2, 50]), code("NOT_FOUND", /version/));
  await rejects(() => gateway.alias("hello", "prod", [4, 100]), code("NOT_FOUND"));
  await rejects(() => gateway.alias("nobody", "prod", [1, 100]), code("NOT_FOUND", /function not found/));
  deepEqual(await gateway.registry.aliases("shop", "hello", CONTEXT), []);
});

Deno.test("a version that goes while an alias is given to it: one of the two happens", async () => {
  for (const [first, second] of [["alias", "delete"], ["delete", "alias"]] as const) {
    await using t = await Registries.start("shop");
    const one = await deployed(t), two = await t.gateway();
    const act = {
      alias: (gateway: RegistryGateway) => gateway.alias("hello", "prod", [1, 100]),
      delete: (gateway: RegistryGateway) => gateway.delete("hello", "1"),
    };
    one.control.before = async (sql) => {
      if (!sql.startsWith("UPDATE functions")) return;
      one.control.before = () => {};
      await act[second](two);
    };
    await rejects(async () => await act[first](one), code(first === "alias" ? "NOT_FOUND" : "CONFLICT"));
    const versions = await one.shown("hello"), aliases = await one.registry.aliases("shop", "hello", CONTEXT);
    deepEqual([versions.length, aliases.length], second === "alias" ? [3, 1] : [2, 0]);
  }
});

Deno.test("a trigger that comes to name a version while that is deleted keeps it", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  const version = await gateway.registry.get("shop", "hello", "1", CONTEXT);
  gateway.control.before = async (sql) => {
    if (!sql.startsWith("UPDATE functions")) return;
    gateway.control.before = () => {};
    await t.trigger(version, "1");
  };
  await rejects(() => gateway.delete("hello", "1"), code("CONFLICT", /trigger/));
  deepEqual(await gateway.shown("hello"), ["3 serves", "2", "1"]);
});

Deno.test("an alias that a trigger names stays; a function goes with its triggers", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  await gateway.alias("hello", "prod", [1, 100]);
  await t.trigger(await gateway.registry.get("shop", "hello", undefined, CONTEXT), "prod");
  const remove = () => gateway.registry.deleteAlias(principal({ namespace: "shop" }), "hello", "prod", CONTEXT);
  await rejects(remove, code("CONFLICT", /trigger/));
  await gateway.delete("hello");
  deepEqual(await t.control.db.selectFrom("function_triggers").select("id").execute(), []);
  await rejects(remove, code("NOT_FOUND"));
});

Deno.test("a deletion whose answer was lost has happened; a function that took the name meanwhile is not touched", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t), other = await t.gateway();
  gateway.control.after = async (sql) => {
    if (!sql.startsWith("UPDATE functions")) return;
    gateway.control.after = () => {};
    await other.deploy("hello", "of somebody else");
    throw new GatewayError("OUTCOME_UNKNOWN", "the answer was lost");
  };
  await gateway.delete("hello");
  deepEqual(await gateway.shown("hello"), ["4 serves"]);
  deepEqual((await t.stored()).length, 1 + 3, "what went is let go later, because nobody knows here what it was");
});

Deno.test("roll backs at once each have their effect once, and one whose answer was lost goes no further back", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  let lost = 1;
  gateway.control.after = (sql) => {
    if (sql.startsWith("UPDATE functions") && lost-- > 0) {
      throw new GatewayError("OUTCOME_UNKNOWN", "the answer was lost");
    }
  };
  equal((await gateway.rollBack("hello")).version, 2);
  deepEqual(await gateway.shown("hello"), ["3", "2 serves", "1"]);
  await rejects(() => gateway.rollBack("hello", 9), code("NOT_FOUND"));
  await rejects(() => gateway.rollBack("nobody"), code("NOT_FOUND"));
});

Deno.test("a namespace that is being deleted has no functions any more, and takes no changes", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  await t.markDeleting("shop", gateway);
  await rejects(() => gateway.serves("hello"), code("NOT_FOUND"));
  await rejects(() => gateway.registry.get("shop", "hello", undefined, CONTEXT), code("NOT_FOUND"));
  equal((await gateway.registry.list("shop", { limit: 9 }, CONTEXT)).total, 0);
  for (const change of [() => gateway.rollBack("hello"), () => gateway.alias("hello", "a", [1, 100])]) {
    await rejects(async () => await change(), code("CONFLICT", /namespace/));
  }
  await rejects(() => gateway.delete("hello"), code("CONFLICT", /namespace/));
});

Deno.test("a function that goes with its namespace while it is changed: the change has not happened, and is not said to", async () => {
  const changes: Readonly<Record<string, (gateway: RegistryGateway) => Promise<unknown>>> = {
    rollBack: (gateway) => gateway.rollBack("hello", 1),
    alias: (gateway) => gateway.alias("hello", "prod", [1, 100]),
    delete: (gateway) => gateway.delete("hello"),
    deleteOne: (gateway) => gateway.delete("hello", "1"),
  };
  for (const change of Object.values(changes)) {
    await using t = await Registries.start("shop");
    const gateway = await deployed(t), other = await t.gateway();
    gateway.control.before = async (sql) => {
      if (!sql.startsWith("UPDATE functions")) return;
      gateway.control.before = () => {};
      await t.replaceNamespace("shop", other);
    };
    await rejects(async () => await change(gateway), code("CONFLICT", /namespace/));
    equal((await gateway.registry.list("shop", { limit: 9 }, CONTEXT)).total, 0);
  }
});

Deno.test("references by every spelling that is none find nothing", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  for (
    const reference of ["0", "01", "-1", "1.0", "1e0", "4", "99999999999999999999", "", "LATEST", "__proto__", "a\0"]
  ) {
    await rejects(() => gateway.serves("hello", reference), code("NOT_FOUND"));
    await rejects(() => gateway.registry.get("shop", "hello", reference, CONTEXT), code("NOT_FOUND"));
  }
  for (const name of ["", "HELLO", "hello ", "hello@1", "../shop/hello", "shop/hello", "hello\0"]) {
    await rejects(() => gateway.serves(name), code("NOT_FOUND"));
    await rejects(() => gateway.serves(name, undefined, 0, "cafe"), code("NOT_FOUND"));
  }
  await rejects(() => gateway.delete("hello", "prod"), code("INVALID_REQUEST", /number/));
  await rejects(() => gateway.delete("hello", "latest"), code("CONFLICT", /serves/));
});

Deno.test("weights are what the choice follows, also at its ends", async () => {
  await using t = await Registries.start("shop");
  const gateway = await deployed(t);
  await gateway.alias("hello", "prod", [1, 1], [2, 98], [3, 1]);
  const picks = [0, 0.009, 0.01, 0.5, 0.98, 0.99, 0.999999, 1];
  deepEqual(await Promise.all(picks.map((pick) => gateway.serves("hello", "prod", pick))), [1, 1, 2, 2, 2, 3, 3, 3]);
  equal((await gateway.registry.get("shop", "hello", "prod", CONTEXT)).version, 2);
});

Deno.test("changes of one function at once by many gateways all happen, or say that they did not", async () => {
  await using t = await Registries.start("shop");
  const gateways = [await deployed(t), await t.gateway(), await t.gateway()];
  const results = await Promise.allSettled(
    Array.from({ length: 12 }, (_, i) => gateways[i % 3]!.alias("hello", `a${i}`, [1 + i % 3, 100])),
  );
  const set = results.filter(({ status }) => status === "fulfilled").length;
  equal((await gateways[0]!.registry.aliases("shop", "hello", CONTEXT)).length, set);
  ok(set === 12, `${set} of 12`);
});
