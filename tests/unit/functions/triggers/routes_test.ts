import { deepEqual, equal, rejects, throws } from "node:assert/strict";
import { readPattern } from "../../../../services/functions/triggers/route_pattern.ts";
import { RouteTable } from "../../../../services/functions/triggers/routes.ts";
import type { FunctionTrigger } from "../../../../src/contracts/function_triggers.ts";
import { code } from "../../auth/support/node.ts";
import { CONTEXT } from "../../control_plane/support/context.ts";
import { openControl } from "../../control_plane/support/control.ts";
import { WatchedControl } from "../../control_plane/support/doubles.ts";
import { principal, route, World } from "./support/world.ts";

const tableOf = (...routes: string[]) =>
  new RouteTable(routes.map((one): FunctionTrigger => {
    const [method, path] = one.split(" ") as [string, string];
    return {
      id: one,
      functionName: "f",
      reference: undefined,
      source: route(method, path),
      enabled: true,
      createdAt: 0,
      createdBy: "",
      last: undefined,
      nextAt: undefined,
    };
  }));

Deno.test("a path is taken by the pattern that says most about it", () => {
  const table = tableOf(
    "GET /*",
    "GET /:a",
    "GET /a",
    "GET /a/:b/c",
    "GET /a/*",
    "GET /:x/b/c",
    "GET /a/b/:c",
    "GET /",
  );
  const found = (path: string, method = "GET") => {
    const match = table.match(method, path);
    return match && [match.trigger.id, { ...match.params }];
  };
  deepEqual(found("/"), ["GET /", {}]);
  deepEqual(found(""), ["GET /", {}]);
  deepEqual(found("/a"), ["GET /a", {}]);
  deepEqual(found("a"), ["GET /a", {}]);
  deepEqual(found("/z"), ["GET /:a", { a: "z" }]);
  deepEqual(found("/a/b/c"), ["GET /a/b/:c", { c: "c" }]);
  deepEqual(found("/a/z/c"), ["GET /a/:b/c", { b: "z" }]);
  deepEqual(found("/z/b/c"), ["GET /:x/b/c", { x: "z" }]);
  deepEqual(found("/a/b"), ["GET /a/*", { "*": "b" }]);
  deepEqual(found("/a/b/c/d"), ["GET /a/*", { "*": "b/c/d" }]);
  deepEqual(found("/q/r/s"), ["GET /*", { "*": "q/r/s" }]);
  deepEqual(found("/a", "HEAD"), ["GET /a", {}]);
  equal(found("/a", "POST"), undefined);
});

Deno.test("segments are decoded once, and a slash within one stays within it", () => {
  const table = tableOf("GET /files/:name", "GET /caf%C3%A9", "PUT /p/:__proto__");
  deepEqual({ ...table.match("GET", "/files/a%2Fb%2541")?.params }, { name: "a/b%41" });
  equal(table.match("GET", "/caf%c3%a9")?.trigger.id, "GET /caf%C3%A9");
  equal(table.match("GET", "/files/%ff"), undefined);
  equal(table.match("GET", "/files/%"), undefined);
  equal(table.match("GET", "/files/"), undefined);
  equal(table.match("GET", "/files//x"), undefined);
  equal(table.match("GET", `/${"a/".repeat(100_000)}`), undefined);
  const match = table.match("PUT", "/p/x");
  deepEqual(Object.entries(match!.params), [["__proto__", "x"]]);
  equal(Object.getPrototypeOf(match!.params), Object.prototype);
});

Deno.test("patterns that nobody could ask for, or that are two things, are refused", () => {
  for (
    const path of [
      "/a//b",
      "/a/",
      "//",
      "/*/a",
      "/:",
      "/:a-b",
      "/:a/:a",
      "/a b",
      "/a?b",
      "/a#b",
      "/%",
      "/%ff",
      "/..",
      "/%2e%2E/x",
      "/.",
      "/\ud800",
      `/${"a".repeat(600)}`,
      "/a".repeat(33),
    ]
  ) throws(() => readPattern(path), code("INVALID_REQUEST", /^path: /), path);
  equal(readPattern("a/:b/*").path, "/a/:b/*");
  equal(readPattern("/:x").key, readPattern("/:y").key);
  equal(readPattern("/caf%c3%a9").key, readPattern("/café").key);
});

Deno.test("a route is one trigger's in its namespace, and found from memory", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f", "g");
  await world.namespace("cafe", "f");
  const far = new WatchedControl(control);
  const { triggers } = await world.gateway();
  const other = await world.gateway({ control: far });
  const made = await world.make("shop", "f", route("get", "orders/:id", true));
  deepEqual(made.source, route("GET", "/orders/:id", true));
  await rejects(world.make("shop", "g", route("GET", "/orders/:other")), code("CONFLICT"));
  await world.make("shop", "g", route("POST", "/orders/:id"));
  await world.make("cafe", "f", route("GET", "/orders/:id"));
  const find = (gateway = other.triggers, namespace = "shop") => gateway.route(namespace, "GET", "/orders/7", CONTEXT);
  deepEqual((await find())!.trigger.id, made.id);
  equal(await find(other.triggers, "none"), undefined);
  const { length } = far.calls;
  for (let i = 0; i < 10; i++) equal((await find())!.params.id, "7");
  equal(far.calls.length, length);
  await triggers.setEnabled(principal("shop"), "f", made.id, false, CONTEXT);
  await world.turn();
  equal(await find(), undefined);
  equal(await find(triggers), undefined);
  await triggers.setEnabled(principal("shop"), "f", made.id, true, CONTEXT);
  await world.turn();
  equal((await find())!.trigger.functionName, "f");
  await world.deleteNamespace("shop");
  await world.namespace("shop", "f");
  await world.turn();
  equal(await find(), undefined);
  equal((await find(other.triggers, "cafe"))!.trigger.functionName, "f");
});

Deno.test("the routes of a function go from memory with it", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  const { revocations } = await world.gateway();
  await world.make("shop", "f", route("GET", "/a"));
  equal((await triggers.route("shop", "GET", "/a", CONTEXT))!.trigger.functionName, "f");
  await control.atomically([control.db.deleteFrom("function_triggers"), revocations.entry("function", "shop/f")]);
  await world.turn();
  equal(await triggers.route("shop", "GET", "/a", CONTEXT), undefined);
});

Deno.test("routes that were read before a change are not kept behind it", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const far = new WatchedControl(control);
  await world.gateway();
  const { triggers } = await world.gateway({ control: far });
  const { id } = await world.make("shop", "f", route("GET", "/a"));
  const gate = Promise.withResolvers<void>();
  far.after = async (sql) => {
    if (sql.includes("'route'")) await gate.promise;
  };
  const early = triggers.route("shop", "GET", "/a", CONTEXT);
  await world.turn();
  await world.gateways[0]!.triggers.delete(principal("shop"), "f", id, CONTEXT);
  await world.turn();
  gate.resolve();
  equal((await early)!.trigger.id, id);
  equal(await triggers.route("shop", "GET", "/a", CONTEXT), undefined);
});

Deno.test("a gateway that has heard nothing for a minute does not say what it remembers", async () => {
  await using control = await openControl();
  await using world = new World(control);
  await world.namespace("shop", "f");
  const { triggers } = await world.gateway();
  await world.make("shop", "f", route("GET", "/a"));
  await triggers.route("shop", "GET", "/a", CONTEXT);
  world.clock.pass(61_000);
  await rejects(triggers.route("shop", "GET", "/a", CONTEXT), code("UNAVAILABLE"));
  await world.turn();
  equal((await triggers.route("shop", "GET", "/a", CONTEXT))!.trigger.functionName, "f");
});
