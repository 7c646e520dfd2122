import { deepEqual, equal, match, rejects } from "node:assert/strict";
import type { ControlDatabase } from "../../services/control_plane/control_database.ts";
import { migrate } from "../../services/control_plane/migrate.ts";
import { SYSTEM_CLOCK } from "../../services/clock/clock.ts";
import { GatewayError } from "../../src/contracts/errors.ts";
import { until } from "../engines/support/wait.ts";
import { code } from "../unit/auth/support/node.ts";
import { CONTEXT } from "../unit/control_plane/support/context.ts";
import { openControl } from "../unit/control_plane/support/control.ts";
import { cron, database, NOON, principal, route, topic, World } from "../unit/functions/triggers/support/world.ts";
import { feedTests } from "./change_feeds.ts";
import { now, onEveryDriver, type Open } from "./control_drivers.ts";

const MINUTE = 60_000;

/** Clients of one control plane, which know when no answer is awaited any more. */
class Clients {
  #underWay = 0;
  /** Answers nobody: a gateway that lost its way there. */
  readonly cut = new Set<ControlDatabase>();

  constructor(private readonly open: Open) {}

  client(): ControlDatabase {
    const inner = this.open();
    const through = async <T>(work: () => Promise<T>): Promise<T> => {
      if (this.cut.has(client)) throw new GatewayError("UNAVAILABLE", "the way there is cut");
      this.#underWay++;
      try {
        return await work();
      } finally {
        this.#underWay--;
      }
    };
    const client: ControlDatabase = {
      db: inner.db,
      run: (query, signal) => through(() => inner.run(query, signal)),
      atomically: (queries, signal) => through(() => inner.atomically(queries, signal)),
      health: (signal) => inner.health(signal),
      close: () => inner.close(),
    };
    return client;
  }

  readonly idle = async (): Promise<void> => {
    for (let quiet = 0; quiet < 3;) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      quiet = this.#underWay === 0 ? quiet + 1 : 0;
    }
  };
}

const withWorld = (scenario: (world: World, clients: Clients) => Promise<void>) => async (open: Open) => {
  const clients = new Clients(open);
  const control = clients.client();
  await migrate(control, { now });
  await using world = new World(control);
  world.idle = clients.idle;
  await world.namespace("shop", "f");
  await scenario(world, clients);
  deepEqual(world.errors, []);
};

onEveryDriver({
  "each tick is run once by two gateways, and skipped by both while its call runs": withWorld(
    async (world, clients) => {
      for (let i = 0; i < 2; i++) await world.gateway({ control: clients.client() });
      const { id } = await world.make("shop", "f", cron("*/5 * * * * *"));
      await world.pass(20_500, 500);
      const times = () => world.inputs.map((input) => JSON.parse(input).scheduled_at.slice(17, 19));
      deepEqual(times(), ["05", "10", "15", "20"]);
      const gate = Promise.withResolvers<void>();
      world.answer = () => gate.promise;
      await world.pass(15_000, 500);
      deepEqual(times().slice(4), ["25"]);
      equal(world.gateways.reduce((sum, { triggers }) => sum + triggers.figures().skipped, 0), 2);
      world.answer = () => {};
      gate.resolve();
      await world.pass(9_000, 500);
      deepEqual(times().slice(4), ["25", "40"]);
      const { last, nextAt } = await world.seen("shop", "f", id);
      equal(last!.error, undefined);
      equal(nextAt, NOON + 45_000);
    },
  ),

  "ticks that a wrong clock put off are brought back, and none is run twice": withWorld(async (world, clients) => {
    for (let i = 0; i < 2; i++) await world.gateway({ control: clients.client() });
    await world.make("shop", "f", cron("* * * * *"));
    world.clock.jump(400 * 24 * 60 * MINUTE);
    await world.pass(8_000, 1_000);
    equal(world.calls.length, 1);
    world.clock.jump(-400 * 24 * 60 * MINUTE);
    await world.pass(3 * MINUTE, 1_000);
    deepEqual(world.inputs.map((input) => JSON.parse(input).scheduled_at.slice(11, 16)), ["12:01", "12:02", "12:03"]);
  }),

  "another gateway follows a topic when the one that did has died": withWorld(async (world, clients) => {
    const far = clients.client();
    await world.gateway({ control: far });
    await world.make("shop", "f", topic("orders"));
    await world.pass(2_000, 500);
    const near = await world.gateway({ control: clients.client() });
    world.publish("shop", "orders", "1", "2");
    await world.pass(3_000, 500);
    clients.cut.add(far);
    world.publish("shop", "orders", "3");
    await world.pass(40_000, 1_000);
    deepEqual(world.inputs, ["1", "2", "3"]);
    equal(near.triggers.figures().followed, 1);
    clients.cut.clear();
    world.publish("shop", "orders", "4");
    await world.pass(20_000, 1_000);
    deepEqual(world.inputs, ["1", "2", "3", "4"]);
    equal(world.gateways[0]!.triggers.figures().followed, 0);
    // It told that it could not reach the control plane.
    match(String(world.errors.splice(0)), /the way there is cut/);
  }),

  "quotas, routes and declarations are decided once": withWorld(async (world, clients) => {
    world.maxTriggers = 4;
    const [one, two] = [
      await world.gateway({ control: clients.client() }),
      await world.gateway({ control: clients.client() }),
    ];
    const make = (gateway: typeof one, source: ReturnType<typeof cron>) =>
      gateway.triggers.create(principal("shop"), "f", { reference: undefined, source, enabled: true }, CONTEXT);
    const routes = await Promise.allSettled([one, two].map((gateway) => make(gateway, route("GET", "/a/:b"))));
    deepEqual(routes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    for (const result of routes) if (result.status === "rejected") equal(result.reason.code, "CONFLICT");
    const declared = { cronExpressions: ["0 0 * * *"], pubsubTopics: ["a"] };
    await Promise.all(
      [one, two, one].map(({ triggers }) => triggers.replaceDeclared(principal("shop"), "f", declared, CONTEXT)),
    );
    const many = await Promise.allSettled([one, two, one].map((gateway) => make(gateway, topic("b"))));
    const refused = many.flatMap((result) => result.status === "rejected" ? [result.reason.code] : []);
    deepEqual(refused, ["QUOTA_EXCEEDED", "QUOTA_EXCEEDED"]);
    equal((await one.triggers.list("shop", "f", CONTEXT)).length, 4);
    equal((await two.triggers.route("shop", "GET", "/a/x", CONTEXT))!.params.b, "x");
    await world.deleteNamespace("shop");
    await world.turn();
    equal(await two.triggers.route("shop", "GET", "/a/x", CONTEXT), undefined);
    await rejects(one.triggers.list("shop", "f", CONTEXT), code("NOT_FOUND"));
  }),
});

feedTests({
  "a table's changes call a function through the feed itself, and go on through another gateway": async (db) => {
    await db.run("CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    await using control = await openControl();
    const world = new World(control);
    await world.namespace("shop", "f");
    const options = { clock: SYSTEM_CLOCK, databaseChanges: db.feed };
    const first = await world.gateway(options);
    const { id } = await world.make("shop", "f", database());
    const error = async () => (await world.seen("shop", "f", id)).last?.error;
    await until("it is told that the feed is off", async () => /turns it on/.test(await error() ?? ""));
    await db.on("t");
    const told = () => world.inputs.map((input) => JSON.parse(input)).map(({ event, after }) => `${event} ${after?.a}`);
    const position = async () =>
      (await control.run<{ position: string | null }>(control.db.selectFrom("function_triggers").select("position")))
        .rows[0]!.position;
    await until("it listens", async () => await position() !== null);
    await db.run("INSERT INTO t VALUES (1, 'x')", "UPDATE t SET a = 'y'", "DELETE FROM t");
    await until("three calls", () => world.calls.length >= 3);
    deepEqual(told(), ["insert x", "update y", "delete undefined"]);
    await first.triggers.close();
    equal(db.feed.listeners, 0);
    await db.run("INSERT INTO t VALUES (2, 'z')");
    const second = await world.gateway(options);
    await until("the fourth call", () => world.calls.length >= 4);
    deepEqual(told().slice(3), ["insert z"]);
    await second.triggers.close();
  },
});
