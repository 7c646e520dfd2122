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

Deno.test("a path that has a text where another one has a parameter is found, in whichever order they were added", async () => {
  const paths = ["/a/:b/:c", "/a/fixed/:c", "/a/:b/fixed/:d", "/a/:b"];
  for (const order of [paths, paths.toReversed()]) {
    const app = new Hono({ router: new FixedFirstRouter() });
    for (const path of order) {
      app.get(path, (c) => c.text(`${path} ${Object.entries(c.req.param()).toSorted().join()}`));
    }
    for (
      const [path, text] of [
        ["/a/1/2", "/a/:b/:c b,1,c,2"],
        ["/a/fixed/2", "/a/fixed/:c c,2"],
        ["/a/fixed", "/a/:b b,fixed"],
        ["/a/1/fixed/2", "/a/:b/fixed/:d b,1,d,2"],
        ["/a/fixed/fixed/2", "/a/:b/fixed/:d b,fixed,d,2"],
      ] as const
    ) equal(await (await app.request(path)).text(), text);
  }
});

Deno.test("all routes that have parameters are found by regular expressions", () => {
  const router = new FixedFirstRouter();
  for (const { method, path } of routes) router.add(method, path, path);
  router.match("GET", "/v1/cache/a/b");
  deepEqual(router.others, ["SmartRouter + RegExpRouter", "SmartRouter + RegExpRouter"]);
});
