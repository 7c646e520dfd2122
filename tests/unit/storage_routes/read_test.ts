import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { unpackTar } from "modern-tar";
import { treeOf } from "../../../routes/storage/tree.ts";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Storage } from "../../../src/contracts/storage.ts";
import { CONTEXT } from "../control_plane/support/context.ts";
import { shelved } from "./support/shelf.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const long = Uint8Array.from({ length: 5_000 }, (_, i) => i % 251);
const latin1 = (part: Uint8Array) => new TextDecoder("latin1").decode(part);

Deno.test("a file comes whole, with headers by which it can be kept and runs nowhere", async () => {
  const { call, shelf } = shelved();
  const cid = shelf.put(bytes("hello"), { name: "é.txt", type: "text/plain" });
  const answer = await call(`GET /v1/storage/get/${cid}`);
  deepEqual([answer.status, answer.text], [200, "hello"]);
  const { headers } = answer;
  for (
    const [name, value] of [
      ["etag", `"${cid}"`],
      ["content-type", "text/plain"],
      ["content-length", "5"],
      ["accept-ranges", "bytes"],
      ["cache-control", "private, max-age=29030400, immutable, no-transform"],
      ["content-disposition", "inline; filename=_.txt; filename*=UTF-8''%C3%A9.txt"],
      ["x-content-type-options", "nosniff"],
      ["content-security-policy", "default-src 'none'; sandbox"],
      ["vary", "Accept, Authorization, X-API-Key"],
    ] as const
  ) equal(headers.get(name), value);
  const head = await call(`HEAD /v1/storage/get/${cid}`, { range: "bytes=0-1" });
  deepEqual([head.status, head.text, head.headers.get("content-length")], [200, "", "5"]);
  deepEqual([shelf.begun, shelf.ended], [1, 1], "a HEAD reads nothing");
});

Deno.test("what browsers run is to be saved, and everything where that is asked for", async () => {
  const { call, shelf } = shelved();
  const dispositionOf = async (type: string | undefined, query = "") => {
    const cid = shelf.put(bytes(`x${type}`), { name: "a.x", ...(type !== undefined && { type }) });
    return (await call(`GET /v1/storage/get/${cid}${query}`)).headers.get("content-disposition");
  };
  for (
    const type of [
      "text/html",
      "image/svg+xml",
      "text/xml",
      "application/pdf",
      "text/javascript",
      "x/y",
      undefined,
      "application/octet-stream",
    ]
  ) {
    equal(await dispositionOf(type), "attachment; filename=a.x", type ?? "");
  }
  for (const type of ["image/png", "video/mp4", "application/json"]) {
    equal(await dispositionOf(type), "inline; filename=a.x", type);
    equal(await dispositionOf(type, "?download=true"), "attachment; filename=a.x", type);
    equal(await dispositionOf(type, "?download=false&filename=b%22%0d%0a.png"), 'inline; filename="b\\"__.png"', type);
  }
  equal(await dispositionOf("text/html", "?download=false"), "attachment; filename=a.x");
});

Deno.test("a part is given with 206, several parts in one body, and an empty file has none", async () => {
  const { call, shelf } = shelved();
  const cid = shelf.put(long, { type: "image/png" });
  const path = `GET /v1/storage/get/${cid}`;
  const got = async (range: string, more: Record<string, string> = {}) => {
    const { status, headers } = await call(path, { range, ...more });
    const again = await call(path, { range, ...more });
    return [status, headers.get("content-range"), headers.get("content-length"), again.status].join(" ");
  };
  equal(await got("bytes=10-19"), "206 bytes 10-19/5000 10 206");
  equal(await got("bytes=-7"), "206 bytes 4993-4999/5000 7 206");
  equal(await got("bytes=4990-9999"), "206 bytes 4990-4999/5000 10 206");
  equal(await got("bytes=0-9,5-20"), "206 bytes 0-20/5000 21 206");
  equal(await got("lines=1-2"), "200  5000 200");
  equal(await got("bytes=5000-"), "416 bytes */5000  416");
  equal(await got(`bytes=${"0-,".repeat(300)}`), "416 bytes */5000  416");
  equal(await got("bytes=0-1", { "if-range": `"${cid}"` }), "206 bytes 0-1/5000 2 206");
  equal(await got("bytes=0-1", { "if-range": '"other"' }), "200  5000 200");
  equal(await got("bytes=0-1", { "if-none-match": `"${cid}"` }), "304   304");
  equal(await got("bytes=0-1", { "if-match": '"other"' }), "412   412");
  const part = await call(path, { range: "bytes=251-253" });
  equal(part.text, "\u0000\u0001\u0002");
  const several = await call(path, { range: "bytes=4000-4001,1-2" });
  const [, boundary] = /^multipart\/byteranges; boundary=([\w-]{36})$/.exec(several.headers.get("content-type")!) ?? [];
  equal(several.status, 206);
  equal(several.headers.get("content-range"), null);
  const head = (range: string) =>
    `\r\n--${boundary}\r\nContent-Type: image/png\r\nContent-Range: bytes ${range}/5000\r\n\r\n`;
  const text = `${head("4000-4001")}${latin1(long.slice(4000, 4002))}${head("1-2")}${
    latin1(long.slice(1, 3))
  }\r\n--${boundary}--\r\n`;
  equal(several.headers.get("content-length"), String(text.length));
  const empty = shelf.put(new Uint8Array());
  const whole = await call(`GET /v1/storage/get/${empty}`);
  deepEqual([whole.status, whole.text, whole.headers.get("content-length")], [200, "", "0"]);
  const none = await call(`GET /v1/storage/get/${empty}`, { range: "bytes=0-" });
  deepEqual([none.status, none.json().code, none.headers.get("content-range")], [
    416,
    "RANGE_NOT_SATISFIABLE",
    "bytes */0",
  ]);
  equal(shelf.begun, shelf.ended, "every read was ended");
});

Deno.test("a read that fails at once is an error answer, and one that is left is ended", async () => {
  const { call, fetch, shelf } = shelved();
  const cid = shelf.put(long);
  const open = shelf.open.bind(shelf);
  const failure = new GatewayError("UNAVAILABLE", "the storage does not answer");
  shelf.open = async (...given) => ({
    ...await open(...given),
    async *read() {
      yield* [];
      throw failure;
    },
  });
  for (const headers of [{}, { range: "bytes=0-1" }, { range: "bytes=0-1,4000-4001" }]) {
    const answer = await call(`GET /v1/storage/get/${cid}`, headers);
    deepEqual([answer.status, answer.json().code], [503, "UNAVAILABLE"]);
  }
  shelf.open = open;
  for (const range of ["", "bytes=100-4000", "bytes=0-1,4000-4999"]) {
    const headers = { "x-api-key": "key", ...(range && { range }) };
    const response = await fetch(new Request(`http://gateway.example/v1/storage/get/${cid}`, { headers }));
    const reader = response.body!.getReader();
    await reader.read();
    await reader.cancel();
  }
  const { begun } = shelf;
  ok(begun > 2);
  await new Promise((resolve) => setTimeout(resolve));
  equal(shelf.ended, begun);
});

Deno.test("a directory is no file: it is listed, archived, or read file by file", async () => {
  const { call, shelf } = shelved();
  const inner = shelf.put({ "b c.txt": shelf.put(bytes("inner")), empty: shelf.put({}) });
  const root = shelf.put({ "a.html": shelf.put(bytes("<b>")), d: inner }, { name: "docs" });
  const refused = await call(`GET /v1/storage/get/${root}`);
  deepEqual([refused.status, refused.json().code], [409, "WRONG_TYPE"]);
  match(refused.json().error, new RegExp(`/v1/storage/directory/${root}`));
  const listed = await call(`GET /v1/storage/directory/${root}/d/`);
  equal(listed.headers.get("content-type"), "application/json");
  deepEqual(listed.json(), {
    cid: inner,
    path: "d",
    entries: [
      { name: "b c.txt", cid: shelf.put(bytes("inner")), size: 5, kind: "file" },
      { name: "empty", cid: shelf.put({}), size: null, kind: "directory" },
    ],
    count: 2,
  });
  equal((await call(`GET /v1/storage/directory/${root}`, { "if-none-match": `"${root}.entries"` })).status, 304);
  equal((await call(`GET /v1/storage/directory/${shelf.put(bytes("x"))}`)).json().code, "WRONG_TYPE");
  deepEqual((await call(`GET /v1/storage/directory/${shelf.put({})}`)).json().entries, []);
  const file = await call(`GET /v1/storage/get/${root}/d/b%20c.txt`);
  deepEqual([file.status, file.text], [200, "inner"]);
  equal(file.headers.get("content-disposition"), 'attachment; filename="b c.txt"');
  equal((await call(`GET /v1/storage/get/${root}/d/none`)).status, 404);
});

Deno.test("an archive of files holds the tree", async () => {
  const { fetch, shelf } = shelved();
  const inner = shelf.put({ "é.bin": shelf.put(long), empty: shelf.put({}) });
  const root = shelf.put({ "a.txt": shelf.put(bytes("a")), d: inner }, { name: "docs" });
  const headers = { "x-api-key": "key" };
  const entriesOf = async (path: string) => {
    const response = await fetch(new Request(`http://gateway.example/v1/storage/get/${path}`, { headers }));
    equal(response.headers.get("content-type"), "application/x-tar");
    return (await unpackTar(new Uint8Array(await response.arrayBuffer())))
      .map(({ header, data }) => `${header.name} ${header.type} ${data?.length}`);
  };
  deepEqual(await entriesOf(`${root}?format=tar`), [
    "docs/ directory undefined",
    "docs/a.txt file 1",
    "docs/d/ directory undefined",
    "docs/d/é.bin file 5000",
    "docs/d/empty/ directory undefined",
  ]);
  deepEqual(await entriesOf(`${root}/d?format=tar`), [
    "d/ directory undefined",
    "d/é.bin file 5000",
    "d/empty/ directory undefined",
  ]);
  deepEqual(await entriesOf(`${root}/a.txt?format=tar`), ["a.txt file 1"]);
});

Deno.test("an archive leads nowhere out of itself, and has an end", async () => {
  const { fetch, shelf } = shelved();
  const broken = async (root: string) => {
    const headers = { "x-api-key": "key" };
    const response = await fetch(new Request(`http://gateway.example/v1/storage/get/${root}?format=tar`, { headers }));
    return response.status !== 200 || await response.arrayBuffer().then(() => false, () => true);
  };
  const x = shelf.put(bytes("x"));
  for (const name of ["..", ".", "", "a/b", "../x", "a\\..\\b", "\\a", "a\0b"]) {
    ok(await broken(shelf.put({ first: x, [name]: x })), name);
    ok(await broken(shelf.put({ first: x }, { name: name || ".." })), `the root ${name}`);
  }
  let deep = x;
  for (let i = 0; i < 100; i++) deep = shelf.put({ d: deep });
  ok(await broken(deep));
});

Deno.test("a tree of a few blocks that is many entries is not walked for ever", async () => {
  const { shelf } = shelved();
  let level = shelf.put({ a: shelf.put(bytes("x")) });
  for (let i = 0; i < 10; i++) {
    level = shelf.put(Object.fromEntries(Array.from({ length: 10 }, (_, at) => [`n${at}`, level])));
  }
  const reader = { namespace: "n" }, context = CONTEXT;
  const storage = shelf as unknown as Storage;
  let entries = 0;
  await rejects(async () => {
    const root = { cid: level, path: [] };
    for await (const _ of treeOf(storage, reader, root, await shelf.open(reader, level, []), context)) entries++;
  }, (error: unknown) => (error as GatewayError).code === "RESULT_TOO_LARGE");
  equal(entries, 100_000);
});

Deno.test("another form of content is given to who asks, with a tag of its own", async () => {
  const { anybody, shelf } = shelved();
  const file = shelf.put(bytes("x"), { visibility: "public", name: "a.txt", type: "text/plain" });
  const root = shelf.put({ f: file }, { visibility: "public" });
  const seen = async (path: string, accept?: string) => {
    const { status, headers, text } = await anybody(`GET /ipfs/${path}`, accept === undefined ? {} : { accept });
    return { status, text, header: (name: string) => headers.get(name) };
  };
  const raw = await seen(`${file}?format=raw`);
  deepEqual([raw.text, raw.header("content-type"), raw.header("etag")], [
    `block of ${file}`,
    "application/vnd.ipld.raw",
    `"${file}.raw"`,
  ]);
  equal(raw.header("content-disposition"), `attachment; filename=${file}.bin`);
  equal(raw.header("content-length"), String(`block of ${file}`.length));
  const car = await seen(`${root}/f?format=car&dag-scope=entity`);
  deepEqual([car.text, car.header("content-type")], [
    `car of ${file}, "entity"`,
    "application/vnd.ipld.car; version=1; order=dfs; dups=n",
  ]);
  match(car.header("etag")!, new RegExp(`^W/"entity\\.${file}\\.car\\.[\\w-]{22}"$`));
  equal(car.header("content-disposition"), `attachment; filename=${file}.car`);
  for (const { header } of [raw, car]) {
    equal(header("cache-control"), "public, max-age=29030400, immutable, no-transform");
    equal(header("x-content-type-options"), "nosniff");
    equal(header("accept-ranges"), "none");
  }
  const tags = new Set<string | null>();
  const ways = [
    "",
    "?format=raw",
    "?format=tar",
    "?format=car",
    "?format=car&dag-scope=block",
    "?format=car&dag-scope=entity",
  ];
  for (const query of ways) tags.add((await seen(`${file}${query}`)).header("etag"));
  tags.add((await seen(`${root}/f?format=car`)).header("etag"));
  equal(tags.size, ways.length + 1);
  for (const tag of tags) ok(tag !== null);
  for (
    const [range, scope] of [
      ["0:10", { from: 0, to: 10 }],
      ["-5:*", { from: -5 }],
      ["3:-3", { from: 3, to: -3 }],
      ["0:10&dag-scope=all", { from: 0, to: 10 }],
      ["0:10&dag-scope=block", "block"],
    ] as const
  ) {
    const { text } = await seen(`${file}?format=car&entity-bytes=${range}`);
    equal(text, `car of ${file}, ${JSON.stringify(scope)}`);
  }
  for (
    const [accept, type, location] of [
      ["application/vnd.ipld.raw", "application/vnd.ipld.raw", `/ipfs/${file}?format=raw`],
      [
        "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        `/ipfs/${file}?format=car`,
      ],
      [
        "application/vnd.ipld.car; order=unk",
        "application/vnd.ipld.car; version=1; order=dfs; dups=n",
        `/ipfs/${file}?format=car`,
      ],
      [
        "application/vnd.ipld.car;dups=y, application/vnd.ipld.raw;q=0.5",
        "application/vnd.ipld.raw",
        `/ipfs/${file}?format=raw`,
      ],
      ["application/x-tar", "application/x-tar", `/ipfs/${file}?format=tar`],
      ["*/*", "text/plain", null],
      ["text/html, application/vnd.ipld.raw;q=0.9", "text/plain", null],
      ["application/json", "text/plain", null],
      ["application/vnd.ipld.raw;q=0", "text/plain", null],
      ["application/vnd.ipld.dag-json, */*;q=0.1", "text/plain", null],
    ] as const
  ) {
    const { status, header } = await seen(file, accept);
    deepEqual([status, header("content-type"), header("content-location")], [200, type, location], accept);
    match(header("vary")!, /Accept/);
  }
  equal(
    (await seen(`${file}?format=raw`, "application/vnd.ipld.car")).header("content-type"),
    "application/vnd.ipld.raw",
  );
});

Deno.test("an answer without a body says no more of it than is known", async () => {
  const { anybody, shelf } = shelved();
  const file = shelf.put(bytes("x"), { visibility: "public", type: "text/plain" });
  const root = shelf.put({ f: file }, { visibility: "public" });
  for (const query of ["?format=car", "?format=tar", ""]) {
    const { status, headers } = await anybody(`HEAD /ipfs/${root}${query}`);
    deepEqual([status, headers.get("content-length")], [200, null], query);
  }
  const { status, headers } = await anybody(`GET /ipfs/${file}`, { "if-none-match": `"${file}"` });
  deepEqual([status, headers.get("content-type")], [304, "text/plain"]);
});

Deno.test("a form that is not given is 406, and one that there is not 400", async () => {
  const { anybody, shelf } = shelved();
  const cid = shelf.put(bytes("x"), { visibility: "public" });
  for (const format of ["dag-json", "dag-cbor", "json", "cbor", "ipns-record"]) {
    equal((await anybody(`GET /ipfs/${cid}?format=${format}`)).json().code, "NOT_ACCEPTABLE", format);
  }
  for (const query of ["format=car&car-version=2", "format=car&car-order=bfs", "format=car&car-dups=y"]) {
    equal((await anybody(`GET /ipfs/${cid}?${query}`)).status, 406, query);
  }
  for (
    const accept of [
      "application/vnd.ipld.car;version=2",
      "application/vnd.ipld.car;dups=y",
      "application/vnd.ipld.dag-json",
      "application/vnd.ipfs.ipns-record",
    ]
  ) {
    equal((await anybody(`GET /ipfs/${cid}`, { accept })).status, 406, accept);
  }
  for (
    const query of [
      "format=zip",
      "format=",
      "format=constructor",
      "dag-scope=some",
      "entity-bytes=1",
      "entity-bytes=a:b",
      "download=maybe",
    ]
  ) {
    equal((await anybody(`GET /ipfs/${cid}?${query}`)).json().code, "INVALID_REQUEST", query);
  }
});

Deno.test("/ipfs gives anybody what is public, and the rest to whom it is for", async () => {
  const { anybody, call, shelf, asked } = shelved();
  const open = shelf.put(bytes("open"), { visibility: "public", type: "text/html" });
  const secret = shelf.put(bytes("secret"));
  const found = await anybody(`GET /ipfs/${open}`);
  equal(found.text, "open");
  equal(found.headers.get("x-ipfs-path"), `/ipfs/${open}`);
  equal(found.headers.get("x-ipfs-roots"), open);
  equal(found.headers.get("cache-control"), "public, max-age=29030400, immutable, no-transform");
  equal(found.headers.get("content-disposition"), `attachment; filename=${open}`);
  equal(found.headers.get("content-security-policy"), "default-src 'none'; sandbox");
  for (const answer of [await anybody(`GET /ipfs/${secret}`), await anybody(`GET /ipfs/${secret}?token=bad`)]) {
    deepEqual([answer.status, answer.json().error], [404, `content not found: ${secret}`]);
  }
  equal((await call(`GET /ipfs/${secret}`, { "x-api-key": "blind" })).status, 404, "without the scope it is nobody's");
  const own = await call(`GET /ipfs/${secret}`);
  deepEqual([own.text, own.headers.get("cache-control")], [
    "secret",
    "private, max-age=29030400, immutable, no-transform",
  ]);
  const before = asked.length;
  const linked = await anybody(`GET /ipfs/${secret}?token=good`);
  deepEqual([linked.text, linked.headers.get("cache-control")], ["secret", "private, no-cache, no-transform"]);
  for (const query of ["token=key", "api_key=key", "jwt=key"]) {
    equal((await anybody(`GET /ipfs/${secret}?${query}`)).status, 404, query);
  }
  equal(asked.length, before, "nothing in the address is taken for a credential");
  const hidden = await anybody(`GET /ipfs/${secret}?token=good`, { accept: "application/vnd.ipld.raw" });
  equal(hidden.headers.get("content-location"), null, "the token is in no header");
});

Deno.test("/ipfs lists a directory, and says what it can of the way to it", async () => {
  const { anybody, shelf } = shelved();
  const x = shelf.put(bytes("x"));
  const inner = shelf.put({ "ü x": x });
  const root = shelf.put({ d: inner }, { visibility: "public" });
  for (const path of [root, `${root}/`]) {
    const { headers, json } = await anybody(`GET /ipfs/${path}`);
    deepEqual([headers.get("content-type"), json().count], ["application/json", 1]);
    equal(headers.get("x-ipfs-roots"), root);
  }
  equal((await anybody(`GET /ipfs/${root}/d`)).headers.get("x-ipfs-roots"), `${root},${inner}`);
  const deep = await anybody(`GET /ipfs/${root}/d/%C3%BC%20x`);
  deepEqual([deep.text, deep.headers.get("x-ipfs-path")], ["x", `/ipfs/${root}/d/%C3%BC%20x`]);
  equal(deep.headers.get("x-ipfs-roots"), null);
});

Deno.test("an address that is none leads nowhere", async () => {
  const { call, anybody, shelf } = shelved();
  const x = shelf.put(bytes("x"), { visibility: "public" });
  const root = shelf.put({ a: x }, { visibility: "public" });
  for (const path of ["%2e%2e", "a/%2e%2e/a", "a%2fb", "%00", "%", "%ff", "a//b", "a%5c..%5c%2f"]) {
    const answer = await anybody(`GET /ipfs/${root}/${path}`);
    deepEqual([answer.status, answer.json().code], [400, "INVALID_REQUEST"], path);
    equal(answer.json().details[0].field, "path");
  }
  for (const path of ["get", "status", "directory"]) {
    const answer = await call(`GET /v1/storage/${path}/`);
    deepEqual([answer.status, answer.json().error], [400, "cid required"], path);
  }
  for (const line of ["DELETE /v1/storage/unpin/", "POST /v1/storage/recover/", "GET /ipfs/"]) {
    equal((await call(line)).json().error, "cid required", line);
  }
  for (const line of [`DELETE /v1/storage/unpin/${root}/a`, `GET /v1/storage/status/${root}/a`]) {
    equal((await call(line)).json().details[0].field, "cid", line);
  }
  equal((await call("POST /v1/storage/pin", {}, "{}")).json().error, "cid required");
  const injected = await call(`GET /v1/storage/get/${root}?arg=${x}&format=raw`);
  equal(injected.text, `block of ${root}`);
  equal((await call(`GET /v1/storage/get/${root}%3Farg=${x}`)).status, 404);
});

Deno.test("no service worker is registered from content", async () => {
  const { anybody, call, shelf } = shelved();
  const cid = shelf.put(bytes("self.onfetch = 1"), { visibility: "public", type: "text/javascript" });
  for (
    const answer of [
      await anybody(`GET /ipfs/${cid}`, { "service-worker": "script" }),
      await call(`GET /v1/storage/get/${cid}`, { "service-worker": "script" }),
    ]
  ) deepEqual([answer.status, answer.json().code], [400, "INVALID_REQUEST"]);
});

Deno.test("clients find out that this is a gateway", async () => {
  const { anybody } = shelved();
  for (
    const [query, type, length] of [
      ["?format=raw", "application/vnd.ipld.raw", 0],
      ["", "application/octet-stream", 0],
      ["?format=car", "application/vnd.ipld.car; version=1; order=dfs; dups=n", 26],
    ] as const
  ) {
    for (const method of ["GET", "HEAD"]) {
      const { status, headers, text } = await anybody(`${method} /ipfs/bafkqaaa${query}`);
      deepEqual([status, headers.get("content-type"), text.length > 0], [200, type, method === "GET" && length > 0]);
    }
  }
  equal((await anybody("GET /ipfs/bafkqaaa/x")).status, 404);
  equal((await anybody("GET /ipfs/bafkqabtimvwgy3yk")).status, 404, "another identity CID is nobody's");
});
