import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { EgressFailure } from "../../../src/contracts/egress.ts";
import { type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { until } from "../../engines/support/wait.ts";
import { code } from "../auth/support/node.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { answered, hanging } from "./support/fake_egress.ts";
import { principal, RETRY, RULES, World } from "./support/world.ts";

const SECOND = 1_000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE;

const test = (name: string, scenario: (world: World) => Promise<void>, options = {}) =>
  Deno.test(name, async () => {
    await using control = await openControl();
    await using world = new World(control);
    for (const name of ["shop", "cafe"]) await world.namespace(name);
    await world.gateway(options);
    await scenario(world);
    deepEqual(world.errors, []);
  });

const refusal = (wanted: ErrorCode, quota: string, limit: number) => (error: unknown) => {
  ok(error instanceof GatewayError, String(error));
  deepEqual([error.code, error.extra.details], [wanted, { quota, limit }]);
  match(error.message, new RegExp(`\\b${limit}\\b`), "it says how much may be");
  return true;
};
const tooMany = (limit: number) => refusal("QUOTA_EXCEEDED", "webhooks.endpoints", limit);
const refused = () => Promise.reject(new EgressFailure("EGRESS_ADDRESS_REFUSED", "the address is private"));
const idsOf = (of: readonly { readonly eventId: string }[]) => of.map(({ eventId }) => eventId).toSorted();
/** What is published waits. */
const nothingIsSent = (world: World) => world.gateways[0]!.webhooks.close();

test("as many webhooks are made as may be, and one more is refused by the limit's name", async (world) => {
  world.rules.set("shop", { maxEndpoints: 2 });
  for (const at of [1, 2]) await world.make(`https://a.example/${at}`);
  await rejects(world.make("https://a.example/3"), tooMany(2));
  for (const at of [1, 2, 3]) await world.make(`https://b.example/${at}`, { namespace: "cafe" });
  equal((await world.gateways[0]!.webhooks.list("shop", CONTEXT)).length, 2, "nothing of it was made");
  world.rules.set("cafe", { maxEndpoints: 0 });
  await rejects(world.make("https://b.example/4", { namespace: "cafe" }), tooMany(0));
});

test("of many that are made at once no more come than may be", async (world) => {
  world.rules.set("shop", { maxEndpoints: 3 });
  const made = await Promise.allSettled(Array.from({ length: 8 }, (_, at) => world.make(`https://a.example/${at}`)));
  equal(made.filter(({ status }) => status === "fulfilled").length, 3);
  for (const one of made) if (one.status === "rejected") tooMany(3)(one.reason);
});

test("a limit lowered under what is there takes no webhook away, and makes none", async (world) => {
  const { webhooks } = world.gateways[0]!;
  const ids: string[] = [];
  for (const at of [1, 2, 3]) ids.push((await world.make(`https://a.example/${at}`)).endpoint.id);
  world.rules.set("shop", { maxEndpoints: 1 });
  await rejects(world.make("https://a.example/4"), tooMany(1));
  equal((await webhooks.change(principal("shop"), ids[2]!, { description: "still mine" }, CONTEXT)).enabled, true);
  equal((await webhooks.rotate(principal("shop"), ids[2]!, CONTEXT)).endpoint.keys.length, 2);
  await world.publish("e1");
  await world.pass(3 * SECOND);
  deepEqual(world.egress.told.toSorted(), ["/1 e1", "/2 e1", "/3 e1"]);
  for (const id of ids.slice(1)) {
    await webhooks.delete(principal("shop"), id, CONTEXT);
    await rejects(world.make("https://a.example/4"), tooMany(1));
  }
  await webhooks.delete(principal("shop"), ids[0]!, CONTEXT);
  await world.make("https://a.example/4");
});

test("an event is as large as may be, and a byte more is refused; of another namespace's limit nothing holds", async (world) => {
  await world.make();
  await world.make("https://b.example/", { namespace: "cafe" });
  await world.publish("e0", { data: "" });
  await world.quiet();
  const envelope = (world.egress.sent[0]!.request.body as Uint8Array).length;
  world.rules.set("shop", { maxEventBytes: 2_048 });
  const data = (bytes: number) => "é".repeat(10) + "x".repeat(bytes - envelope - 20);
  equal((await world.publish("e1", { data: data(2_048) })).queued, 1);
  await world.quiet();
  equal((world.egress.sent[1]!.request.body as Uint8Array).length, 2_048);
  await rejects(world.publish("e2", { data: data(2_049) }), refusal("BODY_TOO_LARGE", "webhooks.event_bytes", 2_048));
  equal((await world.publish("e2", { namespace: "cafe", data: data(60_000) })).queued, 1);
  await rejects(
    world.publish("e3", { namespace: "cafe", data: data(RULES.maxEventBytes + 1) }),
    code("BODY_TOO_LARGE"),
  );
});

test("what waits is sent though its namespace may have no such event any more", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(500);
  await world.publish("large", { data: "x".repeat(10_000) });
  await world.publish("small");
  await world.quiet();
  world.rules.set("shop", { maxEventBytes: 1_024, maxWaiting: 1, maxWaitingBytes: 1_024 });
  deepEqual((await world.publish("more")).dropped, 1);
  world.egress.answer = () => answered(200);
  await world.pass(30 * SECOND);
  deepEqual(idsOf(await world.deliveries(endpoint.id, "delivered")), ["large", "small"]);
  equal((await world.publish("more")).queued, 1, "there is room again");
});

test("as many events wait as may, by number and by bytes, and none of another namespace counts", async (world) => {
  await nothingIsSent(world);
  await world.make();
  await world.make("https://b.example/", { namespace: "cafe" });
  world.rules.set("shop", { maxWaiting: 3 });
  const published = (namespace: string, id: string, data: unknown = null) => world.publish(id, { namespace, data });
  for (let i = 0; i < 9; i++) await published("cafe", `c${i}`, "x".repeat(5_000));
  const shop = [];
  for (let i = 0; i < 5; i++) shop.push((await published("shop", `s${i}`)).queued);
  deepEqual(shop, [1, 1, 1, 0, 0]);
  equal((await published("shop", "s1")).dropped, 0, "what waits already is not counted as lost");
  const { rows } = await world.control.run<{ bytes: number }>(
    world.control.db.selectFrom("webhook_deliveries").select("bytes").where("namespace", "=", "shop"),
  );
  const held = rows.reduce((sum, { bytes }) => sum + bytes, 0), one = rows[0]!.bytes;
  world.rules.set("shop", { maxWaitingBytes: held + one });
  deepEqual((await published("shop", "t0")).queued, 1, "exactly as many bytes as may");
  deepEqual((await published("shop", "t1")).dropped, 1);
  world.rules.set("shop", { maxWaitingBytes: held + 2 * one - 1 });
  deepEqual((await published("shop", "t1")).dropped, 1, "one byte is lacking");
  world.rules.set("shop", { maxWaitingBytes: held + 2 * one });
  deepEqual((await published("shop", "t1")).queued, 1);
});

test("what is dead finds no room where too much waits, and who sends it anew is told which limit it is", async (world) => {
  const { endpoint: { id } } = await world.make();
  const { webhooks } = world.gateways[0]!;
  world.egress.answer = refused;
  await world.publish("dead");
  await world.quiet();
  const [dead] = await world.deliveries(id, "dead");
  await nothingIsSent(world);
  await world.publish("waits");
  const again = () => webhooks.redeliver(principal("shop"), id, dead!.id, CONTEXT);
  world.rules.set("shop", { maxWaiting: 1 });
  await rejects(again(), refusal("QUOTA_EXCEEDED", "webhooks.waiting", 1));
  world.rules.set("shop", { maxWaitingBytes: 200 });
  await rejects(again(), refusal("QUOTA_EXCEEDED", "webhooks.waiting_bytes", 200));
  equal((await world.deliveries(id, "dead")).length, 1, "it is as it was");
  world.rules.delete("shop");
  equal((await again()).state, "waiting");
});

test("of each namespace no more is sent at once than it may, and a change of that holds for what comes next", async (world) => {
  world.egress.answer = hanging;
  world.rules.set("shop", { maxInFlight: 1 });
  world.rules.set("cafe", { maxInFlight: 3 });
  for (let at = 0; at < 5; at++) {
    await world.make(`https://shop.example/${at}`);
    await world.make(`https://cafe.example/${at}`, { namespace: "cafe" });
  }
  for (const namespace of ["shop", "cafe"]) await world.publish("e1", { namespace });
  await world.pass(4 * SECOND);
  const open = (host: string) => world.egress.sent.filter(({ request }) => request.url.includes(host)).length;
  deepEqual([open("shop"), open("cafe")], [1, 3]);
  world.rules.set("shop", { maxInFlight: 4 });
  world.rules.set("cafe", { maxInFlight: 1 });
  await world.pass(4 * SECOND);
  deepEqual([open("shop"), open("cafe")], [4, 3], "what is under way is not broken off, and nothing comes beside it");
});

test("what ended is remembered as long and as much as its own namespace may, once that is lowered as well", async (world) => {
  const shop = await world.make(), cafe = await world.make("https://b.example/", { namespace: "cafe" });
  const { webhooks } = world.gateways[0]!;
  const all = [["shop", shop.endpoint.id], ["cafe", cafe.endpoint.id]] as const;
  for (const [namespace] of all) {
    for (const id of ["d1", "d2", "d3"]) {
      world.egress.answer = () => answered(204);
      await world.publish(id, { namespace });
      await world.pass(3 * SECOND);
      world.egress.answer = refused;
      await world.publish(`dead-${id}`, { namespace });
      // A webhook at which something failed is left alone for a while.
      await world.pass(9 * SECOND, 3 * SECOND);
    }
  }
  const left = async (at: number, wanted: readonly string[]) => {
    const [namespace, id] = all[at]!;
    await world.pass(2 * MINUTE, MINUTE);
    await until(`of ${namespace} there is ${wanted}`, async () => {
      const { items } = await webhooks.deliveries(namespace, id, { limit: 100 }, CONTEXT);
      return String(idsOf(items)) === String(wanted);
    });
  };
  const EVERYTHING = ["d1", "d2", "d3", "dead-d1", "dead-d2", "dead-d3"];
  for (const at of [0, 1]) await left(at, EVERYTHING);
  world.rules.set("shop", { maxRemembered: 2 });
  await left(0, ["d2", "d3", "dead-d2", "dead-d3"]);
  world.rules.set("shop", { deliveredRetention: MINUTE });
  await left(0, ["dead-d2", "dead-d3"]);
  world.rules.set("shop", { deadRetention: MINUTE });
  await left(0, []);
  await left(1, EVERYTHING);
  await world.publish("later");
  world.rules.set("shop", { deadRetention: MINUTE, deliveredRetention: MINUTE });
  world.rules.set("cafe", { maxRemembered: Infinity, deliveredRetention: Infinity, deadRetention: Infinity });
  world.clock.pass(400 * 24 * HOUR);
  await left(0, []);
  await left(1, EVERYTHING);
  world.rules.delete("cafe");
  await left(1, []);
});

test("where nothing is to be remembered nothing is, and while nobody knows how much, everything", async (world) => {
  const { endpoint } = await world.make();
  world.rules.set("shop", { maxRemembered: Infinity });
  for (const id of ["e1", "e2"]) {
    await world.publish(id);
    await world.pass(3 * SECOND);
  }
  equal((await world.deliveries(endpoint.id)).length, 2);
  world.rules.set("shop", { maxRemembered: 0 });
  await world.publish("e3");
  await world.pass(3 * SECOND);
  deepEqual(await world.deliveries(endpoint.id), []);
});

const tryAgain = { tries: 3, delay: 2 * SECOND, factor: 10, maxDelay: 6 * SECOND, life: HOUR };

test("tries, pauses and the longest of them are those that are configured", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(500);
  await world.publish("e1");
  await world.pass(20 * SECOND, SECOND / 2);
  const [first, ...others] = world.egress.times;
  deepEqual(others.map((at) => at - first!), [2 * SECOND, 8 * SECOND]);
  const [dead] = await world.deliveries(endpoint.id, "dead");
  equal(dead!.tries, 3);
}, { retry: tryAgain });

test("what waits for longer than is configured is dead, however few tries it had", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(500);
  await world.publish("e1");
  await world.pass(7 * MINUTE, 30 * SECOND);
  const [dead] = await world.deliveries(endpoint.id, "dead");
  ok(dead!.tries < RETRY.tries, String(dead!.tries));
  const sent = world.egress.sent.length;
  await world.pass(HOUR, 10 * MINUTE);
  equal(world.egress.sent.length, sent);
}, { retry: { ...RETRY, life: 5 * MINUTE } });

test("a receiver has as long to answer as is configured", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = hanging;
  await world.publish("e1");
  await world.pass(3 * SECOND);
  equal((await world.deliveries(endpoint.id))[0]!.last!.error, "no answer came within 2 seconds");
}, { timeout: 2 * SECOND });
