import { deepEqual, equal } from "node:assert/strict";
import { as, version, workshop } from "./support/workshop.ts";

Deno.test("a module that the client has already is not read to say so", async () => {
  const t = workshop();
  const get = (headers = {}) => t.call("GET /v1/functions/resize/wasm", { headers: as("shops", headers) });
  const whole = await get();
  deepEqual([whole.status, whole.text, t.modulesRead()], [200, "\0asm", 1]);
  const etag = whole.headers.get("etag")!;
  equal(etag, `"${version().wasmCid}"`);
  equal(whole.headers.get("content-disposition"), "attachment; filename=resize-1.wasm");
  const known = await get({ "if-none-match": etag });
  deepEqual([known.status, known.text, known.headers.get("etag"), t.modulesRead()], [304, "", etag, 1]);
  equal((await get({ "if-match": '"another"' })).status, 412);
  equal(t.modulesRead(), 1);
  equal((await get({ "if-none-match": '"another"' })).status, 200);
  equal(t.modulesRead(), 2);
});
