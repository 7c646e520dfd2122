import { deepEqual, equal, rejects } from "node:assert/strict";
import { createCache, createClient } from "../../../src/client/index.ts";
import { awaitedLater } from "../../support/awaited_later.ts";
import { ANSWERS, mapAt, wellBehaved } from "./support/caches.ts";
import { oramaError } from "./support/databases.ts";
import { answer, ScriptedServer } from "./support/scripted_server.ts";

Deno.test("bytes go to an address of their own, with their type and conditions as headers", async () => {
  await using server = new ScriptedServer(() => answer(200, ANSWERS.put));
  const map = createCache(createClient({ url: server.url })).map("ma p/ä");
  deepEqual(await map.putBytes("a/b?c#d%", new Uint8Array([104, 105]), { ttl: "1m", nx: true }), { version: "v3" });
  await map.putBytes("k", new Blob(["{}"], { type: "text/plain" }), { ifVersion: "v1", versioned: true });
  await map.putBytes("k", new Uint8Array([33]), { type: 'multipart/x; boundary="aB"', xx: true });
  const seen = server.requests.map(({ method, path, headers, body }) => [
    `${method} ${path}`,
    headers.get("content-type"),
    headers.get("if-match"),
    headers.get("if-none-match"),
    body,
  ]);
  const start = "PUT /v1/cache/ma%20p%2F%C3%A4";
  deepEqual(seen, [
    [`${start}/a%2Fb%3Fc%23d%25?ttl=60000ms`, "application/octet-stream", undefined, "*", "hi"],
    [`${start}/k?versioned=true`, "text/plain", '"v1"', undefined, "{}"],
    [`${start}/k`, 'multipart/x; boundary="aB"', "*", undefined, "!"],
  ]);
});

Deno.test("bytes come with their type and version, or as unchanged", async () => {
  const head = { "content-type": "image/png", etag: '"v1"' };
  await using server = new ScriptedServer(({ headers }) =>
    headers.get("if-none-match") === '"v1"'
      ? 'HTTP/1.1 304 X\r\netag: "v1"\r\n\r\n'
      : answer(200, "hi", headers.has("if-match") ? { ...head, etag: 'W/"v2"' } : head)
  );
  const map = mapAt(server.url), bytes = new Uint8Array([104, 105]);
  deepEqual(await map.getBytes("k"), { bytes, type: "image/png", version: "v1" });
  deepEqual(await map.getBytes("k", { ifVersion: "v1" }), { bytes, type: "image/png", version: "v2" });
  equal(await map.getBytes("k", { unlessVersion: "v1" }), "unchanged");
  deepEqual(server.requests.map(({ method, path }) => `${method} ${path}`), Array(3).fill("GET /v1/cache/m/k"));
  await using odd = new ScriptedServer(() => "HTTP/1.1 304 X\r\n\r\n");
  equal((await oramaError(mapAt(odd.url).getBytes("k"))).code, "INVALID_RESPONSE", "nobody asked for that");
  await using page = new ScriptedServer(() => answer(200, "<html>", { "content-type": "text/html" }));
  equal((await oramaError(mapAt(page.url).getBytes("k"))).code, "INVALID_RESPONSE", "what has no version is no value");
  await using moved = new ScriptedServer(() => answer(302, "", { location: "/elsewhere" }));
  equal((await oramaError(mapAt(moved.url).getBytes("k"))).code, "INVALID_RESPONSE");
});

Deno.test("what would name another address, or break out of a header, sends nothing", async () => {
  await using server = wellBehaved();
  const cache = createCache(createClient({ url: server.url }));
  for (const name of ["", " ", ".", "..", "\ud800"]) {
    for (
      const work of awaitedLater([
        cache.map(name).drop(),
        cache.map(name).getBytes("k"),
        cache.map("m").getBytes(name),
        cache.map("m").putBytes(name, new Uint8Array()),
      ])
    ) await rejects(work, TypeError);
  }
  const map = cache.map("m");
  for (const version of ["", 'a"', "a\r\nx: y", "é", "x".repeat(256)]) {
    await rejects(map.getBytes("k", { unlessVersion: version }), /^TypeError: unlessVersion must/);
    await rejects(map.getBytes("k", { ifVersion: version }), /^TypeError: ifVersion must/);
    await rejects(map.putBytes("k", new Uint8Array(), { ifVersion: version }), /^TypeError: ifVersion must/);
    await rejects(map.put("k", 1, { ifVersion: version }), /^TypeError: ifVersion must/);
    await rejects(map.delete("k", { ifVersion: version }), /^TypeError: ifVersion must/);
  }
  for (const type of ["", "a\r\nb", "é/x", "x".repeat(256)]) {
    await rejects(map.putBytes("k", new Uint8Array(), { type }), /^TypeError: type must/);
  }
  for (const options of [{ nx: true, xx: true }, { xx: true, ifVersion: "v" }]) {
    await rejects(map.put("k", 1, options), /only one of/);
    await rejects(map.putBytes("k", new Uint8Array(), options), /only one of/);
  }
  equal(server.requests.length, 0);
});
