import { deepEqual, equal, match } from "node:assert/strict";
import { changeText as wireText } from "../../../../routes/database/change_json.ts";
import { changeText } from "../../../../services/functions/triggers/database_feed.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import type { RowChange } from "../../../../src/contracts/database_changes.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";
import { database, World } from "./support/world.ts";

const told = (world: World) =>
  world.inputs.map((input) => {
    const { event, id, truncated } = JSON.parse(input);
    return truncated ? "truncated" : `${event} ${id}`;
  });

Deno.test("a change is written as the change feed writes it", () => {
  const row = {
    columns: ["id", 'a"', "b"],
    types: ["integer", "real", "blob"],
    values: [2n ** 60n, 1, new Uint8Array([1])],
  };
  const change: RowChange = {
    kind: "update",
    position: "e-1",
    table: 'tä"',
    key: row,
    before: undefined,
    after: row,
    tooLarge: true,
  };
  for (const one of [change, { ...change, tooLarge: false, before: row, key: undefined }]) {
    equal(changeText(one), wireText(one, "number"));
  }
});

Deno.test("changes call the function in order, those that are asked for, once for all gateways", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  await world.gateway();
  world.table.insert(0);
  await world.make("shop", "f", database("insert", "delete"));
  await world.pass(1_000);
  world.table.insert(1);
  world.table.insert(1, "update");
  world.table.insert(1, "delete");
  world.table.insert(2);
  await world.pass(1_000);
  deepEqual(told(world), ["insert e-2", "delete e-4", "insert e-5"]);
  equal(world.table.listeners, 1);
  equal(world.calls[0]!.call.trigger, "database");
});

Deno.test("a page that is broken off half way goes on there, on another gateway", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway({ control: far });
  await world.make("shop", "f", database());
  await world.pass(1_000);
  await world.gateway();
  const gate = Promise.withResolvers<void>();
  world.answer = ({ input }) => new TextDecoder().decode(input).includes('"e-3"') ? gate.promise : undefined;
  for (let i = 1; i <= 5; i++) world.table.insert(i);
  await world.pass(3_000);
  deepEqual(told(world), ["insert e-1", "insert e-2", "insert e-3"]);
  far.before = () => {
    throw new GatewayError("UNAVAILABLE", "this gateway is dead");
  };
  world.answer = () => {};
  await world.pass(40_000, 1_000);
  deepEqual(told(world).slice(3), ["insert e-3", "insert e-4", "insert e-5"]);
  gate.resolve();
  await world.pass(1_000);
  equal(world.calls.length, 6);
});

Deno.test("a table whose changes are not recorded is told, with what helps, and tried again", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  world.table.refusal = new GatewayError("NOT_FOUND", "no feed");
  const { id } = await world.make("shop", "f", database());
  await world.pass(1_000);
  const sentence = "changes of this table are not recorded: POST /v1/rqlite/changes/tables turns it on";
  equal((await world.seen("shop", "f", id)).last!.error, sentence);
  await world.pass(30_000, 1_000);
  world.table.refusal = undefined;
  const { length } = world.table.sinces;
  // Rarely, for as long as it lasts.
  match(String(length), /^[4-6]$/);
  await world.pass(35_000, 1_000);
  world.table.insert(1);
  await world.pass(1_000);
  deepEqual(told(world), ["insert e-1"]);
});

Deno.test("the function is told that something is missing, and once", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const first = await world.gateway();
  await world.make("shop", "f", database());
  await world.pass(1_000);
  world.table.insert(1);
  world.table.add({ kind: "truncated", position: "e-2" });
  world.table.insert(3);
  await world.pass(2_000);
  deepEqual(told(world), ["insert e-1", "truncated", "insert e-3"]);
  equal(world.inputs[1], '{"truncated":true}');
  const closing = first.triggers.close();
  await world.pass(1_000);
  await closing;
  const listen = world.table.listen.bind(world.table);
  let gone = 0;
  await world.gateway({
    databaseChanges: {
      listen(namespace, query) {
        if (query.since === "now") return listen(namespace, query);
        gone++;
        return Promise.reject(new GatewayError("INVALID_REQUEST", "since: no position"));
      },
    },
  });
  await world.pass(6_000);
  equal(gone, 1);
  deepEqual(told(world).slice(3), ["truncated"]);
});

Deno.test("the end of a feed is told, and changes of its next life come", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  const { id } = await world.make("shop", "f", database());
  await world.pass(1_000);
  world.table.add({ kind: "dropped", position: "e-1", table: "t", tooLarge: false });
  await world.pass(1_000);
  match((await world.seen("shop", "f", id)).last!.error!, /not recorded/);
  world.table.insert(2);
  await world.pass(1_000);
  deepEqual(told(world), ["insert e-2"]);
});

Deno.test("no listener is left when a trigger goes", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  await world.gateway();
  await world.make("shop", "f", database());
  await world.pass(1_000);
  equal(world.table.listeners, 1);
  await world.deleteNamespace("shop");
  await world.pass(1_000);
  equal(world.table.listeners, 0);
});
