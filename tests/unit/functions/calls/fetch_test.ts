import { deepEqual, equal, ok } from "node:assert/strict";
import { OutboundFailure, type OutboundHttp, type OutboundRequest } from "../../../../services/functions/calls/http.ts";
import type { CallScope } from "../../../../services/functions/parts.ts";
import { GatewayError } from "../../../../src/contracts/errors.ts";
import { noise } from "../../../support/storage.ts";
import { Calls, refused, scopeOf, textOf, utf8 } from "./support/calls.ts";

/** Answers whatever it is asked, and remembers it. */
class Elsewhere implements OutboundHttp {
  readonly requests: OutboundRequest[] = [];
  readonly scopes: CallScope[] = [];
  answer: () => ReturnType<OutboundHttp["fetch"]> = () =>
    Promise.resolve({ status: 200, headers: { "Set-Cookie": ["a=1", "b=2"] }, body: utf8("héllo") });

  fetch(request: OutboundRequest, _most: number, scope: CallScope): ReturnType<OutboundHttp["fetch"]> {
    this.requests.push(request);
    this.scopes.push(scope);
    return this.answer();
  }
}

/** Asks by way of it. */
async function fetchBy(calls: Calls, http: OutboundHttp | undefined, call: readonly unknown[], scope = scopeOf()) {
  return await calls.performer({ http, httpTimeout: 60_000 }).perform(["http_fetch", ...call], scope);
}
const GET = ["GET", "https://example.org/a?b=1", "", utf8("")] as const;

Deno.test("a gateway without outbound HTTP says so, in the form that functions know", async () => {
  await using calls = await Calls.start();
  const answer = JSON.parse(textOf(await fetchBy(calls, undefined, GET)));
  deepEqual(answer, {
    error: "outbound HTTP is not configured on this gateway",
    status: 0,
    code: "EGRESS_NOT_AVAILABLE",
  });
  deepEqual(calls.errors, []);
});

Deno.test("a request is handed on as it was written, and its response comes as JSON", async () => {
  await using calls = await Calls.start();
  const http = new Elsewhere();
  const call = ["POST", "https://example.org/x", `{"X-One":"1","accept":"a\\tb"}`, noise(10)];
  deepEqual(JSON.parse(textOf(await fetchBy(calls, http, call))), {
    status: 200,
    headers: { "Set-Cookie": ["a=1", "b=2"] },
    body: "héllo",
  });
  const [{ method, url, headers, body }] = http.requests as [OutboundRequest];
  deepEqual([method, url.href, headers], ["POST", "https://example.org/x", [["X-One", "1"], ["accept", "a\tb"]]]);
  deepEqual(body, noise(10));
  equal(http.scopes[0]!.namespace, "shop");
});

Deno.test("a body that is no UTF-8 comes as bytes, too", async () => {
  await using calls = await Calls.start();
  const http = new Elsewhere();
  http.answer = () => Promise.resolve({ status: 404, headers: {}, body: new Uint8Array([97, 255, 98]) });
  const answer = JSON.parse(textOf(await fetchBy(calls, http, GET)));
  deepEqual(answer, { status: 404, headers: {}, body: "a\ufffdb", body_base64: "Yf9i" });
});

Deno.test("what cannot be sent is refused before anybody is asked", async () => {
  await using calls = await Calls.start();
  const http = new Elsewhere();
  const wrong: readonly (readonly [call: readonly unknown[], sentence: string])[] = [
    [["", GET[1], "", GET[3]], "method: "],
    [["GET /x HTTP/1.1\r\nHost: y\r\n\r\n", GET[1], "", GET[3]], "method: "],
    [["G".repeat(33), GET[1], "", GET[3]], "method: "],
    [["GET", "", "", GET[3]], "url: "],
    [["GET", "/relative", "", GET[3]], "url: "],
    [["GET", "file:///etc/passwd", "", GET[3]], "url: must be a URL of http or https"],
    [["GET", "data:text/plain,x", "", GET[3]], "url: "],
    [["GET", "https://user:pass@example.org/", "", GET[3]], "url: must have no user"],
    [["GET", "https://user@example.org/", "", GET[3]], "url: must have no user"],
    [["GET", GET[1], "[]", GET[3]], "headers: must be a JSON object"],
    [["GET", GET[1], "7", GET[3]], "headers: must be a JSON object"],
    [["GET", GET[1], "{", GET[3]], "headers: must be JSON"],
    [["GET", GET[1], `{"a":["b"]}`, GET[3]], "headers: must not nest deeper"],
    [["GET", GET[1], `{"a":1}`, GET[3]], "headers.a: must be a text"],
    [["GET", GET[1], `{"a b":"1"}`, GET[3]], "headers: must have names"],
    [["GET", GET[1], `{"":"1"}`, GET[3]], "headers: must have names"],
    [["GET", GET[1], `{"a":"b\\r\\nc: d"}`, GET[3]], "headers.a: must be a text without control"],
    [["GET", GET[1], `{"a":"b\\u0000"}`, GET[3]], "headers.a: "],
    [["GET", GET[1], `{${Array.from({ length: 200 }, (_, i) => `"a${i}":""`)}}`, GET[3]], "headers: must have at most"],
  ];
  for (const [call, sentence] of wrong) {
    const answer = JSON.parse(textOf(await fetchBy(calls, http, call)));
    ok(answer.error.startsWith(sentence), `${call.slice(0, 3)}: ${answer.error}`);
    deepEqual([answer.status, answer.code], [0, "INVALID_REQUEST"]);
  }
  deepEqual(http.requests, []);
  refused(await fetchBy(calls, http, ["GET", `https://x/${"a".repeat(9_000)}`, "", GET[3]]), "INVALID_REQUEST", "url");
});

Deno.test("failures are told with their code, a response that is too large with its status", async () => {
  await using calls = await Calls.start();
  const http = new Elsewhere();
  const told = async () => JSON.parse(textOf(await fetchBy(calls, http, GET)));
  http.answer = () => Promise.reject(new OutboundFailure("EGRESS_DENIED", "10.0.0.1 is a private address"));
  deepEqual(await told(), { error: "10.0.0.1 is a private address", status: 0, code: "EGRESS_DENIED" });
  http.answer = () => Promise.reject(new GatewayError("UNAVAILABLE", "not now"));
  deepEqual(await told(), { error: "not now", status: 0, code: "UNAVAILABLE" });
  // The second one is larger as JSON only.
  for (const bytes of [16 * 2 ** 20 + 1, 8 * 2 ** 20]) {
    http.answer = () => Promise.resolve({ status: 201, headers: {}, body: new Uint8Array(bytes) });
    const { status, code } = await told();
    deepEqual([status, code], [201, "RESULT_TOO_LARGE"]);
  }
});

Deno.test("a request that takes too long is ended, and so is one whose function ends", async () => {
  await using calls = await Calls.start();
  const http = new Elsewhere();
  http.answer = () => new Promise(() => {});
  const late = await calls.performer({ http, httpTimeout: 20 }).perform(["http_fetch", ...GET], scopeOf());
  const { status, code } = JSON.parse(textOf(late));
  deepEqual([status, code], [0, "REQUEST_TIMEOUT"]);
  ok(http.scopes[0]!.signal.aborted, "whoever sends it is told");
  const call = new AbortController();
  const ended = fetchBy(calls, http, GET, scopeOf({ signal: call.signal }));
  call.abort();
  refused(await ended, "UNAVAILABLE");
  ok(http.scopes[1]!.signal.aborted);
});

Deno.test("a mistake of the gateway's own is logged, and told without what it is", async () => {
  await using calls = await Calls.start();
  const http = new Elsewhere(), bug = new TypeError("undefined is not a function at /secret/path");
  http.answer = () => Promise.reject(bug);
  equal(refused(await fetchBy(calls, http, GET), "INTERNAL"), "internal error");
  deepEqual(calls.errors, [["req-1", bug]]);
});
