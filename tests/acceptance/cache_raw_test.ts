import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { uniqueName } from "../support/accounts.ts";
import { CacheCaller } from "../support/cache.ts";
import { RawConnection, rawRequest } from "../support/raw_http.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;

async function cacheOf() {
  const key = await suite.gateway.defaultKey();
  return { cache: new CacheCaller(suite.gateway, { key }), map: uniqueName("map"), key };
}

/** The bytes that a `GET` gives. */
async function bytesOf(path: string, key: string): Promise<{ bytes: Uint8Array; headers: Headers }> {
  const response = await fetch(suite.gateway.url + path, { headers: { "x-api-key": key } });
  equal(response.status, 200);
  return { bytes: await response.bytes(), headers: response.headers };
}

test("bytes of any kind come back as they were, with their media type", async () => {
  const { cache, map, key } = await cacheOf();
  const all = Uint8Array.from({ length: 70_000 }, (_, i) => i * 7 % 256);
  for (
    const [bytes, type] of [
      [all, "image/png"],
      [new Uint8Array(), "application/octet-stream"],
      [new Uint8Array([0]), "application/x-thing; a=b"],
      [new TextEncoder().encode("<h1>é</h1>"), "text/html; charset=utf-8"],
      [new TextEncoder().encode('{"a":1}'), "application/ld+json"],
      [new Uint8Array([0xff, 0xfe, 0x00]), "text/plain"],
    ] as const
  ) {
    const put = await cache.raw("PUT", [map, "k"], { raw: bytes, headers: { "content-type": type } });
    deepEqual(put.expect(200).body, { status: "ok", key: "k", dmap: map });
    const got = await bytesOf(`/v1/cache/${map}/k`, key);
    deepEqual(got.bytes, bytes);
    equal(got.headers.get("content-type"), type);
    const posted = (await cache.get(map, "k")).expect(200);
    deepEqual([posted.get("encoding"), posted.get("content_type")], ["base64", type]);
    deepEqual(Uint8Array.fromBase64(posted.string("value")), bytes);
  }
});

test("JSON is the same value by either way, digit for digit", async () => {
  const { cache, map } = await cacheOf();
  const text = '{ "n": 12345678901234567890, "f": 1.50 }';
  (await cache.raw("PUT", [map, "k"], { raw: text, headers: { "content-type": "application/json; charset=utf-8" } }))
    .expect(200);
  ok((await cache.get(map, "k")).text.includes(`"value":${text}`));
  const back = (await cache.raw("GET", [map, "k"])).expect(200);
  deepEqual([back.text, back.headers.get("content-type")], [text, "application/json"]);
  await cache.put(map, "p", [1, "zwei"]);
  equal((await cache.raw("GET", [map, "p"])).expect(200).text, '[1,"zwei"]');
  for (const raw of ["", "{", "nonsense", "1e400", "\u0000", "[".repeat(100_000)]) {
    (await cache.raw("PUT", [map, "k"], { raw })).expect(400);
  }
  equal((await cache.raw("PUT", [map, "k"], { raw: " null " })).expect(400).get("error"), "value is required");
  (await cache.raw("PUT", [map, "k"], { raw: new Uint8Array([0x22, 0xff, 0x22]) })).expect(400);
  equal((await cache.raw("GET", [map, "k"])).text, text, "nothing of it was stored");
});

test("what is not there is 404, and a delete of it too", async () => {
  const { cache, map } = await cacheOf();
  for (const method of ["GET", "DELETE"]) {
    equal((await cache.raw(method, [map, "k"])).expect(404).get("error"), "key not found");
  }
  equal((await cache.raw("HEAD", [map, "k"])).status, 404);
  await cache.put(map, "k", 1);
  deepEqual((await cache.raw("DELETE", [map, "k"])).expect(200).body, { status: "ok", key: "k", dmap: map });
  equal((await cache.raw("DELETE", [map, "k"])).status, 404);
});

test("a name may have any characters, each written as it is or encoded", async () => {
  const { cache, map, key } = await cacheOf();
  const names = [
    "a/b",
    "a\0b",
    "..x",
    "a b",
    "a+b",
    "a%2Fb",
    "%",
    "a?b",
    "a#b",
    "a;b=c",
    "a:b",
    "é",
    "e\u0301",
    "漢😀",
    "\\",
  ];
  for (const [i, name] of names.entries()) {
    (await cache.raw("PUT", [map, name], { raw: String(i) })).expect(200);
    equal(await cache.value(map, name), i, JSON.stringify(name));
    (await cache.raw("PUT", [`${map}${name}`, "k"], { raw: String(i) })).expect(200);
  }
  for (const [i, name] of names.entries()) {
    equal((await cache.raw("GET", [map, name])).expect(200).text, String(i), JSON.stringify(name));
    equal(await cache.value(`${map}${name}`, "k"), i);
  }
  deepEqual(await cache.keys(map), names.toSorted());
  const target = async (path: string, method = "GET") =>
    await rawRequest(
      suite.gateway.url,
      `${method} ${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  for (const dots of [".", ".."]) {
    await cache.put(map, dots, dots);
    equal((await target(`/v1/cache/${map}/${dots.replaceAll(".", "%2e")}`)).body, `"${dots}"`);
    for (const [path, field] of [[`${map}/${dots}`, "key"], [`${dots}/k`, "dmap"]] as const) {
      const answer = await target(`/v1/cache/${path}`);
      deepEqual([answer.status, JSON.parse(answer.body).details[0].field], [400, field], path);
    }
    equal((await target(`/v1/cache/${dots}`, "DELETE")).status, 400);
  }
  for (
    const wrong of ["%", "%2", "%zz", "%ff", "%c3", "%ed%a0%80", "%c0%af", "%20", "x".repeat(256), "%C3%A9".repeat(128)]
  ) {
    const answer = await target(`/v1/cache/${map}/${wrong}`);
    deepEqual([answer.status, JSON.parse(answer.body).code], [400, "INVALID_REQUEST"], wrong);
  }
  equal((await target(`/v1/cache/${map}/k?x=/../..`)).status, 404, "a query is no path");
  equal((await target(`/v1/cache//k`)).status, 301);
});

test("a name of 64 KiB in a path is refused by every method, and the gateway goes on", async () => {
  const { cache, map, key } = await cacheOf();
  const long = (
    size: number,
  ) => [`${"x".repeat(size)}/k`, `${map}/${"x".repeat(size)}`, `${map}/${"%C3%A9".repeat(size / 6)}`];
  const ask = (method: string, path: string) =>
    rawRequest(
      suite.gateway.url,
      `${method} /v1/cache/${path} HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  for (const method of ["GET", "HEAD", "PUT", "DELETE"]) {
    for (const [i, path] of long(60_000).entries()) {
      const answer = await ask(method, path);
      equal(answer.status, 400, `${method} ${path.slice(0, 20)}`);
      if (method === "HEAD") continue;
      const { code, details } = JSON.parse(answer.body);
      deepEqual([code, details[0].field], ["INVALID_REQUEST", i === 0 ? "dmap" : "key"]);
      ok(answer.body.length < 2_000, answer.body.slice(0, 100));
    }
    // No head may be that long: the server says so, unless it has hung up before that is read.
    for (const path of long(65_536)) {
      const answer = await ask(method, path).catch(() => undefined);
      ok(answer === undefined || answer.status === 400, `${method}: ${answer?.status}`);
    }
  }
  (await cache.raw("DELETE", ["x".repeat(256)])).expect(400);
  await cache.put(map, "k", 1);
  equal(await cache.value(map, "k"), 1);
});

test("a value is revalidated by its tag, which every write changes", async () => {
  const { cache, map } = await cacheOf();
  await cache.put(map, "k", "x".repeat(5_000));
  const first = (await cache.raw("GET", [map, "k"])).expect(200);
  const etag = first.headers.get("etag")!;
  match(etag, /^"[\x21\x23-\x7e]+"$/, "a strong one, though the client takes compressed answers");
  equal((await cache.get(map, "k")).get("version"), etag.slice(1, -1));
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
    const again = (await cache.raw("GET", [map, "k"], { headers: { "if-none-match": known } })).expect(304);
    deepEqual([again.text, again.headers.get("etag")], ["", etag], known);
    notEqual(again.headers.get("cache-control"), null);
  }
  (await cache.raw("GET", [map, "k"], { headers: { "if-none-match": '"other"' } })).expect(200);
  (await cache.raw("GET", [map, "k"], { headers: { "if-match": etag } })).expect(200);
  (await cache.raw("GET", [map, "k"], { headers: { "if-match": '"other"' } })).expect(412);
  await cache.put(map, "k", "x".repeat(5_000));
  const after = (await cache.raw("GET", [map, "k"], { headers: { "if-none-match": etag } })).expect(200);
  notEqual(after.headers.get("etag"), etag, "an equal value is another version");
  const head = (await cache.raw("HEAD", [map, "k"])).expect(200);
  deepEqual([head.text, head.headers.get("etag"), head.headers.get("content-length")], [
    "",
    after.headers.get("etag"),
    "5002",
  ]);
});

test("a write may hang on what is there", async () => {
  const { cache, map } = await cacheOf();
  const put = (headers: Record<string, string>, raw = "1") => cache.raw("PUT", [map, "k"], { raw, headers });
  (await put({ "if-match": "*" })).expect(412);
  (await put({ "if-match": '"1"' })).expect(412);
  const made = (await put({ "if-none-match": "*" })).expect(200);
  const etag = made.headers.get("etag")!;
  equal(made.get("version"), etag.slice(1, -1));
  equal((await cache.raw("GET", [map, "k"])).headers.get("etag"), etag);
  (await put({ "if-none-match": "*" })).expect(412);
  (await put({ "if-none-match": `"x", ${etag}` })).expect(412);
  (await put({ "if-match": `W/${etag}` })).expect(412);
  const second = (await put({ "if-match": `"x", ${etag}` }, "2")).expect(200).headers.get("etag")!;
  (await put({ "if-match": etag })).expect(412);
  (await put({ "if-match": "*" }, "3")).expect(200);
  for (const wrong of ["1", '"1', 'x"1"']) {
    equal((await put({ "if-match": wrong })).expect(400).get("details.0.field"), "If-Match");
  }
  equal((await put({ "if-match": "*", "if-none-match": "*" })).status, 400);
  const remove = (headers: Record<string, string>) => cache.raw("DELETE", [map, "k"], { headers });
  (await remove({ "if-match": second })).expect(412);
  (await remove({ "if-none-match": "*" })).expect(412);
  equal(await cache.value(map, "k"), 3);
  const last = (await cache.raw("GET", [map, "k"])).headers.get("etag")!;
  (await remove({ "if-match": last })).expect(200);
  (await remove({ "if-match": last })).expect(404);
});

test("an answer may be kept by its reader for as long as the value lives", async () => {
  const { cache, map } = await cacheOf();
  const put = async (query: string) => (await cache.raw("PUT", [map, "k"], { raw: "1", query })).expect(200);
  const control = async () => (await cache.raw("GET", [map, "k"])).expect(200).headers.get("cache-control")!;
  await put("");
  equal(await control(), "private, no-cache, no-transform");
  await put("?ttl=1h");
  const [, age] = /^private, max-age=(\d+), no-transform$/.exec(await control()) ?? [];
  ok(Number(age) > 3_500 && Number(age) <= 3_600, age ?? "");
  await put("?ttl=0");
  equal(await control(), "private, no-cache, no-transform");
  const { headers } = await cache.raw("GET", [map, "k"]);
  match(headers.get("vary")!, /X-API-Key/);
  for (const ttl of ["", "5", "-1s", "soon", "1h;", "99999999h"]) {
    const answer = await cache.raw("PUT", [map, "k"], { raw: "1", query: `?ttl=${ttl}` });
    equal(answer.expect(400).get("details.0.field"), "ttl", ttl);
  }
  const versioned = (await cache.raw("PUT", [map, "k"], { raw: "1", query: "?versioned=true" })).expect(200);
  equal(versioned.headers.get("etag"), (await cache.raw("GET", [map, "k"])).headers.get("etag"));
});

test("a browser runs nothing of what is stored as if it were a page of the gateway", async () => {
  const { cache, map } = await cacheOf();
  const headersOf = async (type: string) => {
    (await cache.raw("PUT", [map, "k"], { raw: "<script>alert(1)</script>", headers: { "content-type": type } }))
      .expect(200);
    return (await cache.raw("GET", [map, "k"])).expect(200).headers;
  };
  for (const type of ["text/html", "image/svg+xml", "text/xml", "application/pdf", "text/javascript", "x/y"]) {
    const headers = await headersOf(type);
    equal(headers.get("content-disposition"), "attachment", type);
    equal(headers.get("x-content-type-options"), "nosniff");
    equal(headers.get("content-security-policy"), "default-src 'none'; sandbox");
  }
  for (const type of ["image/png", "text/plain"]) {
    const headers = await headersOf(type);
    deepEqual([headers.get("content-disposition"), headers.get("x-content-type-options")], [null, "nosniff"]);
  }
  for (const type of ["x", "text/", "*/*", "text/plain, text/html", "a/" + "b".repeat(300)]) {
    const answer = await cache.raw("PUT", [map, "k"], { raw: "x", headers: { "content-type": type } });
    equal(answer.expect(400).get("details.0.field"), "Content-Type", type);
  }
});

test("a value is as large as the namespace's limit, whichever way its length is said", async () => {
  const { cache, map, key } = await cacheOf();
  const headers = { "content-type": "application/octet-stream" };
  const put = (size: number) => cache.raw("PUT", [map, "k"], { raw: new Uint8Array(size), headers });
  (await put(512_000)).expect(200);
  for (const size of [512_001, 3_000_000]) {
    const answer = (await put(size)).expect(413);
    equal(answer.get("code"), "BODY_TOO_LARGE");
    match(answer.string("error"), /512000 bytes, which is the limit of this namespace/);
  }
  using connection = await RawConnection.open(suite.gateway.url);
  await connection.send(
    `PUT /v1/cache/${map}/k HTTP/1.1\r\nHost: x\r\nX-API-Key: ${key}\r\nTransfer-Encoding: chunked\r\n\r\n`,
  );
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  for (let sent = 0; sent < 64 && connection.received === ""; sent++) if (!await connection.send(chunk)) break;
  const answer = await connection.answer();
  deepEqual([answer.status, JSON.parse(answer.body).code], [413, "BODY_TOO_LARGE"]);
  equal((await bytesOf(`/v1/cache/${map}/k`, key)).bytes.length, 512_000, "what was there is there");
});

test("another method is refused with those that there are", async () => {
  const { cache, map } = await cacheOf();
  for (const method of ["POST", "PATCH"]) {
    const { headers } = (await cache.raw(method, [map, "k"])).expect(405);
    deepEqual(new Set(headers.get("allow")!.split(", ")), new Set(["GET", "HEAD", "PUT", "DELETE", "OPTIONS"]));
  }
});
