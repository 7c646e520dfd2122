import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { until } from "../engines/support/wait.ts";
import { newOwner } from "../support/accounts.ts";
import type { Answer } from "../support/client.ts";
import { RawConnection, rawRequest } from "../support/raw_http.ts";
import { gatewaySuite } from "../support/suite.ts";

const suite = gatewaySuite();
const { test } = suite;
const get = (path: string, headers: Record<string, string> = {}) => suite.gateway.call("GET", path, { headers });

/** The access log's line of a request, once it is written. */
async function logLine(requestId: string): Promise<Record<string, unknown>> {
  let line: string | undefined;
  await until("the request is logged", () => {
    line = suite.gateway.log().split("\n").find((one) =>
      one.includes('"part":"access"') && one.includes(`"${requestId}"`)
    );
    return line !== undefined;
  });
  return JSON.parse(line!);
}

test("a path that is not there is 401 to strangers and 404 to those who are known", async () => {
  await using owner = await newOwner(suite.gateway);
  for (
    const path of [
      "/",
      "/nothing",
      "/v1",
      "/v1/",
      "/v1/auth",
      "/v1/auth/whoami/",
      "/v1/cache/dmap/x/y",
      "/favicon.ico",
      "/.env",
      "/v1/namespaces/a/b",
    ]
  ) {
    const stranger = await get(path);
    equal(stranger.expect(401).get("code"), "UNAUTHENTICATED", path);
    equal(stranger.headers.get("www-authenticate"), 'Bearer realm="gateway", charset="UTF-8"');
    equal((await get(path, { "x-api-key": owner.apiKey })).expect(404).get("code"), "NOT_FOUND", path);
    equal((await get(path, { "x-api-key": "ak_garbage" })).status, 401, path);
  }
});

test("a wrong method is 401 to strangers, and 405 with what the path takes to those who are known", async () => {
  await using owner = await newOwner(suite.gateway);
  const allowed: readonly [string, string, string][] = [
    ["POST", "/v1/auth/whoami", "GET, HEAD, OPTIONS"],
    ["PUT", "/v1/auth/keys", "GET, POST, HEAD, OPTIONS"],
    ["GET", "/v1/auth/token", "POST, OPTIONS"],
    ["PATCH", "/v1/namespaces/x/members/y", "PUT, DELETE, OPTIONS"],
    ["GET", "/v1/rqlite/query", "POST, OPTIONS"],
    ["FOO", "/v1/auth/whoami", "GET, HEAD, OPTIONS"],
  ];
  for (const [method, path, methods] of allowed) {
    equal((await suite.gateway.call(method, path)).status, 401, `${method} ${path}`);
    const known = await suite.gateway.call(method, path, { key: owner.apiKey });
    equal(known.expect(405).get("code"), "METHOD_NOT_ALLOWED");
    deepEqual(new Set(known.headers.get("allow")!.split(", ")), new Set(methods.split(", ")), `${method} ${path}`);
  }
  const open = await suite.gateway.call("DELETE", "/v1/auth/challenge");
  equal(open.expect(405).headers.get("allow"), "POST, OPTIONS");
});

test("OPTIONS is 204 anywhere, without a credential or a body", async () => {
  for (const path of ["/", "/nothing", "/metrics", "/v1/auth/whoami", "/v1/rqlite/query", "/v1/namespaces/x"]) {
    const answer = (await suite.gateway.call("OPTIONS", path, { headers: { "x-api-key": "garbage" } })).expect(204);
    equal(answer.text, "");
    equal(answer.headers.get("access-control-allow-origin"), "*");
    equal(answer.headers.get("access-control-max-age"), "600");
    for (const method of ["GET", "PUT", "POST", "DELETE", "OPTIONS"]) {
      ok(answer.headers.get("access-control-allow-methods")!.split(", ").includes(method));
    }
    for (const name of ["Content-Type", "Authorization", "X-API-Key"]) {
      ok(answer.headers.get("access-control-allow-headers")!.split(", ").includes(name));
    }
  }
});

test("any page may read any answer, by default", async () => {
  const answers = [
    await get("/health", { origin: "https://app.example" }),
    await get("/v1/auth/whoami", { origin: "https://app.example" }),
    await get("/health"),
  ];
  for (const { headers } of answers) {
    equal(headers.get("access-control-allow-origin"), "*");
    equal(headers.get("access-control-allow-credentials"), null);
  }
  match(answers[0]!.headers.get("access-control-expose-headers")!, /X-Request-ID/);
});

test("HEAD is GET without a body", async () => {
  await using owner = await newOwner(suite.gateway);
  const [full, head] = [await get("/v1/auth/jwks"), await suite.gateway.call("HEAD", "/v1/auth/jwks")];
  equal(head.status, full.status);
  equal(head.text, "");
  equal(head.headers.get("content-type"), full.headers.get("content-type"));
  equal(head.headers.get("content-length"), full.headers.get("content-length"));
  equal((await suite.gateway.call("HEAD", "/v1/auth/whoami")).status, 401);
  equal((await suite.gateway.call("HEAD", "/v1/auth/whoami", { key: owner.apiKey })).status, 200);
  equal((await suite.gateway.call("HEAD", "/v1/auth/token", { key: owner.apiKey })).status, 405);
});

test("every answer has an id, the client's own where it is well formed", async () => {
  for (const id of ["abc", "a-B_c.d~9", "f".repeat(128), "00000000-0000-4000-8000-000000000000"]) {
    equal((await get("/health", { "x-request-id": id })).headers.get("x-request-id"), id);
    equal((await get("/nothing", { "x-request-id": id })).get("request_id"), id);
  }
});

test("an id that could forge something is replaced", async () => {
  const request = (value: string) =>
    `GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: ${value}\r\nConnection: close\r\n\r\n`;
  const hostile = [
    "",
    "a b",
    "a\tb",
    '"},{"level":"error',
    "a;b",
    "../x",
    "g".repeat(129),
    "ü",
    "<script>",
    "%0d%0a",
    "{}",
    "a,b",
  ];
  const given = await Promise.all(
    hostile.map(async (id) => (await rawRequest(suite.gateway.url, request(id))).headers.get("x-request-id")!),
  );
  for (const [i, id] of given.entries()) {
    notEqual(id, hostile[i]);
    match(id, /^[A-Za-z0-9._~-]{1,128}$/, hostile[i] ?? "");
  }
  equal(new Set(given).size, hostile.length);
  equal((await rawRequest(suite.gateway.url, request("a\r\n folded"))).status, 400);
});

test("two ids of the client's make none", async () => {
  const request =
    "GET /health HTTP/1.1\r\nHost: x\r\nX-Request-ID: one\r\nX-Request-ID: two\r\nConnection: close\r\n\r\n";
  const id = (await rawRequest(suite.gateway.url, request)).headers.get("x-request-id")!;
  ok(!id.includes("one") && !id.includes("two"), id);
});

test("a trace goes on in the log", async () => {
  const trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const headers = { "x-request-id": "traced-request", traceparent: `00-${trace}-00f067aa0ba902b7-01` };
  await get("/v1/version", headers);
  const line = await logLine("traced-request");
  equal(line.trace_id, trace);
  equal(line.method, "GET");
  equal(line.route, "/v1/version");
  equal(line.status, 200);
  ok(Number.isInteger(line.us));
});

test("a trace that is none is dropped", async () => {
  const zero = "0".repeat(32);
  const broken = [
    `00-${zero}-00f067aa0ba902b7-01`,
    "garbage",
    `ff-${"a".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${"A".repeat(32)}-00f067aa0ba902b7-01`,
    `00-${"a".repeat(32)}-${"0".repeat(16)}-01`,
  ];
  for (const [i, traceparent] of broken.entries()) {
    (await get("/v1/version", { "x-request-id": `untraced-${i}`, traceparent })).expect(200);
    equal((await logLine(`untraced-${i}`)).trace_id, undefined, traceparent);
  }
});

test("the log says who called what, without the query", async () => {
  await using owner = await newOwner(suite.gateway);
  await suite.gateway.call("GET", `/v1/auth/whoami?api_key=${owner.apiKey}`, {
    headers: { "x-request-id": "with-a-query" },
  });
  const line = await logLine("with-a-query");
  equal(line.namespace, owner.namespace);
  match(String(line.credential), /^key_/);
  equal(JSON.stringify(line).includes("api_key"), false);
  await get("/nothing/at/all?secret=1", { "x-request-id": "not-found" });
  const missed = await logLine("not-found");
  equal(missed.route, "*");
  equal(missed.path, "/nothing/at/all");
});

test("health is not worth a line in the log, and answers nobody's credential", async () => {
  await get("/health", { "x-request-id": "quiet-one" });
  await get("/v1/version", { "x-request-id": "loud-one" });
  await logLine("loud-one");
  equal(suite.gateway.log().includes("quiet-one"), false);
});

/** The members that every error has, whoever reads them. */
function isError(answer: Answer, type: string): void {
  const { error, code, request_id, title, status, detail, type: kind } = answer.body;
  equal(typeof error, "string");
  equal(detail, error);
  equal(status, answer.status);
  equal(request_id, answer.headers.get("x-request-id"));
  equal(kind, `urn:orama:error:${String(code).toLowerCase().replaceAll("_", "-")}`);
  equal(title, String(code).toLowerCase().replaceAll("_", " "));
  equal(answer.headers.get("content-type"), type);
}

test("an error says what, in words and in a code, with the request's id", async () => {
  for (const path of ["/nothing", "/v1/auth/whoami", "/metrics", "/v1/auth/login"]) {
    isError(await get(path), "application/json");
  }
  isError(await suite.gateway.call("POST", "/v1/auth/challenge", { body: {} }), "application/json");
});

test("who asks for problem+json gets it, for errors alone", async () => {
  for (const accept of ["application/problem+json", "application/json;q=0.5, application/problem+json"]) {
    isError(await get("/nothing", { accept }), "application/problem+json");
    equal((await get("/health", { accept })).headers.get("content-type"), "application/json");
  }
});

test("many requests come over one connection", async () => {
  const requests = ["/health", "/v1/version", "/nothing", "/health"].map((path) =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`
  ).join("");
  const connection = await RawConnection.open(suite.gateway.url);
  await connection.send(requests);
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await connection.answer()).status);
  await connection.close();
  deepEqual(statuses, [200, 200, 401, 200]);
});
