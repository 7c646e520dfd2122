import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { sql } from "kysely";
import { CallRefused } from "../../../../services/functions/hosts/contract.ts";
import { readState } from "../../../../services/functions/registry/state.ts";
import type { ControlDatabase, ControlQuery } from "../../../../services/control_plane/control_database.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { awaitedLater } from "../../../support/awaited_later.ts";
import { code, principal } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { stream } from "../../storage/support/storage.ts";
import { moduleWith } from "./support/modules.ts";
import { Registries } from "./support/registries.ts";

Deno.test("a module that nothing can compile now is no failure of the gateway, and nothing of it is kept", async () => {
  await using t = await Registries.start("shop");
  let refusal: CallRefused | undefined;
  const gateway = await t.gateway({ check: () => Promise.reject(refusal) });
  for (
    const [why, expected] of [
      ["busy", "TOO_MANY_INVOCATIONS"],
      ["unavailable", "UNAVAILABLE"],
      ["closed", "UNAVAILABLE"],
    ] as const
  ) {
    refusal = new CallRefused(why, 3, "no room");
    await rejects(() => gateway.deploy("hello", "one"), {
      ...code(expected, /^no room; nothing was deployed$/),
      extra: { retryAfter: 3, cause: refusal },
    });
  }
  deepEqual([t.engine.steps, await t.named()], [[], []]);
});

Deno.test("one namespace has one module compiled at a time, others beside it, and who leaves the line lets nobody pass", async () => {
  await using t = await Registries.start("shop", "cafe");
  const begun: { readonly bytes: number; readonly end: () => void }[] = [];
  const changed: (() => void)[] = [];
  const gateway = await t.gateway({
    check: (bytes) => {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      begun.push({ bytes: bytes.length, end: () => resolve(undefined) });
      for (const tell of changed.splice(0)) tell();
      return promise;
    },
  });
  const until = async (many: number) => {
    while (begun.length < many) await new Promise<void>((resolve) => changed.push(resolve));
  };
  const leaving = new AbortController();
  const first = awaitedLater(gateway.deploy("one", "a"));
  await until(1);
  const context = { ...CONTEXT, signal: leaving.signal };
  const left = awaitedLater(gateway.deploy("two", "b", { context }));
  const third = awaitedLater(gateway.deploy("three", "c".repeat(100)));
  const other = awaitedLater(gateway.deploy("one", "d".repeat(50), { namespace: "cafe" }));
  await until(2);
  leaving.abort(new DOMException("gone", "AbortError"));
  await rejects(() => left, { name: "AbortError" });
  begun[1]!.end();
  equal((await other).namespace, "cafe");
  // Whoever wanted to pass would have begun by now: another namespace's deployment is done from its beginning to its end.
  equal(begun.length, 2);
  begun[0]!.end();
  equal((await first).version, 1);
  await until(3);
  begun[2]!.end();
  equal((await third).version, 1);
});

Deno.test("a place that was taken before the module came is the deployment's, and not one more", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  const places = Array.from({ length: 8 }, () => gateway.registry.beginDeploy("shop"));
  throws(() => gateway.registry.beginDeploy("shop"), code("TOO_MANY_UPLOADS"));
  await rejects(() => gateway.deploy("hello", "one"), code("TOO_MANY_UPLOADS"));
  equal((await gateway.deploy("hello", "one", { place: places[0]! })).version, 1);
  // It is whoever took it that gives it back.
  await rejects(() => gateway.deploy("hello", "two"), code("TOO_MANY_UPLOADS"));
  for (const place of places) place[Symbol.dispose]();
  equal((await gateway.deploy("hello", "two")).version, 2);
});

Deno.test("whoever may not deploy any more when the module is compiled has deployed nothing, and nothing is kept", async () => {
  await using t = await Registries.start("shop");
  const steps: string[] = [];
  const gateway = await t.gateway({ check: () => Promise.resolve(void steps.push("compiled")) });
  const admit = () => {
    steps.push("asked");
    return Promise.reject(new GatewayError("INVALID_CREDENTIAL", "the key was revoked"));
  };
  await rejects(() => gateway.deploy("hello", "one", { admit }), code("INVALID_CREDENTIAL"));
  deepEqual([steps, await t.stored(), await t.named()], [["compiled", "asked"], [], []]);
});

Deno.test("a namespace whose functions had 20,000 names is told of names, and goes on under those", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "one");
  await gateway.delete("hello");
  await t.control.run(
    sql`INSERT INTO functions (namespace, name, id, last_version, serving, revision, updated_at)
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 19999)
      SELECT 'shop', 'f' || i, 'id' || i, 1, NULL, 1, 0 FROM n`.compile(t.control.db),
  );
  await rejects(() => gateway.deploy("more", "one"), code("QUOTA_EXCEEDED", /20000 names/));
  equal((await gateway.deploy("hello", "two")).version, 2);
  equal((await gateway.deploy("f7", "one")).version, 2);
});

Deno.test("the last name is another's meanwhile: who comes too late is told of names as well", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  gateway.control.before = async (text) => {
    if (!text.startsWith("INSERT INTO functions")) return;
    gateway.control.before = () => {};
    await t.control.run(
      sql`INSERT INTO functions (namespace, name, id, last_version, serving, revision, updated_at)
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        SELECT 'shop', 'f' || i, 'id' || i, 1, NULL, 1, 0 FROM n`.compile(t.control.db),
    );
  };
  await rejects(() => gateway.deploy("more", "one"), code("QUOTA_EXCEEDED", /20000 names/));
  deepEqual([await t.stored(), await t.named()], [[], []]);
});

Deno.test("a function is read without looking for the same once more for each of its versions", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  for (const text of ["one", "two", "three"]) await gateway.deploy("hello", text);
  await gateway.alias("hello", "prod", [1, 100]);
  await gateway.rollBack("hello", 2);
  await gateway.delete("hello", "3");
  await t.trigger(await gateway.registry.get("shop", "hello", undefined, CONTEXT), "prod");
  const { control } = t;
  const seen: { readonly query: ControlQuery; readonly rows: readonly Record<string, unknown>[] }[] = [];
  const watched: Pick<ControlDatabase, "db" | "run"> = {
    db: control.db,
    async run<Row>(query: ControlQuery, signal?: AbortSignal) {
      const result = await control.run<Row & Record<string, unknown>>(query, signal);
      seen.push({ query, rows: result.rows });
      return result;
    },
  };
  const state = await readState(watched as ControlDatabase, "shop", "hello", CONTEXT.signal);
  deepEqual([state.live, state.names, state.function!.triggered], [1, 1, ["prod"]]);
  deepEqual(state.function!.aliases.map(({ name }) => name), ["prod"]);
  deepEqual(state.function!.versions.map(({ shown }) => shown.version), [2, 1]);
  const [{ query, rows }] = seen as [typeof seen[number]];
  deepEqual(rows.map(({ aliases, triggered }) => [aliases !== null, triggered !== null]), [[true, true], [
    false,
    false,
  ]]);
  const compiled = "compile" in query ? query.compile() : query;
  const plan = await control.run<{ detail: string }>({ ...compiled, sql: `EXPLAIN QUERY PLAN ${compiled.sql}` });
  const details = plan.rows.map(({ detail }) => detail);
  equal(details.some((detail) => detail.includes("SUBQUERY")), true, "the plan is that of the whole statement");
  deepEqual(details.filter((detail) => detail.includes("CORRELATED")), []);
});

Deno.test("a function that there is not has no versions", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  deepEqual(await gateway.registry.versions("shop", "nobody", CONTEXT), []);
  await gateway.deploy("hello", "one");
  await gateway.delete("hello");
  deepEqual(await gateway.shown("hello"), []);
});

Deno.test("modules that clients want back are read a few at a time, and not for those who left", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  await gateway.deploy("hello", "one");
  let reading = 0, most = 0, reads = 0;
  const held = Promise.withResolvers<void>(),
    four = Promise.withResolvers<void>(),
    found = Promise.withResolvers<void>();
  let looks = 0;
  gateway.control.after = (text) => {
    if (text.startsWith("SELECT n.state") && ++looks === 9) found.resolve();
  };
  t.engine.after = async (step) => {
    if (step !== "look") return;
    reads++;
    most = Math.max(most, ++reading);
    if (reading === 4) four.resolve();
    await held.promise;
    reading--;
  };
  const leaving = new AbortController();
  const all = awaitedLater(Array.from({ length: 8 }, () => gateway.module("hello")));
  const context = { ...CONTEXT, signal: leaving.signal };
  const left = awaitedLater(gateway.registry.module("shop", "hello", undefined, context));
  await Promise.all([four.promise, found.promise]);
  // From the look to the line nothing but promises is between.
  await new Promise((resolve) => setTimeout(resolve));
  leaving.abort(new DOMException("gone", "AbortError"));
  await rejects(() => left, { name: "AbortError" });
  held.resolve();
  for (const bytes of await Promise.all(all)) deepEqual(bytes, moduleWith("one"));
  deepEqual([most, reads], [4, 8]);
});

Deno.test("a source that is deployed without a place of its own is ended where there is none", async () => {
  await using t = await Registries.start("shop");
  const gateway = await t.gateway();
  const places = Array.from({ length: 8 }, () => gateway.registry.beginDeploy("shop"));
  const wasm = stream(moduleWith("one"));
  await rejects(
    () => gateway.registry.deploy(principal({ namespace: "shop" }), { name: "hello", wasm }, CONTEXT),
    code("TOO_MANY_UPLOADS"),
  );
  for (const place of places) place[Symbol.dispose]();
});
