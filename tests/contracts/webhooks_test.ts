import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { migrate } from "../../services/control_plane/migrate.ts";
import { code } from "../unit/auth/support/node.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { answered, hanging } from "../unit/webhooks/support/fake_egress.ts";
import { principal, World } from "../unit/webhooks/support/world.ts";
import { now, onEveryDriver, type Open } from "./control_drivers.ts";

const SECOND = 1_000;

const withWorld = (scenario: (world: World, open: Open) => Promise<void>) => async (open: Open) => {
  const control = open();
  await migrate(control, { now });
  await using world = new World(control);
  for (const name of ["shop", "cafe"]) await world.namespace(name);
  for (let i = 0; i < 2; i++) await world.gateway({}, open());
  await scenario(world, open);
  deepEqual(world.errors, []);
};

onEveryDriver({
  "an event is sent once by two gateways, however often it is published": withWorld(async (world) => {
    const { endpoint } = await world.make("https://a.example/one");
    await world.make("https://a.example/two", { events: ["other.*"] });
    const publish = (at: number, id: string) =>
      world.gateways[at % 2]!.webhooks.publish("shop", { id, type: "test.done", data: at }, CONTEXT);
    const told = await Promise.all(Array.from({ length: 8 }, (_, at) => publish(at, `e${at % 4}`)));
    equal(told.reduce((sum, { queued }) => sum + queued, 0), 4);
    await world.pass(6 * SECOND);
    deepEqual(world.egress.told.toSorted(), ["/one e0", "/one e1", "/one e2", "/one e3"]);
    equal(world.egress.peaks.get("https://a.example/one"), 1, "one at a time, of both gateways");
    deepEqual((await world.deliveries(endpoint.id)).map(({ state }) => state), Array(4).fill("delivered"));
  }),

  "what one gateway could not finish another one does, and what failed is tried again": withWorld(async (world) => {
    const { endpoint } = await world.make();
    world.egress.answer = hanging;
    await world.publish("e1");
    await world.quiet();
    const dead = world.gateways.find(({ webhooks }) => webhooks.figures().inFlight === 1)!;
    dead.way.isCut = true;
    world.gateways.push(...world.gateways.splice(world.gateways.indexOf(dead), 1).slice(1));
    const statuses = [500, 200];
    world.egress.answer = () => answered(statuses.shift()!);
    await world.pass(150 * SECOND, 2 * SECOND);
    const { webhooks } = world.gateways[0]!;
    const { items: [delivery] } = await webhooks.deliveries("shop", endpoint.id, { limit: 1 }, CONTEXT);
    deepEqual([delivery!.state, delivery!.tries, statuses], ["delivered", 3, []]);
    ok(world.errors.splice(0).length > 0, "it told that the way there was cut");
    await dead.webhooks.close().catch(() => {});
  }),

  "endpoints are made, changed, replaced in their keys and deleted, up to as many as there may be": withWorld(
    async (world) => {
      const made = await Promise.allSettled(
        Array.from({ length: 22 }, (_, at) =>
          world.gateways[at % 2]!.webhooks.create(principal("shop"), {
            url: `https://a.example/${at}`,
            events: ["*"],
            description: "",
            enabled: true,
            algorithm: at % 2 === 0 ? "hmac-sha256" : "ed25519",
          }, CONTEXT)),
      );
      deepEqual(
        made.flatMap((one) => one.status === "rejected" ? [one.reason.code] : []),
        ["QUOTA_EXCEEDED", "QUOTA_EXCEEDED"],
      );
      const [one, two] = world.gateways.map(({ webhooks }) => webhooks) as [
        typeof world.gateways[0]["webhooks"],
        typeof world.gateways[0]["webhooks"],
      ];
      const [{ id }] = await one.list("shop", CONTEXT) as unknown as [{ id: string }];
      equal((await two.change(principal("shop"), id, { enabled: false, events: ["a.*"] }, CONTEXT)).enabled, false);
      deepEqual((await one.get("shop", id, CONTEXT)).events, ["a.*"]);
      equal((await one.rotate(principal("shop"), id, CONTEXT)).endpoint.keys.length, 2);
      await two.delete(principal("shop"), id, CONTEXT);
      await rejects(one.get("shop", id, CONTEXT), code("NOT_FOUND"));
      deepEqual(await one.usage("shop", CONTEXT.signal), { webhooks: 19, webhook_deliveries: 0 });
    },
  ),

  "dead deliveries are listed page by page, sent anew, and forgotten in time": withWorld(async (world) => {
    const { endpoint: { id } } = await world.make();
    world.egress.answer = () => answered(410);
    const { webhooks } = world.gateways[0]!;
    for (let i = 0; i < 3; i++) {
      await world.publish(`e${i}`);
      await world.pass(3 * SECOND);
      await webhooks.change(principal("shop"), id, { enabled: true }, CONTEXT);
    }
    const first = await webhooks.deliveries("shop", id, { state: "dead", limit: 2 }, CONTEXT);
    const rest = await webhooks.deliveries("shop", id, { state: "dead", limit: 2, cursor: first.next }, CONTEXT);
    deepEqual([...first.items, ...rest.items].map(({ eventId }) => eventId), ["e2", "e1", "e0"]);
    world.egress.answer = () => answered(200);
    equal((await webhooks.redeliver(principal("shop"), id, rest.items[0]!.id, CONTEXT)).tries, 0);
    await world.pass(3 * SECOND);
    deepEqual((await world.deliveries(id, "delivered")).map(({ eventId }) => eventId), ["e0"]);
    world.clock.pass(40 * 24 * 3_600 * SECOND);
    await world.pass(120 * SECOND, 60 * SECOND);
    deepEqual(await world.deliveries(id), []);
  }),

  "a namespace takes its webhooks along, and the next of its name has none of them": withWorld(async (world) => {
    world.egress.answer = () => answered(500);
    const { endpoint } = await world.make();
    await world.make("https://cafe.example/", { namespace: "cafe" });
    for (let i = 0; i < 5; i++) await world.publish(`e${i}`);
    await world.quiet();
    await world.markDeleted("shop");
    await world.remove("shop");
    world.clock.pass(1);
    await world.namespace("shop");
    const before = world.egress.sent.length;
    await world.pass(120 * SECOND, 10 * SECOND);
    equal(world.egress.sent.length, before);
    const { webhooks } = world.gateways[1]!;
    deepEqual(await webhooks.list("shop", CONTEXT), []);
    await rejects(webhooks.get("shop", endpoint.id, CONTEXT), code("NOT_FOUND"));
    const { rows } = await world.control.run(world.control.db.selectFrom("webhook_deliveries").select("id"));
    deepEqual(rows, []);
    equal((await webhooks.list("cafe", CONTEXT)).length, 1);
  }),
});
