import { deepEqual, equal, match, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner, tryToSignIn } from "../support/accounts.ts";
import type { Answer, CallOptions } from "../support/client.ts";
import { StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite({ storageDriver: "local" });
const { test } = suite;

/** The storage and the pin requests of a namespace, called as Kubo does: with a key as bearer. */
function callersOf({ apiKey }: Owner) {
  const storage = new StorageCaller(suite.gateway, { key: apiKey });
  const pins = (method: string, path = "", options: CallOptions = {}): Promise<Answer> =>
    suite.gateway.call(method, `/v1/pins${path}`, { token: apiKey, ...options });
  const add = (body: Readonly<Record<string, unknown>>) => pins("POST", "", { body });
  return { storage, pins, add };
}

const ALL = "status=queued,pinning,pinned,failed";
const namesIn = (answer: Answer) => answer.list("results").map((one) => (one["pin"] as { name?: string }).name);

test("content of the namespace is requested, looked at, listed and removed, by a key and by a token", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, pins, add } = callersOf(owner);
  const cid = await storage.put("hello", "a.txt");
  const made = (await add({ cid, name: "first", meta: { app: "x" }, origins: ["/p2p/QmSourcePeerId"] })).expect(202);
  deepEqual([made.get("status"), made.get("pin")], ["pinned", {
    cid,
    name: "first",
    origins: ["/p2p/QmSourcePeerId"],
    meta: { app: "x" },
  }]);
  deepEqual([made.get("delegates"), made.get("info")], [[], { raw_size: "5" }]);
  const id = made.string("requestid");
  match(made.string("created"), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  deepEqual((await pins("GET", `/${id}`)).expect(200).body, made.body);
  deepEqual((await pins("GET", "", { token: owner.accessToken })).expect(200).body, { count: 1, results: [made.body] });
  const removed = (await pins("DELETE", `/${id}`)).expect(202);
  equal(removed.text, "");
  for (const method of ["GET", "DELETE"]) {
    const gone = (await pins(method, `/${id}`)).expect(404);
    deepEqual(gone.get("error"), { reason: "NOT_FOUND", details: `pin request not found: ${id}` });
  }
  deepEqual((await pins("GET")).expect(200).body, { count: 0, results: [] });
  equal((await storage.read(cid)).status, 200, "it was uploaded, so it stays");
});

test("one CID is requested several times, and goes with the last request if nothing else asked for it", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const theirs = callersOf(one), { storage, pins, add } = callersOf(other);
  const cid = await theirs.storage.put("for all", "a.txt", { visibility: "public" });
  const ids: string[] = [];
  for (const name of ["a", "b", "c"]) ids.push((await add({ cid, name })).expect(202).string("requestid"));
  equal(new Set(ids).size, 3);
  equal((await storage.call("GET", "objects")).expect(200).get("total"), 1);
  for (const id of ids.slice(1)) {
    (await pins("DELETE", `/${id}`)).expect(202);
    equal((await storage.call("GET", `objects/${cid}`)).status, 200);
  }
  (await storage.call("PATCH", `objects/${cid}`, { body: { pin: false } })).expect(200);
  equal((await storage.call("GET", `objects/${cid}`)).get("pinned"), true, "what is requested stays");
  (await pins("DELETE", `/${ids[0]}`)).expect(202);
  equal((await storage.call("GET", `objects/${cid}`)).status, 404);
  (await add({ cid })).expect(202);
  (await storage.call("POST", "pin", { body: { cid } })).expect(200);
  const [{ requestid } = {}] = (await pins("GET")).list("results");
  (await pins("DELETE", `/${requestid}`)).expect(202);
  equal((await storage.call("GET", `objects/${cid}`)).status, 200, "it was pinned by CID as well");
  (await add({ cid })).expect(202);
  (await storage.call("DELETE", `unpin/${cid}`)).expect(200);
  equal((await pins("GET", `?${ALL}`)).get("count"), 0, "requests go with the object");
}, { namespaces: 2 });

test("a request is replaced by another one, with the same CID or another, or stays as it was", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, pins, add } = callersOf(owner);
  const [first, second] = [await storage.put("one"), await storage.put("two")];
  const id = (await add({ cid: first, name: "x" })).expect(202).string("requestid");
  const nowhere = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq";
  equal((await pins("POST", `/${id}`, { body: { cid: nowhere } })).expect(404).get("code"), "NOT_FOUND");
  equal((await pins("GET", `/${id}`)).status, 200);
  const renamed = (await pins("POST", `/${id}`, { body: { cid: first, name: "y" } })).expect(202);
  equal((await pins("GET", `/${id}`)).status, 404);
  equal((await pins("POST", `/${id}`, { body: { cid: second } })).status, 404);
  const moved = (await pins("POST", `/${renamed.string("requestid")}`, { body: { cid: second } })).expect(202);
  deepEqual([moved.get("pin.cid"), moved.get("pin.name")], [second, undefined]);
  deepEqual((await pins("GET", `?${ALL}`)).body, { count: 1, results: [moved.body] });
});

test("lists are filtered by each parameter, and gone through by time", async () => {
  await using owner = await newOwner(suite.gateway);
  const { storage, pins, add } = callersOf(owner);
  const cids = await Promise.all(["1", "2"].map((text) => storage.put(text)));
  const names = ["Alpha", "alpha", "beta", "50%_off", "Bé"];
  const made: Answer[] = [];
  for (let i = 0; i < 25; i++) {
    const name = names[i] ?? `n${i}`;
    made.push((await add({ cid: cids[i % 2], name, meta: { i: `${i}`, 'odd"': `${i % 2}` } })).expect(202));
  }
  const list = async (query: string) => (await pins("GET", `?limit=1000&${query}`)).expect(200);
  const counts: Readonly<Record<string, number>> = {
    "": 25,
    [`cid=${cids[0]}`]: 13,
    [`cid=${cids[0]},${cids[1]}`]: 25,
    [`cid=${cids[0]}&cid=${cids[1]}`]: 25,
    "name=alpha": 1,
    "name=ALPHA&match=iexact": 2,
    "name=lph&match=partial": 2,
    "name=LPH&match=partial": 0,
    "name=LPH&match=ipartial": 2,
    "name=%25_&match=partial": 1,
    "name=b%C3%A9&match=iexact": 1,
    "name=": 25,
    "status=pinned": 25,
    "status=queued,pinning,failed": 0,
    [`meta=${encodeURIComponent('{"i":"7"}')}`]: 1,
    [`meta=${encodeURIComponent('{"odd\\"":"1"}')}`]: 12,
    [`meta=${encodeURIComponent('{"i":"7","odd\\"":"0"}')}`]: 0,
    "meta={}": 25,
    [`before=${made[10]!.string("created")}`]: 10,
    [`after=${made[10]!.string("created")}`]: 14,
    [`before=${encodeURIComponent(made[10]!.string("created").replace("Z", "001+00:00"))}`]: 11,
    "before=2020-01-01T00:00:00Z": 0,
    "after=2020-01-01T02:00:00%2B02:00": 25,
  };
  for (const [query, count] of Object.entries(counts)) {
    const answer = await list(query);
    deepEqual([answer.get("count"), answer.list("results").length], [count, count], query);
  }
  const seen: unknown[] = [];
  for (let before = "";;) {
    const page = (await pins("GET", before && `?before=${before}`)).expect(200);
    seen.push(...namesIn(page));
    if (page.get("count") === page.list("results").length) break;
    equal(page.list("results").length, 10);
    before = page.string("results.9.created");
  }
  deepEqual(seen, made.map((answer) => answer.get("pin.name")).toReversed());
});

test("what only others have privately cannot be requested, and is told as what nobody has", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const cid = await callersOf(one).storage.put("a secret of one");
  const nowhere = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq";
  const { pins, add } = callersOf(other);
  const bare = (answer: Answer, cid: string) =>
    JSON.stringify({ ...answer.expect(404).body, request_id: "" }).replaceAll(cid, "CID");
  equal(bare(await add({ cid }), cid), bare(await add({ cid: nowhere }), nowhere));
  match(String((await add({ cid })).get("error.details")), /^content not found: /);
  equal((await pins("GET", `?${ALL}&cid=${cid}`)).get("count"), 0);
}, { namespaces: 2 });

test("a request of another namespace is none, in every way", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const mine = callersOf(one), theirs = callersOf(other);
  const cid = await mine.storage.put("x");
  const own = await theirs.storage.put("y");
  const id = (await mine.add({ cid, name: "mine" })).expect(202).string("requestid");
  const unknown = "pin_00000000000000000000000000000000";
  for (const [method, body] of [["GET"], ["POST", { cid: own }], ["DELETE"]] as const) {
    const options = body ? { body } : {};
    const [real, invented] = [
      await theirs.pins(method, `/${id}`, options),
      await theirs.pins(method, `/${unknown}`, options),
    ];
    const bare = ({ body }: Answer) => JSON.stringify({ ...body, request_id: "" });
    deepEqual([real.status, bare(real).replaceAll(id, "ID")], [404, bare(invented).replaceAll(unknown, "ID")]);
  }
  deepEqual(namesIn((await mine.pins("GET")).expect(200)), ["mine"]);
  equal((await theirs.pins("GET", `?${ALL}`)).get("count"), 0);
}, { namespaces: 2 });

test("deleting a namespace removes its requests: one of the same name begins without any", async () => {
  const owner = await newOwner(suite.gateway);
  const { storage, add } = callersOf(owner);
  (await add({ cid: await storage.put("x") })).expect(202);
  const path = `/v1/namespaces/${owner.namespace}`;
  ok([200, 202].includes((await suite.gateway.call("DELETE", path, { token: owner.accessToken })).status));
  const isFree = async () => (await tryToSignIn(suite.gateway, owner.wallet, owner.namespace)).status === 200;
  await until("the name is free", isFree);
  await using again = await newOwner(suite.gateway, owner.namespace, owner.wallet);
  equal((await callersOf(again).pins("GET", `?${ALL}`)).expect(200).get("count"), 0);
});
