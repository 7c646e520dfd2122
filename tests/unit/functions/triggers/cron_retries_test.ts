import { deepEqual, equal, match, ok } from "node:assert/strict";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";
import { cron, principal, World } from "./support/world.ts";

const MINUTE = 60_000;
const noPlace = () => {
  throw new GatewayError("TOO_MANY_INVOCATIONS", "no place became free");
};
const scheduled = (world: World) => world.inputs.map((input) => JSON.parse(input).scheduled_at.slice(11, 19));

Deno.test("a tick that finds no place, or something away, is tried again until it runs, as the tick that it is", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  await world.gateway();
  const { id } = await world.make("shop", "f", cron("1 12 * * *"));
  let refusals = 6;
  world.answer = () => {
    if (refusals-- > 0) throw new GatewayError(refusals % 2 ? "TOO_MANY_INVOCATIONS" : "UNAVAILABLE", "no place");
  };
  await world.pass(MINUTE, 5_000);
  await world.pass(3_000);
  match((await world.seen("shop", "f", id)).last!.error!, /no place/);
  await world.pass(2 * MINUTE, 1_000);
  deepEqual(scheduled(world), Array(7).fill("12:01:00"));
  const pauses = world.calls.slice(1).map(({ at }, i) => at - world.calls[i]!.at);
  ok(pauses.every((ms, i) => ms > 0.7 * Math.min(30_000, 1_000 * 2 ** i)), String(pauses));
  ok(triggers.figures().postponed + world.gateways[1]!.triggers.figures().postponed === 6);
  equal((await world.seen("shop", "f", id)).last?.error, undefined);
  await world.pass(15 * MINUTE, 10_000);
  equal(world.calls.length, 7);
});

Deno.test("a tick is given up when the next one is due, which then comes", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  await world.make("shop", "f", cron("* * * * *"));
  world.answer = noPlace;
  await world.pass(2 * MINUTE - 1_000, 1_000);
  ok(world.calls.length > 3);
  deepEqual(new Set(scheduled(world)), new Set(["12:01:00"]));
  const tries = world.calls.length;
  world.answer = () => {};
  await world.pass(2_000);
  deepEqual(scheduled(world).slice(tries), ["12:02:00"]);
  equal(triggers.figures().skipped, 0);
});

Deno.test("a tick is given up after ten minutes where the next one is far away, and its run is free then", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const { id } = await world.make("shop", "f", cron("1 12 * * *"));
  world.answer = noPlace;
  await world.pass(MINUTE, 5_000);
  await world.pass(30 * MINUTE, 5_000);
  const last = world.calls.at(-1)!.at - world.calls[0]!.at;
  ok(last > 9 * MINUTE && last <= 10 * MINUTE, String(last));
  equal((await world.seen("shop", "f", id)).last!.error, "TOO_MANY_INVOCATIONS: no place became free");
  const { rows } = await control.run(control.db.selectFrom("function_triggers").select(["run", "run_until"]));
  deepEqual({ ...rows[0] }, { run: null, run_until: null });
});

Deno.test("a tick that waits for another try is not run once it may not fire, or the run is another gateway's", async () => {
  const gone: readonly [string, (world: World, id: string) => Promise<unknown>][] = [
    ["disabled", ({ control }) => control.run(control.db.updateTable("function_triggers").set({ enabled: 0 }))],
    ["redeployed", (world) => world.deploy("shop", "f")],
    ["another life of the namespace", async (world) => {
      await world.deleteNamespace("shop");
      await world.namespace("shop", "f");
    }],
    [
      "taken over",
      ({ control }) =>
        control.run(control.db.updateTable("function_triggers").set({ run: "another", run_until: 9e15 })),
    ],
    ["lapsed", ({ control }) => control.run(control.db.updateTable("function_triggers").set({ run_until: 1 }))],
  ];
  for (const [what, change] of gone) {
    await using control = await openControl();
    await using world = new World(control);
    await world.namespace("shop", "f");
    await world.gateway();
    const { id } = await world.make("shop", "f", cron("1 12 * * *"));
    world.answer = noPlace;
    await world.pass(MINUTE, 5_000);
    ok(world.calls.length > 0, what);
    const before = world.calls.length;
    await change(world, id);
    world.answer = () => {};
    // Nobody tells the gateway: what it asks must tell it.
    for (let i = 0; i < 8; i++) await world.clock.advance(500);
    await world.idle();
    equal(world.calls.length, before, what);
  }
});

Deno.test("a control plane that is away puts another try off, and ends none", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway({ control: far });
  await world.make("shop", "f", cron("1 12 * * *"));
  world.answer = noPlace;
  await world.pass(MINUTE, 5_000);
  const before = world.calls.length;
  world.answer = () => {};
  far.before = () => {
    throw new GatewayError("UNAVAILABLE", "not now");
  };
  await world.pass(5_000);
  equal(world.calls.length, before);
  far.before = () => {};
  await world.pass(30_000, 1_000);
  equal(world.calls.length, before + 1);
  world.errors.length = 0;
});

Deno.test("a gateway that stops waits for no further try, and makes none", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { id } = await world.make("shop", "f", cron("1 12 * * *"));
  world.answer = noPlace;
  await world.pass(MINUTE, 5_000);
  const before = world.calls.length;
  let isClosed = false;
  const closing = triggers.close().then(() => isClosed = true);
  for (let i = 0; i < 20 && !isClosed; i++) await world.idle();
  equal(isClosed, true, "without any time that passes");
  await closing;
  await world.pass(MINUTE, 1_000);
  equal(world.calls.length, before);
  match((await triggers.list("shop", "f", CONTEXT)).find((one) => one.id === id)!.last!.error!, /no place/);
  await triggers.delete(principal("shop"), "f", id, CONTEXT);
});
