import { deepEqual, equal, match, ok } from "node:assert/strict";
import { corsHeaders, preflight } from "../../../src/http/cors.ts";
import { goDuration, rfc3339, rfc3339OrNull } from "../../../src/http/formats.ts";
import { isRequestId, requestIds } from "../../../src/http/request_id.ts";
import { toErrorReply } from "../../../src/http/reply.ts";
import { continueTrace, traceIdOf } from "../../../src/http/trace.ts";
import { ERROR_STATUS, type ErrorCode, GatewayError } from "../../../src/contracts/errors.ts";
import { Chance } from "../control_plane/support/chance.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const random = (n: number) => new Uint8Array(n).fill(0xab);

Deno.test("a trace goes on with the same id and flags, and a span of our own", () => {
  equal(continueTrace(`00-${TRACE}-b7ad6b7169203331-01`, random), `00-${TRACE}-abababababababab-01`);
  equal(continueTrace(`00-${TRACE}-b7ad6b7169203331-00`, random), `00-${TRACE}-abababababababab-00`);
  equal(traceIdOf(`00-${TRACE}-abababababababab-01`), TRACE);
});

Deno.test("what is no traceparent begins no trace", () => {
  for (
    const header of [
      "",
      "00",
      TRACE,
      `00-${TRACE}-b7ad6b7169203331`,
      `00-${TRACE}-b7ad6b7169203331-01-more`,
      `00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`,
      `ff-${TRACE}-b7ad6b7169203331-01`,
      `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
      `00-${TRACE}-${"0".repeat(16)}-01`,
      `00-${TRACE}-b7ad6b7169203331-0`,
      `00-${TRACE}-b7ad6b7169203331-01\n`,
      ` 00-${TRACE}-b7ad6b7169203331-01`,
      `00-${"g".repeat(32)}-b7ad6b7169203331-01`,
    ]
  ) equal(continueTrace(header, random), undefined, JSON.stringify(header));
});

Deno.test("request ids are well formed and never the same, on one gateway and on two", () => {
  const [a, b] = [requestIds(new Chance(1).bytes), requestIds(new Chance(2).bytes)];
  const ids = Array.from({ length: 5_000 }, (_, i) => i % 2 === 0 ? a() : b());
  equal(new Set(ids).size, ids.length);
  ok(ids.every(isRequestId));
  match(ids[0]!, /^[0-9a-f]{16}-000000$/);
});

Deno.test("a client's request id is taken if it is short and harmless", () => {
  for (const id of ["a", "A-1.b_c~d", "x".repeat(128), "0af7651916cd43dd8448eb211c80319c"]) ok(isRequestId(id), id);
  for (
    const id of [
      "",
      "x".repeat(129),
      "a b",
      "a\n",
      "a\r\nset-cookie: x",
      'a"b',
      "a,b",
      "ü",
      "a/b",
      "<script>",
      "a;b",
      "\0",
    ]
  ) {
    equal(isRequestId(id), false, JSON.stringify(id));
  }
});

Deno.test("durations are written as Go writes them", () => {
  const expected: [milliseconds: number, text: string][] = [
    [0, "0s"],
    [1, "1ms"],
    [456, "456ms"],
    [999, "999ms"],
    [1_000, "1s"],
    [1_005, "1.005s"],
    [1_050, "1.05s"],
    [1_500, "1.5s"],
    [59_999, "59.999s"],
    [60_000, "1m0s"],
    [61_001, "1m1.001s"],
    [3_599_999, "59m59.999s"],
    [3_600_000, "1h0m0s"],
    [3_723_456, "1h2m3.456s"],
    [90_061_000, "25h1m1s"],
    [999.6, "1s"],
    [59_999.9, "1m0s"],
    [-1_500, "-1.5s"],
    [-0.2, "0s"],
  ];
  for (const [milliseconds, text] of expected) equal(goDuration(milliseconds), text);
});

Deno.test("no duration shows how a computer adds", () => {
  for (let i = 0; i < 60_000; i++) match(goDuration(i), /^(\d+ms|\d{1,2}(\.\d{1,3})?s)$/);
  for (let i = 0; i < 5_000; i++) {
    match(goDuration(i * 86_399_977), /^\d+(ms|(\.\d{1,3})?s)$|^(\d+h)?\d{1,2}m\d{1,2}(\.\d{1,3})?s$/);
  }
});

Deno.test("moments are RFC 3339 in UTC", () => {
  equal(rfc3339(0), "1970-01-01T00:00:00.000Z");
  equal(rfc3339OrNull(null), null);
  equal(rfc3339OrNull(1), "1970-01-01T00:00:00.001Z");
});

function headersFor(origins: readonly string[], origin?: string): Record<string, string> {
  const headers: Record<string, string> = {};
  corsHeaders({ origins })(new Request("http://x/", { headers: origin === undefined ? {} : { origin } }), headers);
  return headers;
}

Deno.test("every page may read answers where all origins are allowed, and caches need not tell them apart", () => {
  deepEqual(headersFor(["*"]), { "access-control-allow-origin": "*" });
  const headers = headersFor(["*"], "https://app.example");
  equal(headers["access-control-allow-origin"], "*");
  match(headers["access-control-expose-headers"]!, /X-Request-ID.*Retry-After/);
  equal(headers.vary, undefined);
});

Deno.test("with a list of origins only those may, exactly, and caches tell them apart", () => {
  const origins = ["https://app.example", "http://localhost:3000"];
  for (const origin of origins) equal(headersFor(origins, origin)["access-control-allow-origin"], origin);
  for (
    const origin of [
      undefined,
      "https://evil.example",
      "https://app.example.evil.example",
      "http://app.example",
      "https://app.example:444",
      "HTTPS://APP.EXAMPLE",
      "null",
      "*",
      "",
    ]
  ) deepEqual(headersFor(origins, origin), { vary: "Origin" }, origin ?? "");
  deepEqual(headersFor([], "https://app.example"), { vary: "Origin" });
});

Deno.test("no answer ever allows credentials of the browser's own", () => {
  for (const origins of [["*"], ["https://app.example"]]) {
    equal("access-control-allow-credentials" in headersFor(origins, "https://app.example"), false);
  }
});

Deno.test("a preflight is 204 without a body and names what may be sent", () => {
  const answer = preflight(corsHeaders({ origins: ["*"] }), new Request("http://x/any", { method: "OPTIONS" }));
  equal(answer.status, 204);
  equal(answer.body, null);
  for (const method of ["GET", "PUT", "POST", "DELETE", "OPTIONS"]) {
    ok(answer.headers.get("access-control-allow-methods")!.includes(method));
  }
  for (const header of ["Content-Type", "Authorization", "X-API-Key"]) {
    ok(answer.headers.get("access-control-allow-headers")!.includes(header));
  }
  equal(answer.headers.get("access-control-max-age"), "600");
});

const bodyOf = (error: unknown) => JSON.parse(String(toErrorReply(error, "r-1", false).body));

Deno.test("every code has its status, and its error body has the members of the wire and of RFC 9457", () => {
  for (const [code, status] of Object.entries(ERROR_STATUS)) {
    const reply = toErrorReply(new GatewayError(code as ErrorCode, "a sentence", { details: { a: 1 } }), "r-1", false);
    equal(reply.status, status);
    const body = JSON.parse(String(reply.body));
    deepEqual([body.error, body.code, body.request_id, body.status, body.detail], [
      "a sentence",
      code,
      "r-1",
      status,
      "a sentence",
    ]);
    match(body.type, /^urn:orama:error:[a-z-]+$/);
    deepEqual(body.details, { a: 1 });
    equal(reply.headers?.["retry-after"], status === 503 ? "1" : undefined, code);
  }
});

Deno.test("what is no error of ours is an internal error and tells nothing of itself", () => {
  for (
    const thrown of [new Error("password=hunter2"), new TypeError("x"), "a text", 42, null, undefined, {
      code: "NOT_FOUND",
      status: 404,
    }]
  ) {
    const body = bodyOf(thrown);
    deepEqual([body.error, body.code, body.status], ["internal error", "INTERNAL", 500]);
    equal(JSON.stringify(body).includes("hunter2"), false);
  }
});

Deno.test("the cause of an error stays here", () => {
  const body = bodyOf(
    new GatewayError("UNAVAILABLE", "not now", { cause: new Error("connect 10.0.0.7:5001 refused") }),
  );
  equal(JSON.stringify(body).includes("10.0.0.7"), false);
  equal("details" in body, false);
});

Deno.test("Retry-After is whole seconds, rounded up", () => {
  const after = (retryAfter: number) =>
    toErrorReply(new GatewayError("RATE_LIMITED", "x", { retryAfter }), "r", false).headers?.["retry-after"];
  deepEqual([after(0.2), after(1), after(1.001), after(60)], ["1", "1", "2", "60"]);
});

Deno.test("problem+json is the same body under another name", () => {
  const error = new GatewayError("NOT_FOUND", "nothing here");
  const [plain, problem] = [toErrorReply(error, "r", false), toErrorReply(error, "r", true)];
  equal(problem.body, plain.body);
  equal(problem.headers?.["content-type"], "application/problem+json");
});
