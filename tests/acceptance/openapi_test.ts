import { deepEqual, equal, match, ok } from "node:assert/strict";
import type { OpenApiDocument } from "../../src/http/openapi.ts";
import { newOwner } from "../support/accounts.ts";
import type { Answer, CallOptions } from "../support/client.ts";
import { runProgram } from "../support/gateway.ts";
import { at, DocumentedApi } from "../support/openapi.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;
const get = (path: string, headers: Record<string, string> = {}) => suite.gateway.call("GET", path, { headers });
const document = async () => (await get("/openapi.json")).expect(200).body as OpenApiDocument;

test("/openapi.json is what the command prints", async () => {
  const { code, stdout } = await runProgram(["openapi"]);
  equal(code, 0);
  deepEqual(JSON.parse(stdout), await document());
});

for (const path of ["/openapi.json", "/docs", "/docs/page.js", "/v1/auth/login/page.css"]) {
  test(`${path} is sent again only when it changed`, async () => {
    const first = (await get(path)).expect(200);
    const etag = first.headers.get("etag")!;
    match(etag, /^"[\w-]{22}"$/);
    for (const known of [etag, `W/${etag}`, `"other", ${etag}`, "*"]) {
      const again = (await get(path, { "if-none-match": known })).expect(304);
      equal(again.text, "");
      equal(again.headers.get("etag"), etag);
    }
    equal((await get(path, { "if-none-match": '"other"' })).expect(200).text, first.text);
    const head = (await suite.gateway.call("HEAD", path)).expect(200);
    deepEqual([head.text, head.headers.get("etag")], ["", etag]);
  });
}

test("the reference page runs nothing but its own parts and asks nobody else", async () => {
  const page = (await get("/docs")).expect(200);
  equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  equal(
    page.headers.get("content-security-policy"),
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
      "frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  );
  equal(page.headers.get("x-content-type-options"), "nosniff");
  equal(page.headers.get("x-frame-options"), "DENY");
  equal(page.headers.get("referrer-policy"), "no-referrer");
  ok(!/<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=|\/\//.test(page.text.replace("<!doctype html>", "")), page.text);
});

test("the parts of the reference page may be kept for ever under the address that the page has for them", async () => {
  const page = (await get("/docs")).expect(200);
  const references = [...page.text.matchAll(/(?:src|href)="(docs\/[^"]+)"/g)].map(([, reference]) => `/${reference}`);
  equal(references.length, 5);
  for (const reference of references) {
    const part = (await get(reference)).expect(200);
    const [, ending = ""] = /\.(\w+)\?/.exec(reference) ?? [];
    const types: Readonly<Record<string, string>> = { css: "text/css", js: "text/javascript", txt: "text/plain" };
    equal(part.headers.get("content-type"), `${types[ending]}; charset=utf-8`);
    equal(part.headers.get("cache-control"), "public, max-age=31536000, immutable");
    equal(part.headers.get("x-content-type-options"), "nosniff");
    const [path = ""] = reference.split("?");
    for (const other of [path, `${path}?v=older`]) {
      equal((await get(other)).expect(200).headers.get("cache-control"), "no-cache");
    }
  }
});

test("what is served of Swagger UI brings its license, its notice and those of what is in it", async () => {
  const { text } = (await get("/docs/licenses.txt")).expect(200);
  for (const part of ["Apache License", "Copyright 2020-2021 SmartBear Software Inc.", "END OF TERMS", "MIT License"]) {
    ok(text.includes(part), part);
  }
  ok((await get("/docs")).text.includes('href="docs/licenses.txt?v='));
});

/** Calls that differ in what they bring. Each operation has to say whatever comes of them. */
const CALLS: readonly [string, CallOptions][] = [
  ["nothing", {}],
  ["an empty object", { body: {} }],
  ["null", { raw: "null" }],
  ["a list", { body: [] }],
  ["text that is no JSON", { raw: "{" }],
  ["members of a wrong type", {
    body: {
      wallet: 1,
      signature: [],
      name: {},
      sql: 7,
      table: null,
      schema: [],
      ops: "x",
      code: 0,
      callback: true,
      role: "king",
      refresh_token: {},
    },
  }],
  ["members without sense", {
    body: {
      wallet: "0x00",
      signature: "0x00",
      nonce: "n",
      name: "-",
      sql: "SELECT",
      table: "no table",
      schema: "x",
      statements: ["x"],
      role: "viewer",
      refresh_token: "r",
      code: "c",
      code_verifier: "v".repeat(43),
      callback: "https://other.example/",
    },
  }],
  ["a wish for problems", { body: {}, headers: { accept: "application/problem+json" } }],
];

test("every answer is one that the document describes", async () => {
  const api = new DocumentedApi(await document());
  await using owner = await newOwner(suite.gateway);
  const operator = await suite.gateway.makeKey("--operator", "--name", "reader");
  const callers: readonly CallOptions[] = [
    {},
    { key: "ak_unknown:default" },
    { token: owner.accessToken },
    { key: owner.apiKey },
    { key: operator.key },
  ];
  const wrong: string[] = [];
  const statuses = new Set<number>();
  const look = (method: string, path: string, how: string, answer: Answer) => {
    statuses.add(answer.status);
    for (const problem of api.undocumented(method, path, answer)) {
      wrong.push(`${method} ${path} with ${how}: ${problem}`);
    }
  };
  for (const [path, item] of Object.entries(api.document.paths)) {
    for (const method of Object.keys(item)) {
      // Both end what the other calls live on.
      if (method === "delete" && path === "/v1/namespaces/{ns}" || path === "/v1/auth/logout") continue;
      for (const place of ["nowhere", owner.namespace]) {
        const filled = path.replace("{ns}", place).replaceAll(/\{\w+\}/g, "unknown");
        if (place !== "nowhere" && !path.includes("{ns}")) continue;
        for (const caller of callers) {
          for (const [how, call] of method === "get" ? CALLS.slice(0, 1) : CALLS) {
            const options = { ...call, ...caller };
            look(method, path, how, await suite.gateway.call(method.toUpperCase(), filled, options));
          }
        }
      }
    }
  }
  deepEqual(wrong, []);
  for (const status of [200, 400, 401, 403, 404]) ok(statuses.has(status), `no ${status} among ${[...statuses]}`);
});

test("another method is refused as the document says of all paths", async () => {
  const api = new DocumentedApi(await document());
  const answer = (await suite.gateway.call("PATCH", "/health")).expect(405);
  deepEqual(api.problems("/components/responses/MethodNotAllowed/content/application~1json/schema", answer.body), []);
  equal(answer.headers.get("allow"), "GET, HEAD, OPTIONS");
});

test("answers carry the headers that the document names", async () => {
  const described = await document();
  const answer = (await get("/v1/auth/whoami")).expect(401);
  const names = Object.keys(
    at(described, "/components/responses/401-UNAUTHENTICATED-INVALID_CREDENTIAL/headers") as object,
  );
  // Limits are off in tests.
  for (const name of names.filter((name) => !name.startsWith("RateLimit"))) ok(answer.headers.has(name), name);
});
