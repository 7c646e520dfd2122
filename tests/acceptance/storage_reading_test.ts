import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { CarReader } from "@ipld/car";
import { decode } from "@ipld/dag-pb";
import { unpackTar } from "modern-tar";
import { until } from "../engines/support/wait.ts";
import { newOwner, type Owner } from "../support/accounts.ts";
import { bytesAt, noise, StorageCaller } from "../support/storage.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;
const storageOf = ({ apiKey: key }: Owner) => new StorageCaller(suite.gateway, { key });
const text = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const anybody = (path: string, headers: Record<string, string> = {}) =>
  bytesAt(suite.gateway, `/ipfs/${path}`, headers);

test("parts of a file of many blocks are the bytes that they name", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const content = noise(1_000_000);
  const cid = await storage.put(content, "n.bin");
  for (
    const [range, start, end] of [
      ["bytes=0-0", 0, 1],
      ["bytes=262143-262144", 262_143, 262_145],
      ["bytes=100000-899999", 100_000, 900_000],
      ["bytes=-1", 999_999, 1_000_000],
      ["bytes=-2000000", 0, 1_000_000],
      ["bytes=999999-", 999_999, 1_000_000],
      ["bytes=5-99999999", 5, 1_000_000],
    ] as const
  ) {
    const { status, bytes, headers } = await storage.read(cid, { range });
    equal(status, 206, range);
    ok(Buffer.from(bytes).equals(content.subarray(start, end)), range);
    equal(headers.get("content-range"), `bytes ${start}-${end - 1}/1000000`);
    equal(headers.get("etag"), `"${cid}"`);
  }
  const several = await storage.read(cid, { range: "bytes=0-9,500000-500009,990000-" });
  const [, boundary = ""] = /boundary=(.*)$/.exec(several.headers.get("content-type")!) ?? [];
  const parts = text(several.bytes).split(`\r\n--${boundary}`).slice(1, -1);
  deepEqual(parts.map((part) => part.slice(part.indexOf("\r\n\r\n") + 4)), [
    text(content.subarray(0, 10)),
    text(content.subarray(500_000, 500_010)),
    text(content.subarray(990_000)),
  ]);
  equal(several.headers.get("content-length"), String(several.bytes.length));
  const many = `bytes=${Array.from({ length: 500 }, (_, i) => `${i}-`).join(",")}`;
  for (const range of ["bytes=1000000-", "bytes=-0", many]) {
    const { status, headers } = await storage.read(cid, { range });
    deepEqual([status, headers.get("content-range")], [416, "bytes */1000000"], range.slice(0, 30));
  }
  equal((await storage.read(cid, { range: "bytes=0-1", "if-range": '"other"' })).bytes.length, 1_000_000);
  equal((await storage.read(cid, { range: "bytes=0-1", "if-range": `"${cid}"` })).bytes.length, 2);
});

test("a reader who has it already is told so, and HEAD tells of it without it", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const cid = await storage.put("x".repeat(70_000), "x.txt");
  for (const known of [`"${cid}"`, `W/"${cid}"`, "*"]) {
    const { status, bytes, headers } = await storage.read(cid, { "if-none-match": known });
    deepEqual([status, bytes.length, headers.get("etag")], [304, 0, `"${cid}"`]);
  }
  equal((await storage.read(cid, { "if-match": '"other"' })).status, 412);
  const head = await bytesAt(suite.gateway, `/v1/storage/get/${cid}`, {
    "x-api-key": owner.apiKey,
    "accept-encoding": "gzip, br",
  }, "HEAD");
  deepEqual([head.status, head.bytes.length, head.headers.get("content-length")], [200, 0, "70000"]);
  const whole = await storage.read(cid, { "accept-encoding": "gzip, br" });
  deepEqual(
    [whole.headers.get("etag"), whole.headers.get("content-encoding")],
    [`"${cid}"`, null],
    "nothing compresses it",
  );
});

test("a browser runs nothing of what is stored as if it were a page of the gateway", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  for (
    const [name, type, kind] of [
      ["a.html", "text/html", "attachment"],
      ["a.svg", "image/svg+xml", "attachment"],
      ["a.xml", "text/xml", "attachment"],
      ["a.js", "text/javascript", "attachment"],
      ["a.pdf", "application/pdf", "attachment"],
      ["a", "", "inline"],
      ["a.png", "image/png", "inline"],
      ["a.txt", "", "inline"],
    ] as const
  ) {
    const content = `<script>alert(1)</script> ${name}`;
    const cid = (await storage.form([{ name, content, type }], {}, "?visibility=public")).expect(200).string("cid");
    for (const { headers } of [await storage.read(cid), await anybody(cid)]) {
      ok(
        headers.get("content-disposition")!.startsWith(`${kind}; filename=${name}`),
        `${name} ${headers.get("content-disposition")}`,
      );
      equal(headers.get("x-content-type-options"), "nosniff");
      equal(headers.get("content-security-policy"), "default-src 'none'; sandbox");
    }
    const forced = await anybody(`${cid}?download=true`);
    match(forced.headers.get("content-disposition")!, /^attachment/);
  }
});

test("a directory is stored as a tree, and given as a list, an archive, or file by file", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const files = [
    { name: "docs/a.txt", content: "one" },
    { name: "docs/deep/er/b.bin", content: noise(600_000) },
    { name: "é 100%.txt", content: "" },
  ];
  const answer = (await storage.form(files, {}, "?directory=true&name=tree")).expect(200);
  const root = answer.string("cid");
  deepEqual([answer.get("name"), answer.get("size")], ["tree", 600_003]);
  deepEqual(answer.list("files").map(({ path, size }) => [path, size]), [["docs/a.txt", 3], [
    "docs/deep/er/b.bin",
    600_000,
  ], ["é 100%.txt", 0]]);
  const listed = (await storage.call("GET", `directory/${root}`)).expect(200);
  deepEqual(listed.list("entries").map(({ name, kind }) => [name, kind]).toSorted(), [["docs", "directory"], [
    "é 100%.txt",
    "file",
  ]]);
  equal((await storage.call("GET", `directory/${root}/docs/deep`)).expect(200).get("count"), 1);
  equal((await storage.call("GET", `directory/${root}/docs/a.txt`)).expect(409).get("code"), "WRONG_TYPE");
  equal((await storage.call("GET", `get/${root}`)).expect(409).get("code"), "WRONG_TYPE");
  equal((await storage.call("GET", `get/${root}/docs/none`)).status, 404);
  equal(text((await storage.read(`${root}/docs/a.txt`)).bytes), "one");
  const part = await storage.read(`${root}/docs/deep/er/b.bin`, { range: "bytes=500000-500003" });
  ok(Buffer.from(part.bytes).equals(noise(600_000).subarray(500_000, 500_004)));
  equal((await storage.read(`${root}/%C3%A9%20100%25.txt`)).bytes.length, 0);
  const tar = await storage.read(`${root}?format=tar`);
  equal(tar.headers.get("content-type"), "application/x-tar");
  const unpacked = (await unpackTar(tar.bytes)).filter(({ header }) => header.type === "file");
  deepEqual(unpacked.map(({ header, data }) => [header.name, data?.length]).toSorted(), [
    ["tree/docs/a.txt", 3],
    ["tree/docs/deep/er/b.bin", 600_000],
    ["tree/é 100%.txt", 0],
  ]);
  for (const name of ["../x", "a//b", "/a", "a/./b", "a/..", "..", "a%0d%0ab"]) {
    equal((await storage.form([{ name, content: "x" }], {}, "?directory=true")).status, 400, name);
  }
  for (const twice of [["a", "a"], ["a", "a/b"], ["a/b", "a"]]) {
    const files = twice.map((name) => ({ name, content: "x" }));
    equal((await storage.form(files, {}, "?directory=true")).status, 400, twice.join(" "));
  }
  equal((await storage.call("GET", "objects")).expect(200).get("total"), 1, "nothing of them was stored");
});

test("a CAR of one namespace is the same content in another, and proves itself", async () => {
  await using one = await newOwner(suite.gateway);
  await using other = await newOwner(suite.gateway);
  const [mine, theirs] = [storageOf(one), storageOf(other)];
  const content = noise(900_000, 7);
  const files = [{ name: "a/x.bin", content }, { name: "y.txt", content: "y" }];
  const root = (await mine.form(files, {}, "?directory=true&name=dir")).expect(200).string("cid");
  const car = await mine.read(`${root}?format=car`);
  equal(car.headers.get("content-type"), "application/vnd.ipld.car; version=1; order=dfs; dups=n");
  equal((await theirs.call("GET", `get/${root}?format=car`)).status, 404);
  const post = (bytes: Uint8Array<ArrayBuffer>) =>
    theirs.call("POST", "car?name=copy", { raw: bytes, headers: { "content-type": "application/vnd.ipld.car" } });
  const broken = car.bytes.slice();
  broken[broken.length - 100]! ^= 1;
  for (const bytes of [broken, car.bytes.slice(0, -1), car.bytes.slice(0, 200_000), new Uint8Array(), noise(1_000)]) {
    equal((await post(bytes)).expect(400).get("code"), "INVALID_REQUEST");
  }
  equal((await theirs.call("GET", "objects")).expect(200).get("total"), 0);
  const taken = (await post(car.bytes)).expect(200);
  deepEqual([taken.get("cid"), taken.get("name"), taken.get("kind")], [root, "copy", "directory"]);
  ok(Buffer.from((await theirs.read(`${root}/a/x.bin`)).bytes).equals(content));
  equal((await theirs.call("POST", "car", { raw: "x", headers: { "content-type": "text/plain" } })).status, 415);
  const entity = await mine.read(`${root}?format=car&dag-scope=entity`);
  const block = await mine.read(`${root}?format=car&dag-scope=block`);
  ok(block.bytes.length <= entity.bytes.length && entity.bytes.length < car.bytes.length);
  const file = await mine.read(`${root}/y.txt?format=car`);
  equal((await post(file.bytes)).status, 400, "blocks along a path are no whole");
}, { namespaces: 2 });

test("a CAR leads along the path, then depth first, each block once, and every block is what its CID says", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const part = noise(600_000, 3);
  const files = [
    { name: "a/x.bin", content: part },
    { name: "a/y.bin", content: part },
    { name: "a/z.bin", content: noise(300_000, 4) },
    { name: "b.txt", content: "b" },
  ];
  const root = (await storage.form(files, {}, "?directory=true")).expect(200).string("cid");
  for (
    const [path, scope] of [["", "all"], ["/a", "all"], ["/a/x.bin", "entity"], ["/a", "entity"], [
      "/a/z.bin",
      "block",
    ]] as const
  ) {
    const { bytes } = await storage.read(`${root}${path}?format=car&dag-scope=${scope}`);
    const reader = await CarReader.fromBytes(bytes);
    deepEqual((await reader.getRoots()).map(String), [root]);
    const blocks = new Map<string, Uint8Array>();
    for await (const { cid, bytes } of reader.blocks()) {
      ok(!blocks.has(String(cid)), "each once");
      ok(
        Buffer.from(cid.multihash.digest).equals(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes.slice()))),
      );
      blocks.set(String(cid), bytes);
    }
    const expected: string[] = [];
    const visit = (cid: string, names: readonly string[], deep: boolean) => {
      if (expected.includes(cid)) return;
      const bytes = blocks.get(cid);
      ok(bytes, `${path} ${scope}: ${cid} is missing`);
      expected.push(cid);
      if (!cid.startsWith("bafybei")) return;
      const [name, ...rest] = names;
      for (const { Name, Hash } of decode(bytes).Links) {
        if (name === undefined ? deep : Name === name) visit(String(Hash), rest, deep);
      }
    };
    const names = path.split("/").slice(1);
    visit(root, names, scope === "all" || scope === "entity" && path.endsWith(".bin"));
    deepEqual([...blocks.keys()], expected, `${path} ${scope}`);
  }
});

test("what is public is read by anybody, for ever, in each form", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const cid = (await storage.form([{ name: "p.txt", content: "public thing", type: "" }], {}, "?visibility=public"))
    .expect(200).string("cid");
  const found = await anybody(cid);
  equal(text(found.bytes), "public thing");
  equal(found.headers.get("cache-control"), "public, max-age=29030400, immutable, no-transform");
  equal(found.headers.get("x-ipfs-path"), `/ipfs/${cid}`);
  equal(found.headers.get("x-ipfs-roots"), cid);
  equal(found.headers.get("access-control-allow-origin"), "*");
  const raw = await anybody(`${cid}?format=raw`);
  deepEqual([text(raw.bytes), raw.headers.get("content-type")], ["public thing", "application/vnd.ipld.raw"]);
  equal(
    (await anybody(cid, { accept: "application/vnd.ipld.raw" })).headers.get("content-location"),
    `/ipfs/${cid}?format=raw`,
  );
  const car = await anybody(`${cid}?format=car`);
  ok(text(car.bytes).includes("public thing"));
  notEqual(car.headers.get("etag"), raw.headers.get("etag"));
  equal((await anybody(`${cid}?format=dag-cbor`)).status, 406);
  equal((await anybody(`${cid}?format=zip`)).status, 400);
  equal((await anybody(`${cid}/a`)).status, 404);
  equal((await bytesAt(suite.gateway, `/ipfs/${cid}?format=car`, {}, "HEAD")).status, 200);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw.bytes));
  ok(digest.length === 32 && cid.startsWith("bafkrei"), "a raw block's CID is its hash");
  (await storage.call("PATCH", `objects/${cid}`, { body: { visibility: "private" } })).expect(200);
  equal((await anybody(cid)).status, 404);
});

test("a link reads one object until it is over, or the object is gone", async () => {
  await using owner = await newOwner(suite.gateway);
  const storage = storageOf(owner);
  const cid = await storage.put("linked");
  const other = await storage.put("not linked");
  const made = (await storage.call("POST", "links", { body: { cid, expires_in: "1m" } })).expect(200);
  suite.gateway.secrets.note(made.string("token"));
  deepEqual(Object.keys(made.body), ["cid", "path", "token", "expires_at"]);
  equal(made.headers.get("cache-control"), "no-store");
  const path = made.string("path").slice("/ipfs/".length);
  const found = await anybody(path);
  deepEqual([text(found.bytes), found.headers.get("cache-control")], ["linked", "private, no-cache, no-transform"]);
  equal((await anybody(cid)).status, 404);
  equal((await anybody(path.replace(cid, other))).status, 404, "it is for that object alone");
  for (
    const forged of [
      path.slice(0, -1),
      `${path}x`,
      path.replace("token=", "token=x"),
      path.replace(/\.[^.]+\./, ".zzzzzzzz."),
    ]
  ) {
    equal((await anybody(forged)).status, 404, forged);
  }
  equal(
    (await storage.call("GET", `get/${cid}?${path.split("?")[1]}`, { key: "" })).status,
    401,
    "a link is no credential",
  );
  (await storage.call("DELETE", `unpin/${cid}`)).expect(200);
  equal((await anybody(path)).status, 404);
  await storage.put("linked");
  equal((await anybody(path)).status, 404, "what is stored anew has links of its own");
  const short = (await storage.call("POST", "links", { body: { cid, expires_in: "1s" } })).expect(200);
  suite.gateway.secrets.note(short.string("token"));
  const shortPath = short.string("path").slice("/ipfs/".length);
  await until("the link is over", async () => (await anybody(shortPath)).status === 404);
  for (
    const [body, field] of [[{}, "cid"], [{ cid, expires_in: "0" }, "expires_in"], [
      { cid, expires_in: "99999h" },
      "expires_in",
    ], [{ cid, expires_in: 5 }, "expires_in"]] as const
  ) {
    equal(
      (await storage.call("POST", "links", { body })).expect(400).get("details.0.field"),
      field,
      JSON.stringify(body),
    );
  }
});

test("clients find out that this is a gateway of IPFS", async () => {
  equal((await anybody("bafkqaaa?format=raw")).bytes.length, 0);
  equal((await anybody("bafkqaaa?format=car")).bytes.length, 26);
  equal((await anybody("")).status, 400);
});
