import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { FakeClock } from "../../cache/support/fake_clock.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";
import { cron, NOON, principal, World } from "./support/world.ts";

const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const idOf = async ({ control }: World) =>
  (await control.run<{ id: string }>(control.db.selectFrom("functions").select("id"))).rows[0]!.id;
const scheduled = (world: World) => world.inputs.map((input) => JSON.parse(input).scheduled_at.slice(11, 19));

Deno.test("a tick calls the function once, in the namespace's own name, however many gateways there are", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  for (let i = 0; i < 3; i++) await world.gateway();
  const made = await world.make("shop", "f", cron("* * * * *"));
  equal(made.nextAt, NOON + MINUTE);
  await world.pass(3 * MINUTE + 2_000, 1_000);
  deepEqual(scheduled(world), ["12:01:00", "12:02:00", "12:03:00"]);
  const [{ call, input, at }] = world.calls as [typeof world.calls[number]];
  equal(at, NOON + MINUTE);
  deepEqual(JSON.parse(input), {
    trigger: "cron",
    id: made.id,
    expression: "* * * * *",
    scheduled_at: "2026-01-06T12:01:00.000Z",
  });
  const { input: _, ...rest } = call;
  deepEqual(rest, {
    namespace: "shop",
    name: "f",
    reference: undefined,
    functionId: await idOf(world),
    trigger: "cron",
    triggerId: made.id,
    caller: "namespace",
    depth: 1,
  });
  await world.pass(4_000);
  const { last, nextAt } = await world.seen("shop", "f", made.id);
  equal(last?.error, undefined);
  equal(nextAt, NOON + 4 * MINUTE);
  deepEqual(world.errors, []);
});

Deno.test("every second is every second", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  for (let i = 0; i < 2; i++) await world.gateway();
  await world.make("shop", "f", cron("* * * * * *"));
  await world.pass(20_000);
  deepEqual(scheduled(world), Array.from({ length: 20 }, (_, i) => `12:00:${String(i + 1).padStart(2, "0")}`));
});

Deno.test("what was missed while no gateway was there is made up for once", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const first = await world.gateway();
  await world.make("shop", "f", cron("* * * * *"));
  const closing = first.triggers.close();
  await world.pass(6_000, 1_000);
  await closing;
  world.clock.pass(10 * HOUR);
  equal(world.calls.length, 0);
  await world.gateway();
  await world.pass(MINUTE + 1_000, 1_000);
  deepEqual(scheduled(world), ["12:01:00", "22:01:00"]);
});

Deno.test("a tick is skipped, counted and told while the call before it runs, wherever that is", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const gateways = [await world.gateway(), await world.gateway(), await world.gateway()];
  const long = Promise.withResolvers<void>();
  world.answer = () => long.promise;
  const { id } = await world.make("shop", "f", cron("* * * * *"));
  await world.pass(4 * MINUTE + 1_000, 1_000);
  equal(world.calls.length, 1);
  equal(gateways.reduce((sum, { triggers }) => sum + triggers.figures().skipped, 0), 3);
  await world.pass(5_000);
  match((await world.seen("shop", "f", id)).last!.error!, /tick of 2026-01-06T12:04:00.000Z was skipped/);
  long.resolve();
  world.answer = () => {};
  await world.pass(MINUTE, 1_000);
  deepEqual(scheduled(world), ["12:01:00", "12:05:00"]);
});

Deno.test("another gateway skips a tick too while the call before it runs", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway({ control: far });
  const gate = Promise.withResolvers<void>();
  world.answer = () => gate.promise;
  await world.make("shop", "f", cron("* * * * *"));
  await world.pass(MINUTE + 1_000, 1_000);
  equal(world.calls.length, 1);
  // It claims nothing from now on, and says that its call goes on.
  far.before = (sql) => {
    if (sql.includes("ticked_at")) throw new GatewayError("UNAVAILABLE", "not now");
  };
  const { triggers } = await world.gateway();
  await world.pass(2 * MINUTE, 1_000);
  equal(world.calls.length, 1);
  equal(triggers.figures().skipped, 2);
  gate.resolve();
  await world.pass(MINUTE, 1_000);
  deepEqual(scheduled(world), ["12:01:00", "12:04:00"]);
  world.errors.length = 0;
});

Deno.test("a tick that is known to be due is not run once its trigger or function is gone, though nobody said so", async () => {
  for (const what of ["trigger", "function", "namespace"]) {
    await using control = await openControl();
    await using world = new World(control);
    await world.namespace("shop", "f");
    await world.gateway();
    await world.make("shop", "f", cron("* * * * *"));
    await world.pass(MINUTE - 1_000, 1_000);
    const { db } = control;
    if (what === "trigger") await control.run(db.updateTable("function_triggers").set({ enabled: 0 }));
    if (what === "function") await control.run(db.updateTable("functions").set({ serving: null }));
    if (what === "namespace") await control.run(db.updateTable("namespaces").set({ state: "deleting" }));
    await world.clock.advance(1_500);
    deepEqual(world.inputs, [], what);
  }
});

Deno.test("the call of a gateway that died counts as running for half a minute, and no longer", async () => {
  await using control = await openControl();
  const clock = new FakeClock(NOON);
  await using world = new World(control, clock);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway({ control: far });
  world.answer = () => new Promise(() => {});
  await world.make("shop", "f", cron("*/5 * * * *"));
  await world.pass(5 * MINUTE + 1_000, 10_000);
  equal(world.calls.length, 1);
  far.before = () => {
    throw new GatewayError("UNAVAILABLE", "it is dead");
  };
  await world.gateway();
  await world.pass(5 * MINUTE, 10_000);
  deepEqual(scheduled(world), ["12:05:00", "12:10:00"]);
});

Deno.test("a clock that is set forth runs a tick once, and set back none twice", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  await world.gateway();
  await world.make("shop", "f", cron("*/5 * * * *"));
  await world.pass(6 * MINUTE, 1_000);
  world.clock.jump(30 * MINUTE);
  await world.pass(10_000, 1_000);
  deepEqual(scheduled(world), ["12:05:00", "12:10:00"]);
  world.clock.jump(-30 * MINUTE);
  await world.pass(30 * MINUTE, 1_000);
  const times = scheduled(world);
  equal(new Set(times).size, times.length, String(times));
  deepEqual(times.slice(0, 4), ["12:05:00", "12:10:00", "12:15:00", "12:20:00"]);
});

Deno.test("a clock that was a year ahead silences nothing once it is right", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  await world.make("shop", "f", cron("* * * * *"));
  world.clock.jump(365 * DAY);
  await world.pass(3 * MINUTE, 1_000);
  const before = world.calls.length;
  ok(before <= 4, String(before));
  world.clock.jump(-365 * DAY);
  await world.pass(3 * MINUTE, 1_000);
  const after = world.calls.length - before;
  ok(after >= 2 && after <= 4, String(after));
});

Deno.test("thousands that are due at once are claimed page by page, each once", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.maxTriggers = 5_000;
  await world.namespace("shop", "f");
  await world.gateway();
  await world.gateway();
  for (let i = 0; i < 700; i++) {
    await world.gateways[0]!.triggers.create(principal("shop"), "f", {
      reference: undefined,
      source: cron("2 1 12 * * *"),
      enabled: true,
    }, CONTEXT);
  }
  await world.pass(MINUTE + 1_900, 5_000);
  for (let i = 0; i < 400 && world.calls.length < 700; i++) await world.pass(100, 100);
  equal(world.calls.length, 700);
  ok(world.clock.now() - NOON - MINUTE < 3_500, "those that were not known at first come right behind them");
  equal(new Set(world.calls.map(({ call }) => call.triggerId)).size, 700);
});

Deno.test("a claim whose outcome is unknown is run by who made it, and by nobody else", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway({ control: far });
  await world.gateway();
  let lost = 0;
  far.after = (sql) => {
    if (!sql.includes("ticked_at") || lost++ > 0) return;
    throw new GatewayError("OUTCOME_UNKNOWN", "nobody answered");
  };
  await world.make("shop", "f", cron("* * * * *"));
  await world.pass(2 * MINUTE, 1_000);
  ok(lost > 0);
  deepEqual(scheduled(world), ["12:01:00", "12:02:00"]);
});

Deno.test("failures are told, and the next tick comes all the same", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", cron("* * * * *"));
  const last = async () => (await world.seen("shop", "f", id)).last?.error;
  world.answer = () =>
    Promise.resolve({ failure: { code: "FUNCTION_TRAPPED", message: `unreachable \0 ${"x".repeat(2_000)}` } });
  await world.pass(MINUTE + 5_000, 1_000);
  match((await last())!, /^FUNCTION_TRAPPED: unreachable � x+…$/);
  equal((await last())!.length, 500);
  world.answer = () => Promise.reject(new GatewayError("TOO_MANY_INVOCATIONS", "no place became free"));
  await world.pass(MINUTE, 1_000);
  equal(await last(), "TOO_MANY_INVOCATIONS: no place became free");
  world.answer = () => Promise.reject(new TypeError("secret of the house"));
  await world.pass(MINUTE, 1_000);
  match((await last())!, /the gateway failed/);
  // The tick before was still being tried.
  equal(world.errors.length, 2);
  ok(triggers.figures().postponed > 1);
  world.answer = () => {};
  await world.pass(MINUTE, 1_000);
  equal(await last(), undefined);
  const { rows: [row] } = await control.run<{ last_error: string | null }>(
    control.db.selectFrom("function_triggers").select("last_error"),
  );
  equal(row!.last_error, null);
});

Deno.test("nothing fires that is disabled, deleted, of a deleted function, or of another life of the namespace", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f", "g", "h");
  const { triggers } = await world.gateway();
  await world.gateway();
  const disabled = await world.make("shop", "f", cron("* * * * *"));
  await triggers.setEnabled(principal("shop"), "f", disabled.id, false, CONTEXT);
  equal((await world.seen("shop", "f", disabled.id)).nextAt, undefined);
  const deleted = await world.make("shop", "f", cron("* * * * *"));
  await triggers.delete(principal("shop"), "f", deleted.id, CONTEXT);
  await world.make("shop", "g", cron("* * * * *"));
  // Another function of that name, whose triggers nobody removed.
  await world.deploy("shop", "g");
  await world.make("shop", "h", cron("* * * * *"));
  // Both gateways know that it is due soon.
  await world.pass(MINUTE - 1_000, 1_000);
  await world.deleteNamespace("shop");
  await world.namespace("shop", "f", "g", "h");
  await world.pass(2 * MINUTE, 1_000);
  deepEqual(world.inputs, []);
  const { rows } = await control.run(control.db.selectFrom("function_triggers").selectAll());
  deepEqual(rows, []);
});

Deno.test("rows that a purge missed fire in nobody's name", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  await world.make("shop", "f", cron("* * * * *"));
  await control.run(control.db.updateTable("namespaces").set({ created_at: NOON + 1 }));
  await world.pass(2 * MINUTE, 1_000);
  deepEqual(world.inputs, []);
});

Deno.test("what comes back from being disabled does not make up for what it missed", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", cron("* * * * *"));
  await triggers.setEnabled(principal("shop"), "f", id, false, CONTEXT);
  await world.pass(10 * MINUTE, MINUTE);
  await triggers.setEnabled(principal("shop"), "f", id, true, CONTEXT);
  // Being enabled once more changes nothing.
  await triggers.setEnabled(principal("shop"), "f", id, true, CONTEXT);
  await world.pass(MINUTE + 1_000, 1_000);
  deepEqual(scheduled(world), ["12:11:00"]);
});

Deno.test("closing ends within seconds, also where a call never does, and breaks it off", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  let signal: AbortSignal | undefined;
  world.answer = (_call, context) => {
    signal = context.signal;
    return new Promise(() => {});
  };
  await world.make("shop", "f", cron("* * * * *"));
  await world.pass(MINUTE + 1_000, 1_000);
  let closed = false;
  const closing = triggers.close().then(() => closed = true);
  await world.pass(2_000);
  equal(signal!.aborted, false);
  await world.pass(7_000);
  equal(closed, true);
  await closing;
  equal(signal!.aborted, true);
  await world.pass(5 * MINUTE, 10_000);
  equal(world.calls.length, 1);
});
