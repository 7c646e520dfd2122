import { deepEqual, equal, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { DEFAULTS, settingsOn } from "./support/settings.ts";
import { operator, shop } from "./support/shop.ts";

Deno.test("what an owner has kept is no more than the limits, also when they are lowered later, and not kept at all where it says so", async () => {
  await using t = await shop("pubsub");
  const kept = async () => {
    const { historySize, historyTtl } = await t.rules();
    return [historySize, historyTtl];
  };
  await rejects(t.change({ history_size: 431, history_ttl: 44_001 }), (error: GatewayError) => {
    deepEqual(error.extra.details, [
      { field: "pubsub.history_size", problem: "at most 430, which is the limit of this namespace" },
      { field: "pubsub.history_ttl", problem: "at most 44000 ms, which is the limit of this namespace" },
    ]);
    return true;
  });
  deepEqual(await kept(), [40, 41_000]);
  await t.change({ history_size: 430, history_ttl: 44_000 });
  deepEqual(await kept(), [430, 44_000]);
  await t.settings.changeLimits("shop", { pubsub: { history_messages: 5, history_ttl: 6 } }, operator, CONTEXT, false);
  deepEqual(await kept(), [5, 6]);
  await t.settings.changeLimits("shop", {}, operator, CONTEXT, true);
  await t.change({ history_size: 0 });
  deepEqual(await kept(), [0, 44_000]);
  await t.change({ history_size: null, history_ttl: null });
  deepEqual(await kept(), [40, 41_000]);
});

Deno.test("slow readers and origins are the owner's to say, and are given back", async () => {
  await using t = await shop("pubsub");
  const origins = ["https://app.example", "capacitor://localhost"];
  const { effective } = await t.change({ slow_readers: "drop", origins });
  deepEqual([effective.pubsub.slow_readers, effective.pubsub.origins], ["drop", origins]);
  const now = await t.rules();
  deepEqual([now.slowPolicy, now.origins], ["drop", origins]);
  await t.change({ slow_readers: null, origins: null });
  const after = await t.rules();
  deepEqual([after.slowPolicy, after.origins], ["close", undefined]);
});

Deno.test("what another version of the gateway wrote in another form counts as not set", async () => {
  await using t = await shop("pubsub");
  const { database } = t.node;
  const before = await t.rules();
  const row = { namespace: "shop", limits: "{}", version: 1 };
  await database.run(database.db.insertInto("namespace_settings").values({ ...row, settings: "{}" }));
  for (
    const pubsub of [
      { slow_readers: "wait", history_size: "5", history_ttl: [5], origins: "https://app.example" },
      { slow_readers: 1, history_size: -1, history_ttl: 0.5, origins: [null] },
      { slow_readers: {}, history_size: {}, origins: [] },
    ]
  ) {
    await database.run(
      database.db.updateTable("namespace_settings").set({ settings: JSON.stringify({ pubsub }) }),
    );
    const { settings } = settingsOn(t.node);
    deepEqual((await settings.rulesOf("shop")).pubsub, before, JSON.stringify(pubsub));
  }
});

Deno.test("while nobody can say what was set, as much is kept as an owner may have", async () => {
  await using t = await shop("pubsub");
  await t.change({ history_size: 300, history_ttl: 43_000 });
  await t.rules();
  t.node.control.before = () => {
    throw new GatewayError("UNAVAILABLE", "down");
  };
  const { settings, errors } = settingsOn(t.node);
  const { historySize, historyTtl } = (await settings.rulesOf("shop")).pubsub;
  const { history_messages, history_ttl } = DEFAULTS.pubsub.limits;
  deepEqual([historySize, historyTtl, errors.length], [history_messages, history_ttl, 1]);
  equal((await t.rules()).historySize, 300, "what is known holds");
});
