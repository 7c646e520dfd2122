import { deepEqual, equal, match, ok } from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import { GatewayError } from "../../../src/contracts/errors.ts";
import type { Call } from "../../../src/http/call.ts";
import { json, ok as okReply } from "../../../src/http/reply.ts";
import { principal } from "../auth/support/node.ts";
import { appOf, route } from "./support.ts";

const later = async <T>(value: T): Promise<T> => {
  await setImmediate();
  return value;
};

Deno.test("a handler may answer at once or later", async () => {
  const { call } = appOf([
    route({ path: "/now", handle: () => okReply({ a: 1 }) }),
    route({ path: "/later", handle: () => later(json(201, { a: 2 })) }),
  ]);
  const [now, after] = [await call("GET /now"), await call("GET /later")];
  deepEqual([now.status, now.json()], [200, { a: 1 }]);
  deepEqual([after.status, after.json()], [201, { a: 2 }]);
});

Deno.test("whatever a handler throws, at once or later, becomes one error body", async () => {
  const thrown: [what: unknown, status: number, code: string][] = [
    [new GatewayError("NOT_FOUND", "nothing"), 404, "NOT_FOUND"],
    [new Error("secret"), 500, "INTERNAL"],
    ["a text", 500, "INTERNAL"],
    [null, 500, "INTERNAL"],
    [{ status: 204 }, 500, "INTERNAL"],
  ];
  for (const [what, status, code] of thrown) {
    const { call, seen } = appOf([
      route({
        path: "/now",
        handle: () => {
          throw what;
        },
      }),
      route({ path: "/later", handle: () => setImmediate().then(() => Promise.reject(what)) }),
    ]);
    for (const path of ["/now", "/later"]) {
      const answer = await call(`GET ${path}`);
      equal(answer.status, status);
      equal(answer.json().code, code);
      equal(answer.headers.get("content-type"), "application/json");
      equal(answer.text.includes("secret"), false);
    }
    deepEqual(seen.map(({ outcome }) => outcome.status), [status, status]);
    ok(seen.every(({ outcome }) => outcome.error === what));
  }
});

Deno.test("each answer carries the request's id: the client's own if it is harmless", async () => {
  const { call } = appOf([route({ handle: ({ requestId }) => okReply({ requestId }) })]);
  const own = await call("GET /v1/thing", { headers: { "x-request-id": "mine-1" } });
  deepEqual([own.headers.get("x-request-id"), own.json().requestId], ["mine-1", "mine-1"]);
  const forged = await call("GET /v1/thing", { headers: { "x-request-id": "a b" } });
  match(forged.headers.get("x-request-id")!, /^[0-9a-f]{16}-\w{6}$/);
  const failed = await call("GET /none", { headers: { "x-request-id": "mine-2" } });
  deepEqual([failed.headers.get("x-request-id"), failed.json().request_id], ["mine-2", "mine-2"]);
});

Deno.test("a trace is handed to the handler with a span of our own", async () => {
  const { call } = appOf([route({ handle: ({ traceparent }) => okReply({ traceparent: traceparent ?? null }) })]);
  const header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const { traceparent } = (await call("GET /v1/thing", { headers: { traceparent: header } })).json();
  match(traceparent, /^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01$/);
  equal(traceparent === header, false);
  equal((await call("GET /v1/thing", { headers: { traceparent: "junk" } })).json().traceparent, null);
});

Deno.test("an error is problem+json for those who accept it", async () => {
  const { call } = appOf([]);
  const types = await Promise.all(
    ["application/problem+json", "text/html, application/problem+json;q=0.9", "*/*", "application/json"]
      .map(async (accept) => (await call("GET /none", { headers: { accept } })).headers.get("content-type")),
  );
  deepEqual(types, ["application/problem+json", "application/problem+json", "application/json", "application/json"]);
});

Deno.test("a stranger learns 401 and not what exists; who is known learns 404, and 405 with Allow", async () => {
  const { call, authenticator } = appOf([
    route({ method: "POST", path: "/v1/thing", access: { kind: "authenticated" } }),
    route({ method: "GET", path: "/v1/things/:id", access: { kind: "namespace", scope: "sql:read" } }),
    route({ method: "DELETE", path: "/v1/things/:id", access: { kind: "operator" } }),
  ]);
  authenticator.known.set("good", principal({ scopes: new Set() }));
  for (const line of ["GET /none", "GET /v1/thing", "POST /v1/things/1", "PUT /v1/thing", "BREW /v1/thing"]) {
    const stranger = await call(line);
    deepEqual([stranger.status, stranger.json().error], [401, "missing API key"], line);
    match(stranger.headers.get("www-authenticate")!, /^Bearer realm="gateway"/);
    equal((await call(line, { headers: { "x-api-key": "bad" } })).json().code, "INVALID_CREDENTIAL", line);
  }
  const headers = { "x-api-key": "good" };
  equal((await call("GET /none", { headers })).status, 404);
  const allowed: [line: string, allow: string][] = [
    ["GET /v1/thing", "POST, OPTIONS"],
    ["HEAD /v1/thing", "POST, OPTIONS"],
    ["PUT /v1/things/1", "GET, DELETE, HEAD, OPTIONS"],
    ["BREW /v1/things/x", "GET, DELETE, HEAD, OPTIONS"],
  ];
  for (const [line, allow] of allowed) {
    const answer = await call(line, { headers });
    deepEqual([answer.status, answer.headers.get("allow")], [405, allow], line);
  }
});

Deno.test("a wrong method on a public path is 405 for everybody", async () => {
  const { call } = appOf([route({ method: "POST", path: "/v1/open" })]);
  const answer = await call("GET /v1/open");
  deepEqual([answer.status, answer.json().code, answer.headers.get("allow")], [
    405,
    "METHOD_NOT_ALLOWED",
    "POST, OPTIONS",
  ]);
});

Deno.test("HEAD is GET without its body, and is observed as what it was", async () => {
  const { call, seen } = appOf([route({ handle: () => json(200, { a: 1 }, { etag: '"x"' }) })]);
  const answer = await call("HEAD /v1/thing");
  deepEqual([answer.status, answer.text, answer.headers.get("etag")], [200, "", '"x"']);
  equal(seen[0]!.request.method, "HEAD");
});

Deno.test("OPTIONS is 204 on any path, before credentials and limits", async () => {
  const { call, authenticator, limits, seen } = appOf([route({ access: { kind: "operator" }, limit: "credentials" })]);
  for (const path of ["/v1/thing", "/none", "//x", "*"]) {
    const answer = await call(`OPTIONS ${path}`, { headers: { "x-api-key": "k" } });
    deepEqual([answer.status, answer.text, answer.headers.get("access-control-allow-origin")], [204, "", "*"]);
  }
  deepEqual([authenticator.asked, limits.taken, seen], [[], [], []]);
});

Deno.test("a path that is not in normal form leads to the one that is, with its query", async () => {
  const { call } = appOf([route({ path: "/a/b" })]);
  const moves: [from: string, to: string][] = [
    ["//a/b", "/a/b"],
    ["/a//b", "/a/b"],
    ["/a/./b", "/a/b"],
    ["/a/x/../b", "/a/b"],
    ["/../../a/b", "/a/b"],
    ["/a/b/..", "/a/"],
    ["/a/b//", "/a/b/"],
    ["//", "/"],
    ["/..", "/"],
    ["/a//b?x=1&y=//z", "/a/b?x=1&y=//z"],
    ["/a/%2e%2e/b", "/b"],
    ["/a/%2E/b", "/a/b"],
    ["/a//%2F..%2Fb", "/a/%2F..%2Fb"],
    ["//%E4%BD%A0", "/%E4%BD%A0"],
    ["//%0d%0aset-cookie:%20x=1", "/%0d%0aset-cookie:%20x=1"],
    ["//%ff", "/%ff"],
    ["//你/?q=你", "/%E4%BD%A0/?q=%E4%BD%A0"],
    ["//evil.example/x", "/evil.example/x"],
    ["///evil.example", "/evil.example"],
    ["/\\evil.example//x", "/%5Cevil.example/x"],
    ["http://evil.example//a/b", "/a/b"],
    ["http://a b<>//a//b?q=1", "/a/b?q=1"],
    ["http://[bad//a/b", "/a/b"],
  ];
  for (const [from, to] of moves) {
    for (const [method, status] of [["GET", 301], ["HEAD", 301], ["POST", 308], ["BREW", 308]] as const) {
      const answer = await call(`${method} ${from}`.replace("a b<>", "a\u00a0b<>"));
      deepEqual([answer.status, answer.headers.get("location"), answer.text], [status, to, ""], `${method} ${from}`);
    }
  }
});

Deno.test("where such a path leads is never another host, and is in normal form itself", async () => {
  const { call } = appOf([]);
  const parts = ["/", "//", "/.", "/..", "/%2e%2e", "/a", "/b.c", "/%2f", "/@", "/:80", "/\\x", "/ü"];
  let redirected = 0;
  for (const a of parts) {
    for (const b of parts) {
      for (const c of parts) {
        const answer = await call(`GET ${a}${b}${c}`);
        const location = answer.headers.get("location");
        if (location === null) {
          equal(answer.status, 401);
          continue;
        }
        redirected++;
        equal(new URL(location, "http://gateway.example").hostname, "gateway.example", location);
        equal((await call(`GET ${location}`)).status, 401, `${a}${b}${c} leads to ${location}`);
      }
    }
  }
  ok(redirected > 500, String(redirected));
});

Deno.test("a path in normal form is left alone, whatever is encoded in it", async () => {
  const { call } = appOf([
    route({ path: "/v1/things/:id", handle: ({ http }) => okReply({ id: http.req.param("id") }) }),
  ]);
  const ids: [sent: string, read: string][] = [["a%2Fb", "a/b"], ["%25", "%"], ["..a", "..a"], [".%2e", ".."], [
    "%E4%BD%A0",
    "你",
  ], ["%ff", "%ff"]];
  for (const [sent, read] of ids) equal((await call(`GET /v1/things/${sent}`)).json().id, read, sent);
});

Deno.test("the request's target may be absolute or its host absurd: neither is believed", async () => {
  const { call } = appOf([route({ path: "/a", handle: ({ path }) => okReply({ path }) })]);
  for (const host of ["evil.example", "[bad", "<>", "user:password@evil.example:99999", "gateway.example"]) {
    deepEqual((await call(`GET http://${host}/a`)).json(), { path: "/a" }, host);
    equal((await call(`GET http://${host}/none`)).status, 401, host);
  }
});

Deno.test("steps that wait and steps that do not are run in order, and one that throws ends the call", async () => {
  const order: string[] = [];
  const { call, authenticator } = appOf([
    route({
      method: "POST",
      access: { kind: "authenticated" },
      body: z.object({ n: z.number() }),
      handle: (call) => {
        order.push("handler");
        return okReply((call as Call<{ n: number }>).body);
      },
    }),
  ]);
  authenticator.known.set("cold", principal());
  authenticator.cold.add("cold");
  const send = (key: string, body: string) => call("POST /v1/thing", { headers: { "x-api-key": key }, body });
  deepEqual((await send("cold", '{"n":1}')).json(), { n: 1 });
  equal((await send("unknown", "not json")).status, 401, "a stranger's body is not looked at");
  equal((await send("cold", "not json")).status, 400);
  deepEqual(order, ["handler"]);
});

Deno.test("the answer's time, route and caller are observed, and nothing of the path stands in the template", async () => {
  const { call, seen, authenticator } = appOf([route({ path: "/v1/things/:id", access: { kind: "authenticated" } })]);
  const caller = principal();
  authenticator.known.set("good", caller);
  await call("GET /v1/things/secret-name?x=1", { headers: { "x-api-key": "good" } });
  await call("GET /somewhere/else", { headers: { "x-api-key": "good" } });
  const [found, missing] = seen;
  deepEqual(
    [found!.request.template, found!.request.path, found!.request.caller, found!.outcome.status],
    ["/v1/things/:id", "/v1/things/secret-name", caller, 200],
  );
  ok(found!.outcome.milliseconds >= 0);
  equal(missing!.request.template, "*");
  equal((missing!.outcome.error as GatewayError).code, "NOT_FOUND");
});

Deno.test("the signal fires when the client leaves and when the gateway loses patience", async () => {
  const signals: AbortSignal[] = [];
  const { call, shutdown } = appOf([route({
    handle: ({ signal }) => {
      signals.push(signal);
      return okReply({});
    },
  })]);
  const client = new AbortController();
  await call("GET /v1/thing", { signal: client.signal });
  await call("GET /v1/thing");
  client.abort();
  deepEqual(signals.map(({ aborted }) => aborted), [true, false]);
  shutdown.abort();
  deepEqual(signals.map(({ aborted }) => aborted), [true, true]);
});

Deno.test("a handler's content type and headers win over the usual ones, and a stream is passed through", async () => {
  const { call } = appOf([
    route({
      path: "/text",
      handle: () => ({ status: 200, body: "hello", headers: { "content-type": "text/plain", "x-own": "1" } }),
    }),
    route({
      path: "/stream",
      handle: () => ({ status: 200, body: ReadableStream.from([new Uint8Array([104]), new Uint8Array([105])]) }),
    }),
    route({ path: "/nothing", handle: () => ({ status: 204, body: null }) }),
  ]);
  const text = await call("GET /text");
  deepEqual([text.text, text.headers.get("content-type"), text.headers.get("x-own")], ["hello", "text/plain", "1"]);
  equal((await call("GET /stream")).text, "hi");
  equal((await call("GET /nothing")).status, 204);
});

Deno.test("an answer that cannot be made is an internal error, not a broken connection", async () => {
  const { call, seen } = appOf([
    route({ path: "/header", handle: () => ({ status: 200, body: "", headers: { "x-bad": "a\nb" } }) }),
    route({ path: "/status", handle: () => ({ status: 99, body: "" }) }),
    route({ path: "/later", handle: () => later({ status: 200, body: "", headers: { "x-bad": "\u4f60" } }) }),
  ]);
  for (const path of ["/header", "/status", "/later"]) {
    const answer = await call(`GET ${path}`);
    deepEqual([answer.status, answer.json().code], [500, "INTERNAL"], path);
  }
  ok(seen.some(({ outcome }) => outcome.status === 500 && outcome.error instanceof Error));
});

Deno.test("a principal is there where the route's access promises one, and only there", async () => {
  const { call } = appOf([route({ handle: ({ principal }) => okReply({ principal }) })]);
  equal((await call("GET /v1/thing")).status, 500);
});

Deno.test("a call that was cut off says why: the gateway stops, or the client left", async () => {
  const aborted = route({
    handle: ({ signal }) => {
      signal.throwIfAborted();
      throw new DOMException("of somebody else", "AbortError");
    },
  });
  const stopping = appOf([aborted]);
  stopping.shutdown.abort();
  equal((await stopping.call("GET /v1/thing")).json().code, "UNAVAILABLE");
  const { call } = appOf([aborted]);
  const client = new AbortController();
  client.abort();
  equal((await call("GET /v1/thing", { signal: client.signal })).json().code, "REQUEST_TIMEOUT");
  equal((await call("GET /v1/thing")).json().code, "INTERNAL");
});
