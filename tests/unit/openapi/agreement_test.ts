import { deepEqual, match, ok } from "node:assert/strict";
import { z } from "zod";
import { routes } from "../../../routes/index.ts";
import { openApiDocument } from "../../../src/http/openapi.ts";
import { operationIdOf, pathOf } from "../../../src/http/openapi/operation.ts";
import { Answer } from "../../support/client.ts";
import { jsonBodyOf } from "../../support/route_calls.ts";
import { at, DocumentedApi, escaped } from "../../support/openapi.ts";

const api = new DocumentedApi(openApiDocument(routes, "1.2.3"));

const TEXTS = [
  "",
  " ",
  "a",
  "A",
  " a ",
  "0",
  "1",
  "-1",
  "1.5",
  "200",
  "201",
  "1e3",
  "true",
  "null",
  "eth",
  "ETH",
  "Sol ",
  "S256",
  "owner",
  "exec",
  " QUERY",
  "default",
  "with space",
  "-x",
  "http://localhost:1/cb",
  "http://localhost/#x",
  "2030-01-01T00:00:00Z",
  "2030-02-30T00:00:00Z",
  "0x" + "1".repeat(40),
  "x".repeat(43),
  "x".repeat(64),
  "x".repeat(65),
  "x".repeat(128),
  "x".repeat(129),
  "x".repeat(256),
  "x".repeat(257),
  "x".repeat(513),
  "é",
  "\n",
  "a\nb",
];
const VALUES = [
  ...TEXTS,
  null,
  true,
  false,
  0,
  1,
  -1,
  1.5,
  200,
  201,
  9007199254740991,
  [],
  [null],
  [1],
  [""],
  ["a"],
  ["sql:read"],
  ["sql:read", "x"],
  {},
  { a: 1 },
  Array.from({ length: 17 }, () => "sql:read"),
  [[]],
  [{}],
  [{ kind: "exec", sql: "x" }],
  [{ kind: "EXEC ", sql: " " }],
  [{ sql: "x" }],
];

/** Where the schema of the gateway and the document judge a value differently. */
function* differences(schema: z.ZodType, pointer: string, values: readonly unknown[]): Generator<string> {
  for (const value of values) {
    const taken = schema.safeParse(value).success;
    const documented = api.problems(pointer, value).length === 0;
    const text = JSON.stringify(value);
    if (taken !== documented) {
      yield `${pointer}: ${text.slice(0, 60)} is ${taken ? "taken" : "refused"}, the document says otherwise`;
    }
  }
}

const shapeOf = (schema: z.ZodType | undefined): [string, z.ZodType][] => {
  if (schema === undefined) return [];
  ok(schema instanceof z.ZodObject);
  return Object.entries(schema.shape as Record<string, z.ZodType>);
};

for (const route of routes) {
  const { method, params, query } = route;
  const body = jsonBodyOf(route);
  if (!params && !query && !body) continue;
  Deno.test(`what ${operationIdOf(route)} takes is what the document says`, () => {
    const operation = `/paths/${escaped(pathOf(route))}/${method.toLowerCase()}`;
    const parameters = (at(api.document, `${operation}/parameters`) ?? []) as readonly { readonly name: string }[];
    const found: string[] = [];
    for (const [name, schema] of [...shapeOf(params), ...shapeOf(query)]) {
      const index = parameters.findIndex((parameter) => parameter.name === name);
      const pointer = `${operation}/parameters/${index}/schema`;
      // A parameter comes as text; the document says what it stands for. An empty segment of a path is another path.
      const given = TEXTS.filter((text) => text !== "" || params === undefined);
      const type = at(api.document, `${pointer}/type`);
      if (type === "string" || type === undefined) found.push(...differences(schema, pointer, given));
      else {
        for (const text of given.filter((text) => /^-?(0|[1-9]\d*)(\.\d+)?$/.test(text))) {
          if (schema.safeParse(text).success !== (api.problems(pointer, Number(text)).length === 0)) {
            found.push(`${pointer}: ${text}`);
          }
        }
      }
    }
    for (const [name, schema] of shapeOf(body)) {
      const pointer = `${operation}/requestBody/content/application~1json/schema/properties/${escaped(name)}`;
      found.push(...differences(schema, pointer, VALUES));
    }
    deepEqual(found, []);
  });
}

Deno.test("an answer that the document does not describe is found", () => {
  const answer = (status: number, type: string, body: unknown) =>
    api.undocumented("GET", "/health", new Answer(status, new Headers({ "content-type": type }), JSON.stringify(body)));
  const good = { status: "ok", server: { status: "ok", started_at: "", uptime: "" }, client: null };
  deepEqual(answer(200, "application/json; charset=utf-8", good), []);
  deepEqual(answer(418, "application/json", good), ["status 418"]);
  deepEqual(answer(200, "text/plain", good), ["media type text/plain"]);
  match(answer(200, "application/json", { ...good, status: "bad" }).join(), /^\/status /);
  match(answer(500, "application/json", { code: "CONFLICT" }).join(), /required property 'error'.*code/);
});
