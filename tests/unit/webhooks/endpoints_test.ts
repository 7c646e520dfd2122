import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { delayAfter, postponement, restAfter, wishOf } from "../../../services/webhooks/schedule.ts";
import { verifyWebhook } from "../../../src/client/webhooks/verify.ts";
import { hasCode } from "../../../src/contracts/errors.ts";
import { code } from "../auth/support/node.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { answered, received } from "./support/fake_egress.ts";
import { NOON, principal, RETRY, RULES, World } from "./support/world.ts";

const SECOND = 1_000, HOUR = 3_600_000;

const test = (name: string, scenario: (world: World) => Promise<void>) =>
  Deno.test(name, async () => {
    await using control = await openControl();
    await using world = new World(control);
    for (const name of ["shop", "cafe"]) await world.namespace(name);
    await world.gateway();
    await scenario(world);
    deepEqual(world.errors, []);
  });

const seen = (key: string, world: World) =>
  verifyWebhook(received(world.egress.sent.at(-1)!), key, {
    seen: () => false,
    now: () => world.clock.now(),
  });

test("a secret is shown once, by nothing else, and is not in the control plane as it is", async (world) => {
  const { endpoint, secret } = await world.make();
  match(secret!, /^whsec_[A-Za-z0-9_-]{43}$/);
  const { webhooks } = world.gateways[0]!;
  const bytes = secret!.slice("whsec_".length);
  const shown = [
    await webhooks.list("shop", CONTEXT),
    await webhooks.get("shop", endpoint.id, CONTEXT),
    await webhooks.change(principal("shop"), endpoint.id, { description: "d" }, CONTEXT),
    await world.control.db.selectFrom("webhook_endpoints").selectAll().execute(),
    await world.control.db.selectFrom("audit_events").selectAll().execute(),
    await world.control.db.selectFrom("revocations").selectAll().execute(),
  ];
  for (const one of shown) equal(JSON.stringify(one).includes(bytes), false);
  const ed = await world.make("https://app.example/ed", { algorithm: "ed25519" });
  equal(ed.secret, undefined);
  match(ed.endpoint.keys[0]!.publicKey!, /^whpk_/);
});

test("of another namespace nothing is found, changed or sent", async (world) => {
  const { endpoint: { id } } = await world.make();
  const { webhooks } = world.gateways[0]!;
  world.egress.answer = () => answered(410);
  await world.publish("e1");
  await world.quiet();
  const [{ id: delivery }] = await world.deliveries(id) as unknown as [{ id: string }];
  const cafe = principal("cafe");
  for (
    const attempt of [
      () => webhooks.get("cafe", id, CONTEXT),
      () => webhooks.change(cafe, id, { enabled: false }, CONTEXT),
      () => webhooks.delete(cafe, id, CONTEXT),
      () => webhooks.rotate(cafe, id, CONTEXT),
      () => webhooks.test("cafe", id, CONTEXT),
      () => webhooks.deliveries("cafe", id, { limit: 1 }, CONTEXT),
      () => webhooks.redeliver(cafe, id, delivery, CONTEXT),
    ]
  ) await rejects(attempt(), code("NOT_FOUND"));
  const other = await world.make("https://cafe.example/", { namespace: "cafe" });
  await rejects(webhooks.redeliver(cafe, other.endpoint.id, delivery, CONTEXT), code("NOT_FOUND"));
  deepEqual(await webhooks.list("cafe", CONTEXT), [other.endpoint]);
  equal((await webhooks.publish("cafe", { id: "e2", type: "a", data: 1 }, CONTEXT)).queued, 1);
  await world.quiet();
  deepEqual(world.egress.told, ["/hook e1", "/ e2"]);
});

test("a sealed key moved to another endpoint or namespace does not open", async (world) => {
  const one = await world.make(), two = await world.make("https://app.example/two");
  const { db } = world.control;
  const [row] = await db.selectFrom("webhook_endpoints").select("keys").where("id", "=", one.endpoint.id).execute();
  await world.control.run(db.updateTable("webhook_endpoints").set(row!).where("id", "=", two.endpoint.id));
  const trial = await world.gateways[0]!.webhooks.test("shop", two.endpoint.id, CONTEXT);
  equal(trial.delivered, false);
  match(trial.error!, /key cannot be used/);
  equal(world.egress.sent.length, 0);
  equal(world.errors.splice(0).length, 1);
});

test("after a rotation both keys sign for a day, then the new one alone", async (world) => {
  const { endpoint: { id }, secret: first } = await world.make();
  const { webhooks } = world.gateways[0]!;
  const { secret: second, endpoint } = await webhooks.rotate(principal("shop"), id, CONTEXT);
  deepEqual(endpoint.keys.map(({ until }) => until), [undefined, world.clock.now() + 24 * HOUR]);
  await webhooks.test("shop", id, CONTEXT);
  for (const secret of [first!, second!]) equal((await seen(secret, world)).type, "webhook.test");
  world.clock.pass(24 * HOUR + 1);
  await webhooks.test("shop", id, CONTEXT);
  await seen(second!, world);
  await rejects(seen(first!, world), /no signature is by this key/);
  equal((await webhooks.get("shop", id, CONTEXT)).keys.length, 1);
});

test("however often keys are replaced, three sign, and of two replacements at once one is told", async (world) => {
  const { endpoint: { id } } = await world.make();
  const { webhooks } = world.gateways[0]!;
  for (let i = 0; i < 5; i++) await webhooks.rotate(principal("shop"), id, CONTEXT);
  equal((await webhooks.get("shop", id, CONTEXT)).keys.length, 3);
  const both = await Promise.allSettled([1, 2].map(() => webhooks.rotate(principal("shop"), id, CONTEXT)));
  const refused = both.filter((one) => one.status === "rejected");
  ok(refused.every(({ reason }) => hasCode(reason, "CONFLICT")));
  ok(refused.length <= 1);
});

test("a namespace has twenty endpoints at most, whatever many are made at once", async (world) => {
  const made = await Promise.allSettled(Array.from({ length: 24 }, (_, i) => world.make(`https://app.example/${i}`)));
  const refused = made.flatMap((one) => one.status === "rejected" ? [one.reason.code] : []);
  deepEqual(refused, Array(4).fill("QUOTA_EXCEEDED"));
  await world.make("https://cafe.example/", { namespace: "cafe" });
});

test("URLs, patterns and texts of a wrong shape are refused by name", async (world) => {
  const { webhooks } = world.gateways[0]!;
  const good = {
    url: "https://a.example/",
    events: ["*"],
    description: "",
    enabled: true,
    algorithm: "ed25519",
  } as const;
  const wrong = {
    url: [
      "",
      "a",
      "/a",
      "//a.example",
      "ftp://a.example/",
      "file:///etc/passwd",
      "javascript:alert(1)",
      "data:text/plain,a",
      "https://user@a.example/",
      "https://a:b@a.example/",
      "https://a.example/#a",
      "https://a.example/#",
      "https://",
      "https://a.example/" + "a".repeat(2_100),
      "https://a.example/\ud800",
    ],
    events: [[], [""], ["a..b"], [".a"], ["a."], ["*.a"], ["a*"], ["A"], ["a b"], ["a?"], ["[a]"], Array(33).fill("a")],
    description: ["a".repeat(257), "\ud800"],
  };
  for (const [field, values] of Object.entries(wrong)) {
    for (const value of values) {
      const creating = webhooks.create(principal("shop"), { ...good, [field]: value }, CONTEXT);
      await rejects(creating, (error: unknown) => {
        ok(hasCode(error, "INVALID_REQUEST"), String(value));
        const [{ field: named }] = error.extra.details as [{ field: string }];
        return named.split(".")[0] === field;
      }, `${field} ${value}`);
    }
  }
  const { endpoint } = await webhooks.create(
    principal("shop"),
    { ...good, url: "HTTPS://A.example:443/b/../c" },
    CONTEXT,
  );
  equal(endpoint.url, "https://a.example/c", "as it will be signed");
});

test("events go where a pattern fits, once for each id, and to nobody who is off", async (world) => {
  const { webhooks } = world.gateways[0]!;
  await world.make("https://a.example/all");
  await world.make("https://a.example/some", { events: ["function.*", "function.failed"] });
  await world.make("https://a.example/exact", { events: ["storage.pinned"] });
  const off = await world.make("https://a.example/off");
  await webhooks.change(principal("shop"), off.endpoint.id, { enabled: false }, CONTEXT);
  const types = ["function.failed", "functions.failed", "function", "storage.pinned", "storage.pinned.again"];
  const queued = [];
  for (const [at, type] of types.entries()) queued.push((await world.publish(`e${at}`, { type })).queued);
  deepEqual(queued, [2, 1, 1, 2, 1]);
  deepEqual(await world.publish("e0", { type: "function.failed" }), { id: "e0", queued: 0, dropped: 0 });
  await world.pass(8 * SECOND);
  deepEqual(world.egress.told.filter((line) => line.startsWith("/some")), ["/some e0"]);
  deepEqual(world.egress.told.filter((line) => line.startsWith("/exact")), ["/exact e3"]);
  equal(world.egress.told.some((line) => line.startsWith("/off")), false);
  const late = await webhooks.create(
    principal("shop"),
    { url: "https://a.example/late", events: ["*"], description: "", enabled: true, algorithm: "hmac-sha256" },
    CONTEXT,
  );
  equal((await world.publish("e9")).queued, 2, "an endpoint is heard of at once");
  await webhooks.delete(principal("shop"), late.endpoint.id, CONTEXT);
  equal((await world.publish("e10")).queued, 1, "and forgotten at once");
});

test("what waits is bounded for each endpoint and each namespace, and what finds no room is told of", async (world) => {
  const { webhooks } = world.gateways[0]!;
  await webhooks.close();
  const { endpoint } = await world.make("https://a.example/one");
  const data = "x".repeat(60_000);
  let queued = 0, dropped = 0;
  for (let i = 0; dropped === 0 && i < 2 * RULES.maxWaiting; i++) {
    const published = await world.publish(`e${i}`, { data });
    queued += published.queued;
    dropped += published.dropped;
  }
  ok(queued > 250 && queued * 60_000 <= RULES.maxWaitingBytes, String(queued));
  equal(webhooks.figures().dropped, 1);
  equal((await webhooks.publish("cafe", { type: "a", data: 1 }, CONTEXT)).dropped, 0);
  await world.make("https://cafe.example/", { namespace: "cafe" });
  equal((await world.publish("e1", { namespace: "cafe", data })).queued, 1, "another namespace has its own room");
  await webhooks.delete(principal("shop"), endpoint.id, CONTEXT);
  await world.make("https://a.example/two");
  let small = 0;
  for (let i = 0; i <= RULES.maxWaiting; i++) small += (await world.publish(`s${i}`)).queued;
  equal(small, RULES.maxWaiting);
});

test("an event that is none, or too large, is refused and nothing of it kept", async (world) => {
  const { webhooks } = world.gateways[0]!;
  await world.make();
  for (const type of ["", "A", "a b", "a.", "*", "a".repeat(200)]) {
    await rejects(webhooks.publish("shop", { type, data: 1 }, CONTEXT), code("INVALID_REQUEST"), type);
  }
  for (const id of ["", "a b", "a".repeat(129)]) {
    await rejects(webhooks.publish("shop", { id, type: "a", data: 1 }, CONTEXT), code("INVALID_REQUEST"), id);
  }
  await rejects(webhooks.publish("shop", { type: "a", data: 1n }, CONTEXT), code("INVALID_REQUEST"));
  await rejects(webhooks.publish("shop", { type: "a", data: "é".repeat(40_000) }, CONTEXT), code("BODY_TOO_LARGE"));
  equal((await webhooks.usage("shop", CONTEXT.signal)).webhook_deliveries, 0);
  await world.publish("e1", { data: undefined });
  await world.quiet();
  equal(world.egress.sent[0]!.event.data, null);
});

test("of what was taken or given up the last hundred are remembered, and nothing for ever", async (world) => {
  const { endpoint } = await world.make();
  let status = 200;
  world.egress.answer = () => answered(status);
  for (let i = 0; i < RULES.maxRemembered + 5; i++) {
    await world.publish(`e${i}`);
    await world.quiet();
  }
  equal((await world.deliveries(endpoint.id, "delivered")).length, RULES.maxRemembered);
  const rows = await world.control.db.selectFrom("webhook_deliveries").select(["body"]).execute();
  ok(rows.every(({ body }) => body === ""), "nothing of what was taken is kept");
  status = 500;
  await world.publish("late");
  await world.quiet();
  world.clock.pass(RETRY.life + SECOND);
  const restarted = await world.gateway({ maxInFlight: 0 });
  await world.pass(120 * SECOND, 60 * SECOND);
  deepEqual((await world.deliveries(endpoint.id, "dead")).map(({ eventId }) => eventId), ["late"]);
  ok(restarted.webhooks.figures().kept!.dead <= 1);
  world.clock.pass(RULES.deadRetention + SECOND);
  await world.pass(120 * SECOND, 60 * SECOND);
  deepEqual(await world.deliveries(endpoint.id), []);
  deepEqual(restarted.webhooks.figures().kept, { waiting: 0, dead: 0 });
});

test("deliveries are listed page by page, and a cursor of nobody's is refused", async (world) => {
  const { endpoint: { id } } = await world.make();
  const { webhooks } = world.gateways[0]!;
  for (let i = 0; i < 5; i++) await world.publish(`e${i}`);
  const found: string[] = [];
  for (let cursor: string | undefined, page = 0; page === 0 || cursor !== undefined; page++) {
    const { items, next } = await webhooks.deliveries("shop", id, { limit: 2, cursor }, CONTEXT);
    found.push(...items.map(({ eventId }) => eventId));
    cursor = next;
  }
  deepEqual(found.toSorted(), ["e0", "e1", "e2", "e3", "e4"]);
  await rejects(webhooks.deliveries("shop", id, { limit: 2, cursor: "AAAA" }, CONTEXT), code("INVALID_REQUEST"));
});

Deno.test("tries are put off longer and longer, by a chance that is bounded; wishes of receivers are read with care", () => {
  deepEqual([1, 2, 7].map((tries) => delayAfter(tries, 0, 0.5, RETRY)), [15_000, 60_000, 61_440_000]);
  deepEqual([0, 1].map((chance) => delayAfter(1, 0, chance, RETRY)), [12_000, 18_000]);
  equal(delayAfter(1, 50_000, 0.5, RETRY), 50_000);
  deepEqual([1, 2, 3, 90].map((tries) => delayAfter(tries, 0, 0.5, { ...RETRY, maxDelay: 60_000 })), [
    15_000,
    60_000,
    60_000,
    60_000,
  ]);
  deepEqual([0, 1].map(postponement), [8_000, 12_000]);
  deepEqual([1, 2, 7, 1_000].map(restAfter), [1_000, 2_000, 60_000, 60_000]);
  const wishes: [string | undefined, number][] = [
    [undefined, 0],
    ["", 0],
    ["30", 30_000],
    [" 30 ", 30_000],
    ["-1", 0],
    ["1.5", 0],
    ["1e9", 0],
    ["999999999", 6 * HOUR],
    ["99999999999", 0],
    [new Date(NOON + 60_000).toUTCString(), 60_000],
    [new Date(NOON - 60_000).toUTCString(), 0],
    ["Thu, 01 Jan 9999 00:00:00 GMT", 6 * HOUR],
    ["Xxx, 99 Yyy 2026 99:99:99 GMT", 0],
    ["tomorrow", 0],
  ];
  for (const [value, ms] of wishes) equal(wishOf(value, NOON), ms, String(value));
});
