import { deepEqual, equal, match, ok } from "node:assert/strict";
import { newOwner } from "../support/accounts.ts";
import { noise, StorageCaller } from "../support/storage.ts";
import { anyGatewaySuite } from "../support/suite.ts";

const suite = anyGatewaySuite();
const { test } = suite;

/** No upload was given it, and it looks like one. */
const UNKNOWN = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq";

async function storageOf() {
  return new StorageCaller(suite.gateway, { key: await suite.gateway.defaultKey() });
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("a file that is uploaded has the CID that everybody gives those bytes", async () => {
  const storage = await storageOf();
  const answer = (await storage.form([{ name: "hello.txt", content: "hello world" }], { pin: "true" })).expect(200);
  deepEqual(answer.body, {
    cid: "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
    name: "hello.txt",
    size: 11,
  });
  match(answer.headers.get("content-type")!, /application\/json/);
  equal(text((await storage.read(answer.string("cid"))).bytes), "hello world");
});

test("bytes of any number come back as they were", async () => {
  const storage = await storageOf();
  for (const size of [0, 1, 6, 65_535, 262_143, 262_144, 262_145, 1_048_576, 5_000_000]) {
    const content = noise(size, size + 1);
    const answer = (await storage.form([{ name: "n", content }])).expect(200);
    equal(answer.get("size"), size);
    const { bytes, headers } = await storage.read(answer.string("cid"));
    ok(Buffer.from(bytes).equals(content), String(size));
    equal(headers.get("content-length"), String(size));
  }
});

test("the name is the last part of what was sent", async () => {
  const storage = await storageOf();
  for (
    const [sent, name] of [
      ["a.txt", "a.txt"],
      ["blob", "blob"],
      ["../../etc/passwd", "passwd"],
      ["/a/b c.txt", "b c.txt"],
      ["é漢😀", "é漢😀"],
      ["a%22b", 'a"b'],
      ["a;b=c,d", "a;b=c,d"],
      ["%", "%"],
    ] as const
  ) equal((await storage.form([{ name: sent, content: "x" }])).expect(200).get("name"), name, sent);
  for (const sent of ["a%0D%0Ab", "a\0b", "x".repeat(300), "é".repeat(128)]) {
    equal((await storage.form([{ name: sent, content: "x" }])).status, 400, JSON.stringify(sent));
  }
});

test("JSON with base64 is a file too", async () => {
  const storage = await storageOf();
  const answer = (await storage.call("POST", "upload", { body: { name: "j.txt", data: btoa("from json") } })).expect(
    200,
  );
  deepEqual([answer.get("name"), answer.get("size")], ["j.txt", 9]);
  const { headers, bytes } = await storage.read(answer.string("cid"));
  deepEqual([text(bytes), headers.get("content-type")], ["from json", "text/plain"]);
  const unnamed = (await storage.call("POST", "upload", { body: { data: btoa("nameless") } })).expect(200);
  equal(unnamed.get("name"), unnamed.get("cid"));
  for (
    const [body, sentence] of [[{}, "data field required"], [{ name: "x", data: "" }, "data field required"]] as const
  ) {
    equal((await storage.call("POST", "upload", { body })).expect(400).get("error"), sentence);
  }
  match(
    (await storage.call("POST", "upload", { body: { data: "%" } })).expect(400).string("error"),
    /^failed to decode base64 data: /,
  );
});

test("a pin is told with all that older clients read", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = new StorageCaller(suite.gateway, { key: owner.apiKey });
  const cid = await storage.put("status", "s.txt");
  const status = (await storage.call("GET", `status/${cid}`)).expect(200);
  deepEqual(Object.keys(status.body).slice(0, 7), [
    "cid",
    "name",
    "status",
    "replication_min",
    "replication_max",
    "replication_factor",
    "peers",
  ]);
  deepEqual([status.get("cid"), status.get("name")], [cid, "s.txt"]);
  ok(Array.isArray(status.get("peers")));
  match(status.string("status"), /^(queued|pinning|pinned)$/);
  const pinned = (await storage.call("POST", "pin", { body: { cid, name: "other.txt" } })).expect(200);
  deepEqual(pinned.body, { cid, name: "other.txt" });
  equal((await storage.call("GET", `status/${cid}`)).expect(200).get("name"), "other.txt");
  deepEqual((await storage.call("DELETE", `unpin/${cid}`)).expect(200).body, { status: "ok", cid });
  for (
    const [method, path] of [["GET", `status/${cid}`], ["DELETE", `unpin/${cid}`], ["POST", `recover/${cid}`]] as const
  ) {
    equal((await storage.call(method, path)).expect(404).get("error"), `pin not found: ${cid}`, path);
  }
  const gone = await storage.call("GET", `get/${cid}`);
  deepEqual([gone.status, gone.get("error")], [404, `content not found: ${cid}`]);
});

test("what is no CID, and what nobody has, is answered as it always was", async () => {
  const storage = await storageOf();
  equal(
    (await storage.call("GET", "status/QmInvalidCID123456789")).expect(404).get("error"),
    "pin not found: QmInvalidCID123456789",
  );
  equal((await storage.call("GET", `get/${UNKNOWN}`)).expect(404).get("error"), `content not found: ${UNKNOWN}`);
  equal((await storage.call("POST", "pin", { body: {} })).expect(400).get("error"), "cid required");
  equal((await storage.call("POST", "pin", { body: { cid: " " } })).expect(400).get("error"), "cid required");
  for (const [method, path] of [["GET", "get/"], ["GET", "status/"], ["DELETE", "unpin/"]] as const) {
    equal((await storage.call(method, path)).expect(400).get("error"), "cid required");
  }
  for (
    const [method, path] of [["POST", "get/x"], ["GET", "upload"], ["GET", "unpin/x"], ["PUT", "status/x"]] as const
  ) {
    match((await storage.call(method, path)).expect(405).string("error"), /^method not allowed/);
  }
});

test("storing again what is there renews its name, type and pin", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = new StorageCaller(suite.gateway, { key: owner.apiKey });
  const cid = await storage.put("again", "one.txt", { pin: "false" });
  const before = (await storage.call("GET", `objects/${cid}`)).expect(200);
  deepEqual([before.get("name"), before.get("pinned")], ["one.txt", false]);
  match(before.string("expires_at"), /^\d{4}-/);
  equal(await storage.put("again", "two.md"), cid);
  const after = (await storage.call("GET", `objects/${cid}`)).expect(200);
  deepEqual([after.get("name"), after.get("pinned"), after.get("expires_at")], ["two.md", true, null]);
  match(after.string("type"), /markdown/);
  equal((await storage.call("GET", "objects")).expect(200).get("total"), 1);
});

test("objects are listed by page and by what they are, and may be changed", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = new StorageCaller(suite.gateway, { key: owner.apiKey });
  const cids: string[] = [];
  for (let i = 0; i < 5; i++) cids.push(await storage.put(`list ${i}`, i % 2 === 0 ? `Even${i}.txt` : `odd${i}.txt`));
  const found: string[] = [];
  for (let cursor: unknown = ""; cursor !== null;) {
    const query = cursor === "" ? "" : `&cursor=${encodeURIComponent(String(cursor))}`;
    const page = (await storage.call("GET", `objects?limit=2${query}`)).expect(200);
    equal(page.get("total"), 5);
    found.push(...page.list("objects").map(({ cid }) => String(cid)));
    cursor = page.get("next_cursor");
  }
  deepEqual(found, cids.toReversed());
  const names = async (query: string) =>
    (await storage.call("GET", `objects?${query}`)).expect(200).list("objects").map(({ name }) => name);
  deepEqual(await names("name=even"), ["Even4.txt", "Even2.txt", "Even0.txt"]);
  deepEqual(await names(`cid=${cids[1]}`), ["odd1.txt"]);
  const changed = (await storage.call("PATCH", `objects/${cids[0]}`, {
    body: { name: "new.txt", visibility: "public", pin: false },
  })).expect(200);
  deepEqual(["name", "visibility", "pinned"].map((name) => changed.get(name)), ["new.txt", "public", false]);
  deepEqual(await names("visibility=public"), ["new.txt"]);
  deepEqual(await names("pinned=false"), ["new.txt"]);
  deepEqual(await names("kind=directory"), []);
  for (
    const [body, field] of [[{ visibility: "all" }, "visibility"], [{ replication_min: 0.5 }, "replication_min"], [{
      name: "",
    }, "name"]] as const
  ) {
    equal((await storage.call("PATCH", `objects/${cids[0]}`, { body })).expect(400).get("details.0.field"), field);
  }
  equal((await storage.call("PATCH", `objects/${UNKNOWN}`, { body: {} })).status, 404);
});
