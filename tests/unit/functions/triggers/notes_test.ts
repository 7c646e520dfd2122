import { deepEqual, equal } from "node:assert/strict";
import { LastNotes } from "../../../../services/functions/triggers/notes.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";
import { cron, NOON, World } from "./support/world.ts";

Deno.test("what one gateway could not write for long does not hide what another wrote later", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const { id } = await world.make("shop", "f", cron("0 0 1 1 *"));
  const far = new WatchedControl(control), errors: unknown[] = [];
  far.before = () => {
    throw new GatewayError("UNAVAILABLE", "not now");
  };
  const { clock } = world;
  const [early, late] = [far, control].map((control) =>
    new LastNotes({ control, clock, onError: (error) => errors.push(error) })
  );
  early!.note(id, "early");
  await world.pass(1_000);
  late!.note(id, "late");
  await world.pass(5_000);
  far.before = () => {};
  await world.pass(5_000);
  equal(early!.of(id), undefined);
  deepEqual((await world.seen("shop", "f", id)).last, { at: NOON + 1_000, error: "late" });
  equal(errors.length > 0, true);
});

Deno.test("notes of many triggers are written together, at most once in three seconds, and the rest when it closes", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const ids: string[] = [];
  for (let i = 0; i < 3; i++) ids.push((await world.make("shop", "f", cron("0 0 1 1 *"))).id);
  const far = new WatchedControl(control);
  const notes = new LastNotes({ control: far, clock: world.clock, onError: () => {} });
  for (let i = 0; i < 50; i++) {
    for (const id of ids) notes.note(id, `no. ${i}`);
    await world.pass(100, 100);
  }
  equal(far.calls.length, 1);
  await notes.close();
  equal(far.calls.length, 2);
  for (const id of ids) equal((await world.seen("shop", "f", id)).last!.error, "no. 49");
});

Deno.test("triggers that fire all the time do not hide the notes of others, however many there are", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.maxTriggers = 1_000;
  await world.namespace("shop", "f");
  await world.gateway();
  const ids: string[] = [];
  for (let i = 0; i < 250; i++) ids.push((await world.make("shop", "f", cron("0 0 1 1 *"))).id);
  const far = new WatchedControl(control);
  const notes = new LastNotes({ control: far, clock: world.clock, onError: () => {} });
  const busy = () => {
    for (const id of ids.slice(0, 120)) notes.note(id, `busy at ${world.clock.now()}`);
  };
  // They fire also while what is known of them is written.
  far.before = busy;
  busy();
  for (const id of ids.slice(120)) notes.note(id, "quiet");
  // Half of what is tried fails at the second page.
  let tries = 0;
  far.after = () => {
    if (++tries % 2 === 0) throw new GatewayError("UNAVAILABLE", "not now");
  };
  for (let i = 0; i < 30; i++) await world.pass(1_000, 100);
  const { rows } = await control.run<{ count: number }>(
    control.db.selectFrom("function_triggers").select((eb) => eb.fn.countAll<number>().as("count"))
      .where("last_error", "=", "quiet"),
  );
  equal(rows[0]!.count, 130);
  equal(ids.slice(120).some((id) => notes.of(id)), false);
  far.before = far.after = () => {};
  await notes.close();
});

Deno.test("more than a page of notes is written in one go", async () => {
  await using control = await openControl();
  await using world = new World(control);
  world.maxTriggers = 1_000;
  await world.namespace("shop", "f");
  await world.gateway();
  const ids: string[] = [];
  for (let i = 0; i < 250; i++) ids.push((await world.make("shop", "f", cron("0 0 1 1 *"))).id);
  const notes = new LastNotes({ control, clock: world.clock, onError: () => {} });
  for (const id of ids) notes.note(id, undefined);
  await world.pass(4_000);
  equal(ids.filter((id) => notes.of(id)).length, 0);
  await notes.close();
});
