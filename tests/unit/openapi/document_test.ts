import { Validator } from "@seriousme/openapi-schema-validator";
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { z } from "zod";
import { routes } from "../../../routes/index.ts";
import { ERROR_STATUS, type ErrorCode } from "../../../src/contracts/errors.ts";
import { openApiDocument } from "../../../src/http/openapi.ts";
import { operationIdOf, pathOf } from "../../../src/http/openapi/operation.ts";
import { ok as answerOk } from "../../../src/http/reply.ts";
import { defineRoute, type Route } from "../../../src/http/route.ts";
import { at, escaped, valuesOf } from "../../support/openapi.ts";

const document = openApiDocument(routes, "1.2.3");
const plain = JSON.parse(JSON.stringify(document)) as typeof document;

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly responses: Readonly<Record<string, { readonly $ref?: string }>>;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
}

const operationOf = (route: Route): Operation =>
  plain.paths[pathOf(route)]![route.method.toLowerCase()] as unknown as Operation;

/** A route for one test. */
const route = (given: Partial<Route>): Route =>
  defineRoute({
    method: "POST",
    path: "/v1/things/:id",
    summary: "Try",
    tag: "System",
    access: { kind: "public" },
    output: z.object({}),
    handle: () => answerOk({}),
    ...given,
  });

const described = (given: Partial<Route>) => {
  const made = JSON.parse(JSON.stringify(openApiDocument([route(given)], "1.2.3"))) as typeof document;
  return { document: made, operation: Object.values(Object.values(made.paths)[0]!)[0]! as Record<string, never> };
};

const bodySchema = (body: z.ZodType, bodyOptional = false) =>
  at(described({ body, bodyOptional }).operation, "/requestBody/content/application~1json/schema") as Record<
    string,
    unknown
  >;

Deno.test("the document is valid OpenAPI 3.1", async () => {
  const validator = new Validator();
  const result = await validator.validate(plain as Record<string, unknown>);
  deepEqual(result.valid ? [] : result.errors, []);
  equal(validator.version, "3.1");
});

Deno.test("a document that lacks something is found invalid", async () => {
  const { info: _, ...rest } = plain;
  equal((await new Validator().validate(rest)).valid, false);
});

Deno.test("each route has one operation, and there is no other", () => {
  const operations = Object.entries(plain.paths).flatMap(([path, item]) =>
    Object.keys(item).map((method) => `${method} ${path}`)
  );
  deepEqual(operations.toSorted(), routes.map((route) => `${route.method.toLowerCase()} ${pathOf(route)}`).toSorted());
});

Deno.test("operation ids are unique and come from method and path alone", () => {
  const ids = routes.map(operationIdOf);
  equal(new Set(ids).size, ids.length);
  for (const id of ids) match(id, /^[a-z]+[A-Za-z0-9]+$/);
  const idOf = (method: Route["method"], path: string) => operationIdOf(route({ method, path }));
  equal(idOf("GET", "/health"), "getHealth");
  equal(idOf("GET", "/.well-known/jwks.json"), "getWellKnownJwksJson");
  equal(idOf("DELETE", "/v1/namespaces/:ns/members/:wallet"), "deleteV1NamespacesByNsMembersByWallet");
});

Deno.test("every reference leads somewhere", () => {
  const references = [...valuesOf(plain, "$ref")];
  ok(references.length > 100);
  deepEqual(references.filter((ref) => at(plain, String(ref).slice(1)) === undefined), []);
});

Deno.test("every tag that a route stands under is explained", () => {
  deepEqual(plain.tags.filter(({ description }) => !description).map(({ name }) => name), []);
  deepEqual(new Set(plain.tags.map(({ name }) => name)), new Set(routes.map(({ tag }) => tag)));
});

Deno.test("the parameters of a path are those that stand in it", () => {
  for (const route of routes) {
    const { parameters = [] } = operationOf(route);
    const inPath = parameters.filter((parameter) => parameter.in === "path");
    deepEqual(inPath.map(({ name }) => name), [...route.path.matchAll(/:(\w+)/g)].map(([, name]) => name), route.path);
    ok(inPath.every(({ required }) => required));
  }
});

Deno.test("each failure says its codes, which have its status, in both media types", () => {
  for (const route of routes) {
    for (const [status, { $ref }] of Object.entries(operationOf(route).responses)) {
      if (Number(status) < 400) continue;
      const { content } = at(plain, $ref!.slice(1)) as { content: Record<string, unknown> };
      deepEqual(Object.keys(content), ["application/json", "application/problem+json"]);
      const codes = at(content, "/application~1json/schema/allOf/1/properties/code/enum") as ErrorCode[];
      ok(codes.length > 0);
      for (const code of codes) equal(ERROR_STATUS[code], Number(status), `${route.path}: ${code}`);
    }
  }
});

Deno.test("a route's own errors are all there", () => {
  for (const route of routes) {
    const statuses = Object.keys(operationOf(route).responses).map(Number);
    for (const code of route.errors ?? []) ok(statuses.includes(ERROR_STATUS[code]), `${route.path}: ${code}`);
  }
});

const statusesOf = (given: Partial<Route>) => Object.keys(described(given).operation["responses"]!).map(Number);

Deno.test("what the request path can answer is said beside a route's own errors", () => {
  const path = "/v1/things";
  deepEqual(statusesOf({ path, limit: "none" }), [200, 500]);
  deepEqual(statusesOf({ path }), [200, 429, 500]);
  deepEqual(statusesOf({ path, access: { kind: "public", identify: true }, limit: "none" }), [200, 429, 500, 503]);
  deepEqual(statusesOf({ path, access: { kind: "authenticated" } }), [200, 401, 429, 500, 503]);
  deepEqual(statusesOf({ path, access: { kind: "operator" } }), [200, 401, 403, 429, 500, 503]);
  deepEqual(statusesOf({ path, body: z.object({}) }), [200, 400, 408, 413, 429, 500]);
  deepEqual(statusesOf({ path, query: z.object({}) }), [200, 400, 429, 500]);
  deepEqual(statusesOf({ path, status: 201, errors: ["CONFLICT"] }), [201, 409, 429, 500]);
  deepEqual(statusesOf({ path, revalidates: true }), [200, 304, 429, 500]);
});

Deno.test("a right in a namespace is said as scope, as role and in words", () => {
  const access = { kind: "namespace", scope: "sql:read", param: "id", role: "admin" } as const;
  const { operation } = described({ access });
  equal(operation["x-required-scope"], "sql:read");
  equal(operation["x-required-role"], "admin");
  match(operation["description"]!, /scope `sql:read`/);
  match(operation["description"]!, /role `admin`/);
  deepEqual(operation["security"], [{ bearer: ["sql:read"] }, { apiKey: ["sql:read"] }, {
    apiKeyInQuery: ["sql:read"],
  }]);
  const refused = at(operation, "/responses/403/$ref") as string;
  match(refused, /403-FORBIDDEN-INSUFFICIENT_SCOPE-NAMESPACE_MISMATCH$/);
});

Deno.test("credentials are asked for where a route asks for them", () => {
  for (const route of routes) {
    const { security } = operationOf(route);
    const { access } = route;
    if (access.kind !== "public") equal(security.length, 3, route.path);
    else deepEqual(security[0], access.identify ? {} : undefined, route.path);
  }
});

Deno.test("a body that may be missing, or be null, says so", () => {
  const optional = z.object({ all: z.boolean().optional() });
  equal(at(described({ body: optional, bodyOptional: true }).operation, "/requestBody/required"), false);
  deepEqual(bodySchema(optional)["type"], ["object", "null"]);
  deepEqual(bodySchema(z.object({ name: z.string() }))["type"], "object");
  deepEqual(bodySchema(optional.refine(({ all }) => all !== undefined))["type"], "object");
});

Deno.test("a parameter carries its default, its limits and its description", () => {
  const query = z.object({ limit: z.coerce.number().int().min(1).max(200).default(100).describe("How many.") });
  deepEqual(at(described({ query, path: "/v1/things" }).operation, "/parameters"), [{
    name: "limit",
    in: "query",
    required: false,
    description: "How many.",
    schema: { type: "integer", minimum: 1, maximum: 200, default: 100 },
  }]);
});

Deno.test("a text that is put into capitals before it is compared may be spelled in any case", () => {
  const kind = z.string().trim().toUpperCase().pipe(z.enum(["ETH", "S-2"])).optional();
  const { pattern } = at(bodySchema(z.object({ kind })), "/properties/kind") as { pattern: string };
  for (const text of ["ETH", "eth", " eTh ", "s-2"]) ok(new RegExp(pattern, "u").test(text), text);
  for (const text of ["", "ET", "xETH", "S2"]) ok(!new RegExp(pattern, "u").test(text), text);
});

Deno.test("a text that is trimmed before it is measured may not be blank", () => {
  const schema = bodySchema(z.object({ trimmed: z.string().trim().min(1), plain: z.string().min(1) }));
  equal(at(schema, "/properties/trimmed/pattern"), "\\S");
  equal(at(schema, "/properties/plain/pattern"), undefined);
});

Deno.test("types that JSON does not have are described by what stands for them", () => {
  const schema = bodySchema(z.object({ big: z.bigint(), at: z.date(), any: z.unknown().transform(String) }));
  deepEqual(at(schema, "/properties/big"), { type: "integer" });
  deepEqual(at(schema, "/properties/at"), { type: "string", format: "date-time" });
  deepEqual(at(schema, "/properties/any"), {});
});

Deno.test("answers may gain members, unless a schema is strict", () => {
  const output = z.object({ open: z.object({ a: z.string() }), shut: z.strictObject({ a: z.string() }) });
  const schema = at(described({ output }).operation, "/responses/200/content/application~1json/schema");
  equal(at(schema, "/properties/open/additionalProperties"), undefined);
  equal(at(schema, "/properties/shut/additionalProperties"), false);
});

Deno.test("schemas with a name or within themselves stand among the components", async () => {
  const named = z.object({ a: z.string() }).meta({ id: "Named" });
  const tree: z.ZodType = z.object({ children: z.array(z.lazy(() => tree)) });
  for (const [body, output] of [[z.object({ named }), named], [tree, z.object({ tree, named })]] as const) {
    const { document } = described({ body, output });
    deepEqual([...valuesOf(document, "$ref")].filter((ref) => at(document, String(ref).slice(1)) === undefined), []);
    deepEqual([...valuesOf(document, "$defs")], []);
    equal((await new Validator().validate(document as Record<string, unknown>)).valid, true);
  }
});

Deno.test("an answer that is no JSON has its media type", () => {
  const { operation } = described({ output: z.string(), produces: "text/plain" });
  deepEqual(at(operation, "/responses/200/content"), { "text/plain": { schema: { type: "string" } } });
  equal(at(described({ status: 204 }).operation, "/responses/204/content"), undefined);
  ok(at(described({ status: 302 }).operation, "/responses/302/headers/Location"));
});

Deno.test("the description has every error code with its status", () => {
  const { description } = plain["info"] as { description: string };
  for (const [code, status] of Object.entries(ERROR_STATUS)) {
    ok(description.includes(`| \`${code}\` | ${status} |`), code);
  }
});

Deno.test("the same routes give the same document", () => {
  equal(JSON.stringify(openApiDocument(routes, "1.2.3")), JSON.stringify(document));
  ok(at(plain, `/paths/${escaped("/openapi.json")}/get`));
});
