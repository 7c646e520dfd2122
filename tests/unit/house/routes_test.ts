import { deepEqual, equal, ok } from "node:assert/strict";
import { routes } from "../../../routes/index.ts";
import type { Route } from "../../../src/http/route.ts";
import { filesOf, ROOT } from "./support/tree.ts";

const isRoute = (value: unknown): value is Route =>
  typeof value === "object" && value !== null && "method" in value && "path" in value && "handle" in value &&
  "access" in value;

Deno.test("every route that a file exports is in the list that is served", async () => {
  const served = new Set(routes);
  const lost: string[] = [];
  let found = 0;
  for (const file of filesOf(["routes"], /\.ts$/)) {
    const exported: Record<string, unknown> = await import(new URL(file, ROOT).href);
    for (const [name, value] of Object.entries(exported)) {
      for (const item of Array.isArray(value) ? value : [value]) {
        if (!isRoute(item)) continue;
        found++;
        if (!served.has(item)) lost.push(`${file}: ${name}`);
      }
    }
  }
  deepEqual(lost, []);
  ok(found >= routes.length, String(found));
});

Deno.test("no two routes have one method and path", () => {
  const names = routes.map(({ method, path }) => `${method} ${path.replaceAll(/:\w+/g, ":x")}`);
  deepEqual(names.filter((name, at) => names.indexOf(name) !== at), []);
});

Deno.test("a route lies in the folder of its domain, one operation in a file or a few on one thing", () => {
  // A part of a domain that is a protocol of its own has a folder of its own in it.
  const place = /^routes\/(index\.ts|[a-z_]+\/((uploads|pins)\/)?[a-z_]+\.ts)$/;
  ok(filesOf(["routes"], /\.ts$/).every((file) => place.test(file)));
});

Deno.test("summaries are one line in the imperative, without an end", () => {
  for (const { method, path, summary } of routes) {
    ok(/^[A-Z][a-z]+ [^\n]{3,100}[^.\s]$/.test(summary), `${method} ${path}: ${summary}`);
  }
});

Deno.test("whatever a route says of itself fits together", () => {
  for (const route of routes) {
    const { method, path, access, params, body, bodyOptional, bodyHint, status, output } = route;
    const what = `${method} ${path}`;
    const named = [...path.matchAll(/:(\w+)/g)].map(([, name]) => name);
    const checked = params && "shape" in params ? Object.keys(params.shape as object) : [];
    deepEqual(named.toSorted(), checked.toSorted(), `${what}: parameters of the path have a schema`);
    if (access.kind === "namespace" && access.param !== undefined) ok(named.includes(access.param), what);
    if (method === "GET" || method === "DELETE") equal(body, undefined, `${what} takes no body`);
    if (!body) equal(bodyOptional ?? bodyHint, undefined, what);
    ok(output, what);
    // tus says 204; there are no older clients of that.
    if (!("tus-resumable" in (route.alwaysHeaders ?? {}))) {
      equal(status === 204, false, `${what}: older clients read JSON from every success`);
    }
  }
});
