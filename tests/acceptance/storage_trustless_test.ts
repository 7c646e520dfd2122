import { deepEqual, equal, match, ok } from "node:assert/strict";
import { CarReader } from "@ipld/car";
import { newOwner, type Owner } from "../support/accounts.ts";
import { rawRequest } from "../support/raw_http.ts";
import { bytesAt, noise, StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

/** https://specs.ipfs.tech/http-gateways/trustless-gateway/ */

const suite = gatewaySuite();
const { test } = suite;
const storageOf = ({ apiKey: key }: Owner) => new StorageCaller(suite.gateway, { key });
const anybody = (path: string, headers: Record<string, string> = {}) =>
  bytesAt(suite.gateway, `/ipfs/${path}`, headers);
const cidsIn = async (bytes: Uint8Array) => await Array.fromAsync((await CarReader.fromBytes(bytes)).cids(), String);

test("HEAD tells the length of what has one, and no length of what has none before it is made", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const root = (await storage.form([{ name: "a", content: "abc" }], {}, "?directory=true")).expect(200).string("cid");
  const file = await storage.put("abc");
  for (
    const [path, length] of [
      [`ipfs/${file}`, "3"],
      [`ipfs/${file}?format=raw`, "3"],
      [`ipfs/${file}?format=car`, undefined],
      [`ipfs/${root}`, undefined],
      [`ipfs/${root}?format=tar`, undefined],
      [`v1/storage/directory/${root}`, undefined],
      [`v1/storage/get/${root}?format=car`, undefined],
    ] as const
  ) {
    const { status, headers } = await rawRequest(
      suite.gateway.url,
      `HEAD /${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${owner.apiKey}\r\nConnection: close\r\n\r\n`,
    );
    deepEqual([status, headers.get("content-length")], [200, length], path);
  }
  const known = await rawRequest(
    suite.gateway.url,
    `HEAD /ipfs/${file} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${owner.apiKey}\r\nIf-None-Match: *\r\nConnection: close\r\n\r\n`,
  );
  deepEqual([known.status, known.headers.get("content-length")], [304, undefined]);
});

test("a CAR of some bytes of a file has the blocks that prove them, and a tag of its own", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const file = await storage.put(noise(1_000_000), "n.bin", { visibility: "public" });
  const car = (query: string) => anybody(`${file}?format=car&${query}`);
  const all = await cidsIn((await car("dag-scope=entity")).bytes);
  equal(all.length, 5);
  for (
    const [range, blocks] of [
      ["0:0", [0]],
      ["262143:262144", [0, 1]],
      ["300000:*", [1, 2, 3]],
      ["-1:*", [3]],
      ["-1000000:-1", [0, 1, 2, 3]],
      ["10:-999995", []],
      ["999999:5000000", [3]],
    ] as const
  ) {
    const { status, bytes } = await car(`entity-bytes=${range}`);
    equal(status, 200, range);
    deepEqual(await cidsIn(bytes), [file, ...blocks.map((i) => all[i + 1])], range);
  }
  for (const range of ["1000000:*", "0:-1000001", "5:2", "-5:-6"]) {
    const { status, bytes } = await car(`entity-bytes=${range}`);
    equal(status, 400, range);
    match(new TextDecoder().decode(bytes), /entity-bytes/);
  }
  const tags = ["", "dag-scope=entity", "entity-bytes=0:1", "entity-bytes=0:2", "entity-bytes=0:*"];
  const seen = await Promise.all(tags.map(async (query) => (await car(query)).headers.get("etag")));
  equal(new Set(seen).size, tags.length);
  deepEqual(await cidsIn((await car("entity-bytes=0:1&dag-scope=all")).bytes), all.slice(0, 2));
  deepEqual(await cidsIn((await car("entity-bytes=0:1&dag-scope=block")).bytes), all.slice(0, 1));
  equal((await anybody(`${file}?entity-bytes=0:1`)).bytes.length, 1_000_000, "of nothing but CARs");
});

test("a CAR is of version 1, or none", async () => {
  await using owner = await newOwner(suite.gateway);
  const file = await storageOf(owner).put("x", "x", { visibility: "public" });
  for (const type of ["", ";version=1", '; version="1"', ";order=dfs;dups=n", ";order=unk"]) {
    const { status, headers } = await anybody(file, { accept: `application/vnd.ipld.car${type}` });
    deepEqual([status, headers.get("content-type")], [200, "application/vnd.ipld.car; version=1; order=dfs; dups=n"]);
  }
  for (const type of [";version=2", ";version=1;dups=y", ";order=bfs", ";version="]) {
    equal((await anybody(file, { accept: `application/vnd.ipld.car${type}` })).status, 406, type);
  }
  equal((await anybody(`${file}?format=car&car-version=2`)).status, 406);
  const version2 = { accept: "application/vnd.ipld.car;version=2" };
  equal((await anybody(`${file}?format=car&car-version=1`, version2)).status, 200, "the address goes first");
});

test("a block is given who names it, before who would take anything as gladly", async () => {
  await using owner = await newOwner(suite.gateway);
  const file = await storageOf(owner).put("a block", "x.txt", { visibility: "public" });
  const raw = "application/vnd.ipld.raw";
  for (
    const [accept, type] of [
      [`*/*, ${raw}`, raw],
      [`${raw}, */*`, raw],
      [`application/*;q=0.5, ${raw};q=0.5`, raw],
      [`*/*, ${raw};q=0.9`, "text/plain"],
      [`text/html, ${raw}`, "text/plain"],
      [`${raw}, text/html`, raw],
      ["*/*", "text/plain"],
    ] as const
  ) equal((await anybody(file, { accept })).headers.get("content-type"), type, accept);
});

test("who wants only what is here at once is told 412 of what is not", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const root = (await storage.form([{ name: "a", content: "a" }], {}, "?directory=true&visibility=public"))
    .expect(200).string("cid");
  const headers = { "cache-control": "max-age=0, Only-If-Cached" };
  const absent = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
  for (const method of ["GET", "HEAD"]) {
    const status = async (path: string) => (await bytesAt(suite.gateway, `/ipfs/${path}`, headers, method)).status;
    deepEqual([await status(`${root}/a`), await status(`${root}/b`)], [200, 404]);
    for (const path of [absent, `${absent}/a`, `${absent}?format=raw`]) equal(await status(path), 412, path);
  }
  equal((await anybody(absent)).status, 404);
});

test("whoever looks for a gateway finds one, in each form", async () => {
  for (const format of ["raw", "car"]) {
    const { status, headers } = await anybody(`bafkqaaa?format=${format}`);
    equal(status, 200);
    match(headers.get("content-disposition")!, /^attachment; filename=bafkqaaa\./);
    ok(headers.get("etag")!.includes("bafkqaaa"));
    match(headers.get("vary")!, /Accept/);
    equal((await anybody(`bafkqaaa?format=${format}`, { "if-none-match": headers.get("etag")! })).status, 304);
  }
});
