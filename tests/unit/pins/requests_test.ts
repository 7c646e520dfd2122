import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { GatewayError } from "../../../src/contracts/errors.ts";
import { cidOf } from "../../support/memory_content.ts";
import { code } from "../auth/support/node.ts";
import { HOUR, MINUTE } from "../control_plane/support/clock.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { Storages, utf8 } from "../storage/support/storage.ts";
import { ALL, isSettled, Requester } from "./support/requests.ts";

const HELLO = cidOf(utf8("hello")), WORLD = cidOf(utf8("world"));

Deno.test("a claim that requests alone ask for goes with the last of them; an upload, a pin by CID and PATCH make it stay", async () => {
  for (const stay of ["nothing", "upload", "pin", "change"] as const) {
    await using t = await Storages.start("shop", "cafe");
    const gateway = t.gateway(), shop = new Requester(gateway, "shop");
    await gateway.upload("cafe", "hello", { visibility: "public" });
    const [one, two] = [await shop.add(HELLO, { name: "one" }), await shop.add(HELLO, { name: "two" })];
    deepEqual(await shop.shown(), ["two pinned", "one pinned"]);
    deepEqual((await t.usage())[1], { namespace: "shop", bytes: 5, objects: 1 });
    if (stay === "upload") await gateway.upload("shop", "hello");
    if (stay === "pin") await gateway.pin("shop", HELLO);
    if (stay === "change") await gateway.service.change("shop", HELLO, { pin: true }, CONTEXT);
    await shop.remove(one.id);
    deepEqual(await shop.shown(), ["two pinned"]);
    await shop.remove(two.id);
    const left = (await t.objects()).some(({ namespace }) => namespace === "shop");
    equal(left, stay !== "nothing", stay);
    await isSettled(t);
  }
});

Deno.test("what was to expire stays as long as it is requested, whatever an upload or a change says meanwhile", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await gateway.upload("shop", "hello", { pin: false });
  const { id } = await shop.add(HELLO);
  for (const again of [true, false]) {
    if (again) await gateway.upload("shop", "hello", { pin: false });
    else equal((await gateway.service.change("shop", HELLO, { pin: false }, CONTEXT)).pinned, true);
    t.clock.advance(48 * HOUR);
    await t.reconcile();
    equal((await shop.get(id)).status, "pinned");
  }
  await shop.remove(id);
  deepEqual(await t.objects(), []);
  await gateway.upload("shop", "world");
  const other = await shop.add(WORLD);
  await gateway.service.change("shop", WORLD, { pin: false }, CONTEXT);
  await shop.remove(other.id);
  deepEqual(await t.objects(), [], "what was uploaded is not asked for any more, either");
  await isSettled(t);
});

Deno.test("requests go with the claim, whoever gives it up, and with the namespace", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop"), cafe = new Requester(gateway, "cafe");
  for (const requester of [shop, cafe]) {
    await gateway.upload(requester === shop ? "shop" : "cafe", "hello");
    await requester.add(HELLO, { name: "a" });
    await requester.add(HELLO, { name: "b" });
  }
  await gateway.unpin("shop", HELLO);
  deepEqual([await shop.shown(), await cafe.shown()], [[], ["b pinned", "a pinned"]]);
  await gateway.service.purge("cafe", CONTEXT.signal);
  equal((await t.control.db.selectFrom("storage_pin_requests").selectAll().execute()).length, 0);
  await t.reconcile();
  await isSettled(t);
});

Deno.test("content from the network: queued in every answer, then pinned; what nobody finds fails, and is looked for again", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway({ remotePins: true }), shop = new Requester(gateway, "shop");
  const peer = "/p2p/12D3KooWGRUVh7qLsFKBvVxJCdiUMWmqAyXmYGDkkRzm9ueVtzjm";
  const origins = ["/dnsaddr/nobody.example", `/ip4/10.0.0.1/tcp/1${peer}`, `/ip4/9.9.9.9/tcp/4001${peer}`];
  const made = await shop.add(HELLO, { name: "x", origins });
  deepEqual([made.status, made.details, made.size], ["queued", "the content is looked for on the network", undefined]);
  deepEqual(made.origins, [origins[2], origins[1], origins[0]]);
  await t.told();
  deepEqual(t.engine.pins.get(HELLO)?.origins, [origins[2], origins[1]], "the engine is told whom it can connect to");
  t.engine.status = "pinning";
  await t.reconcile(gateway);
  equal((await shop.get(made.id)).status, "queued", "the engine's own words would tell whether others have it");
  for (let quarter = 0; quarter < 4; quarter++) await t.reconcile(gateway);
  const failed = await shop.get(made.id);
  deepEqual([failed.status, failed.details], ["failed", "no node that was asked has it"]);
  deepEqual(await shop.shown(), ["x failed"]);
  equal(t.engine.pins.size, 0);
  const again = await shop.add(HELLO, { name: "y" });
  deepEqual([again.status, (await shop.get(made.id)).status], ["queued", "queued"]);
  t.engine.nodes.set(HELLO, { bytes: utf8("hello") });
  t.engine.status = "pinned";
  await t.reconcile(gateway);
  deepEqual(await shop.shown(), ["y pinned", "x pinned"]);
  equal((await shop.get(again.id)).size, 5);
  deepEqual(await t.usage(), [{ namespace: "shop", bytes: 5, objects: 1 }]);
  for (const { id } of [made, again]) await shop.remove(id);
  await t.reconcile(gateway);
  await isSettled(t);
});

Deno.test("what others have privately and what nobody has are one and the same, in every answer, for ever", async () => {
  await using t = await Storages.start("shop", "cafe");
  await t.gateway().upload("shop", "hello");
  const gateway = t.gateway({ remotePins: true }), cafe = new Requester(gateway, "cafe");
  const pinState = t.engine.pinState.bind(t.engine);
  t.engine.pinState = async (cid) =>
    cid === WORLD ? { status: "pinning", peers: [], error: undefined } : await pinState(cid);
  const seen: Record<string, unknown[]> = { [HELLO]: [], [WORLD]: [] };
  const ids = new Map<string, string>();
  const see = (cid: string, { id: _, createdAt: __, ...rest }: Record<string, unknown>) =>
    seen[cid]!.push({ ...rest, cid: "it" });
  for (const cid of [HELLO, WORLD]) {
    const made = await cafe.add(cid);
    ids.set(cid, made.id);
    see(cid, { ...made });
  }
  for (let quarter = 0; quarter < 6; quarter++) {
    await t.reconcile(gateway);
    for (const cid of [HELLO, WORLD]) see(cid, { ...await cafe.get(ids.get(cid)!) });
    const listed = (await cafe.shown()).map((line) => line.split(" ")[1]);
    equal(listed[0], listed[1]);
  }
  deepEqual(seen[HELLO], seen[WORLD]);
  equal((seen[HELLO]!.at(-1) as { status: string }).status, "failed");
});

Deno.test("who had content may have it again at once; for others it is content that nobody has, also under the old name", async () => {
  for (const who of ["shop", "cafe", "another shop"] as const) {
    await using t = await Storages.start("shop", "cafe");
    const gateway = t.gateway({ remotePins: true }), shop = new Requester(gateway, "shop");
    t.engine.far.set(HELLO, { bytes: utf8("hello") });
    const { id } = await shop.add(HELLO);
    await t.told();
    await t.reconcile(gateway);
    equal((await shop.get(id)).status, "pinned");
    await shop.remove(id);
    equal(t.engine.pins.size, 0);
    if (who === "another shop") {
      await gateway.service.purge("shop", CONTEXT.signal);
      await t.control.run(t.control.db.deleteFrom("namespaces").where("name", "=", "shop"));
      t.clock.advance(1);
      await t.namespace("shop");
    }
    // It waits beside whoever may have it, and is passed by; not even that it would not fit is told.
    const cafe = new Requester(t.gateway({ remotePins: true, rules: { maxObjectBytes: 1 } }), "cafe");
    const other = await cafe.add(HELLO, { name: "other" });
    const again = who === "cafe" ? undefined : await shop.add(HELLO, { name: "again" });
    await t.reconcile(t.gateway({ remotePins: true, rules: { maxObjectBytes: who === "shop" ? 5 : 1 } }));
    equal((await cafe.get(other.id)).status, "queued", who);
    if (again) equal((await shop.get(again.id)).status, who === "shop" ? "pinned" : "queued", who);
    for (let quarter = 0; quarter < 5; quarter++) await t.reconcile(gateway);
    equal((await cafe.get(other.id)).details, "no node that was asked has it");
  }
});

Deno.test("how it goes is asked of the engine for one request, and for none of a list", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await gateway.upload("shop", "hello");
  const { id } = await shop.add(HELLO, { name: "x" });
  const told: Readonly<Record<string, string>> = {
    pinned: "pinned",
    pinning: "pinning",
    queued: "queued",
    unknown: "queued",
    error: "failed",
  };
  for (const [status, expected] of Object.entries(told)) {
    t.engine.status = status as typeof t.engine.status;
    const { status: found, details } = await shop.get(id);
    deepEqual([found, details], [expected, status === "error" ? "it did not come" : undefined]);
  }
  t.engine.steps.length = 0;
  deepEqual(await shop.shown(), ["x pinned"]);
  deepEqual(t.engine.steps, []);
  t.engine.status = "pinned";
  t.engine.pins.clear();
  t.engine.steps.length = 0;
  equal((await shop.get(id)).status, "queued", "the engine has forgotten it");
  deepEqual(t.engine.steps, [`pinState ${HELLO}`, `pin ${HELLO}`], "and is told again, at once");
  ok(t.engine.pins.has(HELLO));
  deepEqual(await shop.shown(), ["x pinned"]);
  equal((await shop.get(id)).status, "pinned");
  t.engine.pins.clear();
  t.engine.before = (step) => {
    if (step === "pin") throw new GatewayError("UNAVAILABLE", "the engine is down");
  };
  equal((await shop.get(id)).status, "queued");
  deepEqual(await shop.shown(), ["x queued"], "until it could be told");
  t.engine.before = () => {};
  await t.reconcile();
  deepEqual(await shop.shown(), ["x pinned"]);
  ok(t.engine.pins.has(HELLO));
});

Deno.test("an engine that is down fails no request; it is queued with the reason until the engine is told", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await gateway.upload("shop", "hello", { pin: false });
  t.engine.before = () => {
    throw new GatewayError("UNAVAILABLE", "the engine is down");
  };
  const made = await shop.add(HELLO, { name: "x" });
  deepEqual([made.status, made.details], ["queued", "the engine is down"]);
  deepEqual(await shop.shown({ statuses: ["pinned", "failed"] }), []);
  t.engine.before = () => {};
  await t.reconcile();
  equal((await shop.get(made.id)).status, "pinned");
  t.engine.before = (step) => {
    if (step === "pinState") throw new GatewayError("UNAVAILABLE", "the engine is down");
  };
  await rejects(() => shop.get(made.id), code("UNAVAILABLE"));
  equal((await shop.add(HELLO)).status, "queued", "it is made, though nobody can say how it goes");
  await isSettled(t);
});

Deno.test("times are unique in a namespace and rise, whatever the clock does", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await gateway.upload("shop", "hello");
  const times: number[] = [];
  for (const step of [0, 0, 1_000, -5_000, 0, 10_000]) {
    t.clock.advance(step);
    times.push((await shop.add(HELLO)).createdAt);
  }
  deepEqual(times, times.toSorted((a, b) => a - b));
  equal(new Set(times).size, times.length);
  const { requests, total } = await gateway.service.requests.list("shop", { limit: 2, statuses: ALL }, CONTEXT);
  deepEqual([requests.map(({ createdAt }) => createdAt), total], [times.toReversed().slice(0, 2), 6]);
});

Deno.test("notes are found as they are, and nothing that only looks like them", async () => {
  await using t = await Storages.start("shop");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await gateway.upload("shop", "hello");
  const texts = [
    "",
    "a",
    "b",
    'a"',
    '"a',
    '","a":"b',
    'x","a":"b","y',
    "a\\",
    'a\\"',
    ":",
    "{",
    "}",
    ",",
    "1",
    "\n",
    "é",
    "😀",
    "%",
    "\u2028",
  ];
  const all = texts.flatMap((name) => texts.map((value) => ({ [name]: value })));
  const chosen = [...all.filter((_, i) => i % 7 === 0), { a: "b", b: "a" }, { b: "a", a: "b", "": "" }, {}];
  for (const [i, meta] of chosen.entries()) await shop.add(HELLO, { name: String(i), meta });
  const has = (meta: Record<string, string>, wanted: Record<string, string>) =>
    Object.entries(wanted).every(([name, value]) => meta[name] === value);
  for (const wanted of [...chosen, ...all.filter((_, i) => i % 3 === 0)]) {
    const expected = chosen.flatMap((meta, i) => has(meta, wanted) ? [`${i} pinned`] : []).reverse();
    deepEqual(await shop.shown({ meta: wanted }), expected, JSON.stringify(wanted));
  }
});

Deno.test("addresses of the nodes are asked for once in a while, and never fail a request", async () => {
  await using t = await Storages.start("shop");
  let asked = 0;
  Object.assign(t.engine, {
    delegates() {
      return ++asked === 1 ? Promise.resolve(["/ip4/203.0.113.1/tcp/4001/p2p/a"]) : Promise.reject(new Error("down"));
    },
  });
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  await gateway.upload("shop", "hello");
  const made = await Promise.all([1, 2, 3].map(() => shop.add(HELLO)));
  for (const { delegates } of made) deepEqual(delegates, ["/ip4/203.0.113.1/tcp/4001/p2p/a"]);
  equal(asked, 1);
  const other = new Requester(t.gateway(), "shop");
  deepEqual((await other.get(made[0]!.id)).delegates, [], "another gateway that cannot ask has none");
});

Deno.test("quotas hold, and a request that is refused leaves nothing", async () => {
  await using t = await Storages.start("shop", "cafe");
  await t.gateway().upload("cafe", "hello", { visibility: "public" });
  for (const rules of [{ maxBytes: 4 }, { maxObjectBytes: 4 }]) {
    const shop = new Requester(t.gateway({ rules }), "shop");
    await rejects(() => shop.add(HELLO), code("maxBytes" in rules ? "QUOTA_EXCEEDED" : "BODY_TOO_LARGE"));
  }
  await t.gateway().upload("shop", "world");
  const shop = new Requester(t.gateway({ rules: { maxObjects: 1 } }), "shop");
  await rejects(() => shop.add(HELLO), code("QUOTA_EXCEEDED"));
  const { id } = await shop.add(WORLD, { name: "x" });
  await rejects(() => shop.add(WORLD), (error: GatewayError) => {
    match(error.message, /1 pin requests/);
    return error.code === "QUOTA_EXCEEDED";
  });
  await rejects(() => shop.replace(id, HELLO), code("QUOTA_EXCEEDED"));
  await rejects(() => shop.replace(id, cidOf(utf8("nobody"))), code("NOT_FOUND"));
  deepEqual(await shop.shown(), ["x pinned"], "what could not be replaced stays");
  await t.gateway().unpin("shop", WORLD);
  const only = await shop.add(HELLO);
  await t.gateway().upload("cafe", "world", { visibility: "public" });
  await shop.replace(only.id, WORLD, { name: "y" });
  deepEqual(await shop.shown(), ["y pinned"], "what is replaced makes room");
  await isSettled(t);
});

Deno.test("what replaces is told to the engine before what is let go", async () => {
  await using t = await Storages.start("shop", "cafe");
  const gateway = t.gateway(), shop = new Requester(gateway, "shop");
  for (const text of ["hello", "world"]) await gateway.upload("cafe", text, { visibility: "public", pin: false });
  const { id } = await shop.add(HELLO);
  t.engine.steps.length = 0;
  const next = await shop.replace(id, WORLD);
  deepEqual(t.engine.steps.slice(0, 2), [`pin ${WORLD}`, `unpin ${HELLO}`]);
  t.engine.before = (step, cid) => {
    if (step === "pin" && cid === HELLO) throw new GatewayError("UNAVAILABLE", "the engine is down");
  };
  t.engine.steps.length = 0;
  await shop.replace(next.id, HELLO, { name: "x" });
  deepEqual(t.engine.steps, [], "what cannot be kept yet takes nothing away");
  await t.gateway().service.reconcile();
  ok(t.engine.pins.has(WORLD), "nor do others, for a while");
  t.engine.before = () => {};
  t.clock.advance(2 * MINUTE);
  await t.reconcile();
  deepEqual(await shop.shown(), ["x pinned"]);
  await isSettled(t);
});
