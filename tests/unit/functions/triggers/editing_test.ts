import { deepEqual, equal, ok, rejects, throws } from "node:assert/strict";
import type { TriggerSource } from "../../../../src/contracts/function_triggers.ts";
import { code } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { cron, database, NOON, principal, route, topic, World } from "./support/world.ts";

const wanted = (source: TriggerSource, reference?: string) => ({ source, reference, enabled: true });

Deno.test("sources are kept in one spelling", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const kept = async (source: TriggerSource) => (await world.make("shop", "f", source)).source;
  deepEqual(await kept(cron("  0  9 * *  mon-fri ")), { kind: "cron", expression: "0 9 * * MON-FRI" });
  deepEqual(await kept(cron("0 9 * * *", "europe/berlin")), {
    kind: "cron",
    expression: "0 9 * * *",
    timezone: "Europe/Berlin",
  });
  deepEqual(await kept(database()), { kind: "database", table: "t", operations: ["insert", "update", "delete"] });
  deepEqual(await kept(database("delete", "insert", "delete")), {
    kind: "database",
    table: "t",
    operations: ["insert", "delete"],
  });
  deepEqual(await kept(route("patch", "a")), { kind: "route", method: "PATCH", path: "/a", isPublic: false });
  deepEqual((await world.gateways[0]!.triggers.list("shop", "f", CONTEXT)).map(({ source }) => source.kind).sort(), [
    "cron",
    "cron",
    "database",
    "database",
    "route",
  ]);
});

Deno.test("what cannot begin a call is refused, with the field and quickly", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const refused: [TriggerSource, RegExp][] = [
    [cron(""), /^expression: must have five fields/],
    [cron("* * * *"), /^expression: must have five/],
    [cron("* * * * * * *"), /^expression: must have five/],
    [cron("@daily"), /^expression: must have five/],
    [cron("2027-01-01T00:00:00"), /^expression: must have five/],
    [cron("61 * * * *"), /^expression: cannot be read: /],
    [cron("a b c d e"), /^expression: cannot be read: /],
    [cron("0 0 31 2 *"), /^expression: is never due/],
    [cron("0 0 31 2,4,6,9,11 *"), /^expression: is never due/],
    [cron("*/0 * * * *"), /^expression: cannot be read: /],
    [cron(`${"0,".repeat(1e6)}0 * * * *`), /^expression: has more than 256/],
    [cron("* * * * *", "Nowhere/Town"), /^timezone: is none/],
    [cron("* * * * *", "x".repeat(1e6)), /^timezone: is none/],
    [topic(""), /^topic: is missing/],
    [topic("a\0b"), /^topic: holds a control/],
    [topic("\ud800"), /^topic: holds half/],
    [topic("é".repeat(128)), /^topic: has more than 255/],
    [{ ...database(), table: "" } as TriggerSource, /^table: is missing/],
    [database("truncate" as "insert"), /^operations: may be/],
    [route("OPTIONS", "/"), /^method: must be one of/],
    [route("GET\r\nX", "/"), /^method: must be/],
    [route("GET", "/a//b"), /^path: has an empty/],
  ];
  const begun = performance.now();
  for (const [source, sentence] of refused) {
    await rejects(
      triggers.create(principal("shop"), "f", wanted(source), CONTEXT),
      code("INVALID_REQUEST", sentence),
      JSON.stringify(source).slice(0, 100),
    );
  }
  ok(performance.now() - begun < 5_000);
  await rejects(triggers.create(principal("shop"), "g", wanted(topic("a")), CONTEXT), code("NOT_FOUND"));
  await rejects(triggers.create(principal("shop"), "f", wanted(topic("a"), "beta"), CONTEXT), code("NOT_FOUND"));
  await rejects(triggers.create(principal("cafe"), "f", wanted(topic("a")), CONTEXT), code("NOT_FOUND"));
  deepEqual(await triggers.list("shop", "f", CONTEXT), []);
});

Deno.test("hours that are left out or come twice are due once, and every so often is as often as it says", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const dues = async (now: string, expression: string) => {
    world.clock.jump(Date.parse(now) - world.clock.now());
    const { nextAt } = await world.make("shop", "f", cron(expression, "Europe/Berlin"));
    return new Date(nextAt!).toISOString();
  };
  equal(await dues("2026-03-29T00:00:00Z", "30 2 * * *"), "2026-03-29T01:00:00.000Z");
  equal(await dues("2026-10-25T00:00:00Z", "30 2 * * *"), "2026-10-25T00:30:00.000Z");
  equal(await dues("2026-10-25T00:30:00Z", "30 2 * * *"), "2026-10-26T01:30:00.000Z");
  equal(await dues("2026-10-25T00:45:00Z", "*/30 * * * *"), "2026-10-25T01:00:00.000Z");
});

Deno.test("a namespace has no more triggers than it may, also where many are made at once", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.maxTriggers = 3;
  await world.namespace("shop", "f", "g");
  await world.namespace("cafe", "f");
  const { triggers } = await world.gateway();
  await world.make("cafe", "f", topic("a"));
  const results = await Promise.allSettled(
    ["f", "g", "f", "g", "f"].map((name) => triggers.create(principal("shop"), name, wanted(topic("a")), CONTEXT)),
  );
  const refused = results.flatMap((result) => result.status === "rejected" ? [result.reason.code] : []);
  deepEqual(refused, ["QUOTA_EXCEEDED", "QUOTA_EXCEEDED"]);
  const { rows } = await control.run<{ action: string }>(control.db.selectFrom("audit_events").select("action"));
  deepEqual(rows.map(({ action }) => action), Array(4).fill("trigger.created"));
});

Deno.test("a trigger is its function's alone", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f", "g");
  await world.namespace("cafe", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", cron("* * * * *"));
  for (const [namespace, name] of [["shop", "g"], ["cafe", "f"]] as const) {
    await rejects(triggers.delete(principal(namespace), name, id, CONTEXT), code("NOT_FOUND"));
    await rejects(triggers.setEnabled(principal(namespace), name, id, false, CONTEXT), code("NOT_FOUND"));
    deepEqual(await triggers.list(namespace, name, CONTEXT), []);
  }
  await rejects(triggers.delete(principal("shop"), "f", "trg_none", CONTEXT), code("NOT_FOUND"));
  await triggers.delete(principal("shop"), "f", id, CONTEXT);
  await rejects(triggers.delete(principal("shop"), "f", id, CONTEXT), code("NOT_FOUND"));
});

Deno.test("nothing is made for a function that is deleted meanwhile", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway({
    rulesOf: async () => {
      await control.run(control.db.updateTable("functions").set({ serving: null }));
      return { maxTriggers: 9 };
    },
  });
  await rejects(triggers.create(principal("shop"), "f", wanted(topic("a")), CONTEXT), code("CONFLICT"));
  deepEqual((await control.run(control.db.selectFrom("function_triggers").selectAll())).rows, []);
  deepEqual((await control.run(control.db.selectFrom("audit_events").selectAll())).rows, []);
});

Deno.test("what a deployment declares is made once, and goes when a later one does not declare it", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f", "g");
  const { triggers } = await world.gateway();
  const own = await world.make("shop", "f", cron("0 0 * * *"));
  const declare = async (declared: Parameters<typeof triggers.replaceDeclared>[2]) => {
    await triggers.replaceDeclared(principal("shop"), "f", declared, CONTEXT);
    return (await triggers.list("shop", "f", CONTEXT)).filter(({ id }) => id !== own.id);
  };
  const all = {
    cronExpressions: ["*/5 * * * *", " */5  * * * *", "0 0 * * *"],
    dbTriggers: [{ table: "t", operation: "INSERT" }, { table: "t", operation: "*" }],
    pubsubTopics: ["a", "b"],
  };
  const first = await declare(all);
  equal(first.length, 6);
  equal(
    first.find(({ source }) => source.kind === "cron" && source.expression === "*/5 * * * *")!.nextAt,
    NOON + 5 * 60_000,
  );
  await triggers.setEnabled(principal("shop"), "f", first[0]!.id, false, CONTEXT);
  const second = await declare(all);
  deepEqual(second.map(({ id }) => id).sort(), first.map(({ id }) => id).sort());
  equal(second.find(({ id }) => id === first[0]!.id)!.enabled, false);
  deepEqual((await declare({})).length, 6);
  // Nothing that is declared is nothing to be done, whatever else is the matter.
  await triggers.replaceDeclared(principal("shop"), "nobody", { pubsubTopics: undefined }, CONTEXT);
  const third = await declare({ pubsubTopics: ["b", "c"], cronExpressions: [] });
  const shown = third.map(({ source }) => source.kind === "topic" ? source.topic : source.kind).sort();
  deepEqual(shown, ["b", "c", "database", "database"]);
  // Several deployments at once, of two gateways.
  const other = await world.gateway();
  await Promise.all(
    [triggers, other.triggers, triggers].map((one) => one.replaceDeclared(principal("shop"), "f", all, CONTEXT)),
  );
  equal((await triggers.list("shop", "f", CONTEXT)).length, 7);
  world.maxTriggers = 8;
  await rejects(triggers.replaceDeclared(principal("shop"), "g", all, CONTEXT), code("QUOTA_EXCEEDED"));
  deepEqual(await triggers.list("shop", "g", CONTEXT), []);
});

Deno.test("a declaration that cannot be names its field, before anything is deployed", async () => {
  await using control = await openControl();
  await using world = new World(control);
  const { triggers } = await world.gateway();
  const refused: [Parameters<typeof triggers.checkDeclared>[0], RegExp][] = [
    [{ cronExpressions: ["* * * * *", "x"] }, /^cron_expressions\.1: expression: /],
    [{ pubsubTopics: [""] }, /^pubsub_topics\.0: topic: /],
    [{ dbTriggers: [{ table: "t", operation: "drop" }] }, /^db_triggers\.0\.operation: /],
    [{ dbTriggers: [{ table: "t", operation: "insert,insert,x" }] }, /^db_triggers\.0\.operation: /],
    [
      { dbTriggers: [{ table: "t", operation: "insert", condition: "a > 1" }] },
      /condition: conditions are not supported/,
    ],
  ];
  for (const [declared, sentence] of refused) {
    throws(() => triggers.checkDeclared(declared, 10, undefined), code("INVALID_REQUEST", sentence));
  }
  const good = { dbTriggers: [{ table: "t", operation: "insert, update" }], cronExpressions: ["0 0 1 1 *"] };
  triggers.checkDeclared(good, 2, undefined);
  throws(() => triggers.checkDeclared(good, 1, undefined), code("QUOTA_EXCEEDED", /1 trigger/));
  triggers.checkDeclared({ pubsubTopics: ["a", "b"] }, 2, "c");
  throws(
    () => triggers.checkDeclared({ pubsubTopics: ["a", "b"] }, 2, "b"),
    code("INVALID_REQUEST", /^topic: is the function's own dlq_topic/),
  );
  // Too many are not looked at one by one.
  throws(() => triggers.checkDeclared({ cronExpressions: ["x", "y"] }, 1, undefined), code("QUOTA_EXCEEDED"));
});

Deno.test("a version or alias that is called must be there in the moment in which the trigger is made", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const make = () => triggers.create(principal("shop"), "f", wanted(topic("a"), "prod"), CONTEXT);
  // As when it goes between being looked up and being named.
  await rejects(make(), code("CONFLICT"));
  await control.run(
    control.db.insertInto("function_aliases").values({
      namespace: "shop",
      name: "f",
      alias: "prod",
      targets: "[]",
      updated_at: 0,
    }),
  );
  equal((await make()).reference, "prod");
});

Deno.test("a function is not called with its own dead letters, which would never end, but another one may be", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f", "g");
  world.deadLetters.set("f", "failed");
  const { triggers } = await world.gateway();
  await rejects(
    triggers.create(principal("shop"), "f", wanted(topic("failed")), CONTEXT),
    code("INVALID_REQUEST", /^topic: is the function's own dlq_topic/),
  );
  deepEqual(await triggers.list("shop", "f", CONTEXT), []);
  await triggers.create(principal("shop"), "g", wanted(topic("failed")), CONTEXT);
  await triggers.create(principal("shop"), "f", wanted(topic("others")), CONTEXT);
});
