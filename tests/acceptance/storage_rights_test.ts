import { deepEqual, equal, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { bytesAt, noise, StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;
const storageOf = ({ apiKey: key }: Owner) => new StorageCaller(suite.gateway, { key });
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** An answer without what differs between any two requests. */
const bare = ({ status, body }: { status: number; body: Readonly<Record<string, unknown>> }, cid: string) =>
  JSON.stringify([status, { ...body, request_id: "" }]).replaceAll(cid, "CID");

/** Everything that asks for content by its CID. */
const ways = (cid: string): readonly (readonly [method: string, path: string, body?: unknown])[] => [
  ["GET", `get/${cid}`],
  ["HEAD", `get/${cid}`],
  ["GET", `get/${cid}?format=raw`],
  ["GET", `get/${cid}?format=car`],
  ["GET", `get/${cid}?format=tar`],
  ["GET", `get/${cid}/a`],
  ["GET", `directory/${cid}`],
  ["GET", `status/${cid}`],
  ["GET", `objects/${cid}`],
  ["PATCH", `objects/${cid}`, { visibility: "public" }],
  ["POST", "links", { cid }],
  ["POST", "pin", { cid }],
  ["POST", `recover/${cid}`],
  ["DELETE", `unpin/${cid}`],
];

/** What all of them answer; where nodes look on a network, a pin of what nobody has is taken, and waits until it is given up. */
const answerTo = (path: string) => suite.gateway.looksElsewhere && /^(pin$|recover|unpin)/.test(path) ? 200 : 404;

test("what another namespace has privately is, in every way, content that nobody has", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const [mine, theirs] = [storageOf(one), storageOf(other)];
  const cid = await mine.put("a secret of one");
  const nowhere = "bafkreieq5jui4j25lacwomsqgjeswwl3y5zcdrresptwgmfylxo2depppq";
  for (const [i, [method, path, body]] of ways(cid).entries()) {
    const [, otherPath, otherBody] = ways(nowhere)[i]!;
    const real = await theirs.call(method, path, { ...(body !== undefined && { body }) });
    const invented = await theirs.call(method, otherPath, { ...(otherBody !== undefined && { body: otherBody }) });
    equal(real.status, answerTo(path), `${method} ${path}: ${real.text}`);
    if (method !== "HEAD") equal(bare(real, cid), bare(invented, nowhere), path);
  }
  for (const query of ["", "?format=raw", "?format=car"]) {
    equal((await bytesAt(suite.gateway, `/ipfs/${cid}${query}`)).status, 404);
    equal((await theirs.ipfs(`${cid}${query}`)).status, 404);
  }
  equal((await theirs.call("GET", `objects?cid=${cid}`)).expect(200).get("total"), 0);
  equal(text((await mine.read(cid)).bytes), "a secret of one", "and nothing of that changed it");
  equal((await mine.call("GET", `objects/${cid}`)).expect(200).get("visibility"), "private");
}, { namespaces: 2 });

test("a part of what another namespace has is content that nobody has, too", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const [mine, theirs] = [storageOf(one), storageOf(other)];
  const answer = (await mine.form([{ name: "d/x.bin", content: noise(600_000) }], {}, "?directory=true")).expect(200);
  const [root, file] = [answer.string("cid"), answer.string("files.0.cid")];
  const listed = (await mine.call("GET", `directory/${root}`)).expect(200);
  for (const cid of [root, file, listed.string("entries.0.cid")]) {
    for (const [method, path, body] of ways(cid)) {
      const { status } = await theirs.call(method, path, { ...(body !== undefined && { body }) });
      equal(status, answerTo(path), `${method} ${path}`);
    }
  }
}, { namespaces: 2 });

test("bytes that two namespaces store are each one's own, until the last one gives them up", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const [mine, theirs] = [storageOf(one), storageOf(other)];
  const cid = await mine.put("shared bytes", "mine.txt");
  equal(await theirs.put("shared bytes", "theirs.html"), cid);
  (await mine.call("PATCH", `objects/${cid}`, { body: { visibility: "public" } })).expect(200);
  equal((await theirs.call("GET", `objects/${cid}`)).expect(200).get("visibility"), "private");
  equal((await theirs.read(cid)).headers.get("content-disposition"), "attachment; filename=theirs.html");
  equal((await bytesAt(suite.gateway, `/ipfs/${cid}`)).headers.get("content-disposition"), "inline; filename=mine.txt");
  (await mine.call("DELETE", `unpin/${cid}`)).expect(200);
  equal((await mine.read(cid)).status, 404);
  equal((await bytesAt(suite.gateway, `/ipfs/${cid}`)).status, 404);
  equal(text((await theirs.read(cid)).bytes), "shared bytes");
  (await theirs.call("DELETE", `unpin/${cid}`)).expect(200);
  equal((await theirs.read(cid)).status, 404);
}, { namespaces: 2 });

test("what is public may be pinned by others, and stays theirs", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const [mine, theirs] = [storageOf(one), storageOf(other)];
  const cid = (await mine.form([{ name: "p.txt", content: "for all" }], {}, "?visibility=public")).expect(200).string(
    "cid",
  );
  equal(text((await theirs.read(cid)).bytes), "for all");
  equal((await theirs.call("GET", `objects/${cid}`)).status, 404, "to read it is not to have it");
  (await theirs.call("POST", "pin", { body: { cid, name: "kept.txt" } })).expect(200);
  (await mine.call("DELETE", `unpin/${cid}`)).expect(200);
  equal(text((await theirs.read(cid)).bytes), "for all");
  equal((await bytesAt(suite.gateway, `/ipfs/${cid}`)).status, 404, "their claim is private");
}, { namespaces: 2 });

test("a credential may do what its scopes say, and nothing once it is revoked", async () => {
  await using owner = await newOwner(suite.gateway);
  const keyWith = async (scopes: readonly string[]) => {
    const body = { name: "x", scopes };
    const made = (await suite.gateway.call("POST", "/v1/auth/keys", { token: owner.accessToken, body })).expect(201);
    return { caller: new StorageCaller(suite.gateway, { key: made.string("api_key") }), id: made.string("id") };
  };
  const reader = await keyWith(["storage:read"]);
  const writer = await keyWith(["storage:write"]);
  const cid = await writer.caller.put("scoped");
  equal((await writer.caller.read(cid)).status, 403);
  equal((await writer.caller.ipfs(cid)).status, 404, "without the scope it is anybody");
  equal(text((await reader.caller.ipfs(cid)).bytes), "scoped");
  for (
    const [method, path, body] of [
      ["POST", "upload", { data: "aGk=" }],
      ["DELETE", `unpin/${cid}`],
      ["PATCH", `objects/${cid}`, {}],
      ["POST", "links", { cid }],
      ["POST", "pin", { cid }],
    ] as const
  ) {
    const answer = await reader.caller.call(method, path, { ...(body !== undefined && { body }) });
    deepEqual([answer.status, answer.get("code")], [403, "INSUFFICIENT_SCOPE"], path);
  }
  equal(text((await reader.caller.read(cid)).bytes), "scoped");
  (await suite.gateway.call("DELETE", `/v1/auth/keys/${reader.id}`, { token: owner.accessToken })).expect(200);
  equal((await reader.caller.read(cid)).status, 401);
  equal((await reader.caller.ipfs(cid)).status, 404);
  const operator = await suite.gateway.makeKey("--operator");
  equal(
    (await new StorageCaller(suite.gateway, { key: operator.key }).ipfs(cid)).status,
    404,
    "an operator owns nothing",
  );
});

test("a namespace that is deleted takes its objects and links with it", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const cid = (await storage.form([{ name: "p", content: "goes with it" }], {}, "?visibility=public")).expect(200)
    .string("cid");
  const link = (await storage.call("POST", "links", { body: { cid } })).expect(200);
  suite.gateway.secrets.note(link.string("token"));
  (await suite.gateway.call("DELETE", `/v1/namespaces/${owner.namespace}`, { token: owner.accessToken })).expect(200);
  await until("it is read by nobody", async () => (await bytesAt(suite.gateway, `/ipfs/${cid}`)).status === 404);
  equal((await bytesAt(suite.gateway, link.string("path"))).status, 404);
  ok((await storage.read(cid)).status === 401);
});
