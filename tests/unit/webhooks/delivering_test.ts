import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { EgressFailure } from "../../../src/contracts/egress.ts";
import { verifyWebhook } from "../../../src/client/webhooks/verify.ts";
import { until } from "../../engines/support/wait.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { code } from "../auth/support/node.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { openControl } from "../control_plane/support/control.ts";
import { answered, hanging, received } from "./support/fake_egress.ts";
import { principal, World } from "./support/world.ts";

const SECOND = 1_000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE;

const test = (name: string, scenario: (world: World) => Promise<void>) =>
  Deno.test(name, async () => {
    await using control = await openControl();
    await using world = new World(control);
    await world.namespace("shop");
    await world.gateway();
    await scenario(world);
  });

const noErrors = ({ errors }: World) => deepEqual(errors, []);

test("an event is sent at once, signed, by whichever way is configured, and its receiver can tell", async (world) => {
  const { endpoint, secret } = await world.make();
  deepEqual(await world.publish("e1", { data: { a: [1] } }), { id: "e1", queued: 1, dropped: 0 });
  await world.quiet();
  const [sent, ...more] = world.egress.sent;
  deepEqual(more, []);
  deepEqual([sent!.namespace, sent!.request.method, sent!.request.url], ["shop", "POST", "https://app.example/hook"]);
  deepEqual([sent!.options.way, sent!.options.maxRedirects], ["configured", 0]);
  const event = await verifyWebhook(received(sent!), secret!, { seen: () => false, now: () => world.clock.now() });
  deepEqual(event, {
    id: "e1",
    type: "test.done",
    namespace: "shop",
    createdAt: new Date(world.clock.now()),
    data: { a: [1] },
  });
  const [delivery] = await world.deliveries(endpoint.id);
  deepEqual([delivery!.state, delivery!.tries, delivery!.last!.status, delivery!.last!.error], [
    "delivered",
    1,
    204,
    undefined,
  ]);
  equal(world.gateways[0]!.webhooks.figures().tries.delivered, 1);
  noErrors(world);
});

test("what fails is tried eight times over a day, each time with another nonce, and kept then", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(500);
  await world.publish("e1");
  await world.quiet();
  for (const [at, gap] of [15, 60, 240, 960, 3_840, 15_360, 61_440].entries()) {
    equal(world.egress.sent.length, at + 1);
    const dueAt = (await world.deliveries(endpoint.id, "waiting"))[0]!.dueAt!;
    equal(dueAt - world.egress.times[at]!, gap * SECOND);
    world.clock.pass(dueAt - world.clock.now() - 3 * SECOND);
    await world.pass(2 * SECOND);
    equal(world.egress.sent.length, at + 1, "not before its time");
    await world.pass(4 * SECOND);
  }
  equal(world.egress.sent.length, 8);
  await world.pass(MINUTE, 10 * SECOND);
  equal(new Set(world.egress.sent.map(({ requestId }) => requestId)).size, 8);
  const [dead] = await world.deliveries(endpoint.id, "dead");
  deepEqual([dead!.tries, dead!.dueAt, dead!.last], [8, undefined, {
    at: dead!.last!.at,
    status: 500,
    error: "the receiver answered 500",
  }]);
  deepEqual(world.gateways[0]!.webhooks.figures().tries, { delivered: 0, failed: 7, dead: 1, postponed: 0, lost: 0 });
});

test("a dead delivery is sent anew as the endpoint is by then, and what is not dead is not", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => Promise.reject(new EgressFailure("EGRESS_ADDRESS_REFUSED", "the address is private"));
  await world.publish("e1", { data: 7 });
  await world.quiet();
  const { webhooks } = world.gateways[0]!;
  const [dead] = await world.deliveries(endpoint.id, "dead");
  equal(dead!.last!.error, "the address is private");
  world.egress.answer = () => answered(200);
  await webhooks.change(principal("shop"), endpoint.id, { url: "https://other.example/in" }, CONTEXT);
  equal((await webhooks.redeliver(principal("shop"), endpoint.id, dead!.id, CONTEXT)).state, "waiting");
  await world.pass(5 * SECOND);
  const [first, second, ...more] = world.egress.sent;
  deepEqual(more, []);
  deepEqual([second!.request.url, second!.event.data], ["https://other.example/in", 7]);
  ok(first!.requestId !== second!.requestId, "a receiver that remembers nonces takes it");
  const again = webhooks.redeliver(principal("shop"), endpoint.id, dead!.id, CONTEXT);
  await rejects(again, code("CONFLICT"));
  await rejects(webhooks.redeliver(principal("shop"), endpoint.id, "whd_no", CONTEXT), code("NOT_FOUND"));
});

test("what may not be sent is dead at once; what only this side could not is put off, and does not count", async (world) => {
  const { endpoint } = await world.make();
  const failures = ["EGRESS_NOT_AVAILABLE", "EGRESS_BUSY", "EGRESS_PROXY_UNAVAILABLE", "EGRESS_UNAVAILABLE"] as const;
  let at = 0;
  world.egress.answer = () => {
    const failure = failures[at++];
    return failure ? Promise.reject(new EgressFailure(failure, `because of ${failure}`)) : answered(200);
  };
  await world.publish("e1");
  await world.pass(60 * SECOND);
  const [delivery] = await world.deliveries(endpoint.id);
  deepEqual([delivery!.state, delivery!.tries, at], ["delivered", 1, 5]);
  for (const failure of ["EGRESS_ADDRESS_REFUSED", "EGRESS_TARGET_REFUSED", "EGRESS_REQUEST_INVALID"] as const) {
    world.egress.answer = () => Promise.reject(new EgressFailure(failure, `because of ${failure}`));
    await world.publish(failure);
    await world.pass(10 * SECOND);
    const [refused] = await world.deliveries(endpoint.id, "dead");
    deepEqual([refused!.eventId, refused!.tries], [failure, 1]);
    await world.pass(MINUTE, 10 * SECOND);
  }
  noErrors(world);
});

test("a redirect is a failure, whatever it points at", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(302, [["location", "http://169.254.169.254/"]]);
  await world.publish("e1");
  await world.quiet();
  const [delivery] = await world.deliveries(endpoint.id);
  deepEqual([delivery!.state, delivery!.last!.status], ["waiting", 302]);
  match(delivery!.last!.error!, /redirects are not followed/);
  equal(world.egress.sent.length, 1);
});

test("410 switches the endpoint off, and it is told of nothing until its owner switches it on", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(410);
  await world.publish("e1");
  await world.quiet();
  const { webhooks } = world.gateways[0]!;
  const seen = await webhooks.get("shop", endpoint.id, CONTEXT);
  deepEqual([seen.enabled, seen.disabledReason], [false, "the receiver answered 410: it wants nothing any more"]);
  equal((await world.deliveries(endpoint.id))[0]!.state, "dead");
  await world.publish("e2");
  await world.pass(10 * SECOND);
  deepEqual(world.egress.told, ["/hook e1"]);
  world.egress.answer = () => answered(200);
  const on = await webhooks.change(principal("shop"), endpoint.id, { enabled: true }, CONTEXT);
  deepEqual([on.enabled, on.disabledReason], [true, undefined]);
  await world.publish("e3");
  await world.pass(10 * SECOND);
  deepEqual(world.egress.told, ["/hook e1", "/hook e3"]);
});

test("a Retry-After is minded for all that waits, up to six hours", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(503, [["Retry-After", "120"]]);
  await world.publish("e1");
  await world.quiet();
  await world.publish("e2");
  await world.pass(110 * SECOND, 10 * SECOND);
  equal(world.egress.sent.length, 1);
  world.egress.answer = () => answered(429, [["Retry-After", "99999999"]]);
  await world.pass(20 * SECOND, 5 * SECOND);
  equal(world.egress.sent.length, 2);
  const waiting = await world.deliveries(endpoint.id, "waiting");
  const last = waiting.find(({ last }) => last?.status === 429)!;
  equal(last.dueAt! - last.last!.at, 6 * HOUR);
});

test("one endpoint that hangs holds up no other, and costs its namespace one place", async (world) => {
  const slow = await world.make("https://slow.example/slow");
  await world.make("https://fast.example/fast");
  world.egress.answer = (sent) => sent.request.url.includes("slow") ? hanging(sent) : answered(200);
  for (const id of ["e1", "e2", "e3"]) await world.publish(id);
  await world.pass(14 * SECOND);
  deepEqual(world.egress.told.toSorted(), ["/fast e1", "/fast e2", "/fast e3", "/slow e1"]);
  equal(world.egress.peaks.get("https://slow.example/slow"), 1);
  await world.pass(3 * SECOND);
  const tried = (await world.deliveries(slow.endpoint.id)).find(({ eventId }) => eventId === "e1")!;
  deepEqual([tried.state, tried.last!.error], ["waiting", "no answer came within 15 seconds"]);
  noErrors(world);
});

test("what sends and does not even end when it is broken off holds nobody up", async (world) => {
  const { endpoint } = await world.make();
  const late = Promise.withResolvers<ReturnType<typeof answered>>();
  let cancelled = false;
  world.egress.answer = () => late.promise;
  await world.publish("e1");
  await world.pass(16 * SECOND);
  equal((await world.deliveries(endpoint.id))[0]!.last!.error, "no answer came within 15 seconds");
  equal(world.gateways[0]!.webhooks.figures().inFlight, 0);
  late.resolve(answered(200, [], new ReadableStream({ cancel: () => void (cancelled = true) })));
  await world.quiet();
  ok(cancelled, "an answer that nobody waits for is thrown away");
});

test("a huge answer is not read, and one that never ends does not count against the receiver", async (world) => {
  const { endpoint } = await world.make();
  let pulled = 0, cancelled = 0, isHanging = false;
  const body = (endless: boolean) =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        if (!endless) {
          isHanging = true;
          return new Promise(() => {});
        }
        pulled++;
        controller.enqueue(new Uint8Array(512));
      },
      cancel: () => void cancelled++,
    }, { highWaterMark: 0 });
  world.egress.answer = ({ event }) => answered(200, [], body(event.id === "e1"));
  await world.publish("e1");
  await world.quiet();
  deepEqual([pulled, cancelled], [2, 1]);
  await world.publish("e2");
  await until("its body is waited for", () => isHanging);
  await world.clock.advance(SECOND);
  await world.quiet();
  equal(cancelled, 2);
  deepEqual((await world.deliveries(endpoint.id, "delivered")).map(({ eventId }) => eventId).toSorted(), ["e1", "e2"]);
});

test("namespaces take turns: one with much to send and slow receivers leaves room for the others", async (world) => {
  await world.gateways[0]!.webhooks.close();
  world.gateways.length = 0;
  world.rules.set("shop", { maxInFlight: 3 });
  await world.gateway({ maxInFlight: 6 });
  for (let i = 0; i < 10; i++) await world.make(`https://slow.example/slow${i}`);
  await world.namespace("cafe");
  await world.make("https://cafe.example/cafe", { namespace: "cafe" });
  world.egress.answer = (sent) => sent.namespace === "shop" ? hanging(sent) : answered(200);
  for (const id of ["a", "b"]) await world.publish(id);
  await world.quiet();
  equal(world.gateways[0]!.webhooks.figures().inFlight, 3);
  for (const id of ["c", "d", "e"]) await world.publish(id, { namespace: "cafe" });
  await world.pass(5 * SECOND);
  // Rows of one millisecond stand in any order.
  const sent = world.egress.told.filter((line) => line.startsWith("/cafe"));
  deepEqual(sent.toSorted(), ["/cafe c", "/cafe d", "/cafe e"]);
  await world.pass(70 * SECOND);
  const slow = new Set(world.egress.told.filter((line) => line.startsWith("/slow")).map((line) => line.split(" ")[0]));
  equal(slow.size, 10, "each endpoint had its turn");
});

test("a gateway that dies while it sends has its turn taken over, and the try counts", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = hanging;
  await world.publish("e1");
  await world.quiet();
  world.gateways[0]!.way.isCut = true;
  await world.gateway();
  world.egress.answer = () => answered(200);
  await world.pass(20 * SECOND, 2 * SECOND);
  equal(world.egress.sent.length, 1, "it may still be sending");
  await world.pass(50 * SECOND, 2 * SECOND);
  equal(world.egress.sent.length, 2);
  const [delivery] = await world.deliveries(endpoint.id);
  deepEqual([delivery!.state, delivery!.tries], ["delivered", 2]);
  ok(world.egress.sent[0]!.requestId !== world.egress.sent[1]!.requestId);
});

test("a turn that was taken over meanwhile writes nothing", async (world) => {
  const { endpoint } = await world.make();
  const slow = Promise.withResolvers<ReturnType<typeof answered>>();
  world.egress.answer = () => slow.promise;
  await world.publish("e1");
  await world.quiet();
  await world.control.run(world.control.db.updateTable("webhook_endpoints").set({ run: "another" }));
  slow.resolve(answered(200));
  await world.quiet();
  const [delivery] = await world.deliveries(endpoint.id);
  deepEqual([delivery!.state, delivery!.last], ["waiting", undefined]);
  equal(world.gateways[0]!.webhooks.figures().tries.lost, 1);
});

test("nothing of a namespace that is gone is sent: not what waits, and what is being sent is broken off", async (world) => {
  const { endpoint } = await world.make();
  await world.make("https://app.example/second");
  world.egress.answer = (sent) => sent.request.url.endsWith("/hook") ? hanging(sent) : answered(500);
  await world.publish("e1");
  await world.quiet();
  equal(world.egress.open, 1);
  await world.markDeleted("shop");
  await world.quiet();
  equal(world.egress.open, 0, "broken off");
  const before = world.egress.sent.length;
  await world.pass(5 * MINUTE, 20 * SECOND);
  equal(world.egress.sent.length, before);
  const { webhooks } = world.gateways[0]!;
  await rejects(webhooks.get("shop", endpoint.id, CONTEXT), code("NOT_FOUND"));
  deepEqual((await webhooks.publish("shop", { type: "a", data: 1 }, CONTEXT)).queued, 0);
});

test("whoever has the name next is told nothing and sends nothing of what was before", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = () => answered(500);
  await world.publish("e1");
  await world.quiet();
  await world.markDeleted("shop");
  // A purge that was not even made: rows go with the namespace, and until then they are another namespace's.
  await world.control.run(world.control.db.updateTable("namespaces").set({ state: "active", created_at: 5 }));
  const before = world.egress.sent.length;
  await world.pass(5 * MINUTE, 20 * SECOND);
  const { webhooks } = world.gateways[0]!;
  deepEqual(await webhooks.list("shop", CONTEXT), []);
  await rejects(webhooks.deliveries("shop", endpoint.id, { limit: 1 }, CONTEXT), code("NOT_FOUND"));
  await rejects(webhooks.test("shop", endpoint.id, CONTEXT), code("NOT_FOUND"));
  await rejects(webhooks.rotate(principal("shop"), endpoint.id, CONTEXT), code("NOT_FOUND"));
  equal((await webhooks.publish("shop", { type: "a", data: 1 }, CONTEXT)).queued, 0);
  equal(world.egress.sent.length, before);
});

test("a test event is sent once, to an endpoint that is off as well, and its outcome told", async (world) => {
  const { endpoint, secret } = await world.make();
  const { webhooks } = world.gateways[0]!;
  await webhooks.change(principal("shop"), endpoint.id, { enabled: false }, CONTEXT);
  deepEqual(await webhooks.test("shop", endpoint.id, CONTEXT), {
    delivered: true,
    status: 204,
    error: undefined,
    duration: 0,
  });
  const event = await verifyWebhook(received(world.egress.sent[0]!), secret!, {
    seen: () => false,
    now: () => world.clock.now(),
  });
  equal(event.type, "webhook.test");
  world.egress.answer = () => answered(404);
  equal((await webhooks.test("shop", endpoint.id, CONTEXT)).error, "the receiver answered 404");
  world.egress.answer = () => Promise.reject(new EgressFailure("EGRESS_ADDRESS_REFUSED", "the address is private"));
  deepEqual((await webhooks.test("shop", endpoint.id, CONTEXT)).error, "the address is private");
  deepEqual(await world.deliveries(endpoint.id), []);
  await rejects(webhooks.test("cafe", endpoint.id, CONTEXT), code("NOT_FOUND"));
});

test("no more than two tests of a namespace are under way, and who leaves ends its own", async (world) => {
  const { endpoint } = await world.make();
  const { webhooks } = world.gateways[0]!;
  world.egress.answer = hanging;
  const leaving = new AbortController();
  const context = { ...CONTEXT, signal: leaving.signal };
  const running = awaitedLater([1, 2].map(() => webhooks.test("shop", endpoint.id, context)));
  await rejects(webhooks.test("shop", endpoint.id, CONTEXT), code("RATE_LIMITED"));
  await world.quiet();
  leaving.abort(new DOMException("gone", "AbortError"));
  for (const one of running) await rejects(one, /gone/);
  equal(world.egress.open, 0);
  world.egress.answer = () => answered(200);
  equal((await webhooks.test("shop", endpoint.id, CONTEXT)).delivered, true);
});

test("a key that cannot be opened sends nothing, and the operator is told", async (world) => {
  const { endpoint } = await world.make();
  await world.control.run(
    world.control.db.updateTable("webhook_endpoints").set({
      keys: JSON.stringify([{ id: "whk_1", sealed: "v1.AAAA" }]),
    }),
  );
  await world.publish("e1");
  await world.pass(5 * SECOND);
  deepEqual(world.egress.sent, []);
  const [delivery] = await world.deliveries(endpoint.id);
  deepEqual([delivery!.state, delivery!.tries], ["waiting", 0]);
  ok(world.errors.length > 0);
  equal(world.errors[0]!.what, endpoint.id);
});

test("a gateway that stops lets what it sends end, breaks off the rest, and another one goes on", async (world) => {
  const { endpoint } = await world.make();
  world.egress.answer = hanging;
  await world.publish("e1");
  await world.quiet();
  const stopping = world.gateways[0]!.webhooks.close();
  let isOver = false;
  stopping.then(() => isOver = true);
  while (!isOver) await world.clock.advance(500);
  const [delivery] = await world.gateways[0]!.webhooks.deliveries("shop", endpoint.id, { limit: 1 }, CONTEXT)
    .then(({ items }) => items);
  deepEqual([delivery!.state, delivery!.tries, delivery!.last!.error], ["waiting", 0, "the gateway broke it off"]);
  world.egress.answer = () => answered(200);
  await world.gateway();
  await world.pass(20 * SECOND);
  equal((await world.deliveries(endpoint.id))[0]!.state, "delivered");
  noErrors(world);
});
