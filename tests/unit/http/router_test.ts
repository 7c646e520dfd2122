import { deepEqual, equal } from "node:assert/strict";
import { Hono } from "hono";
import { routes } from "../../../routes/index.ts";
import { FixedFirstRouter } from "../../../src/http/router.ts";

Deno.test("every route is found by its own path, with its parameters", async () => {
  const app = new Hono({ router: new FixedFirstRouter() });
  for (const { method, path } of routes) app.on(method, path, (c) => c.json([method, path, c.req.param()]));
  for (const { method, path } of routes) {
    const names = [...path.matchAll(/:(\w+)/g)].map(([, name = ""]) => name);
    const answer = await app.request(path.replace(/:\w+(\{[^}]*\})?/g, "a%2Fb"), { method });
    deepEqual(await answer.json(), [method, path, Object.fromEntries(names.map((name) => [name, "a/b"]))]);
  }
  for (const path of ["/nothing", "/v1/cache/", "/v1/cache/a/b/c", "/v1/cache//b", "/toString", "/__proto__"]) {
    equal((await app.request(path)).status, 404, path);
  }
});

Deno.test("where a path has a parameter and another one has not, the fixed one is found", async () => {
  const app = new Hono({ router: new FixedFirstRouter() });
  app.get("/a/:b/:c", (c) => c.text("two parts"));
  app.get("/a/:b", (c) => c.text(c.req.param("b")));
  app.get("/a/health", (c) => c.text("fixed"));
  for (const [path, text] of [["/a/health", "fixed"], ["/a/x", "x"], ["/a/health/x", "two parts"]] as const) {
    equal(await (await app.request(path)).text(), text);
    const head = await app.request(path, { method: "HEAD" });
    deepEqual([head.status, await head.text()], [200, ""]);
  }
});

Deno.test("all routes that have parameters are found by one regular expression", () => {
  const router = new FixedFirstRouter();
  for (const { method, path } of routes) router.add(method, path, path);
  router.match("GET", "/v1/cache/a/b");
  equal(router.others, "SmartRouter + RegExpRouter");
});
